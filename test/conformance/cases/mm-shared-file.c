// MAP_SHARED and read/write see each other at once, in both directions, also from another process; MAP_PRIVATE does not.
#include "case.h"

int main(void) {
  int fd = open("file", O_RDWR | O_CREAT, 0644);
  ftruncate(fd, 10000);
  char *shared = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  char *other = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  char *private = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  char text[16] = "";
  pwrite(fd, "by write", 8, 100);
  printf("%.8s %.8s %.8s\n", shared + 100, other + 100, private + 100);
  memcpy(shared + 5000, "by map", 6);
  pread(fd, text, 6, 5000);
  printf("%s %.6s %.6s\n", text, other + 5000, private + 5000);
  private[5000] = 'B';
  shared[5001] = 'Y';
  pread(fd, text, 6, 5000);
  printf("%s %.6s %.6s\n", text, other + 5000, private + 5000);
  IN_CHILD("child", {
    memcpy(shared + 9000, "from child", 10);
    private[100] = 'C';
    pwrite(fd, "and write", 9, 9100);
  });
  printf("%.10s %.9s %.8s\n", other + 9000, other + 9100, private + 100);
  printf("past the end of file in its last page: %d\n", shared[10001]);
  ftruncate(fd, 11000);
  SHOW(msync(shared, 12288, MS_SYNC));
  SHOW(msync(shared, 12288, MS_ASYNC | MS_SYNC));
  SHOW(msync(shared + 1, 4096, MS_SYNC));
  munmap(shared, 12288);
  close(fd);
  memcpy(other, "after close", 11);
  fd = open("file", O_RDONLY);
  read(fd, text, 11);
  printf("%.11s\n", text);
  fd = open("file", O_RDWR | O_TRUNC);
  pwrite(fd, "new", 3, 0);
  printf("%.3s %d\n", other, other[3]);
  return 0;
}
