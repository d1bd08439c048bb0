// wait4 and waitid: statuses, which child, no hang, no wait, groups, errnos, resource usage of children.
#include "case.h"

static pid_t leave(int code) {
  pid_t child = fork();
  if (child == 0) _exit(code);
  return child;
}

int main(void) {
  int status;
  SHOW(wait(&status));
  pid_t a = leave(3), b = leave(256 + 7);
  SAY(waitpid(b, &status, 0) == b);
  show_status("b", status);
  SAY(wait(&status) == a);
  show_status("a", status);
  pid_t sleeper = fork();
  if (sleeper == 0) pause();
  SHOW(waitpid(sleeper, &status, WNOHANG));
  SHOW(waitpid(-1, &status, WNOHANG));
  SHOW(waitpid(getpid(), &status, 0));
  SHOW(waitpid(999999, &status, 0));
  SHOW(waitpid(-999999, &status, 0));
  SHOW(waitpid(-1, &status, 0x1000));
  kill(sleeper, SIGTERM);
  siginfo_t info = { 0 };
  SHOW(waitid(P_PID, sleeper, &info, WEXITED | WNOWAIT));
  printf("child %d code %d status %d signo %d\n", info.si_pid == sleeper, info.si_code, info.si_status, info.si_signo == SIGCHLD);
  SHOW(waitid(P_PID, sleeper, &info, WEXITED));
  SHOW(waitid(P_PID, sleeper, &info, WEXITED));
  sleeper = leave(9);
  SHOW(waitid(P_ALL, 0, &info, WEXITED));
  printf("code %d status %d\n", info.si_code, info.si_status);
  SHOW(waitid(P_ALL, 0, &info, WEXITED | WNOHANG));
  SHOW(waitid(P_ALL, 0, &info, 0));
  SHOW(waitid(99, 0, &info, WEXITED));
  sleeper = fork();
  if (sleeper == 0) pause();
  info.si_pid = 5;
  SHOW(waitid(P_PID, sleeper, &info, WEXITED | WNOHANG));
  printf("pid %d\n", info.si_pid);
  kill(sleeper, SIGSTOP);
  SAY(waitpid(sleeper, &status, WUNTRACED) == sleeper);
  show_status("stopped", status);
  SHOW(waitpid(sleeper, &status, WUNTRACED | WNOHANG));
  kill(sleeper, SIGCONT);
  SHOW(waitid(P_PID, sleeper, &info, WCONTINUED));
  printf("code %d\n", info.si_code);
  kill(sleeper, SIGKILL);
  struct rusage usage;
  SAY(wait4(sleeper, &status, 0, &usage) == sleeper);
  show_status("killed", status);
  pid_t group = fork();
  if (group == 0) {
    setpgid(0, 0);
    _exit(1);
  }
  setpgid(group, group);
  SHOW(waitpid(0, &status, WNOHANG));
  SAY(waitpid(-group, &status, 0) == group);
  pid_t children[30];
  for (int i = 0; i < 30; i++) children[i] = leave(i);
  int sum = 0, right = 0;
  for (int i = 29; i >= 0; i--) {
    right += waitpid(children[i], &status, 0) == children[i];
    sum += WEXITSTATUS(status);
  }
  printf("right %d sum %d\n", right, sum);
  signal(SIGCHLD, SIG_IGN);
  leave(1);
  SHOW(wait(&status));
  return 0;
}
