// copy_file_range, sendfile: offsets given or kept, short copies at the end, errnos.
#include "case.h"
#include <sys/sendfile.h>

int main(void) {
  make_file("in", "abcdefghijklmnopqrstuvwxyz");
  int in = open("in", O_RDONLY), out = open("out", O_RDWR | O_CREAT, 0644);
  SHOW(copy_file_range(in, NULL, out, NULL, 5, 0));
  SHOW(lseek(in, 0, SEEK_CUR));
  SHOW(lseek(out, 0, SEEK_CUR));
  off_t from = 20, to = 10;
  SHOW(copy_file_range(in, &from, out, &to, 100, 0));
  printf("%ld %ld\n", (long)from, (long)to);
  SHOW(lseek(in, 0, SEEK_CUR));
  SHOW(copy_file_range(in, &from, out, &to, 100, 0));
  show_file("out");
  SHOW(copy_file_range(out, NULL, in, NULL, 5, 0));
  SHOW(copy_file_range(in, NULL, out, NULL, 5, 1));
  SHOW(copy_file_range(in, NULL, 99, NULL, 5, 0));
  int ends[2];
  pipe(ends);
  SHOW(copy_file_range(in, NULL, ends[1], NULL, 5, 0));
  int dir = open(".", O_RDONLY);
  SHOW(copy_file_range(dir, NULL, out, NULL, 5, 0));
  off_t at = 3;
  SHOW(sendfile(out, in, &at, 4));
  printf("%ld\n", (long)at);
  SHOW(lseek(in, 0, SEEK_CUR));
  SHOW(sendfile(out, in, NULL, 3));
  SHOW(lseek(in, 0, SEEK_CUR));
  show_file("out");
  SHOW(sendfile(ends[1], in, NULL, 100));
  char text[32] = "";
  SHOW(read(ends[0], text, 31));
  puts(text);
  SHOW(sendfile(ends[1], in, NULL, 100));
  SHOW(sendfile(in, out, NULL, 1));
  SHOW(sendfile(out, 99, NULL, 1));
  at = -1;
  SHOW(sendfile(out, in, &at, 1));
  SHOW(sendfile(out, ends[0], &at, 1));
  return 0;
}
