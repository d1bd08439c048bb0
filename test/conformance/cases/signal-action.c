// sigaction(2): flags and what they change, queries, signals that may not be caught, RESETHAND, NODEFER, the handler's mask.
#include "case.h"

static volatile int depth, deepest, count;
static void nest(int signo) {
  depth++;
  count++;
  if (depth > deepest) deepest = depth;
  if (count < 3) raise(signo);
  depth--;
}
static volatile int ran;
static void mark(int signo) { ran = ran * 10 + (signo == SIGUSR1 ? 1 : 2); }
static void raise_other(int signo) {
  raise(SIGUSR2);
  mark(signo);
}
static void with_info(int signo, siginfo_t *info, void *context) {
  printf("signo %d code %d from us %d context %d\n", signo == SIGUSR1 && info->si_signo == SIGUSR1, info->si_code,
    info->si_pid == getpid(), context != NULL);
}

int main(void) {
  struct sigaction action = { .sa_handler = nest }, old;
  SHOW(sigaction(SIGUSR1, &action, NULL));
  raise(SIGUSR1);
  printf("deferred: deepest %d count %d\n", deepest, count);
  depth = deepest = count = 0;
  action.sa_flags = SA_NODEFER;
  SHOW(sigaction(SIGUSR1, &action, &old));
  printf("old handler %d flags %x\n", old.sa_handler == nest, old.sa_flags & ~0x04000000);
  raise(SIGUSR1);
  printf("nodefer: deepest %d count %d\n", deepest, count);
  action = (struct sigaction){ .sa_handler = mark, .sa_flags = SA_RESETHAND };
  SHOW(sigaction(SIGUSR1, &action, NULL));
  raise(SIGUSR1);
  SHOW(sigaction(SIGUSR1, NULL, &old));
  printf("reset to default %d ran %d\n", old.sa_handler == SIG_DFL, ran);
  ran = 0;
  struct sigaction other = { .sa_handler = mark };
  sigaction(SIGUSR2, &other, NULL);
  action = (struct sigaction){ .sa_handler = raise_other };
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
  printf("not in the mask: %d\n", ran);
  ran = 0;
  sigaddset(&action.sa_mask, SIGUSR2);
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
  printf("in the mask: %d\n", ran);
  action = (struct sigaction){ .sa_sigaction = with_info, .sa_flags = SA_SIGINFO };
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
  kill(getpid(), SIGUSR1);
  syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
  SHOW(sigaction(SIGKILL, &action, NULL));
  SHOW(sigaction(SIGSTOP, &action, NULL));
  SHOW(sigaction(SIGKILL, NULL, &old));
  SHOW(sigaction(0, &action, NULL));
  SHOW(sigaction(65, &action, NULL));
  SHOW(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4));
  SAY(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
  raise(SIGUSR1);
  SAY(signal(SIGUSR1, SIG_DFL) == SIG_IGN);
  SHOW(sigaction(SIGCHLD, NULL, &old));
  SAY(old.sa_handler == SIG_DFL);
  sigset_t mask;
  sigprocmask(SIG_SETMASK, NULL, &mask);
  SAY(sigisemptyset(&mask));
  return 0;
}
