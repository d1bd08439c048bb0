// x87, SSE and AVX registers survive system calls, signals, thread switches and fork; a handler starts with its own.
#include "case.h"
#include <cpuid.h>

static volatile int signals;
static void clobber(int signo) {
  (void)signo;
  signals++;
  __asm__ volatile("fldz; fstp %%st(0); pcmpeqd %%xmm0, %%xmm0\n"
    "pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm15, %%xmm15" ::: "xmm0", "xmm7", "xmm15");
  unsigned csr = 0x1f80 | 0x6000;
  __asm__ volatile("ldmxcsr %0" :: "m"(csr));
}
/* Fills xmm registers with a pattern, lets time pass without touching them from C, and reads them back. */
static int keep(uint64_t seed, int how) {
  uint64_t in[8] __attribute__((aligned(64))), out[8] __attribute__((aligned(64)));
  for (int i = 0; i < 8; i++) in[i] = seed * 0x9e3779b97f4a7c15ULL + i;
  pid_t self = getpid();
  long number = how == 0 ? SYS_sched_yield : how == 1 ? SYS_kill : SYS_getpid, result;
  register uint64_t rounds = how == 2 ? 3000000 : 20;
  __asm__ volatile(
    "movdqu (%[in]), %%xmm0; movdqu 16(%[in]), %%xmm7; movdqu 32(%[in]), %%xmm8; movdqu 48(%[in]), %%xmm15\n"
    "1: cmp $30, %[rounds]; ja 2f\n mov %[number], %%rax; mov %[self], %%rdi; mov $10, %%rsi; syscall\n 2: dec %[rounds]; jnz 1b\n"
    "movdqu %%xmm0, (%[out]); movdqu %%xmm7, 16(%[out]); movdqu %%xmm8, 32(%[out]); movdqu %%xmm15, 48(%[out])"
    : [rounds] "+r"(rounds), "=&a"(result) : [in] "r"(in), [out] "r"(out), [number] "r"(number), [self] "r"((long)self)
    : "rcx", "r11", "rdi", "rsi", "memory", "xmm0", "xmm7", "xmm8", "xmm15");
  return !memcmp(in, out, 64);
}
static int keep_avx(uint64_t seed, int rounds) {
  uint64_t in[4], out[4];
  for (int i = 0; i < 4; i++) in[i] = seed + i * 77;
  register long count = rounds;
  long result;
  __asm__ volatile("vmovdqu (%[in]), %%ymm5; vmovdqu (%[in]), %%ymm12\n 1: mov $24, %%eax; syscall; dec %[count]; jnz 1b\n"
    "vpxor %%ymm5, %%ymm12, %%ymm12; vpor %%ymm12, %%ymm5, %%ymm5; vmovdqu %%ymm5, (%[out]); vzeroupper"
    : [count] "+r"(count), "=&a"(result) : [in] "r"(in), [out] "r"(out) : "rcx", "r11", "memory", "xmm5", "xmm12");
  return !memcmp(in, out, 32);
}
static void *thread(void *argument) {
  long right = 1, avx = __builtin_cpu_supports("avx2");
  double sum = 0;
  for (int i = 0; i < 30; i++) {
    right &= keep((long)argument * 1000 + i, i % 3 == 2 ? 2 : 0);
    if (avx) right &= keep_avx((long)argument * 5 + i, 5);
    sum += 1.0 / (i + (long)argument);
  }
  double check = 0;
  for (int i = 0; i < 30; i++) check += 1.0 / (i + (long)argument);
  return (void *)(long)(right && sum == check);
}

int main(void) {
  struct sigaction action = { .sa_handler = clobber };
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGALRM, &action, NULL);
  SAY(keep(1, 0));
  SAY(keep(2, 1));
  printf("signals %d mxcsr %x\n", signals, __builtin_ia32_stmxcsr() & 0xffc0);
  struct itimerval timer = { { 0, 1000 }, { 0, 1000 } };
  setitimer(ITIMER_REAL, &timer, NULL);
  int right = 1;
  for (int i = 0; i < 30; i++) right &= keep(i, 2);
  timer = (struct itimerval){ 0 };
  setitimer(ITIMER_REAL, &timer, NULL);
  SAY(right);
  SAY(signals > 20);
  if (__builtin_cpu_supports("avx2")) right = keep_avx(9, 50);
  SAY(right);
  pthread_t threads[6];
  int all = 0;
  for (long i = 0; i < 6; i++) pthread_create(&threads[i], NULL, thread, (void *)(i + 1));
  for (int i = 0; i < 6; i++) {
    void *result;
    pthread_join(threads[i], &result);
    all += (long)result;
  }
  printf("threads %d\n", all);
  long double precise = 1;
  unsigned short control = 0x0f7f, read_back;
  unsigned csr = 0x1f80 | 0x2000, csr_back;
  __asm__ volatile("fldcw %0; ldmxcsr %1" :: "m"(control), "m"(csr));
  sched_yield();
  raise(SIGUSR1);
  sleep_ms(5);
  pid_t child = fork();
  __asm__ volatile("fnstcw %0; stmxcsr %1" : "=m"(read_back), "=m"(csr_back));
  if (child == 0) _exit(read_back == control && (csr_back & 0xffc0) == csr ? 1 : 0);
  int status;
  waitpid(child, &status, 0);
  printf("control %x mxcsr %x in child %d\n", read_back, csr_back & 0xffc0, WEXITSTATUS(status));
  control = 0x37f;
  csr = 0x1f80;
  __asm__ volatile("fldcw %0; ldmxcsr %1" :: "m"(control), "m"(csr));
  for (int i = 1; i < 30; i++) {
    precise = precise * i / 3;
    if (i % 5 == 0) raise(SIGUSR1);
  }
  printf("%.15Lg\n", precise);
  return 0;
}
