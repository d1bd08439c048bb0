// FICLONE on a file system without shared blocks, as cp --reflink asks; terminal and tape commands on what is neither.
#include "case.h"
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <termios.h>

int main(void) {
  make_file("in", "some text");
  int in = open("in", O_RDONLY), out = open("out", O_RDWR | O_CREAT, 0644), wronly = open("w", O_WRONLY | O_CREAT, 0644);
  SHOW(ioctl(out, FICLONE, in));
  SHOW(ioctl(out, FICLONE, 99));
  SHOW(ioctl(99, FICLONE, in));
  SHOW(ioctl(in, FICLONE, out));
  SHOW(ioctl(out, FICLONE, wronly));
  int append = open("out", O_WRONLY | O_APPEND);
  SHOW(ioctl(append, FICLONE, in));
  int dir = open(".", O_RDONLY);
  SHOW(ioctl(out, FICLONE, dir));
  int ends[2];
  pipe(ends);
  SHOW(ioctl(ends[1], FICLONE, ends[0]));
  SHOW(ioctl(out, FICLONE, ends[0]));
  int path = open("in", O_PATH);
  SHOW(ioctl(out, FICLONE, path));
  struct file_clone_range range = { .src_fd = in };
  SHOW(ioctl(out, FICLONERANGE, &range));
  SHOW(ioctl(out, FICLONERANGE, (void *)8));
  struct termios term;
  int pgrp = getpgrp();
  SHOW(ioctl(out, TCSETSW, &term));
  SHOW(ioctl(out, TIOCSPGRP, &pgrp));
  SHOW(ioctl(ends[0], TIOCSCTTY, 0));
  SHOW(ioctl(out, 0x40086d01, &term));
  show_file("out");
  return 0;
}
