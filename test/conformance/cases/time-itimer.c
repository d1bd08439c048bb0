// setitimer, alarm, timer_create: single and repeated expiry, order, remaining time, overruns, deletion, errnos.
#include "case.h"

static volatile int alarms, order[8], ordered, value_seen, overrun_seen;
static void count(int signo) { (void)signo; alarms++; }
static void ordering(int signo, siginfo_t *info, void *context) {
  (void)context;
  order[ordered++ % 8] = signo;
  value_seen = info->si_value.sival_int;
  if (info->si_overrun > overrun_seen) overrun_seen = info->si_overrun; // it may expire once more before it is deleted
}

int main(void) {
  struct sigaction action = { .sa_handler = count };
  sigaction(SIGALRM, &action, NULL);
  struct itimerval timer = { .it_value = { 0, 20000 }, .it_interval = { 0, 20000 } }, old;
  SHOW(setitimer(ITIMER_REAL, &timer, NULL));
  while (alarms < 4) pause();
  SHOW(getitimer(ITIMER_REAL, &old));
  printf("interval %ld, value in range %d\n", (long)old.it_interval.tv_usec, old.it_value.tv_usec <= 20000);
  timer = (struct itimerval){ 0 };
  SHOW(setitimer(ITIMER_REAL, &timer, &old));
  int before = alarms;
  sleep_ms(60);
  SAY(alarms == before);
  SHOW(alarm(100));
  SHOW(alarm(50));
  SHOW(alarm(0));
  SHOW(alarm(0));
  timer.it_value.tv_usec = 1000000;
  SHOW(setitimer(ITIMER_REAL, &timer, NULL));
  SHOW(setitimer(9, &timer, NULL));
  timer.it_value = (struct timeval){ 0, 30000 };
  sigaction(SIGVTALRM, &action, NULL);
  alarms = 0;
  SHOW(setitimer(ITIMER_VIRTUAL, &timer, NULL));
  long long from = now_ns(CLOCK_MONOTONIC);
  while (!alarms && now_ns(CLOCK_MONOTONIC) < from + 3000000000LL);
  SAY(alarms == 1);
  struct sigaction info = { .sa_sigaction = ordering, .sa_flags = SA_SIGINFO };
  sigaction(SIGUSR1, &info, NULL);
  sigaction(SIGUSR2, &info, NULL);
  sigaction(SIGRTMIN, &info, NULL);
  timer_t ids[3];
  int signals[3] = { SIGUSR1, SIGUSR2, SIGRTMIN }, ms[3] = { 300, 100, 200 };
  for (int i = 0; i < 3; i++) {
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = signals[i], .sigev_value.sival_int = i + 40 };
    SHOW(timer_create(CLOCK_MONOTONIC, &event, &ids[i]));
    struct itimerspec spec = { .it_value = { 0, ms[i] * 1000000 } };
    SHOW(timer_settime(ids[i], 0, &spec, NULL));
  }
  while (ordered < 3) pause();
  printf("order: %d %d %d value %d\n", order[0] == SIGUSR2, order[1] == SIGRTMIN, order[2] == SIGUSR1, value_seen);
  struct itimerspec left;
  SHOW(timer_gettime(ids[0], &left));
  printf("left %ld\n", left.it_value.tv_nsec);
  sigset_t set, previous;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, &previous);
  struct itimerspec fast = { .it_value = { 0, 5000000 }, .it_interval = { 0, 5000000 } };
  SHOW(timer_settime(ids[0], 0, &fast, NULL));
  sleep_ms(60);
  ordered = 0;
  sigprocmask(SIG_SETMASK, &previous, NULL);
  SAY(ordered >= 1 && overrun_seen >= 5);
  SAY(timer_getoverrun(ids[0]) >= 0);
  SHOW(timer_delete(ids[0]));
  SHOW(timer_delete(ids[1]));
  struct sigevent none = { .sigev_notify = SIGEV_NONE };
  SHOW(timer_create(99, &none, &ids[0]));
  fast.it_value.tv_nsec = 1000000000;
  SHOW(timer_settime(ids[2], 0, &fast, NULL));
  return 0;
}
