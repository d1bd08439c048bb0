// Cancellation: deferred at cancellation points, asynchronous in a loop, disabled, cleanup handlers, pthread_kill.
#include "case.h"

static void cleanup(void *name) { printf("cleanup %s\n", (char *)name); }
static void *sleeper(void *unused) {
  pthread_cleanup_push(cleanup, "sleeper");
  for (;;) sleep(10);
  pthread_cleanup_pop(0);
  return unused;
}
static int ends[2];
static void *reader(void *unused) {
  char byte;
  pthread_cleanup_push(cleanup, "outer");
  pthread_cleanup_push(cleanup, "inner");
  read(ends[0], &byte, 1);
  pthread_cleanup_pop(0);
  pthread_cleanup_pop(0);
  return unused;
}
static volatile unsigned long spins;
static void *spinner(void *unused) {
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
  for (;;) spins++;
  return unused;
}
static volatile int disabled_passed;
static void *stubborn(void *unused) {
  (void)unused;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
  sleep_ms(150);
  disabled_passed = 1;
  pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
  pthread_testcancel();
  return (void *)5;
}
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static void unlock(void *unused) {
  (void)unused;
  printf("holds the mutex: %s\n", error_name(pthread_mutex_trylock(&mutex)));
  pthread_mutex_unlock(&mutex);
}
static void *waiter(void *unused) {
  pthread_mutex_lock(&mutex);
  pthread_cleanup_push(unlock, NULL);
  for (;;) pthread_cond_wait(&condition, &mutex);
  pthread_cleanup_pop(1);
  return unused;
}
static volatile int signal_thread;
static void handler(int signo) { (void)signo; signal_thread = gettid(); }
static void *target(void *argument) {
  *(int *)argument = gettid();
  while (!signal_thread) sleep_ms(5);
  return NULL;
}
static void cancel(const char *name, void *(*function)(void *)) {
  pthread_t thread;
  void *result;
  pthread_create(&thread, NULL, function, NULL);
  sleep_ms(60);
  int error = pthread_cancel(thread);
  pthread_join(thread, &result);
  printf("%s: %d canceled %d\n", name, error, result == PTHREAD_CANCELED);
}

int main(void) {
  pipe(ends);
  cancel("sleeper", sleeper);
  cancel("reader", reader);
  cancel("spinner", spinner);
  SAY(spins > 1000);
  cancel("stubborn", stubborn);
  SAY(disabled_passed);
  cancel("waiter", waiter);
  ERR(pthread_mutex_trylock(&mutex));
  struct sigaction action = { .sa_handler = handler };
  sigaction(SIGUSR1, &action, NULL);
  pthread_t thread;
  int id = 0;
  pthread_create(&thread, NULL, target, &id);
  sleep_ms(60);
  ERR(pthread_kill(thread, SIGUSR1));
  pthread_join(thread, NULL);
  SAY(signal_thread == id && id != getpid());
  sigset_t set;
  sigfillset(&set);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  signal_thread = 0;
  pthread_create(&thread, NULL, target, &id);
  sleep_ms(60);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  ERR(pthread_kill(thread, 0));
  kill(getpid(), SIGUSR1);
  pthread_join(thread, NULL);
  SAY(signal_thread == getpid());
  return 0;
}
