// epoll: level and edge triggered, one shot, changes, nesting, closed descriptors, errnos.
#include "case.h"
#include <sys/epoll.h>

static int ep;
static int by_data(const void *a, const void *b) { return ((struct epoll_event *)a)->data.fd - ((struct epoll_event *)b)->data.fd; }
static void wait_for(const char *what, int timeout) {
  struct epoll_event events[8];
  int count = epoll_wait(ep, events, 8, timeout);
  if (count > 1) qsort(events, count, sizeof *events, by_data);
  printf("%s: %d", what, count);
  for (int i = 0; i < count; i++) printf(" %llu:%x", (unsigned long long)events[i].data.u64, events[i].events);
  printf("\n");
}
static int control(int op, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = { .events = events, .data.u64 = data };
  return epoll_ctl(ep, op, fd, &event);
}

int main(void) {
  int a[2], b[2];
  pipe(a);
  pipe(b);
  SHOW(ep = epoll_create1(EPOLL_CLOEXEC));
  SHOW(fcntl(ep, F_GETFD));
  SHOW(control(EPOLL_CTL_ADD, a[0], EPOLLIN, 1));
  SHOW(control(EPOLL_CTL_ADD, a[0], EPOLLIN, 1));
  SHOW(control(EPOLL_CTL_MOD, b[0], EPOLLIN, 2));
  SHOW(control(EPOLL_CTL_DEL, b[0], 0, 0));
  SHOW(control(EPOLL_CTL_ADD, 99, EPOLLIN, 1));
  SHOW(control(EPOLL_CTL_ADD, ep, EPOLLIN, 1));
  SHOW(control(77, b[0], EPOLLIN, 2));
  make_file("file", "");
  int file = open("file", O_RDONLY);
  SHOW(control(EPOLL_CTL_ADD, file, EPOLLIN, 1));
  SHOW(epoll_create(0));
  SHOW(epoll_create1(1));
  SHOW(epoll_wait(a[0], NULL, 1, 0));
  SHOW(epoll_wait(ep, (void *)16, 0, 0));
  wait_for("nothing", 10);
  write(a[1], "xy", 2);
  wait_for("level", 0);
  wait_for("still", 0);
  SHOW(control(EPOLL_CTL_MOD, a[0], EPOLLIN | EPOLLET, 3));
  wait_for("edge", 0);
  wait_for("once", 0);
  write(a[1], "z", 1);
  wait_for("again", 0);
  char text[16];
  read(a[0], text, 1);
  wait_for("a partial read is no edge", 0);
  SHOW(control(EPOLL_CTL_MOD, a[0], EPOLLIN | EPOLLONESHOT, 4));
  wait_for("one shot", 0);
  wait_for("disabled", 0);
  SHOW(control(EPOLL_CTL_MOD, a[0], EPOLLIN | EPOLLONESHOT, 5));
  wait_for("armed", 0);
  read(a[0], text, 16);
  SHOW(control(EPOLL_CTL_MOD, a[0], EPOLLIN, 1));
  SHOW(control(EPOLL_CTL_ADD, b[0], EPOLLIN, 2));
  SHOW(control(EPOLL_CTL_ADD, b[1], EPOLLOUT, 3));
  wait_for("writable", 0);
  write(a[1], "1", 1);
  wait_for("two", 0);
  SHOW(control(EPOLL_CTL_DEL, b[1], 0, 0));
  close(a[1]);
  wait_for("hang up", 0);
  close(a[0]);
  wait_for("closed goes away", 0);
  pid_t child = fork();
  if (child == 0) {
    sleep_ms(40);
    write(b[1], "w", 1);
    _exit(0);
  }
  wait_for("woken", 5000);
  waitpid(child, NULL, 0);
  int outer = epoll_create1(0), inner = ep;
  struct epoll_event event = { .events = EPOLLIN, .data.u64 = 9 };
  SHOW(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event));
  ep = outer;
  wait_for("nested", 0);
  read(b[0], text, 1);
  wait_for("nested empty", 0);
  ep = inner;
  int copy = dup(b[0]);
  SHOW(control(EPOLL_CTL_ADD, copy, EPOLLIN, 8));
  write(b[1], "d", 1);
  wait_for("both descriptors", 0);
  close(copy);
  wait_for("the copy is closed, its file is not", 0);
  close(b[1]);
  read(b[0], text, 1);
  SHOW(control(EPOLL_CTL_MOD, b[0], 0, 2));
  SHOW(close(ep));
  return 0;
}
