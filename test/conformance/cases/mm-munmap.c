// munmap and MAP_FIXED split and replace mappings: which pages remain is asked with a system call that reads them.
#include "case.h"

static char *base;
static int null;

/* One letter a page: what it holds, or - where nothing is mapped. */
static void pages(const char *what) {
  printf("%-10s", what);
  int ends[2];
  pipe(ends);
  for (int i = 0; i < 16; i++) {
    char byte = '-';
    if (write(ends[1], base + i * 4096, 1) == 1) read(ends[0], &byte, 1);
    putchar(byte ? byte : '0');
  }
  printf("\n");
  close(ends[0]);
  close(ends[1]);
}

int main(void) {
  base = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < 16; i++) base[i * 4096] = 'a' + i;
  pages("start");
  munmap(base + 4 * 4096, 4096);
  pages("middle");
  munmap(base, 4096);
  munmap(base + 15 * 4096, 1);
  pages("ends");
  munmap(base + 3 * 4096, 3 * 4096);
  pages("overlap");
  mmap(base + 8 * 4096, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  pages("replaced");
  int fd = open("file", O_RDWR | O_CREAT, 0644);
  char page[4096];
  for (int i = 0; i < 3; i++) {
    memset(page, 'X' + i, sizeof page);
    write(fd, page, sizeof page);
  }
  mmap(base + 10 * 4096, 3 * 4096, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
  pages("file");
  munmap(base + 11 * 4096, 4096);
  pages("file hole");
  mmap(base + 11 * 4096, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 8192);
  pages("other");
  mprotect(base + 6 * 4096, 4096, PROT_NONE);
  pages("none");
  mprotect(base + 6 * 4096, 4096, PROT_READ);
  pages("read");
  char *same = mmap(base + 6 * 4096, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  printf("noreplace taken: %s\n", same == MAP_FAILED ? error_name(errno) : "ok");
  char *free_page = mmap(base + 4 * 4096, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  SAY(free_page == base + 4 * 4096);
  pages("filled");
  munmap(base, 16 * 4096);
  pages("gone");
  return 0;
}
