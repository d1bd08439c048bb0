// What each signal does by default, and the status a parent reads; kill errnos; signals to groups.
#include "case.h"
#include <sys/prctl.h>

int main(void) {
  prctl(PR_SET_DUMPABLE, 0);
  setsid(); /* an orphaned process group: TSTP, TTIN and TTOU do not stop it */
  for (int signo = 1; signo < 32; signo++) {
    pid_t child = fork();
    if (child == 0) {
      kill(getpid(), signo);
      _exit(100);
    }
    int status;
    waitpid(child, &status, WUNTRACED);
    show_status(sigabbrev_np(signo), status);
    if (WIFSTOPPED(status)) {
      kill(child, SIGCONT);
      waitpid(child, &status, 0);
      show_status("  then", status);
    }
  }
  IN_CHILD("RTMIN", raise(SIGRTMIN); sleep(1));
  IN_CHILD("abort", abort());
  IN_CHILD("SIGPIPE", { int ends[2]; pipe(ends); close(ends[0]); write(ends[1], "x", 1); });
  IN_CHILD("SIGPIPE ignored", { int ends[2]; signal(SIGPIPE, SIG_IGN); pipe(ends); close(ends[0]); SHOW(write(ends[1], "x", 1)); });
  SHOW(kill(getpid(), 0));
  SHOW(kill(getpid(), 65));
  SHOW(kill(getpid(), -1));
  SHOW(kill(999999999, 0));
  SHOW(syscall(SYS_tgkill, getpid(), 999999999, 0));
  SHOW(syscall(SYS_tgkill, getpid(), -1, 0));
  SHOW(syscall(SYS_tgkill, 1, getpid(), 0));
  SHOW(syscall(SYS_tkill, gettid(), 0));
  pid_t zombie = fork();
  if (zombie == 0) _exit(3);
  siginfo_t info;
  waitid(P_PID, zombie, &info, WEXITED | WNOWAIT);
  SHOW(kill(zombie, SIGKILL));
  int status;
  waitpid(zombie, &status, 0);
  show_status("zombie", status);
  SHOW(kill(zombie, 0));
  pid_t leader = fork();
  if (leader == 0) {
    setpgid(0, 0);
    if (fork() == 0) pause();
    pause();
    _exit(0);
  }
  setpgid(leader, leader);
  sleep_ms(30);
  SHOW(kill(-leader, SIGTERM));
  waitpid(leader, &status, 0);
  show_status("leader", status);
  return 0;
}
