// Reservations larger than memory cost nothing: PROT_NONE and NORESERVE, committed bit by bit, given back.
#include "case.h"

int main(void) {
  size_t tera = 1UL << 40;
  char *space = mmap(NULL, tera, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  SAY(space != MAP_FAILED);
  for (int i = 0; i < 64; i++) {
    char *at = space + (tera >> 6) * i;
    if (mprotect(at, 4096, PROT_READ | PROT_WRITE)) printf("mprotect %s\n", error_name(errno));
    *at = i;
  }
  int sum = 0;
  for (int i = 0; i < 64; i++) sum += space[(tera >> 6) * i];
  printf("sum %d\n", sum);
  SHOW(mprotect(space, 1 << 20, PROT_READ | PROT_WRITE));
  memset(space, 'x', 1 << 20);
  SHOW(madvise(space, tera, MADV_DONTNEED));
  printf("%d\n", space[0]);
  int ends[2];
  pipe(ends);
  SHOW(write(ends[1], space + (2 << 20), 1));
  SHOW(munmap(space + 4096, tera - 8192));
  SHOW(write(ends[1], space, 1));
  SHOW(write(ends[1], space + 4096, 1));
  char *lazy = mmap(NULL, 8UL << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  SAY(lazy != MAP_FAILED);
  for (size_t at = 0; at < 8UL << 30; at += 256 << 20) lazy[at] = 1;
  int total = 0;
  for (size_t at = 0; at < 8UL << 30; at += 128 << 20) total += lazy[at];
  printf("total %d\n", total);
  SHOW(munmap(lazy, 8UL << 30));
  for (int i = 0; i < 300; i++) {
    char *again = mmap(NULL, 1UL << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    again[i] = 1;
    munmap(again, 1UL << 30);
  }
  printf("done\n");
  return 0;
}
