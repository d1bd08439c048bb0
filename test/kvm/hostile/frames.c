// Forged signal frames: each in a child, which may die of a signal but not do anything else.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
static uint64_t state = 88172645463325252ull;
static uint64_t rnd(void) { state ^= state << 13; state ^= state >> 7; state ^= state << 17; return state; }
static const uint64_t VALUES[] = { 0, 1, -1ull, 0x8000000000000000ull, 0x7fffffffffffull, 0x800000000000ull, 0x7ffffffff000ull, 0x7ffffffff800ull, 0x7fffffffeffeull, 0xffff800000000000ull,
  0xffff800100000000ull, 0xffffffff81000000ull, 0x7fffffe00000ull, 0x7fffffdff000ull, 0xdead000000000000ull, 0x10000, 4095, 1ull << 63 | 64, 0xfffffffffffffff8ull };
static uint64_t value(void) { return rnd() % 3 ? VALUES[rnd() % 19] : rnd(); }
static int kind;
static void handler(int signo, siginfo_t *info, void *p) {
  ucontext_t *uc = p;
  unsigned char *fp = (unsigned char *)uc->uc_mcontext.fpregs;
  uint32_t *sw = (uint32_t *)(fp + 464);
  switch (kind % 16) {
    case 0: uc->uc_mcontext.gregs[REG_RIP] = value(); break;
    case 1: uc->uc_mcontext.gregs[REG_RSP] = value(); break;
    case 2: uc->uc_mcontext.gregs[REG_EFL] = value(); break;
    case 3: uc->uc_mcontext.gregs[REG_CSGSFS] = value(); break;
    case 4: uc->uc_mcontext.fpregs = (void *)value(); break;
    case 5: *(uint32_t *)(fp + 24) = rnd(); break;                       // MXCSR
    case 6: *(uint64_t *)(fp + 512) = value(); break;                    // XSTATE_BV
    case 7: *(uint64_t *)(fp + 520) = value(); break;                    // XCOMP_BV
    case 8: for (int i = 528; i < 576; i++) fp[i] = rnd(); break;        // reserved header bytes
    case 9: sw[0] = rnd(); break;                                        // magic
    case 10: sw[1] = value(); break;                                     // extended size
    case 11: *(uint64_t *)(sw + 2) = value(); break;                     // features
    case 12: sw[4] = value(); break;                                     // xstate size
    case 13: for (int i = 0; i < 1024 && i < (int)sw[4]; i++) fp[i] = rnd(); break;
    case 14: for (int i = 0; i < 23; i++) uc->uc_mcontext.gregs[i] = value(); break;
    case 15: uc->uc_stack.ss_sp = (void *)value(); uc->uc_stack.ss_size = value(); uc->uc_stack.ss_flags = value(); memset(&uc->uc_sigmask, rnd(), 8); break;
  }
}
static void again(int signo) { volatile char use[2000]; use[0] = 1; raise(SIGUSR2); use[1] = 1; }
static int die(int how) {
  struct { uint64_t h, f, r, m; } sa = { (uint64_t)handler, SA_SIGINFO | 0x04000000, value(), 0 };
  stack_t ss;
  switch (how % 8) {
    case 0: sa.h = value() | 2; syscall(SYS_rt_sigaction, SIGUSR1, &sa, 0, 8); raise(SIGUSR1); break;   // handler anywhere
    case 1: syscall(SYS_rt_sigaction, SIGUSR1, &sa, 0, 8); raise(SIGUSR1); break;                       // restorer anywhere
    case 2: sa.f = SA_SIGINFO; syscall(SYS_rt_sigaction, SIGUSR1, &sa, 0, 8); raise(SIGUSR1); break;    // no restorer
    case 3: case 4: // alternate stack anywhere
      ss.ss_sp = (void *)value(); ss.ss_size = rnd() % 2 ? value() : 65536; ss.ss_flags = rnd() % 3 ? 0 : 1u << 31;
      sigaltstack(&ss, 0);
      struct sigaction a = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK }; sigaction(SIGUSR1, &a, 0); sigaction(SIGSEGV, &a, 0); raise(SIGUSR1); break;
    case 5: { struct sigaction b = { .sa_handler = again, .sa_flags = SA_NODEFER }; sigaction(SIGUSR2, &b, 0); raise(SIGUSR2); break; } // overflow
    case 6: { // sigreturn on any stack
      uint64_t sp = value(); __asm__ volatile("mov %0, %%rsp; mov $15, %%eax; syscall; ud2" :: "r"(sp) : "memory"); break; }
    case 7: { char *m = mmap(0, 65536, 3, 34, -1, 0); for (int i = 0; i < 65536; i += 8) *(uint64_t *)(m + i) = rnd() % 2 ? value() : (uint64_t)(m + rnd() % 65536 / 64 * 64);
      uint64_t sp = (uint64_t)m + 1024; __asm__ volatile("mov %0, %%rsp; mov $15, %%eax; syscall; ud2" :: "r"(sp) : "memory"); break; }
  }
  return 0;
}
int main(int argc, char **argv) {
  int runs = atoi(argv[1]); state += strtoull(argv[2], 0, 0) * 0x9e3779b97f4a7c15ull;
  int ended[3] = {0};
  for (int i = 0; i < runs; i++) {
    rnd();
    pid_t pid = fork();
    if (pid == 0) {
      struct rlimit cpu = {1, 1}; setrlimit(RLIMIT_CPU, &cpu);
      for (int k = 0; k < 9; k++) rnd();
      state += i * 0x9e3779b97f4a7c15ull;
      if (i % 3 == 0) _exit(die(i / 3));
      struct sigaction a = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO }; sigaction(SIGUSR1, &a, 0);
      for (kind = i; kind < i + 3; kind++) raise(SIGUSR1);
      _exit(0);
    }
    int status = 0;
    for (int t = 0; waitpid(pid, &status, WNOHANG) == 0; t++) { usleep(500); if (t > 3000) { kill(pid, SIGKILL); ended[2]++; } }
    ended[WIFEXITED(status) ? 0 : 1]++;
  }
  printf("exited or signalled %d, stuck %d\n", ended[0] + ended[1], ended[2]); fprintf(stderr, "%d %d\n", ended[0], ended[1]);
  return 0;
}
