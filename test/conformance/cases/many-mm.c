// mmap, munmap, mprotect, mremap, madvise, msync, mincore, mlock, brk: errnos and effects.
#include "case.h"
#include <setjmp.h>

static sigjmp_buf back;
static volatile int fault_code;
static void on_fault(int signo, siginfo_t *info, void *context) { (void)context; fault_code = info->si_code; siglongjmp(back, signo); }

/* What touching the byte does: "ok" or the signal with its code. */
static void touch(const char *name, volatile char *at, int write) {
  struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
  int signo = sigsetjmp(back, 1);
  if (signo == 0) {
    if (write) *at = 7;
    else (void)*at;
    printf("%s: ok\n", name);
  } else printf("%s: %s code %d\n", name, sigabbrev_np(signo), fault_code);
}

static char *anonymous(size_t pages) { return mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

static int file_of_pages(const char *path, int pages) {
  int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
  ftruncate(fd, pages * 4096);
  return fd;
}

#define MAP(...) SAY(mmap(__VA_ARGS__) == MAP_FAILED ? (printf("%s ", error_name(errno)), 0) : 1)

CASE(mmap, "mmap: errnos") {
  int fd = file_of_pages("f", 1), ends[2];
  pipe(ends);
  MAP(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MAP(NULL, 4096, PROT_READ, 0, fd, 0);
  MAP(NULL, 4096, PROT_READ, MAP_ANONYMOUS, -1, 0);
  MAP(NULL, 4096, PROT_READ, MAP_SHARED | MAP_PRIVATE, fd, 0);
  MAP(NULL, 4096, PROT_READ, MAP_PRIVATE, 99, 0);
  MAP(NULL, 4096, PROT_READ, MAP_PRIVATE, ends[0], 0);
  MAP(NULL, 4096, PROT_READ, MAP_PRIVATE, open(".", O_RDONLY), 0);
  MAP(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 100);
  MAP(NULL, 4096, PROT_READ, MAP_PRIVATE, open("f", O_WRONLY), 0);
  MAP(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, open("f", O_RDONLY), 0);
  MAP(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, open("f", O_RDONLY), 0);
  MAP((void *)100, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  MAP((void *)0x800000000000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  MAP(NULL, 1UL << 47, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  MAP(NULL, -4096UL, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MAP(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 1L << 40);
  MAP(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
  MAP(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE, fd, 0);
  char *at = anonymous(1);
  SAY(mmap(at, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
  SAY(mmap(at, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
  SAY(mmap(at, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != at);
}

CASE(munmap, "munmap: holes are fine, bad ranges are not") {
  char *at = anonymous(4);
  SHOW(munmap(at + 4096, 4096));
  SHOW(munmap(at, 4 * 4096));
  SHOW(munmap(at, 4096));
  SHOW(munmap(at + 1, 4096));
  SHOW(munmap(at, 0));
  SHOW(munmap((void *)0x7ffffffff000, 8192));
  SHOW(munmap((void *)-4096L, 4096));
  at = anonymous(3);
  SHOW(munmap(at + 4096, 100));
  touch("first", at, 1);
  touch("hole", at + 4096, 0);
  touch("last", at + 8192, 1);
}

CASE(mprotect, "mprotect: errnos and faults") {
  char *at = anonymous(3);
  at[0] = 1;
  SHOW(mprotect(at + 1, 4096, PROT_READ));
  SHOW(mprotect(at, 4096, 0x100));
  SHOW(mprotect(at, 0, PROT_READ));
  SHOW(mprotect(at, 4096, PROT_READ));
  touch("write to read-only", at, 1);
  touch("read", at, 0);
  SHOW(mprotect(at, 4096, PROT_NONE));
  touch("none", at, 0);
  munmap(at + 4096, 4096);
  SHOW(mprotect(at, 3 * 4096, PROT_READ | PROT_WRITE));
  touch("before the hole", at, 1);
  SHOW(mprotect((void *)0x1000, 4096, PROT_READ));
  SHOW(mprotect(at, -4096L, PROT_READ));
  SHOW(mprotect(at, 4096, PROT_READ | PROT_GROWSDOWN));
  int fd = file_of_pages("f", 1);
  char *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, open("f", O_RDONLY), 0);
  SHOW(mprotect(map, 4096, PROT_READ | PROT_WRITE));
  map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, open("f", O_RDONLY), 0);
  SHOW(mprotect(map, 4096, PROT_READ | PROT_WRITE));
  touch("private copy", map, 1);
  char byte = 9;
  pread(fd, &byte, 1, 0);
  printf("file %d\n", byte);
}

CASE(mremap, "mremap: errnos, growing, shrinking, moving") {
  char *at = anonymous(4), *other = anonymous(4), *moved;
  strcpy(at, "hello");
  SAY(mremap(at + 1, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED && errno == EINVAL);
  SAY(mremap(at, 4096, 0, MREMAP_MAYMOVE) == MAP_FAILED && errno == EINVAL);
  SAY(mremap(at, 4096, 4096, 0x100) == MAP_FAILED && errno == EINVAL);
  SAY(mremap(at, 4096, 4096, MREMAP_FIXED, other) == MAP_FAILED && errno == EINVAL);
  SAY(mremap((void *)0x1000, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
  SAY(mremap(at, 4 * 4096, 2 * 4096, 0) == at);
  touch("cut", at + 3 * 4096, 0);
  moved = mremap(at, 2 * 4096, 100 * 4096, MREMAP_MAYMOVE);
  SAY(moved != MAP_FAILED && strcmp(moved, "hello") == 0);
  touch("grown", moved + 99 * 4096, 1);
  SAY(mremap(moved, 100 * 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, other) == other && strcmp(other, "hello") == 0);
  SAY(mremap(other, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, other) == MAP_FAILED && errno == EINVAL);
  SAY(mremap(other, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, other + 1) == MAP_FAILED && errno == EINVAL);
  char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  shared[0] = 5;
  char *twin = mremap(shared, 0, 4096, MREMAP_MAYMOVE);
  SAY(twin != MAP_FAILED && twin[0] == 5);
  shared[0] = 6;
  printf("%d\n", twin[0]);
  char *kept = anonymous(1);
  kept[0] = 3;
  moved = mremap(kept, 4096, 4096, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
  SAY(moved != MAP_FAILED && moved[0] == 3 && kept[0] == 0);
}

CASE(madvise, "madvise: errnos and effects") {
  char *at = anonymous(4);
  memset(at, 1, 4 * 4096);
  SHOW(madvise(at + 1, 4096, MADV_DONTNEED));
  SHOW(madvise(at, 4096, 9999));
  SHOW(madvise(at, 0, MADV_DONTNEED));
  SHOW(madvise(at, 4096, MADV_DONTNEED));
  printf("%d %d\n", at[0], at[4096]);
  SHOW(madvise(at, 8192, MADV_WILLNEED));
  SHOW(madvise(at, 8192, MADV_SEQUENTIAL));
  SHOW(madvise(at, 8192, MADV_HUGEPAGE) == 0 || errno == EINVAL);
  SHOW(madvise(at + 8192, 4096, MADV_DONTFORK));
  SHOW(madvise(at + 4096, 4096, MADV_WIPEONFORK));
  IN_CHILD("child", {
    touch("dontfork", at + 8192, 0);
    printf("wiped %d kept %d\n", at[4096], at[3 * 4096]);
  });
  SHOW(madvise(at + 4096, 4096, MADV_KEEPONFORK));
  SHOW(madvise(at + 8192, 4096, MADV_DOFORK));
  munmap(at + 4096, 4096);
  SHOW(madvise(at, 4 * 4096, MADV_DONTNEED));
  int fd = file_of_pages("f", 2);
  pwrite(fd, "x", 1, 0);
  char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  map[0] = 'y';
  SHOW(madvise(map, 4096, MADV_DONTNEED));
  printf("%c\n", map[0]);
  SHOW(madvise(map, 4096, MADV_WIPEONFORK));
  SHOW(madvise(at, 4096, MADV_FREE));
  SHOW(madvise(map, 4096, MADV_FREE));
  SHOW(madvise(at, 4096, MADV_POPULATE_WRITE));
  SHOW(madvise(at, 4096, MADV_COLD));
  SHOW(madvise(at, 4096, MADV_PAGEOUT));
  SHOW(madvise(map, 4096, MADV_REMOVE));
}

CASE(remove, "MADV_REMOVE: holes in shared memory and files, seen by all who map them") {
  int fd = file_of_pages("f", 4);
  char *map = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *second = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096);
  char *readable = mmap(NULL, 4096, PROT_READ, MAP_SHARED, open("f", O_RDONLY), 0);
  memset(map, 'x', 4 * 4096);
  printf("%c\n", second[0]);
  SHOW(madvise(map + 4096, 8192, MADV_REMOVE));
  printf("%c %d %d %c %d\n", map[4095], map[4096], map[12287], map[12288], second[0]);
  char c = 1;
  SHOW(pread(fd, &c, 1, 5000));
  printf("%d\n", c);
  map[4096] = 'y';
  printf("%c\n", second[0]);
  struct stat st;
  SHOW(fstat(fd, &st));
  printf("%ld\n", (long)st.st_size);
  SHOW(madvise(readable, 4096, MADV_REMOVE));
  char *anonymous = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  anonymous[0] = anonymous[4096] = 'a';
  SHOW(madvise(anonymous, 4096, MADV_REMOVE));
  printf("%d %c\n", anonymous[0], anonymous[4096]);
  SHOW(mlock(map, 4096));
  SHOW(madvise(map, 4096, MADV_REMOVE));
}

CASE(holes, "private copies of a file's pages outlive its holes, what was only read does not; refused removals change nothing") {
  int fd = file_of_pages("f", 3);
  char *shared = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  memset(shared, 'x', 3 * 4096);
  char *private = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  private[0] = 'p';
  printf("%c %c %c\n", private[0], private[4096], private[8192]);
  SHOW(madvise(private, 3 * 4096, MADV_REMOVE));
  printf("%c %c\n", private[0], private[4096]);
  SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 8192));
  printf("%c %c %d %c\n", private[0], private[1], private[4096], private[8192]);
  private[8192] = 'q';
  SHOW(madvise(shared + 8192, 4096, MADV_REMOVE));
  printf("%c %d\n", private[8192], shared[8192]);
  static char data[3 * 4096] = "data of the program";
  data[4096] = 'd';
  SHOW(madvise((char *)((long)(data + 4095) & -4096), 4096, MADV_REMOVE));
  printf("%s %c\n", data, data[4096]);
  ftruncate(fd, 0);
  touch("a private copy beyond the end", private + 8192, 0);
}

CASE(filemap, "file mappings: beyond the end, truncation, coherence with read and write") {
  int fd = file_of_pages("f", 2);
  ftruncate(fd, 5000);
  char *map = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  touch("in the file", map + 4999, 1);
  touch("rest of the last page", map + 8000, 1);
  touch("beyond", map + 8192, 0);
  pwrite(fd, "abc", 3, 10);
  printf("%.3s\n", map + 10);
  memcpy(map + 20, "xyz", 3);
  char text[4] = "";
  pread(fd, text, 3, 20);
  printf("%s\n", text);
  ftruncate(fd, 100);
  touch("truncated away", map + 4096, 0);
  ftruncate(fd, 5000);
  printf("%d\n", map[4096]);
  struct stat st;
  fstat(fd, &st);
  printf("%ld\n", (long)st.st_size);
  close(fd);
  unlink("f");
  map[0] = 'z';
  printf("%c\n", map[0]);
}

CASE(shared, "MAP_SHARED between processes; MAP_PRIVATE not") {
  int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int *own = (int *)anonymous(1);
  int fd = file_of_pages("f", 1);
  int *file = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  int *copy = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  *shared = *own = *file = 1;
  printf("%d\n", *copy);
  *copy = 2;
  IN_CHILD("child", { *shared = *own = *file = 9; *copy = 10; });
  printf("%d %d %d %d\n", *shared, *own, *file, *copy);
}

CASE(msync, "msync: flags and errnos") {
  int fd = file_of_pages("f", 2);
  char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  map[0] = 1;
  SHOW(msync(map, 4096, MS_SYNC));
  SHOW(msync(map, 8192, MS_ASYNC));
  SHOW(msync(map, 8192, MS_SYNC | MS_ASYNC));
  SHOW(msync(map, 8192, MS_INVALIDATE));
  SHOW(msync(map, 8192, 0x100));
  SHOW(msync(map + 1, 8192, MS_SYNC));
  SHOW(msync(map, 0, MS_SYNC));
  SHOW(msync(map, 3 * 4096 + 4096 * 1000, MS_SYNC));
  mlock(map, 4096);
  SHOW(msync(map, 4096, MS_SYNC | MS_INVALIDATE));
}

CASE(mincore, "mincore") {
  unsigned char vector[4] = { 0 };
  char *at = anonymous(4);
  at[0] = at[8192] = 1;
  SHOW(mincore(at, 4 * 4096, vector));
  printf("%d %d %d %d\n", vector[0] & 1, vector[1] & 1, vector[2] & 1, vector[3] & 1);
  SHOW(mincore(at + 1, 4096, vector));
  SHOW(mincore(at, 4096, (void *)8));
  munmap(at + 4096, 4096);
  SHOW(mincore(at, 4 * 4096, vector));
  SHOW(mincore(at, 0, vector));
}

CASE(mlock, "mlock, mlock2, munlock, mlockall") {
  char *at = anonymous(4);
  SHOW(mlock(at, 4096));
  SHOW(mlock(at + 1, 4096));
  SHOW(munlock(at, 4096));
  SHOW(mlock2(at, 4096, MLOCK_ONFAULT));
  SHOW(mlock2(at, 4096, 8));
  munmap(at + 4096, 4096);
  SHOW(mlock(at, 3 * 4096));
  SHOW(munlock(at, 3 * 4096));
  SHOW(mlockall(0));
  SHOW(mlockall(MCL_ONFAULT));
  SHOW(mlockall(99));
  SHOW(munlockall());
  struct rlimit limit = { 8192, 8192 };
  setrlimit(RLIMIT_MEMLOCK, &limit);
  SHOW(mlock(at + 8192, 8192));
  SHOW(mlock(at, 4096));
  limit.rlim_cur = 0;
  SHOW(munlockall());
  setrlimit(RLIMIT_MEMLOCK, &limit);
  SHOW(mlock(at, 4096));
  SHOW(mlockall(MCL_CURRENT));
}

CASE(brk, "brk and sbrk") {
  char *end = sbrk(0);
  SAY(sbrk(10000) == end);
  touch("new", end + 9999, 1);
  SAY(syscall(SYS_brk, 0) == (long)(end + 10000));
  SAY(syscall(SYS_brk, end) == (long)end);
  touch("gone", (char *)(((long)end + 8191) & -4096), 0);
  SAY(syscall(SYS_brk, 4096) == (long)end);
  SAY(syscall(SYS_brk, -1L) == (long)end);
  sbrk(4096);
  printf("%d\n", end[100]);
}

CASE(zeropages, "fresh pages are zero; a child's writes stay its own (copy on write)") {
  char *at = anonymous(256);
  long sum = 0;
  for (int i = 0; i < 256 * 4096; i += 64) sum += at[i];
  printf("%ld\n", sum);
  memset(at, 1, 256 * 4096);
  IN_CHILD("child", {
    memset(at, 2, 128 * 4096);
    long mine = 0;
    for (int i = 0; i < 256 * 4096; i += 4096) mine += at[i];
    printf("child %ld\n", mine);
  });
  for (int i = 0; i < 256 * 4096; i += 4096) sum += at[i];
  printf("parent %ld\n", sum);
}

CASE(fixretry, "a SIGSEGV handler that maps the page and goes on") {
  static char *area;
  area = mmap(NULL, 64 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  void fix(int signo, siginfo_t *info, void *context) {
    (void)signo; (void)context;
    mprotect((void *)((long)info->si_addr & -4096), 4096, PROT_READ | PROT_WRITE);
  }
  struct sigaction action = { .sa_sigaction = fix, .sa_flags = SA_SIGINFO };
  sigaction(SIGSEGV, &action, NULL);
  for (int i = 0; i < 64; i += 7) area[i * 4096 + i] = i;
  long sum = 0;
  for (int i = 0; i < 64; i += 7) sum += area[i * 4096 + i];
  printf("%ld\n", sum);
}

CASE(exec, "executable memory: written, then run; not run without PROT_EXEC") {
  unsigned char code[] = { 0xb8, 42, 0, 0, 0, 0xc3 };
  char *at = anonymous(1);
  memcpy(at, code, sizeof code);
  struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
  sigaction(SIGSEGV, &action, NULL);
  if (sigsetjmp(back, 1) == 0) printf("%d\n", ((int (*)(void))at)());
  else printf("fault code %d\n", fault_code);
  SHOW(mprotect(at, 4096, PROT_READ | PROT_EXEC));
  printf("%d\n", ((int (*)(void))at)());
  SHOW(mprotect(at, 4096, PROT_READ | PROT_WRITE));
  at[1] = 43;
  SHOW(mprotect(at, 4096, PROT_READ | PROT_EXEC));
  printf("%d\n", ((int (*)(void))at)());
}

CASE(overcommit, "the default heuristic: huge reservations yes, obvious overcommit no") {
  SAY(mmap(NULL, 64UL << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);
  SAY(mmap(NULL, 64UL << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);
  SAY(mmap(NULL, 1UL << 45, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
}

CASE(growsdown, "MAP_GROWSDOWN and the stack's guard gap") {
  char *room = mmap(NULL, 4 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  munmap(room, 4 << 20);
  char *stack = mmap(room + (3 << 20), 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
  SAY(stack == room + (3 << 20));
  touch("below", stack - 100, 1);
  touch("further below", stack - 40000, 1);
}

CASE(maps, "/proc/self/maps, smaps and statm agree with what is mapped") {
  char *at = mmap((void *)0x10000000, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  mprotect(at + 4096, 4096, PROT_READ);
  int fd = file_of_pages("file", 2);
  mmap((void *)0x20000000, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 4096);
  char line[512];
  FILE *maps = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, maps)) {
    if (strncmp(line, "10000000", 8) == 0 || strncmp(line, "1000", 4) == 0 && strlen(line) > 40 && line[8] == '-') printf("%.34s\n", line);
    if (strncmp(line, "20000000", 8) == 0) printf("%.34s %s", line, strrchr(line, '/'));
  }
  int stack = 0, heap = 0, vdso = 0;
  malloc(1);
  rewind(maps);
  while (fgets(line, sizeof line, maps)) {
    stack += strstr(line, "[stack]") != NULL;
    heap += strstr(line, "[heap]") != NULL;
    vdso += strstr(line, "[vdso]") != NULL;
  }
  printf("%d %d %d\n", stack, heap, vdso);
  FILE *smaps = fopen("/proc/self/smaps", "r");
  int in = 0;
  at[0] = 1;
  while (fgets(line, sizeof line, smaps)) {
    if (strchr(line, '-') && strchr(line, ':') > strchr(line, '-')) in = strncmp(line, "10000000-", 9) == 0;
    if (in && (strncmp(line, "Size:", 5) == 0 || strncmp(line, "Rss:", 4) == 0 || strncmp(line, "VmFlags:", 8) == 0)) printf("%s", line);
  }
}

CASES_MAIN
