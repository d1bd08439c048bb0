// O_APPEND: every write goes to the end, also after lseek, by pwrite, from two descriptors, and when set by fcntl.
#include "case.h"

int main(void) {
  int a, b;
  make_file("log", "start\n");
  SHOW(a = open("log", O_RDWR | O_APPEND));
  SHOW(lseek(a, 0, SEEK_CUR));
  SHOW(write(a, "one\n", 4));
  SHOW(lseek(a, 0, SEEK_CUR));
  SHOW(lseek(a, 0, SEEK_SET));
  SHOW(write(a, "two\n", 4));
  SHOW(b = open("log", O_WRONLY | O_APPEND));
  SHOW(write(b, "three\n", 6));
  SHOW(write(a, "four\n", 5));
  SHOW(pwrite(a, "five\n", 5, 0));
  SHOW(lseek(a, 0, SEEK_CUR));
  show_file("log");
  int c;
  SHOW(c = open("log", O_WRONLY));
  SHOW(write(c, "START", 5));
  SHOW(fcntl(c, F_SETFL, O_APPEND));
  SHOW(fcntl(c, F_GETFL) & O_APPEND ? 1 : 0);
  SHOW(write(c, "six\n", 4));
  SHOW(fcntl(c, F_SETFL, 0));
  SHOW(lseek(c, 0, SEEK_SET));
  SHOW(write(c, "s", 1));
  show_file("log");
  SHOW(ftruncate(a, 3));
  SHOW(write(a, "!", 1));
  show_file("log");
  return 0;
}
