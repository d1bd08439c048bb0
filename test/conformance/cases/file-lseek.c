// lseek(2): the three bases, its errnos, positions past the end, SEEK_DATA and SEEK_HOLE at page granularity.
#include "case.h"

int main(void) {
  int fd, ends[2];
  make_file("file", "0123456789");
  fd = open("file", O_RDWR);
  SHOW(lseek(fd, 4, SEEK_SET));
  SHOW(lseek(fd, 3, SEEK_CUR));
  SHOW(lseek(fd, -2, SEEK_END));
  SHOW(lseek(fd, -11, SEEK_END));
  SHOW(lseek(fd, -1, SEEK_SET));
  SHOW(lseek(fd, 0, 17));
  SHOW(lseek(fd, LONG_MAX, SEEK_CUR));
  SHOW(lseek(fd, 0, SEEK_CUR));
  SHOW(lseek(fd, 100, SEEK_SET));
  char byte;
  SHOW(read(fd, &byte, 1));
  SHOW(lseek(fd, 0, SEEK_END));
  SHOW(lseek(-1, 0, SEEK_SET));
  pipe(ends);
  SHOW(lseek(ends[0], 0, SEEK_CUR));
  SHOW(lseek(fd, 12288, SEEK_SET));
  SHOW(write(fd, "tail", 4));
  SHOW(lseek(fd, 0, SEEK_DATA));
  SHOW(lseek(fd, 0, SEEK_HOLE));
  SHOW(lseek(fd, 4096, SEEK_DATA));
  SHOW(lseek(fd, 12289, SEEK_HOLE));
  SHOW(lseek(fd, 12292, SEEK_DATA));
  SHOW(lseek(fd, 12293, SEEK_HOLE));
  SHOW(ftruncate(fd, 40960));
  SHOW(lseek(fd, 16384, SEEK_DATA));
  SHOW(lseek(fd, 16384, SEEK_HOLE));
  struct stat st;
  fstat(fd, &st);
  printf("size %ld blocks %ld\n", (long)st.st_size, (long)st.st_blocks);
  int other = dup(fd), again = open("file", O_RDONLY);
  SHOW(lseek(other, 7, SEEK_SET));
  SHOW(lseek(fd, 0, SEEK_CUR));
  SHOW(lseek(again, 0, SEEK_CUR));
  return 0;
}
