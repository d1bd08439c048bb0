// mmap(2): the errnos of bad lengths, offsets, flags and descriptors; what a descriptor's mode allows.
#include "case.h"

static void try(const char *what, void *result) {
  if (result == MAP_FAILED) printf("%s: %s\n", what, error_name(errno));
  else printf("%s: ok\n", what);
}
#define TRY(...) try(#__VA_ARGS__, mmap(__VA_ARGS__))

int main(void) {
  make_file("file", "content");
  int ro = open("file", O_RDONLY), wo = open("file", O_WRONLY), rw = open("file", O_RDWR), dir = open(".", O_RDONLY), ends[2];
  int path = open("file", O_PATH);
  pipe(ends);
  TRY(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  TRY(NULL, 4096, PROT_READ, MAP_ANONYMOUS, -1, 0);
  TRY(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  TRY(NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 0);
  TRY(NULL, 4096, PROT_READ, MAP_PRIVATE, 99, 0);
  TRY(NULL, 4096, PROT_READ, MAP_PRIVATE, ro, 100);
  TRY(NULL, 4096, PROT_READ, MAP_PRIVATE, ro, -4096);
  TRY((void *)0x12345001, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  TRY((void *)0x7ffffffff000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  TRY((void *)0xffff800000000000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  TRY(NULL, 1UL << 47, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  TRY(NULL, -1UL, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  TRY(NULL, 4096, PROT_READ, MAP_SHARED, ro, 0);
  TRY(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0);
  TRY(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0);
  TRY(NULL, 4096, PROT_READ, MAP_PRIVATE, wo, 0);
  TRY(NULL, 4096, PROT_WRITE, MAP_SHARED, wo, 0);
  TRY(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, rw, 0);
  TRY(NULL, 4096, PROT_READ, MAP_PRIVATE, dir, 0);
  TRY(NULL, 4096, PROT_READ, MAP_PRIVATE, ends[0], 0);
  TRY(NULL, 4096, PROT_READ, MAP_PRIVATE, path, 0);
  TRY(NULL, 4096, PROT_READ, MAP_PRIVATE, ro, 1 << 20);
  TRY(NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  TRY((void *)0x10000000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED, ro, 0);
  SHOW(mprotect(shared, 4096, PROT_READ | PROT_WRITE));
  SHOW(mprotect(shared + 1, 4096, PROT_READ));
  SHOW(mprotect(shared, 0, PROT_READ));
  SHOW(mprotect((void *)0x1000, 4096, PROT_READ));
  SHOW(munmap(shared + 1, 4096));
  SHOW(munmap(shared, 0));
  SHOW(munmap((void *)0x1000, 4096));
  SHOW(munmap((void *)0x7fffffffe000, 8192));
  SHOW(munmap(shared, 4096));
  SHOW(munmap(shared, 4096));
  return 0;
}
