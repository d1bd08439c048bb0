// Signal masks: pending and delivered once, order of delivery, real-time signals queue with their values, inheritance.
#include "case.h"

static volatile int seen[32], seen_count;
static void note(int signo, siginfo_t *info, void *context) {
  (void)context;
  seen[seen_count++] = signo >= SIGRTMIN ? 1000 * (signo - SIGRTMIN + 1) + info->si_value.sival_int : signo;
}
static void print_seen(const char *what) {
  printf("%s:", what);
  for (int i = 0; i < seen_count; i++) printf(" %d", seen[i]);
  printf("\n");
  seen_count = 0;
}

int main(void) {
  struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };
  sigfillset(&action.sa_mask);
  int all[] = { SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGRTMIN, SIGRTMIN + 1 };
  sigset_t set, old, pending;
  sigemptyset(&set);
  for (int i = 0; i < 6; i++) {
    sigaction(all[i], &action, NULL);
    sigaddset(&set, all[i]);
  }
  SHOW(sigprocmask(SIG_BLOCK, &set, &old));
  raise(SIGUSR2);
  raise(SIGUSR1);
  raise(SIGUSR1);
  kill(getpid(), SIGUSR1);
  sigpending(&pending);
  printf("pending %d %d %d\n", sigismember(&pending, SIGUSR1), sigismember(&pending, SIGUSR2), sigismember(&pending, SIGHUP));
  print_seen("blocked");
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  print_seen("unblocked");
  sigprocmask(SIG_BLOCK, &set, NULL);
  for (int i = 1; i <= 3; i++) {
    union sigval value = { .sival_int = i };
    sigqueue(getpid(), SIGRTMIN + 1, value);
    sigqueue(getpid(), SIGRTMIN, value);
  }
  raise(SIGTERM);
  raise(SIGHUP);
  sigprocmask(SIG_SETMASK, &old, NULL);
  print_seen("real-time");
  sigprocmask(SIG_BLOCK, &set, NULL);
  raise(SIGUSR1);
  IN_CHILD("child", {
    sigpending(&pending);
    printf("child: pending %d blocked ", sigismember(&pending, SIGUSR1));
    sigprocmask(0, NULL, &old);
    printf("%d\n", sigismember(&old, SIGUSR1));
  });
  signal(SIGUSR1, SIG_IGN);
  sigpending(&pending);
  printf("ignored drops pending: %d\n", !sigismember(&pending, SIGUSR1));
  sigfillset(&set);
  sigprocmask(SIG_SETMASK, &set, NULL);
  sigprocmask(SIG_SETMASK, NULL, &old);
  printf("KILL %d STOP %d TERM %d\n", sigismember(&old, SIGKILL), sigismember(&old, SIGSTOP), sigismember(&old, SIGTERM));
  IN_CHILD("killed while all is blocked", kill(getpid(), SIGKILL); pause());
  IN_CHILD("SEGV while blocked", *(volatile int *)0 = 1);
  SHOW(sigprocmask(99, &set, NULL));
  SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 4));
  union sigval value = { 0 };
  SHOW(sigqueue(getpid(), 99, value));
  SHOW(sigqueue(getpid(), 0, value));
  return 0;
}
