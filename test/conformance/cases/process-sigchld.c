// SIGCHLD: who sends it and why, SA_NOCLDWAIT and SA_NOCLDSTOP, the parent's death signal, orphans find a new parent.
#include "case.h"
#include <sys/prctl.h>

static volatile int count, code, status_value;
static volatile pid_t who;
static void child_signal(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)context;
  count++;
  code = info->si_code;
  status_value = info->si_status;
  who = info->si_pid;
}
static void install(int flags) {
  struct sigaction action = { .sa_sigaction = child_signal, .sa_flags = SA_SIGINFO | SA_RESTART | flags };
  sigaction(SIGCHLD, &action, NULL);
  count = 0;
}
static void until(int wanted) { for (int i = 0; count < wanted && i < 400; i++) sleep_ms(5); }

int main(void) {
  install(0);
  pid_t child = fork();
  if (child == 0) _exit(44);
  until(1);
  printf("count %d code %d status %d right pid %d\n", count, code == CLD_EXITED, status_value, who == child);
  int status;
  SAY(waitpid(child, &status, 0) == child);
  child = fork();
  if (child == 0) for (;;) pause();
  kill(child, SIGSTOP);
  until(2);
  printf("stopped: %d status %d\n", code == CLD_STOPPED, status_value == SIGSTOP);
  kill(child, SIGCONT);
  until(3);
  printf("continued: %d status %d\n", code == CLD_CONTINUED, status_value == SIGCONT);
  kill(child, SIGKILL);
  until(4);
  printf("killed: %d status %d\n", code == CLD_KILLED, status_value == SIGKILL);
  waitpid(child, NULL, 0);
  install(SA_NOCLDSTOP);
  child = fork();
  if (child == 0) for (;;) pause();
  kill(child, SIGSTOP);
  waitpid(child, &status, WUNTRACED);
  printf("no stop signal: %d\n", count == 0);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  printf("killed: %d\n", count == 1);
  install(SA_NOCLDWAIT);
  child = fork();
  if (child == 0) _exit(0);
  until(1);
  SHOW(waitpid(child, NULL, 0));
  signal(SIGCHLD, SIG_DFL);
  SHOW(prctl(PR_SET_CHILD_SUBREAPER, 1));
  int ends[2];
  pipe(ends);
  pid_t middle = fork();
  if (middle == 0) {
    pid_t parent = getpid(), orphan = fork();
    if (orphan == 0) {
      while (getppid() == parent) sleep_ms(2);
      pid_t expected;
      while (read(ends[0], &expected, sizeof expected) != sizeof expected);
      printf("reparented to the subreaper: %d\n", getppid() == expected);
      _exit(55);
    }
    sleep_ms(20);
    _exit(0);
  }
  waitpid(middle, &status, 0);
  sleep_ms(30);
  pid_t self = getpid();
  write(ends[1], &self, sizeof self);
  SAY(wait(&status) > 0);
  show_status("orphan", status);
  child = fork();
  if (child == 0) {
    pid_t grandchild = fork();
    if (grandchild == 0) {
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      write(ends[1], "r", 1);
      for (;;) pause();
    }
    char byte;
    read(ends[0], &byte, 1);
    _exit(0);
  }
  waitpid(child, &status, 0);
  SAY(wait(&status) > 0);
  show_status("died with its parent", status);
  return 0;
}
