// brk and sbrk: growing, zero-filled pages, shrinking gives memory back, malloc on top of it.
#include "case.h"

int main(void) {
  char *start = sbrk(0);
  SAY(start != (void *)-1);
  char *a = sbrk(10000);
  SAY(a == start);
  SAY((char *)sbrk(0) == start + 10000);
  int zeros = 1;
  for (int i = 0; i < 10000; i++) zeros &= a[i] == 0;
  SAY(zeros);
  memset(a, 'x', 10000);
  SAY(brk(start + 5) == 0);
  SAY(brk(start + 10000) == 0);
  char *aligned = (char *)(((uintptr_t)start + 5 + 4095) & ~4095UL);
  SAY(a[0] == 'x');
  SAY(aligned[0] == 0 && a[9999] == 0);
  SAY(brk(start + (64 << 20)) == 0);
  start[(64 << 20) - 1] = 7;
  SAY(start[(64 << 20) - 1] == 7);
  SAY(brk(start) == 0);
  SAY(sbrk(0) == start);
  SAY(syscall(SYS_brk, 0) == (long)start);
  SAY(syscall(SYS_brk, 4096) == (long)start);
  SAY(syscall(SYS_brk, -1L) == (long)start);
  int ends[2];
  pipe(ends);
  SHOW(write(ends[1], aligned + (1 << 20), 1));
  void *blocks[1000];
  for (int i = 0; i < 1000; i++) memset(blocks[i] = malloc(i * 37 + 1), i, i * 37 + 1);
  int right = 1;
  for (int i = 0; i < 1000; i++) right &= ((unsigned char *)blocks[i])[i * 37] == (unsigned char)i;
  SAY(right);
  for (int i = 0; i < 1000; i++) free(blocks[i]);
  IN_CHILD("child", { char *b = sbrk(8192); b[0] = 1; SAY(b != (void *)-1); });
  return 0;
}
