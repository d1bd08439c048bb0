// Threads and what they wait on: mutexes, conditions, barriers, semaphores, rwlocks, shared between processes too.
#include "case.h"
#include <semaphore.h>

static int counter_;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static struct timespec in_ms(clockid_t clock, long ms) {
  struct timespec t;
  clock_gettime(clock, &t);
  t.tv_nsec += ms * 1000000;
  t.tv_sec += t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  return t;
}

CASE(mutex, "mutexes: contention, recursion, error checking, trylock, timeouts") {
  void *add(void *argument) {
    for (int i = 0; i < 2000; i++) {
      pthread_mutex_lock(&mutex);
      counter_++;
      if (i % 500 == 0) sched_yield();
      pthread_mutex_unlock(&mutex);
    }
    return argument;
  }
  pthread_t threads[8];
  for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, add, NULL);
  for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
  printf("%d\n", counter_);
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_t checked;
  pthread_mutex_init(&checked, &attr);
  ERR(pthread_mutex_lock(&checked));
  ERR(pthread_mutex_lock(&checked));
  ERR(pthread_mutex_trylock(&checked));
  struct timespec t = in_ms(CLOCK_REALTIME, 20);
  pthread_mutex_lock(&mutex);
  ERR(pthread_mutex_timedlock(&mutex, &t));
  ERR(pthread_mutex_unlock(&checked));
  ERR(pthread_mutex_unlock(&checked));
}

CASE(conditions, "condition variables: signal, broadcast, timeouts") {
  static int ready, woken;
  void *wait_for(void *argument) {
    pthread_mutex_lock(&mutex);
    ready++;
    pthread_cond_signal(&cond);
    while (ready < 100) pthread_cond_wait(&cond, &mutex);
    woken++;
    pthread_mutex_unlock(&mutex);
    return argument;
  }
  pthread_t threads[6];
  for (int i = 0; i < 6; i++) pthread_create(&threads[i], NULL, wait_for, NULL);
  pthread_mutex_lock(&mutex);
  while (ready < 6) {
    pthread_mutex_unlock(&mutex);
    sched_yield();
    pthread_mutex_lock(&mutex);
  }
  ready = 100;
  pthread_cond_broadcast(&cond);
  pthread_mutex_unlock(&mutex);
  for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
  printf("woken %d\n", woken);
  struct timespec t = in_ms(CLOCK_REALTIME, 20);
  pthread_mutex_lock(&mutex);
  ERR(pthread_cond_timedwait(&cond, &mutex, &t));
}

CASE(pingpong, "two threads that hand a turn to each other a thousand times") {
  static int turn;
  void *play(void *argument) {
    long me = (long)argument;
    for (int i = 0; i < 1000; i++) {
      pthread_mutex_lock(&mutex);
      while (turn % 2 != me) pthread_cond_wait(&cond, &mutex);
      turn++;
      pthread_cond_broadcast(&cond);
      pthread_mutex_unlock(&mutex);
    }
    return NULL;
  }
  pthread_t a, b;
  pthread_create(&a, NULL, play, (void *)0);
  pthread_create(&b, NULL, play, (void *)1);
  pthread_join(a, NULL);
  pthread_join(b, NULL);
  printf("%d\n", turn);
}

CASE(barriers, "barriers: all arrive, one is told so") {
  static pthread_barrier_t barrier;
  static int serial, rounds;
  pthread_barrier_init(&barrier, NULL, 5);
  void *run(void *argument) {
    for (int i = 0; i < 50; i++) {
      if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) __atomic_add_fetch(&serial, 1, __ATOMIC_SEQ_CST);
      __atomic_add_fetch(&rounds, 1, __ATOMIC_SEQ_CST);
    }
    return argument;
  }
  pthread_t threads[5];
  for (int i = 0; i < 5; i++) pthread_create(&threads[i], NULL, run, NULL);
  for (int i = 0; i < 5; i++) pthread_join(threads[i], NULL);
  printf("%d %d\n", serial, rounds);
}

CASE(semaphores, "semaphores between processes; sem_timedwait") {
  sem_t *sems = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int *value = (int *)(sems + 4);
  sem_init(&sems[0], 1, 0);
  sem_init(&sems[1], 1, 0);
  pid_t pid = fork();
  for (int i = 0; i < 200; i++) {
    if (pid == 0) {
      sem_wait(&sems[0]);
      *value += 2;
      sem_post(&sems[1]);
    } else {
      *value *= 3;
      *value %= 1000;
      sem_post(&sems[0]);
      sem_wait(&sems[1]);
    }
  }
  if (pid == 0) _exit(0);
  int status;
  waitpid(pid, &status, 0);
  show_status("child", status);
  printf("%d\n", *value);
  struct timespec t = in_ms(CLOCK_REALTIME, 10);
  SHOW(sem_timedwait(&sems[0], &t));
  SHOW(sem_trywait(&sems[0]));
}

CASE(rwlocks, "read-write locks: readers together, writers alone") {
  static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
  static int value, bad, writes;
  void *reader(void *argument) {
    for (int i = 0; i < 300; i++) {
      pthread_rwlock_rdlock(&lock);
      int before = value;
      sched_yield();
      bad += before != value;
      pthread_rwlock_unlock(&lock);
    }
    return argument;
  }
  void *writer(void *argument) {
    for (int i = 0; i < 100; i++) {
      pthread_rwlock_wrlock(&lock);
      value++;
      sched_yield();
      writes++;
      pthread_rwlock_unlock(&lock);
    }
    return argument;
  }
  pthread_t threads[6];
  for (int i = 0; i < 6; i++) pthread_create(&threads[i], NULL, i < 4 ? reader : writer, NULL);
  for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
  printf("%d %d %d\n", value, writes, bad);
}

CASE(shared, "a mutex and a condition in shared memory, across fork") {
  struct both { pthread_mutex_t mutex; pthread_cond_t cond; int stage; } *b;
  b = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pthread_mutexattr_t ma;
  pthread_condattr_t ca;
  pthread_mutexattr_init(&ma);
  pthread_condattr_init(&ca);
  pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED);
  pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(&b->mutex, &ma);
  pthread_cond_init(&b->cond, &ca);
  pid_t pid = fork();
  for (int i = 0; i < 100; i++) {
    pthread_mutex_lock(&b->mutex);
    while (b->stage % 2 != (pid == 0)) pthread_cond_wait(&b->cond, &b->mutex);
    b->stage++;
    pthread_cond_signal(&b->cond);
    pthread_mutex_unlock(&b->mutex);
  }
  if (pid == 0) _exit(0);
  waitpid(pid, NULL, 0);
  printf("%d\n", b->stage);
}

CASE(local, "thread-local storage, keys and their destructors, once") {
  static __thread int mine = 5;
  static pthread_key_t key;
  static int destroyed, once_count;
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  void destroy(void *value) { destroyed += (int)(long)value; }
  void init(void) { once_count++; }
  pthread_key_create(&key, destroy);
  void *run(void *argument) {
    pthread_once(&once, init);
    mine += (int)(long)argument;
    pthread_setspecific(key, argument);
    return (void *)(long)mine;
  }
  pthread_t threads[3];
  long sum = 0;
  for (long i = 0; i < 3; i++) pthread_create(&threads[i], NULL, run, (void *)(i + 1));
  for (int i = 0; i < 3; i++) {
    void *result;
    pthread_join(threads[i], &result);
    sum += (long)result;
  }
  printf("%ld %d %d %d\n", sum, mine, destroyed, once_count);
}

CASE(cancel, "cancellation in blocking calls, with clean-up handlers") {
  static int cleaned;
  int ends[2];
  pipe(ends);
  void clean(void *argument) { cleaned += (int)(long)argument; }
  void *reads(void *argument) {
    char byte;
    pthread_cleanup_push(clean, (void *)1);
    read(*(int *)argument, &byte, 1);
    pthread_cleanup_pop(0);
    return NULL;
  }
  void *waits(void *argument) {
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push((void (*)(void *))pthread_mutex_unlock, &mutex);
    for (;;) pthread_cond_wait(&cond, &mutex);
    pthread_cleanup_pop(1);
    return argument;
  }
  pthread_t a, b;
  pthread_create(&a, NULL, reads, &ends[0]);
  pthread_create(&b, NULL, waits, NULL);
  void *result;
  pthread_cancel(a);
  pthread_cancel(b);
  pthread_join(a, &result);
  printf("%d %d\n", result == PTHREAD_CANCELED, cleaned);
  pthread_join(b, &result);
  printf("%d\n", result == PTHREAD_CANCELED);
  ERR(pthread_mutex_lock(&mutex));
}

CASE(pool, "a queue that several threads fill and empty") {
  static int queue[8], head, tail, produced, sum;
  void *produce(void *argument) {
    for (int i = 1; i <= 250; i++) {
      pthread_mutex_lock(&mutex);
      while (head - tail == 8) pthread_cond_wait(&cond, &mutex);
      queue[head++ % 8] = i;
      produced++;
      pthread_cond_broadcast(&cond);
      pthread_mutex_unlock(&mutex);
    }
    return argument;
  }
  void *consume(void *argument) {
    for (int i = 0; i < 250; i++) {
      pthread_mutex_lock(&mutex);
      while (head == tail) pthread_cond_wait(&cond, &mutex);
      sum += queue[tail++ % 8];
      pthread_cond_broadcast(&cond);
      pthread_mutex_unlock(&mutex);
    }
    return argument;
  }
  pthread_t threads[6];
  for (int i = 0; i < 6; i++) pthread_create(&threads[i], NULL, i % 2 ? produce : consume, NULL);
  for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
  printf("%d %d\n", produced, sum);
}

CASES_MAIN
