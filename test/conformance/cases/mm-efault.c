// System calls that meet the end of a mapping: partial transfers, EFAULT, nothing lost from pipes.
#include "case.h"
#include <sys/random.h>
#include <sys/utsname.h>

int main(void) {
  char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(page + 4096, 4096, PROT_NONE);
  char *end = page + 4096;
  int fd = open("file", O_RDWR | O_CREAT, 0644), ends[2];
  memset(page, 'p', 4096);
  SHOW(write(fd, end - 10, 10));
  SHOW(write(fd, end - 10, 20));
  SHOW(write(fd, end, 20));
  lseek(fd, 0, SEEK_SET);
  SHOW(read(fd, end, 5));
  SHOW(lseek(fd, 0, SEEK_CUR));
  SHOW(pread(fd, end - 4, 4, 0));
  char *readonly = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  SHOW(pread(fd, readonly, 4, 0));
  pipe(ends);
  SHOW(write(ends[1], "precious", 8));
  SHOW(read(ends[0], end, 8));
  SHOW(read(ends[0], page, 8));
  SHOW(write(ends[1], end, 8));
  strcpy(end - 5, "file");
  SHOW(access(end - 5, F_OK));
  memcpy(end - 4, "file", 4);
  SHOW(access(end - 4, F_OK));
  struct stat st;
  SHOW(stat("file", (struct stat *)(end - 8)));
  SHOW(fstat(fd, (struct stat *)readonly));
  SHOW(uname((struct utsname *)(end - 8)));
  SHOW(pipe((int *)(end - 4)));
  SHOW(syscall(SYS_gettimeofday, end, NULL));
  SHOW(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, readonly));
  SHOW(nanosleep((void *)end, NULL));
  SHOW(getrandom(end - 4, 8, 0));
  SHOW(getrandom(end, 8, 0));
  SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, end, NULL, 8));
  SHOW(syscall(SYS_rt_sigaction, SIGUSR1, end, NULL, 8));
  SHOW(syscall(SYS_futex, end, 0, 0, NULL));
  SHOW(syscall(SYS_futex, page + 1, 0, 0, NULL));
  SHOW(syscall(SYS_wait4, -1, end, 0, NULL));
  SHOW(syscall(SYS_poll, end, 1, 0));
  SHOW(syscall(SYS_execve, end, NULL, NULL));
  SHOW(syscall(SYS_execve, "/bin/true", end, NULL));
  SHOW(syscall(SYS_getcwd, end - 1, 100));
  SHOW(syscall(SYS_readlink, "/proc/self/exe", end, 100));
  SHOW(syscall(SYS_write, fd, (void *)0xffffffffff600000, 8));
  SHOW(syscall(SYS_write, fd, (void *)-8L, 16));
  SHOW(syscall(SYS_read, fd, (void *)0x7ffffffff000, 8));
  return 0;
}
