// Many megabytes through read and write in odd sizes: content, holes, overlapping writers; a checksum at the end.
#include "case.h"

static uint32_t mix(uint32_t sum, const unsigned char *bytes, size_t length) {
  for (size_t i = 0; i < length; i++) sum = (sum ^ bytes[i]) * 16777619u;
  return sum;
}

int main(void) {
  static unsigned char block[300000];
  int fd = open("big", O_RDWR | O_CREAT, 0644);
  long total = 0;
  uint32_t seed = 1;
  for (int i = 0; i < 40; i++) {
    size_t length = 1 + seed % sizeof block;
    for (size_t j = 0; j < length; j++) block[j] = (seed = seed * 1103515245u + 12345u) >> 16;
    if (write(fd, block, length) != (ssize_t)length) printf("short write\n");
    total += length;
    if (i % 7 == 3) lseek(fd, 10007, SEEK_CUR);
    if (i % 5 == 4) lseek(fd, -5003, SEEK_CUR);
  }
  long size = lseek(fd, 0, SEEK_END);
  printf("wrote %ld size %ld\n", total, size);
  uint32_t sum = 2166136261u;
  lseek(fd, 0, SEEK_SET);
  for (ssize_t n; (n = read(fd, block, 77777)) > 0;) sum = mix(sum, block, n);
  printf("sum %08x\n", sum);
  unsigned char *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
  printf("sum %08x\n", mix(2166136261u, map, size));
  sum = 2166136261u;
  for (long at = 0; at < size; at += 4099) {
    ssize_t n = pread(fd, block, 4099, at);
    sum = mix(sum, block, n);
  }
  printf("sum %08x\n", sum);
  return 0;
}
