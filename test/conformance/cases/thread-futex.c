// futex(2) itself: wait and wake counts, values that changed, timeouts, bitsets, requeue, errnos.
#include "case.h"
#include <linux/futex.h>

static int word, other;
static long futex(int *at, int op, int value, void *timeout, int *second, int third) {
  return syscall(SYS_futex, at, op, value, timeout, second, third);
}
static volatile int woken;
static void *wait_on(void *bits) {
  if (futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, (int)(long)bits) == 0) __atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
  return NULL;
}
static pthread_t threads[8];
static void start(int count, long bits) {
  woken = 0;
  for (int i = 0; i < count; i++) pthread_create(&threads[i], NULL, wait_on, (void *)bits);
  sleep_ms(120);
}
static void finish(int count) { for (int i = 0; i < count; i++) pthread_join(threads[i], NULL); }

int main(void) {
  struct timespec t = { 0, 20000000 };
  SHOW(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0));
  SHOW(futex(&word, FUTEX_WAIT, 0, &t, NULL, 0));
  SHOW(futex(&word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0));
  SHOW(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
  long long before = now_ns(CLOCK_MONOTONIC);
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_nsec += 30000000;
  if (t.tv_nsec >= 1000000000) { t.tv_sec++; t.tv_nsec -= 1000000000; }
  SHOW(futex(&word, FUTEX_WAIT_BITSET, 0, &t, NULL, -1));
  SAY(now_ns(CLOCK_MONOTONIC) - before >= 30000000);
  SHOW(futex(&word, FUTEX_WAIT_BITSET, 0, &t, NULL, 0));
  t = (struct timespec){ 0, 1000000000 };
  SHOW(futex(&word, FUTEX_WAIT, 0, &t, NULL, 0));
  t = (struct timespec){ -1, 0 };
  SHOW(futex(&word, FUTEX_WAIT, 0, &t, NULL, 0));
  SHOW(futex((int *)((char *)&word + 1), FUTEX_WAIT, 0, NULL, NULL, 0));
  SHOW(futex((int *)64, FUTEX_WAKE, 1, NULL, NULL, 0));
  SHOW(futex((int *)64, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
  SHOW(futex(&word, 99, 0, NULL, NULL, 0));
  start(5, -1);
  SHOW(futex(&word, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0));
  SHOW(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0));
  finish(5);
  printf("woken %d\n", woken);
  start(3, 2);
  SHOW(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 100, NULL, NULL, 4));
  SHOW(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 100, NULL, NULL, 6));
  finish(3);
  start(6, -1);
  SHOW(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)3, &other, 7));
  SHOW(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)3, &other, 0));
  SHOW(futex(&other, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0));
  SHOW(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0));
  finish(6);
  printf("woken %d\n", woken);
  start(2, -1);
  other = 5;
  SHOW(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &other, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 4)));
  printf("other %d\n", other);
  SHOW(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0));
  finish(2);
  return 0;
}
