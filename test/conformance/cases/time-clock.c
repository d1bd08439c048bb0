// The clocks: monotonic ones never go back, agree with each other and with the system call behind them; resolutions; errnos.
// link: both
#include "case.h"

static long long by_call(clockid_t clock) {
  struct timespec t;
  syscall(SYS_clock_gettime, clock, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(void) {
  clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
    CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID };
  const char *names[] = { "realtime", "monotonic", "raw", "realtime coarse", "monotonic coarse", "boottime", "tai", "process", "thread" };
  struct timespec t;
  for (int i = 0; i < 9; i++) {
    int backwards = 0;
    long long last = now_ns(clocks[i]), first = last;
    for (int j = 0; j < 3000; j++) {
      long long now = now_ns(clocks[i]);
      backwards += now < last;
      last = now;
    }
    printf("%s: %s, backwards %d\n", names[i], clock_gettime(clocks[i], &t) ? error_name(errno) : "ok", backwards);
    SAY(t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
    (void)first;
  }
  /* A coarse clock may be a tick behind, another call a preemption ahead. */
  int disagree = 0;
  for (int i = 0; i < 6; i++) {
    for (int j = 0; j < 200; j++) {
      long long before = by_call(clocks[i]), middle = now_ns(clocks[i]), after = by_call(clocks[i]);
      bool coarse = clocks[i] == CLOCK_REALTIME_COARSE || clocks[i] == CLOCK_MONOTONIC_COARSE;
      if (middle < before - (coarse ? 20000000 : 0) || middle > after + (coarse ? 20000000 : 0)) disagree++;
    }
    printf("%s: call and function disagree %d times\n", names[i], disagree);
  }
  struct timeval tv;
  gettimeofday(&tv, NULL);
  long long real = now_ns(CLOCK_REALTIME);
  SAY(llabs(real - (tv.tv_sec * 1000000000LL + tv.tv_usec * 1000LL)) < 1000000000);
  SAY(llabs(time(NULL) - real / 1000000000) <= 1);
  SAY(real > 1700000000000000000LL);
  long long mono = now_ns(CLOCK_MONOTONIC), cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
  while (now_ns(CLOCK_MONOTONIC) < mono + 60000000);
  long long used = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  SAY(used > 1000000 && used < 500000000);
  SAY(mono > 0);
  SHOW(clock_gettime(99, &t));
  SHOW(clock_gettime(-1000000, &t));
  SHOW(clock_getres(CLOCK_MONOTONIC, &t));
  printf("%ld %ld\n", (long)t.tv_sec, t.tv_nsec);
  SHOW(clock_getres(CLOCK_REALTIME, NULL));
  SHOW(clock_getres(99, &t));
  SHOW(clock_settime(CLOCK_MONOTONIC, &t));
  unsigned cpu_number = 99, node = 99;
  SHOW(getcpu(&cpu_number, &node));
  SAY(cpu_number < 1024 && node < 64);
  struct rusage usage;
  SHOW(getrusage(RUSAGE_SELF, &usage));
  SAY(usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec > 5000);
  SAY(usage.ru_maxrss > 100);
  SHOW(getrusage(5, &usage));
  return 0;
}
