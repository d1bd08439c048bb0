// eventfd and timerfd: counters, semaphores, blocking and not, expiry counts, absolute times, poll, errnos.
#include "case.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

static int readable(int fd) {
  struct pollfd one = { fd, POLLIN | POLLOUT, 0 };
  poll(&one, 1, 0);
  return one.revents;
}

int main(void) {
  uint64_t value = 0;
  int fd, sem;
  SHOW(fd = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC));
  printf("%x\n", readable(fd));
  SHOW(read(fd, &value, 8));
  printf("%lu %x\n", (long)value, readable(fd));
  SHOW(read(fd, &value, 8));
  SHOW(read(fd, &value, 4));
  value = 5;
  SHOW(write(fd, &value, 8));
  SHOW(write(fd, &value, 8));
  SHOW(read(fd, &value, 16));
  printf("%lu\n", (long)value);
  value = -1;
  SHOW(write(fd, &value, 8));
  value = -2;
  SHOW(write(fd, &value, 8));
  printf("%x\n", readable(fd));
  value = 1;
  SHOW(write(fd, &value, 8));
  SHOW(write(fd, &value, 7));
  SHOW(sem = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
  SHOW(read(sem, &value, 8));
  printf("%lu\n", (long)value);
  SHOW(read(sem, &value, 8));
  SHOW(read(sem, &value, 8));
  SHOW(eventfd(0, 12345));
  SHOW(lseek(fd, 0, SEEK_SET));
  int blocking = eventfd(0, 0);
  pid_t child = fork();
  if (child == 0) {
    sleep_ms(30);
    value = 77;
    write(blocking, &value, 8);
    _exit(0);
  }
  SHOW(read(blocking, &value, 8));
  printf("%lu\n", (long)value);
  waitpid(child, NULL, 0);
  int timer;
  SHOW(timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
  struct itimerspec spec = { .it_value = { 0, 20000000 } }, now;
  SHOW(timerfd_settime(timer, 0, &spec, NULL));
  SHOW(read(timer, &value, 8));
  SHOW(timerfd_gettime(timer, &now));
  SAY(now.it_value.tv_nsec > 0 && now.it_value.tv_nsec <= 20000000);
  struct pollfd one = { timer, POLLIN, 0 };
  SHOW(poll(&one, 1, 2000));
  SHOW(read(timer, &value, 8));
  printf("%lu\n", (long)value);
  SHOW(read(timer, &value, 8));
  spec.it_interval.tv_nsec = spec.it_value.tv_nsec = 5000000;
  SHOW(timerfd_settime(timer, 0, &spec, NULL));
  sleep_ms(40);
  SHOW(read(timer, &value, 8));
  SAY(value >= 7);
  spec = (struct itimerspec){ 0 };
  SHOW(timerfd_settime(timer, 0, &spec, &now));
  printf("%ld\n", now.it_interval.tv_nsec);
  sleep_ms(10);
  SHOW(read(timer, &value, 8));
  clock_gettime(CLOCK_REALTIME, &spec.it_value);
  int absolute = timerfd_create(CLOCK_REALTIME, 0);
  SHOW(timerfd_settime(absolute, TFD_TIMER_ABSTIME, &spec, NULL));
  SHOW(read(absolute, &value, 8));
  printf("%lu\n", (long)value);
  SHOW(timerfd_create(99, 0));
  SHOW(timerfd_create(CLOCK_MONOTONIC, 1));
  SHOW(timerfd_settime(fd, 0, &spec, NULL));
  SHOW(timerfd_settime(99, 0, &spec, NULL));
  spec.it_value.tv_nsec = -1;
  SHOW(timerfd_settime(timer, 0, &spec, NULL));
  SHOW(write(timer, &value, 8));
  return 0;
}
