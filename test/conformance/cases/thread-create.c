// pthread_create, join, detach: results, errnos, thread ids, stacks, exit of the main thread before the others.
// link: both
#include "case.h"

static void *square(void *argument) { return (void *)((long)argument * (long)argument); }
static void *ids(void *unused) {
  (void)unused;
  return (void *)(long)(getpid() != gettid() && syscall(SYS_getpid) == getpid());
}
static void *exits(void *argument) { pthread_exit(argument); }
static void *last(void *unused) {
  (void)unused;
  sleep_ms(30);
  printf("last thread\n");
  _exit(4);
}
static void *returns(void *unused) {
  sleep_ms(30);
  printf("other thread returns\n");
  return unused;
}
static void *late(void *unused) {
  sleep_ms(1000);
  printf("never printed\n");
  return unused;
}

int main(void) {
  pthread_t threads[50];
  void *result;
  long sum = 0;
  for (long i = 0; i < 50; i++) pthread_create(&threads[i], NULL, square, (void *)i);
  for (int i = 0; i < 50; i++) {
    pthread_join(threads[i], &result);
    sum += (long)result;
  }
  printf("sum %ld\n", sum);
  for (int i = 0; i < 300; i++) {
    pthread_create(&threads[0], NULL, square, (void *)3);
    pthread_join(threads[0], NULL);
  }
  pthread_create(&threads[0], NULL, ids, NULL);
  pthread_join(threads[0], &result);
  printf("ids %ld main %d\n", (long)result, getpid() == gettid());
  pthread_create(&threads[0], NULL, exits, (void *)17);
  ERR(pthread_join(threads[0], &result));
  printf("%ld\n", (long)result);
  ERR(pthread_join(pthread_self(), NULL));
  pthread_create(&threads[0], NULL, exits, NULL);
  ERR(pthread_detach(threads[0]));
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  ERR(pthread_attr_setstacksize(&attr, 100));
  ERR(pthread_attr_setstacksize(&attr, 65536));
  ERR(pthread_create(&threads[0], &attr, square, (void *)9));
  pthread_join(threads[0], &result);
  printf("%ld\n", (long)result);
  char name[16];
  ERR(pthread_setname_np(pthread_self(), "a-name"));
  ERR(pthread_getname_np(pthread_self(), name, 16));
  puts(name);
  ERR(pthread_setname_np(pthread_self(), "much-too-long-a-name"));
  IN_CHILD("main exits first", pthread_create(&threads[0], NULL, last, NULL); pthread_exit(NULL));
  IN_CHILD("all return", pthread_create(&threads[0], NULL, returns, NULL); pthread_exit(NULL));
  IN_CHILD("exit ends all", pthread_create(&threads[0], NULL, late, NULL); exit(6));
  pthread_create(&threads[0], NULL, late, NULL);
  IN_CHILD("fork copies one thread", {
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;
    while (readdir(tasks)) count++;
    printf("%d\n", count - 2);
  });
  return 7;
}
