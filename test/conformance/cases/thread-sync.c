// Mutexes of all kinds, condition variables, barriers, read-write locks, semaphores, once: exclusion and errnos.
// link: both
#include "case.h"
#include <semaphore.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static sem_t semaphore;
static long counter, turn, once_count, serial, written;

static void initialize(void) { once_count++; }
static void *increment(void *unused) {
  for (int i = 0; i < 20000; i++) {
    pthread_mutex_lock(&mutex);
    counter++;
    if (i % 1000 == 0) sched_yield();
    pthread_mutex_unlock(&mutex);
  }
  pthread_once(&once, initialize);
  return unused;
}
static void *ring(void *argument) {
  long me = (long)argument;
  for (int round = 0; round < 50; round++) {
    pthread_mutex_lock(&mutex);
    while (turn % 8 != me) pthread_cond_wait(&condition, &mutex);
    turn++;
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}
static void *meet(void *unused) {
  for (int i = 0; i < 20; i++)
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) __atomic_add_fetch(&serial, 1, __ATOMIC_SEQ_CST);
  return unused;
}
static void *read_write(void *argument) {
  for (int i = 0; i < 500; i++) {
    if ((long)argument % 4 == 0) {
      pthread_rwlock_wrlock(&rwlock);
      long seen = written;
      if (i % 50 == 0) sched_yield();
      written = seen + 1;
    } else pthread_rwlock_rdlock(&rwlock);
    pthread_rwlock_unlock(&rwlock);
  }
  return NULL;
}
static void *post(void *unused) {
  for (int i = 0; i < 100; i++) sem_post(&semaphore);
  return unused;
}
static void run(void *(*function)(void *), int count) {
  pthread_t threads[16];
  for (long i = 0; i < count; i++) pthread_create(&threads[i], NULL, function, (void *)i);
  for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
}

int main(void) {
  run(increment, 8);
  printf("counter %ld once %ld\n", counter, once_count);
  run(ring, 8);
  printf("turn %ld\n", turn);
  pthread_barrier_init(&barrier, NULL, 5);
  run(meet, 5);
  printf("serial %ld\n", serial);
  run(read_write, 8);
  printf("written %ld\n", written);
  sem_init(&semaphore, 0, 0);
  pthread_t poster;
  pthread_create(&poster, NULL, post, NULL);
  for (int i = 0; i < 100; i++) sem_wait(&semaphore);
  pthread_join(poster, NULL);
  SHOW(sem_trywait(&semaphore));
  struct timespec soon;
  clock_gettime(CLOCK_REALTIME, &soon);
  soon.tv_nsec += 20000000;
  if (soon.tv_nsec >= 1000000000) { soon.tv_sec++; soon.tv_nsec -= 1000000000; }
  SHOW(sem_timedwait(&semaphore, &soon));
  pthread_mutex_lock(&mutex);
  ERR(pthread_cond_timedwait(&condition, &mutex, &soon));
  ERR(pthread_mutex_trylock(&mutex));
  ERR(pthread_mutex_timedlock(&mutex, &soon));
  pthread_mutex_unlock(&mutex);
  pthread_mutexattr_t attr;
  pthread_mutex_t kinds[3];
  int types[] = { PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_RECURSIVE };
  for (int i = 0; i < 2; i++) {
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, types[i]);
    pthread_mutex_init(&kinds[i], &attr);
    ERR(pthread_mutex_lock(&kinds[i]));
    ERR(pthread_mutex_lock(&kinds[i]));
    ERR(pthread_mutex_unlock(&kinds[i]));
    ERR(pthread_mutex_unlock(&kinds[i]));
  }
  pthread_rwlock_rdlock(&rwlock);
  ERR(pthread_rwlock_tryrdlock(&rwlock));
  ERR(pthread_rwlock_trywrlock(&rwlock));
  pthread_spinlock_t spin;
  pthread_spin_init(&spin, 0);
  ERR(pthread_spin_lock(&spin));
  ERR(pthread_spin_trylock(&spin));
  return 0;
}
