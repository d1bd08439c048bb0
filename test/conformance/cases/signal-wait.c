// sigwait, sigwaitinfo, sigtimedwait, sigsuspend: taking signals without handlers.
#include "case.h"

static volatile int handled;
static void handler(int signo) { handled = signo; }

int main(void) {
  sigset_t set, old, empty;
  sigemptyset(&empty);
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGRTMIN);
  sigprocmask(SIG_BLOCK, &set, &old);
  siginfo_t info;
  raise(SIGUSR1);
  SAY(sigwaitinfo(&set, &info) == SIGUSR1);
  printf("code %d us %d\n", info.si_code, info.si_pid == getpid());
  sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 31 });
  sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 32 });
  SAY(sigwaitinfo(&set, &info) == SIGRTMIN);
  printf("code %d value %d\n", info.si_code, info.si_value.sival_int);
  SAY(sigwaitinfo(&set, &info) == SIGRTMIN);
  printf("value %d\n", info.si_value.sival_int);
  struct timespec t = { 0, 20000000 }, zero = { 0, 0 }, bad = { 0, -1 };
  SHOW(sigtimedwait(&set, &info, &t));
  SHOW(sigtimedwait(&set, &info, &zero));
  SHOW(sigtimedwait(&set, &info, &bad));
  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) {
    sleep_ms(30);
    kill(parent, SIGUSR1);
    _exit(0);
  }
  int signo;
  ERR(sigwait(&set, &signo));
  SAY(signo == SIGUSR1);
  waitpid(child, NULL, 0);
  struct sigaction action = { .sa_handler = handler };
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
  SHOW(sigsuspend(&empty));
  SAY(handled == SIGUSR1);
  sigset_t now;
  sigprocmask(0, NULL, &now);
  SAY(sigismember(&now, SIGUSR1) == 1);
  return 0;
}
