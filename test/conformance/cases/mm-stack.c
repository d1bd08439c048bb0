// The stack grows by itself up to its limit, is a SIGSEGV beyond, and a handler on another stack survives that.
#include "case.h"

static int deep(int level) {
  volatile char frame[4000];
  frame[0] = level;
  frame[3999] = level;
  return level ? deep(level - 1) + frame[0] % 2 : frame[0];
}

static int forever(int level) {
  volatile char frame[4000];
  frame[level % 4000] = 1;
  return forever(level + 1) + frame[0];
}

static void overflow(int signo, siginfo_t *info, void *context) {
  (void)context;
  char local;
  printf("SIG%s, handler far from the fault: %d\n", sigabbrev_np(signo), labs(&local - (char *)info->si_addr) > 65536);
  _exit(5);
}

static void *thread(void *unused) {
  printf("thread %d\n", deep(1500));
  return unused;
}

int main(void) {
  printf("%d\n", deep(1800));
  pthread_t id;
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, 7 << 20);
  pthread_create(&id, &attr, thread, NULL);
  pthread_join(id, NULL);
  char *alloca_block = __builtin_alloca(6 << 20);
  alloca_block[0] = 1;
  alloca_block[6 << 19] = 1;
  printf("%d\n", alloca_block[0] + alloca_block[6 << 19]);
  IN_CHILD("no handler", forever(0));
  IN_CHILD("handler", {
    stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 };
    sigaltstack(&stack, NULL);
    struct sigaction action = { .sa_sigaction = overflow, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigaction(SIGSEGV, &action, NULL);
    forever(0);
  });
  IN_CHILD("handler without a stack", {
    struct sigaction action = { .sa_sigaction = overflow, .sa_flags = SA_SIGINFO };
    sigaction(SIGSEGV, &action, NULL);
    forever(0);
  });
  return 0;
}
