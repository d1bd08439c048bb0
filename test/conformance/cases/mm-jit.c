// Generated code: W^X by mprotect, two views of one memfd, changing code in place, no execute permission.
#include "case.h"

typedef int (*function)(int);
/* mov eax, immediate; add eax, edi; ret */
static void emit(char *at, int immediate) {
  at[0] = 0xb8;
  memcpy(at + 1, &immediate, 4);
  memcpy(at + 5, "\x01\xf8\xc3", 3);
}

static sigjmp_buf env;
static volatile int code;
static void *volatile address;
static void handler(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)context;
  code = info->si_code;
  address = info->si_addr;
  siglongjmp(env, 1);
}

int main(void) {
  struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
  sigaction(SIGSEGV, &action, NULL);
  char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  emit(page, 40);
  if (sigsetjmp(env, 1)) printf("not executable: code %d at the page %d\n", code, address == page);
  else ((function)page)(1);
  SHOW(mprotect(page, 4096, PROT_READ | PROT_EXEC));
  printf("%d\n", ((function)page)(2));
  if (sigsetjmp(env, 1)) printf("not writable: code %d\n", code);
  else emit(page, 50);
  int right = 1;
  for (int i = 0; i < 200; i++) {
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
    emit(page, i);
    mprotect(page, 4096, PROT_READ | PROT_EXEC);
    right &= ((function)page)(1000) == 1000 + i;
  }
  SAY(right);
  int fd = memfd_create("code", 0);
  ftruncate(fd, 4096);
  char *writable = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  char *executable = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
  right = 1;
  for (int i = 0; i < 100; i++) {
    emit(writable, i * 3);
    right &= ((function)executable)(7) == 7 + i * 3;
  }
  SAY(right);
  char *both = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  emit(both, 5);
  printf("%d\n", ((function)both)(5));
  IN_CHILD("child", { emit(both, 6); printf("%d\n", ((function)both)(6)); });
  printf("%d\n", ((function)both)(5));
  munmap(both, 4096);
  if (sigsetjmp(env, 1)) printf("unmapped code: code %d\n", code);
  else ((function)both)(1);
  return 0;
}
