// truncate and ftruncate: growing leaves zeros, shrinking cuts, what was cut does not come back, errnos.
#include "case.h"

int main(void) {
  make_file("file", "abcdefgh");
  SHOW(truncate("file", 4));
  show_file("file");
  SHOW(truncate("file", 8));
  show_file("file");
  int fd = open("file", O_RDWR), ro = open("file", O_RDONLY);
  SHOW(pwrite(fd, "XY", 2, 5000));
  SHOW(ftruncate(fd, 4100));
  SHOW(ftruncate(fd, 5002));
  char bytes[902];
  SHOW(pread(fd, bytes, 902, 4100));
  int zeros = 0;
  for (int i = 0; i < 902; i++) zeros += bytes[i] == 0;
  printf("zeros %d\n", zeros);
  SHOW(ftruncate(fd, 0));
  SHOW(ftruncate(fd, -1));
  SHOW(ftruncate(ro, 0));
  SHOW(ftruncate(99, 0));
  SHOW(truncate("missing", 0));
  SHOW(truncate(".", 0));
  SHOW(truncate("file/x", 0));
  SHOW(truncate("file", -1));
  int ends[2];
  pipe(ends);
  SHOW(ftruncate(ends[1], 0));
  SHOW(ftruncate(fd, 1L << 32));
  struct stat st;
  fstat(fd, &st);
  printf("size %ld blocks %ld\n", (long)st.st_size, (long)st.st_blocks);
  SHOW(pwrite(fd, "end", 3, (1L << 32) - 3));
  SHOW(pread(fd, bytes, 10, (1L << 32) - 3));
  fstat(fd, &st);
  printf("size %ld blocks %ld\n", (long)st.st_size, (long)st.st_blocks);
  SHOW(ftruncate(fd, 10));
  show_file("file");
  chmod("file", 0444);
  SHOW(truncate("file", 1));
  SHOW(ftruncate(fd, 1));
  return 0;
}
