// fork(2) and memory: private pages are copies, shared ones are one, in both directions and over generations; munmap in the child.
#include "case.h"

int main(void) {
  enum { PAGES = 600 };
  char *private = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < PAGES; i++) private[i * 4096] = i;
  static int global = 1;
  int local = 2;
  pid_t child = fork();
  if (child == 0) {
    global = 10;
    local = 20;
    for (int i = 0; i < PAGES; i += 2) private[i * 4096] = 99;
    shared[0] = 30;
    while (!__atomic_load_n(&shared[1], __ATOMIC_SEQ_CST)) sched_yield();
    int sum = 0;
    for (int i = 0; i < PAGES; i++) sum += private[i * 4096];
    printf("child: %d %d %d\n", global, local, sum);
    _exit(0);
  }
  while (!__atomic_load_n(&shared[0], __ATOMIC_SEQ_CST)) sched_yield();
  for (int i = 1; i < PAGES; i += 2) private[i * 4096] = 77;
  global = 100;
  __atomic_store_n(&shared[1], 1, __ATOMIC_SEQ_CST);
  waitpid(child, NULL, 0);
  int sum = 0;
  for (int i = 0; i < PAGES; i++) sum += private[i * 4096];
  printf("parent: %d %d %d\n", global, local, sum);
  IN_CHILD("unmaps", munmap(private, PAGES * 4096); shared[2] = 5);
  printf("%d %d\n", private[4096], shared[2]);
  for (int depth = 0; depth < 5; depth++) {
    global++;
    pid_t next = fork();
    if (next) {
      int status;
      waitpid(next, &status, 0);
      printf("depth %d global %d status %d\n", depth, global, WEXITSTATUS(status));
      if (depth) _exit(depth);
      break;
    }
    if (depth == 4) {
      printf("deepest: %d\n", global);
      _exit(42);
    }
  }
  int ok = 0;
  for (int i = 0; i < 60; i++) {
    pid_t id = fork();
    if (!id) {
      private[i * 4096] = 1;
      _exit(private[i * 4096 + 4096] == 77 || i % 2);
    }
    int status;
    waitpid(id, &status, 0);
    ok += WEXITSTATUS(status);
  }
  printf("%d\n", ok);
  return 0;
}
