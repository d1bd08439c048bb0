// Output keeps every byte, in large and small pieces, by write, writev, stdio and from children; the exit code is 8 bits.
#include "case.h"

int main(void) {
  static unsigned char block[100000];
  for (int i = 0; i < 100000; i++) block[i] = i * i >> 3;
  for (int at = 0; at < 100000;) at += write(1, block + at, 100000 - at);
  for (int i = 0; i < 256; i++) putchar(i);
  fflush(stdout);
  struct iovec parts[3] = { { "a\0b", 3 }, { block, 5000 }, { "\n", 1 } };
  writev(1, parts, 3);
  if (fork() == 0) {
    dprintf(1, "child\n");
    dprintf(2, "child's error\n");
    _exit(0);
  }
  wait(NULL);
  fprintf(stderr, "\xff\xfe no utf-8 \x80\n");
  return 256 + 200;
}
