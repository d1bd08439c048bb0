// fallocate: growing, keeping the size, punching and zeroing; posix_fallocate; errnos.
#include "case.h"
#include <linux/falloc.h>

static int fd;
static void size(void) {
  struct stat st;
  fstat(fd, &st);
  printf("size %ld blocks %ld\n", (long)st.st_size, (long)st.st_blocks);
}

static void too_large(int sig) { printf("SIGXFSZ\n"); }

int main(void) {
  fd = open("file", O_RDWR | O_CREAT, 0644);
  SHOW(fallocate(fd, 0, 0, 10000));
  size();
  SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 20000));
  size();
  char bytes[12288];
  memset(bytes, 'x', sizeof bytes);
  SHOW(pwrite(fd, bytes, 12288, 0));
  SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4000, 4300));
  SHOW(pread(fd, bytes, 12288, 0));
  int first = -1, last = -1;
  for (int i = 0; i < 12288; i++) if (!bytes[i]) { if (first < 0) first = i; last = i; }
  printf("zeros from %d to %d\n", first, last);
  SHOW(lseek(fd, 0, SEEK_HOLE));
  SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
  SHOW(fallocate(fd, 0, -1, 10));
  SHOW(fallocate(fd, 0, 0, 0));
  SHOW(fallocate(99, 0, 0, 10));
  int ro = open("file", O_RDONLY), ends[2];
  SHOW(fallocate(ro, 0, 0, 10));
  pipe(ends);
  SHOW(fallocate(ends[1], 0, 0, 10));
  ERR(posix_fallocate(fd, 30000, 10));
  size();
  ERR(posix_fallocate(fd, -1, 10));
  struct rlimit limit = { 40000, RLIM_INFINITY };
  setrlimit(RLIMIT_FSIZE, &limit);
  signal(SIGXFSZ, too_large);
  SHOW(fallocate(fd, 0, 39999, 1));
  SHOW(fallocate(fd, 0, 40000, 1));
  SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE, 40000, 1));
  SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 30000, 30000));
  size();
  return 0;
}
