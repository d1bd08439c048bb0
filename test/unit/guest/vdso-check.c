// Maps the vDSO image as the kernel does, with a vvar page of its own, looks the functions up as glibc does (DT_HASH, version
// LINUX_2.6) and compares what they say with the host. Arguments: image file, offset of the monotonic offset, of the vvar address.
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

struct vvar { uint32_t seq, mode; uint64_t base; uint32_t mult, shift; uint64_t monotonic, realtime; uint32_t generation; };
static volatile struct vvar *vvar;
static int failures;
#define CHECK(condition) do { if (!(condition)) { failures++; printf("failed: line %d: %s\n", __LINE__, #condition); } } while (0)

static void *lookup(char *image, const char *name) {
  Elf64_Ehdr *header = (void *)image;
  Elf64_Phdr *program = (void *)(image + header->e_phoff);
  Elf64_Dyn *dynamic = NULL;
  for (int i = 0; i < header->e_phnum; i++) if (program[i].p_type == PT_DYNAMIC) dynamic = (void *)(image + program[i].p_vaddr);
  uint32_t *hash = NULL;
  Elf64_Sym *symbols = NULL;
  char *strings = NULL;
  uint16_t *versions = NULL;
  for (; dynamic->d_tag != DT_NULL; dynamic++) {
    char *at = image + dynamic->d_un.d_ptr;
    if (dynamic->d_tag == DT_HASH) hash = (void *)at;
    if (dynamic->d_tag == DT_SYMTAB) symbols = (void *)at;
    if (dynamic->d_tag == DT_STRTAB) strings = at;
    if (dynamic->d_tag == DT_VERSYM) versions = (void *)at;
  }
  uint32_t h = 0;
  for (const char *c = name; *c; c++) { h = (h << 4) + *c; h = (h ^ (h & 0xf0000000) >> 24) & ~(h & 0xf0000000); }
  for (uint32_t i = hash[2 + h % hash[0]]; i; i = hash[2 + hash[0] + i])
    if (!strcmp(strings + symbols[i].st_name, name) && versions[i] == 2) return image + symbols[i].st_value;
  printf("failed: no %s\n", name);
  exit(1);
}

static void *finish_write(void *unused) {
  usleep(20000);
  vvar->realtime = 77000000000ull;
  __atomic_store_n(&vvar->seq, 4, __ATOMIC_RELEASE);
  return unused;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  char *image = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int fd = open(argv[1], O_RDONLY);
  if (read(fd, image, 8192) <= 0) return 2;
  vvar = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int64_t *offset = (void *)(image + atoi(argv[2]));
  *(uint64_t *)(image + atoi(argv[3])) = (uint64_t)vvar;
  mprotect(image, 8192, PROT_READ | PROT_EXEC);
  int (*gettime)(int, struct timespec *) = lookup(image, "__vdso_clock_gettime");
  int (*getres)(int, struct timespec *) = lookup(image, "__vdso_clock_getres");
  int (*timeofday)(struct timeval *, struct timezone *) = lookup(image, "__vdso_gettimeofday");
  time_t (*seconds)(time_t *) = lookup(image, "__vdso_time");
  long (*cpu)(unsigned *, unsigned *, void *) = lookup(image, "__vdso_getcpu");
  struct timespec a, b, c;
  struct timeval tv;
  struct timezone tz = { 5, 5 };
  time_t t = 0;

  /* mode 0: everything is a system call */
  for (int clock = 0; clock < 8; clock++) {
    clock_gettime(clock, &a);
    CHECK(gettime(clock, &b) == 0);
    clock_gettime(clock, &c);
    CHECK(a.tv_sec * 1000000000 + a.tv_nsec <= b.tv_sec * 1000000000 + b.tv_nsec);
    CHECK(b.tv_sec * 1000000000 + b.tv_nsec <= c.tv_sec * 1000000000 + c.tv_nsec);
  }
  CHECK(gettime(10, &a) == -22 && gettime(99, &a) == -22 && gettime(-1, &a) == -22);
  CHECK(timeofday(&tv, &tz) == 0 && labs(tv.tv_sec - time(NULL)) <= 1);
  CHECK(seconds(&t) == t && labs(t - time(NULL)) <= 1);

  /* exact values: mult 0 stops the clock at its base */
  vvar->mode = 1;
  vvar->base = 0;
  vvar->monotonic = 12000000034ull;
  vvar->realtime = 1700000000999999999ull;
  tz.tz_minuteswest = 5;
  int monotonic[] = { 1, 4, 6, 7 };
  for (int i = 0; i < 4; i++) CHECK(gettime(monotonic[i], &a) == 0 && a.tv_sec == 12 && a.tv_nsec == 34);
  CHECK(gettime(0, &a) == 0 && a.tv_sec == 1700000000 && a.tv_nsec == 999999999);
  CHECK(gettime(5, &a) == 0 && a.tv_sec == 1700000000 && a.tv_nsec == 999999999);
  CHECK(timeofday(&tv, &tz) == 0 && tv.tv_sec == 1700000000 && tv.tv_usec == 999999 && tz.tz_minuteswest == 0);
  CHECK(timeofday(NULL, NULL) == 0);
  CHECK(seconds(&t) == 1700000000 && t == 1700000000 && seconds(NULL) == 1700000000);
  CHECK(gettime(99, &a) == -22 && gettime(-1, &a) == -22);
  CHECK(gettime(2, &a) == 0 && a.tv_sec < 5); /* CPU time: still the kernel's */

  /* the sandbox's own offset moves monotonic clocks only */
  mprotect(image, 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
  *offset = -2000000000;
  CHECK(gettime(1, &a) == 0 && a.tv_sec == 10 && a.tv_nsec == 34);
  CHECK(gettime(0, &a) == 0 && a.tv_sec == 1700000000);
  *offset = 3600000000000;
  CHECK(gettime(7, &a) == 0 && a.tv_sec == 3612 && a.tv_nsec == 34);
  *offset = 0;

  /* a base in the future is the time itself; 128-bit product */
  vvar->mult = 1u << 31;
  vvar->shift = 1;
  vvar->base = ~0ull;
  CHECK(gettime(1, &a) == 0 && a.tv_sec == 12 && a.tv_nsec == 34);
  vvar->base = 0;
  vvar->shift = 31;
  uint64_t low = __rdtsc();
  gettime(1, &a);
  uint64_t high = __rdtsc(), ns = a.tv_sec * 1000000000ull + a.tv_nsec - 12000000034ull;
  CHECK(low <= ns && ns <= high);

  /* a reader waits while the page is being written */
  pthread_t writer;
  vvar->mult = 0;
  vvar->seq = 3;
  pthread_create(&writer, NULL, finish_write, NULL);
  CHECK(gettime(0, &a) == 0 && a.tv_sec == 77 && a.tv_nsec == 0);
  pthread_join(writer, NULL);

  unsigned where = 9, node = 9;
  CHECK(cpu(&where, &node, NULL) == 0 && where == 0 && node == 0 && cpu(NULL, NULL, NULL) == 0);
  CHECK(getres(1, &a) == 0 && a.tv_sec == 0 && a.tv_nsec == 1 && getres(0, NULL) == 0 && getres(99, &a) == -22);
  CHECK(getres(6, &a) == 0 && a.tv_nsec > 1);
  if (!failures) printf("ok\n");
  return failures != 0;
}
