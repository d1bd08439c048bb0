// What a program tries on the machine below it: port instructions, addresses of the kernel, jumps to where its entry may be, flags
// and registers it may not choose. Each is its own signal, or nothing at all.
#include "case.h"
#include <ucontext.h>

static sigjmp_buf env;
static volatile int signo, code;
static volatile long trapno, error;

static void handler(int number, siginfo_t *info, void *context) {
  mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
  signo = number;
  code = info->si_code;
  trapno = machine->gregs[REG_TRAPNO];
  error = machine->gregs[REG_ERR];
  siglongjmp(env, 1);
}
#define TRY(what, ...) do { \
    if (sigsetjmp(env, 1)) printf("%s: SIG%s code %d trap %ld error %ld\n", what, sigabbrev_np(signo), code, trapno, error); \
    else { __VA_ARGS__; printf("%s: nothing\n", what); } \
  } while (0)
// Where a sandbox may have code of its own it is any signal.
#define TRY_ENTRY(what, ...) do { \
    if (sigsetjmp(env, 1)) printf("%s: a signal\n", what); \
    else { __VA_ARGS__; printf("%s: nothing\n", what); } \
  } while (0)

static void jump(unsigned long address) {
  __asm__ volatile("mov $-1, %%rcx; mov $-1, %%r11; jmp *%0" :: "a"(address) : "rcx", "r11", "memory");
}

/** getpid with whatever in rcx, r11 and the flags; both come back as rip and the flags. */
static long call(long rcx, long r11, long flags, long *after) {
  long result = 39;
  __asm__ volatile(
    "mov %[rcx], %%rcx; mov %[r11], %%r11; sub $128, %%rsp; pushfq; or %[flags], (%%rsp); popfq; syscall; pushfq; pop %[after];"
    "pushfq; andq $~0x44000, (%%rsp); popfq; cld; add $128, %%rsp"
    : "+a"(result), [after] "=&r"(*after) : [rcx] "r"(rcx), [r11] "r"(r11), [flags] "r"(flags) : "rcx", "r11", "memory", "cc");
  return result;
}

int main(void) {
  struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };
  static char stack[65536];
  stack_t other = { .ss_sp = stack, .ss_size = sizeof stack };
  sigaltstack(&other, NULL);
  int signals[] = { SIGSEGV, SIGILL, SIGTRAP, SIGBUS, SIGFPE };
  for (int i = 0; i < 5; i++) sigaction(signals[i], &action, NULL);
  char byte = 0;
  TRY("out 0x7e", __asm__ volatile("out %%al, $0x7e" ::: "memory"));
  TRY("out dx", __asm__ volatile("out %%eax, %%dx" :: "d"(0x7e), "a"(0)));
  TRY("in 0x7e", __asm__ volatile("in $0x7e, %%al" ::: "rax"));
  TRY("rep outsb", __asm__ volatile("rep outsb" :: "d"(0x7e), "c"(100L), "S"(&byte)));
  TRY("rep insb", __asm__ volatile("rep insb" :: "d"(0x7e), "c"(100L), "D"(&byte) : "memory"));
  TRY("out 0x80", __asm__ volatile("out %%al, $0x80" ::: "memory"));
  unsigned long kernel[] = { 0xffff800000000000, 0xffff800100002000, 0xffff800100003000, 0xffffffff81000000, 0xffffffffff600ff0 + 0x1000 };
  for (int i = 0; i < 5; i++) {
    TRY("kernel read", (void)*(volatile char *)kernel[i]);
    TRY("kernel write", *(volatile char *)kernel[i] = 1);
    TRY("kernel jump", jump(kernel[i]));
  }
  unsigned long entries[] = { 0x7ffffffff000, 0x7ffffffff800, 0x7ffffffff802, 0x7ffffffffffe, 0x800000000000 };
  for (int i = 0; i < 5; i++) TRY_ENTRY("jump to an entry", jump(entries[i]));
  TRY_ENTRY("write to an entry", *(volatile char *)0x7ffffffff800 = 1);
  TRY("wrong stack", __asm__ volatile("mov %%rsp, %%rbx; mov $0xffff800100005000, %%rsp; pushq $1; mov %%rbx, %%rsp" ::: "rbx", "memory"));
  long flags[] = { 0, 0x400, 0x4000, 0x40000, 0x200000, 0x3000 };
  for (int i = 0; i < 6; i++) {
    long after, got = call(-1L, 0x3fffff, flags[i], &after);
    // NT is of no use to a program, and a sandbox drops it.
    printf("flags %lx: %s, kept %lx\n", flags[i], got == getpid() ? "called" : "not called", after & flags[i] & ~0x4000L);
  }
  TRY("load ds", __asm__ volatile("mov %%eax, %%ds" :: "a"(0x10)));
  TRY("load ss", __asm__ volatile("mov %%eax, %%ss" :: "a"(0x18)));
  TRY("load gs", __asm__ volatile("mov %%eax, %%gs" :: "a"(0x40)));
  printf("still pid %s\n", getpid() > 0 ? "mine" : "none");
  return 0;
}
