// poll, ppoll, select, pselect: which events on pipes, files, closed ends and bad descriptors; timeouts; wake-ups; masks.
#include "case.h"
#include <poll.h>
#include <sys/select.h>

static void poll_one(const char *what, int fd, short events, int timeout) {
  struct pollfd one = { fd, events, 0x7fff };
  int result = poll(&one, 1, timeout);
  printf("%s: %d %x\n", what, result, one.revents);
}
static volatile int handled;
static void handler(int signo) { handled = signo; }

int main(void) {
  int ends[2];
  pipe(ends);
  make_file("file", "x");
  int file = open("file", O_RDWR);
  poll_one("empty, read end", ends[0], POLLIN, 0);
  poll_one("empty, write end", ends[1], POLLOUT | POLLIN, 0);
  poll_one("read end asked to write", ends[0], POLLOUT, 0);
  write(ends[1], "abc", 3);
  poll_one("filled, read end", ends[0], POLLIN | POLLRDNORM, 0);
  poll_one("asked nothing", ends[0], 0, 0);
  poll_one("file", file, POLLIN | POLLOUT, 0);
  poll_one("bad", 99, POLLIN, 0);
  poll_one("negative", -5, POLLIN, 0);
  close(ends[1]);
  poll_one("closed writer with data", ends[0], POLLIN, 0);
  char byte[8];
  read(ends[0], byte, 3);
  poll_one("closed writer", ends[0], POLLIN, 0);
  pipe(ends);
  int reader = ends[0], writer = ends[1];
  close(reader);
  poll_one("closed reader", writer, POLLOUT, 0);
  pipe(ends);
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  while (write(ends[1], byte, 8) > 0);
  poll_one("full", ends[1], POLLOUT, 0);
  read(ends[0], byte, 8);

  static char big[4096];
  read(ends[0], big, 4096);
  poll_one("a page read", ends[1], POLLOUT, 0);
  poll_one("timeout", ends[0], POLLPRI, 20);
  while (read(ends[0], big, 4096) == 4096);
  pid_t child = fork();
  if (child == 0) {
    sleep_ms(40);
    write(ends[1], "w", 1);
    _exit(0);
  }
  poll_one("woken", ends[0], POLLIN, 5000);
  waitpid(child, NULL, 0);
  struct pollfd three[3] = { { ends[0], POLLIN, 0 }, { 99, POLLIN, 0 }, { file, POLLIN, 0 } };
  SHOW(poll(three, 3, -1));
  printf("%x %x %x\n", three[0].revents, three[1].revents, three[2].revents);
  SHOW(poll(NULL, 0, 1));
  SHOW(poll((void *)16, 1, 0));
  fd_set in, out, except;
  FD_ZERO(&in);
  FD_ZERO(&out);
  FD_ZERO(&except);
  FD_SET(ends[0], &in);
  FD_SET(file, &in);
  FD_SET(ends[1], &out);
  FD_SET(file, &except);
  struct timeval zero = { 0, 0 };
  SHOW(select(64, &in, &out, &except, &zero));
  printf("%d %d %d %d\n", FD_ISSET(ends[0], &in) != 0, FD_ISSET(file, &in) != 0, FD_ISSET(ends[1], &out) != 0,
    FD_ISSET(file, &except) != 0);
  FD_ZERO(&in);
  FD_SET(60, &in);
  SHOW(select(64, &in, NULL, NULL, &zero));
  SHOW(select(-1, NULL, NULL, NULL, &zero));
  struct timeval bad = { -1, 0 };
  SHOW(select(0, NULL, NULL, NULL, &bad));
  read(ends[0], byte, 1);
  FD_ZERO(&in);
  FD_SET(ends[0], &in);
  struct timeval wait = { 0, 30000 };
  SHOW(select(ends[0] + 1, &in, NULL, NULL, &wait));
  printf("%d %ld\n", FD_ISSET(ends[0], &in) != 0, (long)wait.tv_usec);
  signal(SIGUSR1, handler);
  sigset_t block, empty;
  sigemptyset(&block);
  sigemptyset(&empty);
  sigaddset(&block, SIGUSR1);
  sigprocmask(SIG_BLOCK, &block, NULL);
  raise(SIGUSR1);
  struct timespec second = { 1, 0 };
  SHOW(poll(NULL, 0, 10));
  SAY(handled == 0);
  SHOW(ppoll(three, 1, &second, &empty));
  SAY(handled == SIGUSR1);
  handled = 0;
  raise(SIGUSR1);
  SHOW(pselect(0, NULL, NULL, NULL, &second, &empty));
  SAY(handled == SIGUSR1);
  return 0;
}
