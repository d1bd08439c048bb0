// nanosleep, clock_nanosleep relative and absolute: at least as long as asked, interrupted with the rest, errnos.
#include "case.h"
#include <poll.h>

static void nothing(int signo) { (void)signo; }
#define TOOK(ms_min, ms_max, call) do { \
    long long from_ = now_ns(CLOCK_MONOTONIC); \
    long result_ = (call); \
    int error_ = errno; \
    long long ms_ = (now_ns(CLOCK_MONOTONIC) - from_) / 1000000; \
    printf("%s = %ld%s%s, %s\n", #call, result_, result_ == -1 ? " " : "", result_ == -1 ? error_name(error_) : "", \
      ms_ < ms_min ? "too short" : ms_ > ms_max ? "too long" : "in time"); \
  } while (0)

int main(void) {
  struct timespec t = { 0, 30000000 }, rest;
  TOOK(30, 3000, nanosleep(&t, NULL));
  TOOK(30, 3000, clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL));
  TOOK(30, 3000, clock_nanosleep(CLOCK_REALTIME, 0, &t, NULL));
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_nsec += 40000000;
  if (t.tv_nsec >= 1000000000) { t.tv_sec++; t.tv_nsec -= 1000000000; }
  TOOK(38, 3000, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
  TOOK(0, 2000, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
  clock_gettime(CLOCK_REALTIME, &t);
  t.tv_nsec += 40000000;
  if (t.tv_nsec >= 1000000000) { t.tv_sec++; t.tv_nsec -= 1000000000; }
  TOOK(38, 3000, clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL));
  t = (struct timespec){ 0, 0 };
  TOOK(0, 2000, nanosleep(&t, NULL));
  t = (struct timespec){ 0, 1000000000 };
  SHOW(nanosleep(&t, NULL));
  t = (struct timespec){ -1, 0 };
  SHOW(nanosleep(&t, NULL));
  t = (struct timespec){ 0, 1000 };
  ERR(clock_nanosleep(99, 0, &t, NULL));
  ERR(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL));
  struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };
  sigaction(SIGALRM, &action, NULL);
  struct itimerval timer = { .it_value = { 0, 50000 } };
  setitimer(ITIMER_REAL, &timer, NULL);
  t = (struct timespec){ 10, 0 };
  TOOK(45, 5000, nanosleep(&t, &rest));
  SAY(rest.tv_sec == 9 && rest.tv_nsec > 0);
  setitimer(ITIMER_REAL, &timer, NULL);
  TOOK(45, 5000, clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &rest));
  SAY(rest.tv_sec == 9);
  TOOK(20, 3000, poll(NULL, 0, 20));
  TOOK(0, 2000, poll(NULL, 0, 0));
  struct timeval tv = { 0, 20000 };
  TOOK(20, 3000, select(0, NULL, NULL, NULL, &tv));
  TOOK(9, 3000, usleep(10000));
  TOOK(0, 2000, sched_yield());
  setitimer(ITIMER_REAL, &timer, NULL);
  SHOW(sleep(5) >= 4);
  return 0;
}
