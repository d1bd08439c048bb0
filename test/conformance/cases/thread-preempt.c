// Threads and processes that never call the kernel still share the CPU: spinning on each other's memory, with timers running.
#include "case.h"

static volatile int stage, stop, ticks;
static void *follower(void *argument) {
  int me = (int)(long)argument;
  while (stage != me);
  stage = me + 1;
  while (!stop);
  return NULL;
}
static void tick(int signo) { (void)signo; ticks++; }

int main(void) {
  pthread_t threads[4];
  for (long i = 0; i < 4; i++) pthread_create(&threads[i], NULL, follower, (void *)(i + 1));
  stage = 1;
  while (stage != 5);
  stop = 1;
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  printf("stage %d\n", stage);
  struct sigaction action = { .sa_handler = tick };
  sigaction(SIGALRM, &action, NULL);
  struct itimerval timer = { { 0, 10000 }, { 0, 10000 } };
  setitimer(ITIMER_REAL, &timer, NULL);
  while (ticks < 5);
  timer = (struct itimerval){ 0 };
  setitimer(ITIMER_REAL, &timer, NULL);
  printf("ticks reached\n");
  volatile int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 10; i++) {
      while (shared[0] != 2 * i);
      shared[0] = 2 * i + 1;
    }
    _exit(0);
  }
  for (int i = 0; i < 10; i++) {
    while (shared[0] != 2 * i + 1);
    shared[0] = 2 * i + 2;
  }
  waitpid(child, NULL, 0);
  printf("shared %d\n", shared[0]);
  child = fork();
  if (child == 0) for (;;);
  sleep_ms(50);
  kill(child, SIGKILL);
  int status;
  waitpid(child, &status, 0);
  show_status("spinner", status);
  signal(SIGALRM, SIG_DFL);
  timer.it_value.tv_usec = 50000;
  IN_CHILD("alarm ends a loop", setitimer(ITIMER_REAL, &timer, NULL); for (;;));
  return 0;
}
