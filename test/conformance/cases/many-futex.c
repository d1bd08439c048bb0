// futex_waitv and operations of futex that nobody else here makes.
#include "case.h"
#include <linux/futex.h>

struct waitv { uint64_t val, uaddr; uint32_t flags, reserved; };
#define F32 2
#define PRIVATE 128
static uint32_t words[4] = { 10, 11, 12, 13 };
static uint32_t *shared;

static long waitv(void *v, unsigned n, unsigned flags, void *timeout, int clock) { return syscall(449, v, n, flags, timeout, clock); }
static long futex(uint32_t *word, int op, uint32_t val, uint64_t timeout, uint32_t *other, uint32_t val3) {
  return syscall(SYS_futex, word, op, val, timeout, other, val3);
}
static void fill(struct waitv *v, uint32_t *at, int n, uint32_t flags) {
  for (int i = 0; i < n; i++) v[i] = (struct waitv){ at[i], (uint64_t)&at[i], flags, 0 };
}
static struct timespec later(clockid_t clock, long ms) {
  long long ns = now_ns(clock) + ms * 1000000LL;
  return (struct timespec){ ns / 1000000000, ns % 1000000000 };
}

CASE(waitv_errors, "futex_waitv: what is wrong with the call, with an entry, with the time") {
  struct waitv v[129];
  struct timespec t = { 0, 0 }, bad = { 0, 1000000000 }, before = { -1, 0 };
  fill(v, words, 4, F32 | PRIVATE);
  SHOW(waitv(v, 4, 1, 0, 0));
  SHOW(waitv(v, 0, 0, 0, 0));
  SHOW(waitv(v, 129, 0, 0, 0));
  SHOW(waitv(0, 1, 0, 0, 0));
  SHOW(waitv((void *)8, 1, 0, 0, 0));
  SHOW(waitv(v, 4, 0, &t, CLOCK_BOOTTIME));
  SHOW(waitv(v, 4, 0, &bad, CLOCK_MONOTONIC));
  SHOW(waitv(v, 4, 0, &before, CLOCK_MONOTONIC));
  SHOW(waitv(v, 4, 0, (void *)8, CLOCK_MONOTONIC));
  SHOW(waitv(v, 4, 0, &t, CLOCK_MONOTONIC));
  SHOW(waitv(v, 4, 0, &t, CLOCK_REALTIME));
  v[2].flags = PRIVATE;
  SHOW(waitv(v, 4, 0, &t, CLOCK_MONOTONIC));
  v[2].flags = F32 | 64;
  SHOW(waitv(v, 4, 0, &t, CLOCK_MONOTONIC));
  v[2].flags = F32; v[2].reserved = 1;
  SHOW(waitv(v, 4, 0, &t, CLOCK_MONOTONIC));
  v[2].reserved = 0; v[2].uaddr += 1;
  SHOW(waitv(v, 4, 0, &t, CLOCK_MONOTONIC));
  v[2].uaddr = 4096;
  SHOW(waitv(v, 4, 0, &t, CLOCK_MONOTONIC));
  fill(v, words, 4, F32 | PRIVATE);
  v[1].val = 99;
  SHOW(waitv(v, 4, 0, 0, CLOCK_MONOTONIC));
  v[1].val = 11 + (1ull << 32);
  SHOW(waitv(v, 4, 0, &t, CLOCK_MONOTONIC));
  fill(v, words, 1, F32 | PRIVATE);
  for (int i = 1; i < 128; i++) v[i] = v[0];
  SHOW(waitv(v, 128, 0, &t, CLOCK_MONOTONIC));
}

static pid_t waiter_tid;
static long waiter_result;
static void *waiter(void *flags) {
  struct waitv v[4];
  fill(v, words, 4, (uint32_t)(uintptr_t)flags);
  waiter_tid = gettid();
  waiter_result = waitv(v, 4, 0, 0, 0);
  return 0;
}

CASE(waitv_wake, "futex_waitv: says which futex woke it, and waits on none afterwards") {
  for (int i = 0; i < 4; i++) {
    pthread_t t;
    waiter_tid = 0;
    pthread_create(&t, 0, waiter, (void *)(F32 | PRIVATE));
    while (!*(volatile pid_t *)&waiter_tid) sched_yield();
    wait_asleep(waiter_tid);
    SHOW(futex(&words[i], FUTEX_WAKE_PRIVATE, 10, 0, 0, 0));
    pthread_join(t, 0);
    printf("woken by %ld\n", waiter_result);
    for (int k = 0; k < 4; k++) SHOW(futex(&words[k], FUTEX_WAKE_PRIVATE, 10, 0, 0, 0));
  }
}

CASE(waitv_requeue, "futex_waitv: a waiter that was moved to another futex") {
  pthread_t t;
  static uint32_t target;
  pthread_create(&t, 0, waiter, (void *)(F32 | PRIVATE));
  while (!*(volatile pid_t *)&waiter_tid) sched_yield();
  wait_asleep(waiter_tid);
  SHOW(futex(&words[2], FUTEX_CMP_REQUEUE_PRIVATE, 0, 5, &target, 12));
  SHOW(futex(&words[2], FUTEX_WAKE_PRIVATE, 10, 0, 0, 0));
  SHOW(futex(&target, FUTEX_WAKE_PRIVATE, 10, 0, 0, 0));
  pthread_join(t, 0);
  printf("woken by %ld\n", waiter_result);
}

CASE(waitv_processes, "futex_waitv: shared futexes of several processes") {
  shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t pid = fork();
  if (pid == 0) {
    struct waitv v[4];
    fill(v, shared, 4, F32);
    _exit(waitv(v, 4, 0, 0, 0));
  }
  wait_asleep(pid);
  SHOW(futex(&shared[3], FUTEX_WAKE, 1, 0, 0, 0));
  int status;
  waitpid(pid, &status, 0);
  show_status("child", status);
}

static void nothing(int signo) {}

CASE(waitv_signal, "futex_waitv: a signal ends or restarts it, time goes on") {
  struct sigaction sa = { .sa_handler = nothing };
  struct itimerval once = { { 0, 0 }, { 0, 20000 } };
  struct waitv v[4];
  fill(v, words, 4, F32 | PRIVATE);
  sigaction(SIGALRM, &sa, 0);
  setitimer(ITIMER_REAL, &once, 0);
  SHOW(waitv(v, 4, 0, 0, 0));
  struct timespec t = later(CLOCK_MONOTONIC, 5000);
  setitimer(ITIMER_REAL, &once, 0);
  SHOW(waitv(v, 4, 0, &t, CLOCK_MONOTONIC));
  sa.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &sa, 0);
  setitimer(ITIMER_REAL, &once, 0);
  t = later(CLOCK_MONOTONIC, 60);
  SHOW(waitv(v, 4, 0, &t, CLOCK_MONOTONIC));
  setitimer(ITIMER_REAL, &once, 0);
  t = later(CLOCK_REALTIME, 60);
  SHOW(waitv(v, 4, 0, &t, CLOCK_REALTIME));
}

CASE(commands, "futex: commands there are not, clocks that go with few") {
  SHOW(futex(words, FUTEX_FD, 0, 0, 0, 0));
  SHOW(futex(words, 99, 0, 0, 0, 0));
  SHOW(futex(words, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, 0, 0, 0));
  SHOW(futex(words, FUTEX_WAIT_BITSET, 10, 0, 0, 0));
  SHOW(futex(words, FUTEX_WAKE_BITSET, 1, 0, 0, 0));
  SHOW(futex(words, FUTEX_WAIT, 11, 0, 0, 0));
  SHOW(futex((uint32_t *)((char *)words + 1), FUTEX_WAIT, 10, 0, 0, 0));
  SHOW(futex((uint32_t *)4096, FUTEX_WAKE, 10, 0, 0, 0));
  SHOW(futex((uint32_t *)4096, FUTEX_WAKE_PRIVATE, 10, 0, 0, 0));
  SHOW(futex((uint32_t *)4096, FUTEX_WAIT_PRIVATE, 10, 0, 0, 0));
  SHOW(futex(words, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, &words[1], 99));
  SHOW(futex(words, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, (uint32_t *)((char *)words + 2), 10));
  SHOW(futex(words, FUTEX_CMP_REQUEUE_PRIVATE, -1, 1, &words[1], 10));
  SHOW(futex(words, FUTEX_WAKE_OP_PRIVATE, 1, 1, (uint32_t *)4096, FUTEX_OP(FUTEX_OP_SET, 1, FUTEX_OP_CMP_EQ, 0)));
  struct timespec bad = { 0, -1 };
  SHOW(futex(words, FUTEX_WAIT_PRIVATE, 10, (uint64_t)&bad, 0, 0));
  SHOW(futex(words, FUTEX_WAIT_PRIVATE, 10, 8, 0, 0));
}

CASE(absent, "what makes programs fall back: interfaces that a container forbids or lacks") {
  SAY(syscall(425, 1, 0) == -1 && (errno == ENOSYS || errno == EPERM || errno == EFAULT));
  SAY(syscall(SYS_bpf, 0, 0, 0) == -1);
  SAY(syscall(SYS_perf_event_open, 0, 0, 0, 0, 0) == -1);
  SAY(syscall(SYS_userfaultfd, ~0) == -1);
  SHOW(syscall(1000));
  SHOW(syscall(-1));
}

CASE(pi, "LOCK_PI, TRYLOCK_PI, UNLOCK_PI: words, errors, time") {
  uint32_t word = 0;
  pid_t tid = gettid();
  SHOW(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, 0, 0, 0));
  SAY(word == tid);
  SHOW(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, 0, 0, 0));
  SHOW(futex(&word, FUTEX_TRYLOCK_PI_PRIVATE, 0, 0, 0, 0));
  SHOW(futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, 0, 0, 0));
  SAY(word == 0);
  SHOW(futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, 0, 0, 0));
  SHOW(futex(&word, FUTEX_TRYLOCK_PI_PRIVATE, 0, 0, 0, 0));
  SHOW(futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, 0, 0, 0));
  word = 1 << 22 | 99999;
  SHOW(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, 0, 0, 0));
  SHOW(futex((uint32_t *)4096, FUTEX_LOCK_PI_PRIVATE, 0, 0, 0, 0));
  SHOW(futex((uint32_t *)4096, FUTEX_UNLOCK_PI_PRIVATE, 0, 0, 0, 0));
  SHOW(futex((uint32_t *)((char *)&word + 2), FUTEX_LOCK_PI_PRIVATE, 0, 0, 0, 0));
  word = FUTEX_OWNER_DIED;
  SHOW(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, 0, 0, 0));
  SAY(word == (tid | FUTEX_OWNER_DIED));
  word = getppid();
  struct timespec t = later(CLOCK_REALTIME, 20), m = later(CLOCK_MONOTONIC, 20), bad = { 0, -1 };
  SHOW(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, (uint64_t)&bad, 0, 0));
  SHOW(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, 8, 0, 0));
}

static pthread_mutex_t pi_mutex;
static int pi_sum;
static void *adder(void *unused) {
  for (int i = 0; i < 500; i++) { pthread_mutex_lock(&pi_mutex); int n = pi_sum; if (i % 50 == 0) sched_yield(); pi_sum = n + 1; pthread_mutex_unlock(&pi_mutex); }
  return 0;
}
static void *holder(void *unused) { pthread_mutex_lock(&pi_mutex); sleep_ms(50); return 0; }

static void make_pi(int robust) {
  pthread_mutexattr_t a;
  pthread_mutexattr_init(&a);
  ERR(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT));
  if (robust) pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
  ERR(pthread_mutex_init(&pi_mutex, &a));
}

CASE(pi_mutex, "pthread mutexes with priority inheritance") {
  make_pi(0);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, adder, 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
  printf("%d\n", pi_sum);
  pthread_mutex_lock(&pi_mutex);
  ERR(pthread_mutex_trylock(&pi_mutex));
  ERR(pthread_mutex_unlock(&pi_mutex));
  ERR(pthread_mutex_unlock(&pi_mutex));
}

CASE(pi_robust, "a priority-inheriting mutex whose owner ends while another waits") {
  make_pi(1);
  pthread_t t;
  pthread_create(&t, 0, holder, 0);
  sleep_ms(15);
  ERR(pthread_mutex_lock(&pi_mutex));
  ERR(pthread_mutex_consistent(&pi_mutex));
  ERR(pthread_mutex_unlock(&pi_mutex));
  pthread_create(&t, 0, holder, 0);
  pthread_join(t, 0);
  ERR(pthread_mutex_lock(&pi_mutex));
  ERR(pthread_mutex_unlock(&pi_mutex));
  ERR(pthread_mutex_lock(&pi_mutex));
}

static void *late(void *unused) { struct timespec t = later(CLOCK_REALTIME, 20); ERR(pthread_mutex_timedlock(&pi_mutex, &t)); return 0; }

CASE(pi_timed, "waiting for one until a time") {
  make_pi(0);
  pthread_t t;
  pthread_mutex_lock(&pi_mutex);
  pthread_create(&t, 0, late, 0);
  pthread_join(t, 0);
  ERR(pthread_mutex_unlock(&pi_mutex));
  ERR(pthread_mutex_lock(&pi_mutex));
}

CASES_MAIN
