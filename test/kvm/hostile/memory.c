// Mappings in every corner; each line of stdout is a fact that must hold.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static double now() { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static double t0;
static void did(const char *what) { double t = now(); if (t - t0 > 0.3) fprintf(stderr, "%s: %.1f s\n", what, t - t0); t0 = now(); }
static const uint64_t A[] = { 0, 4096, 65536, 1ull << 30, 1ull << 46, (1ull << 47) - 4096, 1ull << 47, 0x7fffffe00000, 0x7fffffdff000, 0x7ffffffff000, 0x7fffffffe000, 0xffff800000000000, -4096ull, 1ull << 63, -1ull, 0x7ffffffffffff000 };
int main(int argc, char **argv) {
  int n = sizeof A / sizeof *A;
  t0 = now();
  // each pair in a child, for some remove the program itself
  for (int i = 0; i < n; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      for (int k = 0; k < n; k++) {
        for (int f = 0; f < 6; f++) {
          uint64_t flags[] = { 0x22, 0x32, 0x100022, 0x21, 0x31, 0x4022 | 0x8000 };
          syscall(SYS_mmap, A[i], A[k], f & 1 ? 3 : 1, flags[f] & ~0x10, -1, 0);
        }
        char *p = mmap(0, 65536, 3, 34, -1, 0);
        syscall(SYS_mremap, p, 65536, A[k], 1, 0); syscall(SYS_mremap, p, A[k], 65536, 1, 0); syscall(SYS_mremap, p, 4096, A[k], 3, A[i]);
        syscall(SYS_mremap, A[i], A[k], 4096, 1, 0); syscall(SYS_mremap, p, 0, A[k], 1, 0); syscall(SYS_mremap, p, A[k], A[k], 5, A[i]);
        syscall(SYS_brk, A[k]); syscall(SYS_brk, A[i] + A[k]);
        for (int adv = 0; adv < 26; adv++) if (adv != 4 && adv != 8 && adv != 9 && adv != 24) syscall(SYS_madvise, A[i], A[k], adv);
        syscall(SYS_mlock, A[i], A[k]); syscall(SYS_munlock, A[i], A[k]); syscall(SYS_mlock2, A[i], A[k], 1);
        syscall(SYS_mincore, A[i], A[k], p); syscall(SYS_msync, A[i], A[k], 4);
        syscall(SYS_mbind, A[i], A[k], 0, 0, 0, 0);
      }
      _exit(0);
    }
    int st; waitpid(pid, &st, 0);
    if (!WIFEXITED(st)) fprintf(stderr, "pair child %d: signal %d\n", i, WTERMSIG(st));
  }
  printf("pairs done\n"); t0 = now();
  // destroying everything
  for (int i = 0; i < 6; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      if (i == 0) syscall(SYS_munmap, 0, 0x7ffffffff000);
      if (i == 1) syscall(SYS_mmap, 65536, 0x7fffffdf0000 - 65536, 3, 0x4032, -1, 0);
      if (i == 2) syscall(SYS_mprotect, 65536, 0x7fffffdf0000 - 65536, 0);
      if (i == 3) { char *p = mmap(0, 4096, 3, 34, -1, 0); syscall(SYS_mremap, p, 4096, 4096, 3, (uint64_t)&i & ~4095ull); }
      if (i == 4) syscall(SYS_mremap, 0x400000, 0x7fffff000000, 4096, 3, 0x100000000);
      if (i == 5) syscall(SYS_madvise, 0, 0x7ffffffff000, MADV_DONTNEED);
      _exit(0);
    }
    int st; waitpid(pid, &st, 0); did("destroy");
  }
  printf("destroyed\n");
  // huge promises
  char *big = mmap(0, 1ull << 45, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  did("map 32 TB"); madvise(big, 1ull << 45, MADV_POPULATE_READ); did("populate read");
  madvise(big, 1ull << 45, MADV_DONTNEED); did("dontneed");
  mincore(big, 1ull << 45, (void *)big); did("mincore");
  madvise(big, 1ull << 45, MADV_POPULATE_WRITE); did("populate write"); mprotect(big, 1ull << 45, 3); did("mprotect"); mlock(big, 1ull << 45); did("mlock");
  int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
  if (ftruncate(fd, 1ll << 62) == 0) printf("a file of 2^62 bytes\n"); ftruncate(fd, 1ll << 51); did("truncate");
  char *file = mmap(0, 1ull << 40, 3, MAP_SHARED, fd, 0); madvise(file, 1ull << 40, MADV_POPULATE_READ); did("populate file"); madvise(file, 1ull << 40, MADV_POPULATE_WRITE); did("populate file w");
  mlockall(3); did("mlockall"); munlockall(); did("munlockall");
  struct timespec ts; lseek(fd, 1ll << 50, SEEK_DATA); lseek(fd, 0, SEEK_HOLE); did("seek");
  fallocate(fd, 0, 0, 1ll << 50); did("fallocate"); fallocate(fd, 3, 0, 1ll << 50); did("punch"); fallocate(fd, 0, 0, 2000ll << 20); did("fallocate 2G");
  munmap(file, 1ull << 40); munmap(big, 1ull << 45); did("munmap");
  ftruncate(fd, 0); did("truncate 0"); ftruncate(fd, 1ll << 51);
  // read and write as much as one call moves
  char *buf = malloc(2 << 20); memset(buf, 1, 2 << 20);
  struct iovec { void *b; size_t l; } iov[1024]; for (int i = 0; i < 1024; i++) iov[i].b = buf, iov[i].l = 2 << 20;
  int zero = open("/dev/zero", O_RDWR), null = open("/dev/null", O_RDWR), rnd = open("/dev/urandom", O_RDONLY), full = open("/dev/full", O_RDWR);
  syscall(SYS_readv, fd, iov, 1024); did("readv sparse"); syscall(SYS_readv, zero, iov, 1024); did("readv zero"); syscall(SYS_readv, rnd, iov, 1024); did("readv urandom");
  syscall(SYS_writev, null, iov, 1024); did("writev null"); syscall(SYS_writev, zero, iov, 1024); did("writev zero");
  lseek(fd, 0, 0); syscall(SYS_sendfile, null, fd, 0, 1ll << 40); did("sendfile"); syscall(SYS_sendfile, null, zero, 0, 1ll << 40); did("sendfile zero");
  int fd2 = open("/tmp", O_TMPFILE | O_RDWR, 0600); lseek(fd, 0, 0); syscall(SYS_copy_file_range, fd, 0, fd2, 0, 1ll << 40, 0); did("copy_file_range");
  for (int i = 0; i < 1024; i++) iov[i].l = 1ull << 31; syscall(SYS_readv, fd, iov, 1024); did("readv 2^31"); syscall(SYS_getrandom, buf, 1ull << 31, 0); did("getrandom");
  syscall(SYS_process_vm_readv, getpid(), iov, 1024, iov, 1024, 0); did("process_vm_readv");
  int p = 0; syscall(SYS_poll, buf, 1 << 20, 0); syscall(SYS_select, 1 << 30, buf, buf, buf, iov); did("poll"); syscall(SYS_getdents64, open("/usr/bin", O_RDONLY), buf, -1); did("getdents");
  char *maps = malloc(1 << 20); for (int i = 0; i < 8000; i++) mmap((void *)(0x200000000000 + i * 8192l), 4096, 1 + (i & 2), 0x32, -1, 0); did("8000 maps");
  const char *names[] = { "/proc/self/maps", "/proc/self/smaps", "/proc/self/status", "/proc/self/smaps_rollup", "/proc/self/cmdline", "/proc/self/environ", "/proc/self/numa_maps", "/proc/self/pagemap", "/proc/self/mem", 0 };
  for (int i = 0; names[i]; i++) { int f = open(names[i], O_RDONLY); long r, total = 0; for (int k = 0; k < 200 && (r = read(f, maps, 1 << 20)) > 0; k++) total += r; did(names[i]); pread(f, maps, 100, 1ll << 62); pread(f, maps, 4096, 1ll << 53); lseek(f, -1, SEEK_END); lseek(f, 1ll << 62, 1); read(f, maps, 100); close(f); did("odd reads"); }
  printf("done\n");
  return 0;
}
