// flock(2): shared and exclusive, belongs to the open file description, released by close, blocks and wakes.
#include "case.h"
#include <sys/file.h>

int main(void) {
  make_file("file", "");
  int a = open("file", O_RDWR), b = open("file", O_RDONLY), copy = dup(a);
  SHOW(flock(a, LOCK_SH));
  SHOW(flock(b, LOCK_SH));
  SHOW(flock(a, LOCK_EX | LOCK_NB));
  SHOW(flock(b, LOCK_UN));
  SHOW(flock(a, LOCK_EX | LOCK_NB));
  SHOW(flock(copy, LOCK_EX | LOCK_NB));
  SHOW(flock(b, LOCK_SH | LOCK_NB));
  IN_CHILD("inherited", { SHOW(flock(a, LOCK_EX | LOCK_NB)); SHOW(flock(b, LOCK_EX | LOCK_NB)); });
  SHOW(close(a));
  SHOW(flock(b, LOCK_SH | LOCK_NB));
  pid_t child = fork();
  if (child == 0) {
    close(copy);
    int result = flock(b, LOCK_EX);
    printf("child has it: %d\n", result);
    _exit(0);
  }
  sleep_ms(50);
  printf("closing\n");
  close(copy);
  waitpid(child, NULL, 0);
  SHOW(flock(b, 0));
  SHOW(flock(99, LOCK_SH));
  SHOW(flock(b, LOCK_EX | LOCK_NB));
  int ends[2];
  pipe(ends);
  SHOW(flock(ends[0], LOCK_SH | LOCK_NB));
  return 0;
}
