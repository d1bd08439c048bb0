// Touching a mapped file beyond its end is SIGBUS, after truncation too; system calls get EFAULT; growing makes it valid.
#include "case.h"

static sigjmp_buf env;
static volatile int signo, code;
static void *volatile address;

static void handler(int number, siginfo_t *info, void *context) {
  (void)context;
  signo = number;
  code = info->si_code;
  address = info->si_addr;
  siglongjmp(env, 1);
}

static void touch(const char *what, volatile char *at, bool is_write) {
  if (sigsetjmp(env, 1)) printf("%s: SIG%s code %d address right %d\n", what, sigabbrev_np(signo), code, address == (void *)at);
  else {
    if (is_write) *at = 1;
    else (void)*at;
    printf("%s: ok\n", what);
  }
}

int main(void) {
  struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
  int fd = open("file", O_RDWR | O_CREAT, 0644);
  ftruncate(fd, 5000);
  char *map = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  char *private = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  touch("in the file", map + 4999, true);
  touch("last page", map + 8191, false);
  touch("beyond, read", map + 8192, false);
  touch("beyond, write", map + 12288, true);
  touch("beyond, private", private + 8192, true);
  SHOW(write(fd, map + 8192, 1));
  int ends[2];
  pipe(ends);
  SHOW(write(ends[1], map + 8190, 10));
  private[5] = 'p';
  ftruncate(fd, 0);
  touch("truncated", map, false);
  touch("truncated, private and changed", private + 5, false);
  ftruncate(fd, 16384);
  touch("grown", map + 12288, true);
  touch("unmapped", (char *)0x1234, false);
  munmap(map, 4096);
  touch("after munmap", map, true);
  char *readonly = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  touch("read-only", readonly, true);
  if (sigsetjmp(env, 1)) printf("non-canonical: SIG%s code %d address %p\n", sigabbrev_np(signo), code, address);
  else *(volatile char *)0x8000000000000000 = 1;
  return 0;
}
