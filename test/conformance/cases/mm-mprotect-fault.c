// A SIGSEGV handler that gives the missing permission and lets the instruction run again, thousands of times.
// link: both
#include "case.h"

static char *area;
static volatile int faults;
static volatile int last_code, outside;

static void repair(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)context;
  char *page = (char *)((uintptr_t)info->si_addr & ~4095UL);
  if (page < area || page >= area + 2000 * 4096) {
    outside++;
    _exit(9);
  }
  faults++;
  last_code = info->si_code;
  mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

int main(void) {
  struct sigaction action = { .sa_sigaction = repair, .sa_flags = SA_SIGINFO };
  sigaction(SIGSEGV, &action, NULL);
  area = mmap(NULL, 2000 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < 2000; i += 2) area[i * 4096 + 7] = i;
  printf("faults %d code is ACCERR: %d\n", faults, last_code == SEGV_ACCERR);
  for (int i = 0; i < 2000; i += 2) area[i * 4096 + 8] = 1;
  printf("faults %d\n", faults);
  SHOW(mprotect(area, 2000 * 4096, PROT_READ));
  int sum = 0;
  for (int i = 0; i < 2000; i++) sum += area[i * 4096 + 8];
  printf("sum %d faults %d\n", sum, faults);
  for (int i = 0; i < 2000; i += 500) area[i * 4096] = 1;
  printf("faults %d\n", faults);
  SHOW(mprotect(area, 2000 * 4096, PROT_NONE));
  sum = 0;
  for (int i = 0; i < 20; i++) sum += area[i * 4096 + 8];
  printf("sum %d faults %d\n", sum, faults);
  return 0;
}
