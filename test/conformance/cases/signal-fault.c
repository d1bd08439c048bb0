// Faults become signals with the right number, code and address: SEGV, FPE, ILL, TRAP, BUS; changing the context in a handler.
// emulated: int 0x81; sse divide
#include "case.h"
#include <ucontext.h>

static sigjmp_buf env;
static volatile int signo, code;
static uintptr_t address;
static volatile long trapno, error;
static void *volatile rip;

static void handler(int number, siginfo_t *info, void *context) {
  mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
  signo = number;
  code = info->si_code;
  address = (uintptr_t)info->si_addr;
  trapno = machine->gregs[REG_TRAPNO];
  error = machine->gregs[REG_ERR];
  rip = (void *)machine->gregs[REG_RIP];
  siglongjmp(env, 1);
}
#define FAULT(what, ...) do { \
    if (sigsetjmp(env, 1)) printf("%s: SIG%s code %d trap %ld error %ld\n", what, sigabbrev_np(signo), code, trapno, error); \
    else { __VA_ARGS__; printf("%s: nothing\n", what); } \
  } while (0)

static void skip(int number, siginfo_t *info, void *context) {
  (void)number, (void)info;
  mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
  machine->gregs[REG_RIP] += 2;
  machine->gregs[REG_RAX] = 77;
}
static void stepped(int number, siginfo_t *info, void *context) {
  (void)number;
  ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~0x100L;
  code = info->si_code;
}

int main(void) {
  struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
  int signals[] = { SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS };
  for (int i = 0; i < 5; i++) sigaction(signals[i], &action, NULL);
  volatile int zero = 0, one = 1;
  FAULT("read", (void)*(volatile int *)0x40);
  printf("address %lx\n", address);
  FAULT("write", *(volatile int *)0x48 = 1);
  printf("address %lx\n", address);
  FAULT("jump", ((void (*)(void))0x50)());
  printf("address %lx rip %lx\n", address, (unsigned long)rip);
  FAULT("write code", *(volatile char *)main = 1);
  FAULT("kernel address", (void)*(volatile char *)0xffffffff81000000);
  FAULT("divide", zero = one / zero);
  FAULT("divide overflow", { volatile int low = INT_MIN; volatile int minus = -1; zero = low / minus; });
  FAULT("ud2", __asm__ volatile("ud2"));
  FAULT("hlt", __asm__ volatile("hlt"));
  FAULT("cli", __asm__ volatile("cli"));
  FAULT("in", __asm__ volatile("in $0x60, %%al" ::: "rax"));
  FAULT("rdmsr", __asm__ volatile("rdmsr" ::: "rax", "rdx"));
  FAULT("mov cr3", __asm__ volatile("mov %%cr3, %%rax" ::: "rax"));
  FAULT("int3", __asm__ volatile("int3"));
  FAULT("int 0x81", __asm__ volatile("int $0x81"));
  FAULT("non-canonical stack", __asm__ volatile("mov $0x8000000000000000, %%rax; push (%%rax)" ::: "rax"));
  FAULT("non-canonical jump", __asm__ volatile("mov $0x8000000000000000, %%rax; jmp *%%rax" ::: "rax"));
  FAULT("bad selector", __asm__ volatile("mov $0x1234, %%eax; mov %%eax, %%ds" ::: "rax"));
  float quiet = 0;
  unsigned csr = __builtin_ia32_stmxcsr();
  float by = 0;
  FAULT("sse divide", __builtin_ia32_ldmxcsr(csr & ~0x200); quiet = 1; __asm__ volatile("divss %1, %0" : "+x"(quiet) : "x"(by)));
  __builtin_ia32_ldmxcsr(csr);
  (void)quiet;
  action.sa_sigaction = skip;
  sigaction(SIGILL, &action, NULL);
  long result = 1;
  __asm__ volatile("ud2" : "+a"(result));
  printf("skipped with rax %ld\n", result);
  action.sa_sigaction = stepped;
  sigaction(SIGTRAP, &action, NULL);
  __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop; nop" ::: "memory");
  printf("single step code %d\n", code);
  for (int i = 0; i < 2; i++) signal(signals[i], SIG_DFL);
  IN_CHILD("SEGV", *(volatile int *)0 = 1);
  IN_CHILD("FPE", zero = one / zero);
  signal(SIGSEGV, SIG_IGN);
  IN_CHILD("SEGV ignored", *(volatile int *)0 = 1);
  return 0;
}
