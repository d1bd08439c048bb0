// pread, pwrite, readv, writev, preadv, pwritev: positions kept or moved, gathering, and errnos.
#include "case.h"

int main(void) {
  char a[8] = "", b[8] = "", text[32] = "";
  int fd = open("file", O_RDWR | O_CREAT, 0644);
  struct iovec out[3] = { { "one", 3 }, { "", 0 }, { "-two-", 5 } };
  SHOW(writev(fd, out, 3));
  SHOW(lseek(fd, 0, SEEK_CUR));
  SHOW(pwrite(fd, "THREE", 5, 6));
  SHOW(lseek(fd, 0, SEEK_CUR));
  show_file("file");
  SHOW(pread(fd, text, 4, 3));
  printf("%s\n", text);
  SHOW(pread(fd, text, 4, 100));
  SHOW(pread(fd, text, 4, -1));
  SHOW(pwrite(fd, "x", 1, -1));
  lseek(fd, 0, SEEK_SET);
  struct iovec in[2] = { { a, 4 }, { b, 7 } };
  SHOW(readv(fd, in, 2));
  printf("%s|%s\n", a, b);
  SHOW(readv(fd, in, 2));
  SHOW(readv(fd, in, 0));
  SHOW(readv(fd, in, -1));
  SHOW(readv(fd, in, 1025));
  SHOW(preadv(fd, in, 2, 1));
  printf("%s|%s\n", a, b);
  SHOW(pwritev(fd, out, 3, 20));
  show_file("file");
  struct iovec huge[2] = { { a, 1 }, { b, (size_t)-1 } };
  SHOW(writev(fd, huge, 2));
  struct iovec bad[2] = { { "ok", 2 }, { (void *)16, 4 } };
  lseek(fd, 0, SEEK_SET);
  SHOW(writev(fd, bad, 2));
  SHOW(lseek(fd, 0, SEEK_CUR));
  SHOW(readv(fd, (struct iovec *)16, 1));
  SHOW(write(fd, (void *)16, 1));
  SHOW(read(fd, (void *)16, 1));
  SHOW(write(fd, (void *)16, 0));
  SHOW(read(-1, a, 1));
  SHOW(pread(-1, a, 1, 0));
  int ends[2];
  pipe(ends);
  SHOW(pread(ends[0], a, 1, 0));
  SHOW(pwrite(ends[1], a, 1, 0));
  int dir = open(".", O_RDONLY);
  SHOW(read(dir, a, 1));
  SHOW(write(dir, a, 1));
  return 0;
}
