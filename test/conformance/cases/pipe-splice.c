// splice, tee and vmsplice: between pipes, files and sockets; offsets, what is left, blocking, errnos.
#include "case.h"
#include <sys/socket.h>

static char text[65536];
static void left(const char *what, int fd) {
  char block[256];
  ssize_t n = read(fd, block, sizeof block - 1);
  if (n < 0) printf("%s: %s\n", what, error_name(errno));
  else printf("%s: %zd '%.*s'\n", what, n, (int)(n > 20 ? 20 : n), block);
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  int a[2], b[2], s[2];
  if (pipe2(a, O_NONBLOCK) || pipe2(b, O_NONBLOCK) || socketpair(AF_UNIX, SOCK_STREAM, 0, s)) return 1;
  int file = open("file", O_RDWR | O_CREAT, 0600);
  off_t off;

  SHOW(splice(a[0], NULL, b[1], NULL, 0, 0));
  SHOW(splice(a[0], NULL, b[1], NULL, 10, 0));
  SHOW(splice(a[0], NULL, b[1], NULL, 10, 1 << 10));
  SHOW(splice(99, NULL, b[1], NULL, 10, 0));
  SHOW(splice(a[1], NULL, b[1], NULL, 10, 0));
  SHOW(splice(a[0], NULL, a[1], NULL, 10, 0));
  SHOW(splice(file, NULL, s[0], NULL, 10, 0));
  off = 0;
  SHOW(splice(a[0], &off, b[1], NULL, 10, 0));
  SHOW(splice(a[0], NULL, b[1], &off, 10, 0));
  SHOW(splice(file, (off_t *)8, b[1], NULL, 10, 0));

  SHOW(write(a[1], "hello world", 11));
  SHOW(tee(a[0], b[1], 5, 0));
  left("tee", b[0]);
  SHOW(splice(a[0], NULL, b[1], NULL, 5, 0));
  left("spliced", b[0]);
  SHOW(splice(a[0], NULL, file, NULL, 100, 0));
  printf("position %ld\n", (long)lseek(file, 0, SEEK_CUR));
  SHOW(write(a[1], "XY", 2));
  off = 2;
  SHOW(splice(a[0], NULL, file, &off, 100, 0));
  printf("offset %ld position %ld\n", (long)off, (long)lseek(file, 0, SEEK_CUR));
  off = 1;
  SHOW(splice(file, &off, b[1], NULL, 3, 0));
  printf("offset %ld\n", (long)off);
  left("from file", b[0]);
  lseek(file, 2, SEEK_SET);
  SHOW(splice(file, NULL, b[1], NULL, 1000, 0));
  left("rest", b[0]);
  SHOW(splice(file, NULL, b[1], NULL, 1000, 0));
  fcntl(file, F_SETFL, O_APPEND);
  SHOW(write(a[1], "Z", 1));
  SHOW(splice(a[0], NULL, file, NULL, 10, 0));
  left("kept", a[0]);

  SHOW(write(a[1], "to socket", 9));
  SHOW(splice(a[0], NULL, s[0], NULL, 100, 0));
  left("socket", s[1]);
  SHOW(write(s[1], "from socket", 11));
  SHOW(splice(s[0], NULL, b[1], NULL, 100, 0));
  left("pipe", b[0]);
  off = 0;
  SHOW(splice(s[0], &off, b[1], NULL, 100, 0));
  SHOW(splice(s[0], NULL, b[1], NULL, 100, SPLICE_F_NONBLOCK));

  struct iovec iov[2] = { { "abc", 3 }, { "def", 3 } };
  SHOW(vmsplice(b[1], iov, 2, 0));
  left("vmsplice", b[0]);
  SHOW(vmsplice(file, iov, 2, 0));
  SHOW(vmsplice(b[1], iov, 2, 1 << 10));
  SHOW(vmsplice(b[1], (void *)8, 2, 0));
  SHOW(write(b[1], "read me", 7));
  char buffer[8] = "";
  struct iovec into = { buffer, 7 };
  SHOW(vmsplice(b[0], &into, 1, 0));
  printf("%s\n", buffer);

  while (write(b[1], text, sizeof text) > 0) {}
  SHOW(write(a[1], "x", 1));
  SHOW(splice(a[0], NULL, b[1], NULL, 10, 0));
  SHOW(tee(a[0], b[1], 10, 0));
  close(b[0]);
  SHOW(splice(a[0], NULL, b[1], NULL, 10, 0));
  left("still there", a[0]);
  close(a[1]);
  SHOW(splice(a[0], NULL, s[0], NULL, 10, 0));

  int c[2];
  if (pipe(c)) return 1;
  pid_t pid = fork();
  if (pid == 0) {
    usleep(50000);
    _exit(write(c[1], "late", 4) != 4);
  }
  SHOW(splice(c[0], NULL, s[0], NULL, 100, 0));
  left("waited", s[1]);
  waitpid(pid, NULL, 0);
  return 0;
}
