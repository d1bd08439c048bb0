// dup, dup2, dup3, close_range: numbers, shared offsets, close-on-exec, errnos, the limit of descriptors.
#include "case.h"
#include <linux/close_range.h>

int main(void) {
  make_file("file", "0123456789");
  int fd = open("file", O_RDONLY);
  char byte;
  SHOW(dup(fd));
  SHOW(dup(99));
  SHOW(dup2(fd, 20));
  SHOW(dup2(fd, fd));
  SHOW(dup2(99, 99));
  SHOW(dup2(99, 20));
  SHOW(dup2(fd, -1));
  SHOW(dup2(fd, 1 << 30));
  SHOW(dup3(fd, fd, 0));
  SHOW(dup3(fd, 21, O_CLOEXEC));
  SHOW(fcntl(21, F_GETFD));
  SHOW(dup3(fd, 22, O_NONBLOCK));
  read(fd, &byte, 1);
  read(20, &byte, 1);
  printf("%c\n", byte);
  SHOW(close(fd));
  SHOW(read(20, &byte, 1));
  int ends[2];
  pipe(ends);
  SHOW(dup2(ends[1], 20));
  SHOW(write(20, "p", 1));
  SHOW(read(ends[0], &byte, 1));
  SHOW(close_range(20, 21, 0));
  SHOW(close(20));
  SHOW(close(21));
  SHOW(close_range(5, 4, 0));
  SHOW(close_range(3, 100, 64));
  for (int i = 30; i < 40; i++) dup2(4, i);
  SHOW(close_range(32, ~0u, CLOSE_RANGE_CLOEXEC));
  SHOW(fcntl(31, F_GETFD));
  SHOW(fcntl(35, F_GETFD));
  SHOW(close_range(3, ~0u, 0));
  SHOW(fcntl(35, F_GETFD));
  struct rlimit limit;
  SHOW(getrlimit(RLIMIT_NOFILE, &limit));
  limit.rlim_cur = 8;
  SHOW(setrlimit(RLIMIT_NOFILE, &limit));
  int opened = 0;
  while (open("file", O_RDONLY) >= 0) opened++;
  printf("opened %d then %s\n", opened, error_name(errno));
  SHOW(dup(0));
  SHOW(pipe(ends));
  SHOW(dup2(0, 8));
  SHOW(fcntl(0, F_DUPFD, 8));
  SHOW(dup2(0, 7));
  return 0;
}
