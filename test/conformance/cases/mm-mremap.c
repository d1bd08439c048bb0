// mremap(2): growing in place and by moving, shrinking, MREMAP_FIXED, files, content kept, errnos.
#include "case.h"

static char *map(size_t pages) { return mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

static void fill(char *at, int pages, char first) { for (int i = 0; i < pages; i++) at[i * 4096] = first + i; }

static void show_pages(const char *what, char *at, int pages) {
  printf("%s: ", what);
  for (int i = 0; i < pages; i++) putchar(at[i * 4096] ? at[i * 4096] : '0');
  printf("\n");
}

int main(void) {
  char *reserve = mmap(NULL, 64 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *a = mmap(reserve, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  fill(a, 4, 'a');
  SAY(mremap(a, 4 * 4096, 8 * 4096, 0) == MAP_FAILED);
  printf("%s\n", error_name(errno));
  munmap(reserve + 4 * 4096, 4 * 4096);
  SAY(mremap(a, 4 * 4096, 8 * 4096, 0) == a);
  show_pages("grown", a, 8);
  SAY(mremap(a, 8 * 4096, 2 * 4096, 0) == a);
  show_pages("shrunk", a, 2);
  char *moved = mremap(a, 2 * 4096, 100 * 4096, MREMAP_MAYMOVE);
  SAY(moved != MAP_FAILED && moved != a);
  show_pages("moved", moved, 4);
  char *target = map(4);
  fill(target, 4, 'T');
  SAY(mremap(moved, 2 * 4096, 3 * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
  show_pages("fixed", target, 4);
  SAY(mremap(target, 4096, 4096, 0) == target);
  SAY(mremap(target, 4096, 4096, MREMAP_FIXED, moved) == MAP_FAILED && errno == EINVAL);
  SAY(mremap(target + 1, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED && errno == EINVAL);
  SAY(mremap(target, 4096, 0, MREMAP_MAYMOVE) == MAP_FAILED && errno == EINVAL);
  SAY(mremap(target, 4 * 4096, 4 * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, target + 4096) == MAP_FAILED && errno == EINVAL);
  SAY(mremap((void *)0x1000, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
  SAY(mremap(target, 4096, 8192, 64) == MAP_FAILED && errno == EINVAL);
  int fd = open("file", O_RDWR | O_CREAT, 0644);
  char page[4096];
  for (int i = 0; i < 6; i++) {
    memset(page, 'A' + i, sizeof page);
    write(fd, page, sizeof page);
  }
  char *file = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
  show_pages("file", file, 2);
  file = mremap(file, 2 * 4096, 5 * 4096, MREMAP_MAYMOVE);
  show_pages("file grown", file, 5);
  file[4 * 4096] = 'z';
  pread(fd, page, 1, 5 * 4096);
  printf("%c\n", page[0]);
  char *keep = map(2);
  fill(keep, 2, 'k');
  char *other = mremap(keep, 2 * 4096, 2 * 4096, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
  if (other != MAP_FAILED) {
    show_pages("dontunmap old", keep, 2);
    show_pages("dontunmap new", other, 2);
  } else printf("dontunmap %s\n", error_name(errno));
  char *text = malloc(400000);
  memset(text, 'm', 400000);
  text = realloc(text, 40000000);
  SAY(text[0] == 'm' && text[399999] == 'm');
  text[39999999] = 1;
  free(text);
  return 0;
}
