// madvise(2): DONTNEED drops private pages and rereads files, WIPEONFORK, DONTFORK, errnos; mincore, mlock.
#include "case.h"

static char *anonymous(int pages) { return mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

int main(void) {
  char *a = anonymous(4);
  memset(a, 'a', 4 * 4096);
  SHOW(madvise(a + 4096, 4096, MADV_DONTNEED));
  printf("%c %d %c\n", a[0], a[4096], a[8192]);
  a[4097] = 'n';
  printf("%d %c\n", a[4096], a[4097]);
  SHOW(madvise(a, 4 * 4096, MADV_NORMAL));
  SHOW(madvise(a, 4 * 4096, MADV_WILLNEED));
  SHOW(madvise(a + 1, 4096, MADV_DONTNEED));
  SHOW(madvise(a, 4096, 9999));
  SHOW(madvise((void *)0x10000, 4096, MADV_DONTNEED));
  SHOW(madvise(a, 0, MADV_DONTNEED));
  make_file("file", "from the file");
  int fd = open("file", O_RDWR);
  char *file = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  file[0] = 'F';
  printf("%.13s\n", file);
  SHOW(madvise(file, 4096, MADV_DONTNEED));
  printf("%.13s\n", file);
  char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  strcpy(shared, "kept");
  SHOW(madvise(shared, 4096, MADV_DONTNEED));
  printf("%s\n", shared);
  char *wipe = anonymous(2), *skip = anonymous(1), *keep = anonymous(1);
  strcpy(wipe, "secret");
  strcpy(wipe + 4096, "unwiped");
  strcpy(keep, "keep");
  skip[0] = 's';
  SHOW(madvise(wipe, 4096, MADV_WIPEONFORK));
  SHOW(madvise(shared, 4096, MADV_WIPEONFORK));
  SHOW(madvise(file, 4096, MADV_WIPEONFORK));
  SHOW(madvise(skip, 4096, MADV_DONTFORK));
  int ends[2];
  pipe(ends);
  IN_CHILD("child", {
    printf("[%s] [%s] [%s]\n", wipe, wipe + 4096, keep);
    SHOW(write(ends[1], skip, 1));
    strcpy(wipe, "child's");
    IN_CHILD("grandchild", printf("[%s]\n", wipe));
  });
  printf("[%s]\n", wipe);
  SHOW(madvise(wipe, 4096, MADV_KEEPONFORK));
  SHOW(madvise(skip, 4096, MADV_DOFORK));
  IN_CHILD("child", printf("[%s] %c\n", wipe, skip[0]));
  unsigned char vec[4];
  char *fresh = anonymous(4);
  fresh[4096] = 1;
  SHOW(mincore(fresh, 4 * 4096, vec));
  printf("%d\n", vec[1] & 1);
  SHOW(mincore(fresh + 1, 4096, vec));
  munmap(fresh + 8192, 4096);
  SHOW(mincore(fresh, 4 * 4096, vec));
  SHOW(mlock(a, 4096));
  SHOW(munlock(a, 4096));
  SHOW(mlock(fresh + 8192, 4096));
  return 0;
}
