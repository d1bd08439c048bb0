// sigaltstack(2): handlers run on it, nested ones stay there, it is in use meanwhile, errnos; SA_ONSTACK without one.
#include "case.h"

static char *stack_memory;
static int on_stack(void) {
  char local;
  return &local >= stack_memory && &local < stack_memory + 32768;
}
static void inner(int signo) { (void)signo; printf("inner on stack %d\n", on_stack()); }
static void outer(int signo) {
  (void)signo;
  stack_t now, other = { .ss_sp = stack_memory, .ss_size = 32768 };
  printf("outer on stack %d\n", on_stack());
  SHOW(sigaltstack(NULL, &now));
  printf("flags %d\n", now.ss_flags);
  SHOW(sigaltstack(&other, NULL));
  raise(SIGUSR2);
}
static void plain(int signo) { (void)signo; printf("plain on stack %d\n", on_stack()); }

static sigjmp_buf env;
static void jump(int signo) { (void)signo; siglongjmp(env, 1); }

int main(void) {
  stack_memory = malloc(32768);
  stack_t stack = { .ss_sp = stack_memory, .ss_size = 32768 }, old;
  SHOW(sigaltstack(NULL, &old));
  printf("flags %d\n", old.ss_flags);
  struct sigaction action = { .sa_handler = outer, .sa_flags = SA_ONSTACK };
  sigaction(SIGUSR1, &action, NULL);
  action.sa_handler = plain;
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
  SHOW(sigaltstack(&stack, &old));
  SHOW(sigaltstack(NULL, &old));
  printf("flags %d size %zu same %d\n", old.ss_flags, old.ss_size, old.ss_sp == stack_memory);
  action.sa_handler = outer;
  sigaction(SIGUSR1, &action, NULL);
  action.sa_handler = inner;
  sigaction(SIGUSR2, &action, NULL);
  raise(SIGUSR1);
  action.sa_handler = plain;
  action.sa_flags = 0;
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
  stack.ss_size = 100;
  SHOW(sigaltstack(&stack, NULL));
  stack.ss_size = 32768;
  stack.ss_flags = 99;
  SHOW(sigaltstack(&stack, NULL));
  stack.ss_flags = SS_DISABLE;
  SHOW(sigaltstack(&stack, NULL));
  SHOW(sigaltstack(NULL, &old));
  printf("flags %d\n", old.ss_flags);
  stack.ss_flags = 0;
  sigaltstack(&stack, NULL);
  action = (struct sigaction){ .sa_handler = jump, .sa_flags = SA_ONSTACK };
  sigaction(SIGSEGV, &action, NULL);
  for (int i = 0; i < 3; i++)
    if (sigsetjmp(env, 1)) printf("jumped out, on stack %d\n", on_stack());
    else *(volatile int *)16 = 1;
  IN_CHILD("child", SHOW(sigaltstack(NULL, &old)); printf("flags %d\n", old.ss_flags));
  return 0;
}
