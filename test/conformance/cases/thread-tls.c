// Thread-local storage: __thread variables start fresh in each thread, keys have destructors, errno is per thread.
// link: both
#include "case.h"

static __thread int initialized = 42;
static __thread char zeroed[5000];
static __thread struct { long a, b; } __attribute__((aligned(64))) aligned = { 1, 2 };
static pthread_key_t key, again;
static int destroyed;

static void destructor(void *value) { __atomic_add_fetch(&destroyed, (int)(long)value, __ATOMIC_SEQ_CST); }
static void repeat(void *value) {
  if ((long)value > 1) pthread_setspecific(again, (void *)((long)value - 1));
  __atomic_add_fetch(&destroyed, 100, __ATOMIC_SEQ_CST);
}

static void *thread(void *argument) {
  long me = (long)argument;
  int fresh = initialized == 42 && zeroed[4999] == 0 && aligned.b == 2 && (uintptr_t)&aligned % 64 == 0 && pthread_getspecific(key) == NULL;
  initialized = me;
  zeroed[4999] = me;
  aligned.b = me;
  pthread_setspecific(key, argument);
  if (me == 3) pthread_setspecific(again, (void *)3);
  for (int i = 0; i < 20; i++) {
    errno = me;
    sched_yield();
    if (open("missing", O_RDONLY) < 0 && errno != ENOENT) fresh = 0;
    errno = me;
    sleep_ms(1);
    if (errno != me) fresh = 0;
  }
  return (void *)(long)(fresh && initialized == me && zeroed[4999] == me && aligned.b == me && pthread_getspecific(key) == argument);
}

int main(void) {
  pthread_key_create(&key, destructor);
  pthread_key_create(&again, repeat);
  initialized = 7;
  pthread_t threads[20];
  int right = 0;
  for (long i = 0; i < 20; i++) pthread_create(&threads[i], NULL, thread, (void *)(i + 1));
  for (int i = 0; i < 20; i++) {
    void *result;
    pthread_join(threads[i], &result);
    right += (long)result;
  }
  printf("right %d destroyed %d ours %d\n", right, destroyed, initialized);
  IN_CHILD("child", printf("%d %d\n", initialized, aligned.b == 2); initialized = 8);
  printf("%d\n", initialized);
  return 0;
}
