// The *at calls: relative to a directory, to a file, to nothing; O_PATH descriptors; mknodat and FIFOs.
#include "case.h"

int main(void) {
  mkdir("dir", 0755);
  make_file("dir/file", "content");
  int dir = open("dir", O_PATH | O_DIRECTORY), file = open("dir/file", O_RDONLY), fd;
  char text[32] = "";
  SHOW(fd = openat(dir, "file", O_RDONLY));
  SHOW(read(fd, text, 31));
  SHOW(openat(file, "x", O_RDONLY));
  SHOW(openat(99, "x", O_RDONLY));
  SHOW(openat(99, "/dev/null", O_RDONLY));
  SHOW(openat(dir, "", O_RDONLY));
  SHOW(openat(dir, "../dir/file", O_RDONLY));
  SHOW(mkdirat(dir, "sub", 0755));
  SHOW(symlinkat("file", dir, "link"));
  SHOW(readlinkat(dir, "link", text, 31));
  SHOW(linkat(dir, "file", dir, "hard", 0));
  SHOW(renameat(dir, "hard", AT_FDCWD, "moved"));
  SHOW(unlinkat(dir, "sub", AT_REMOVEDIR));
  SHOW(unlinkat(dir, "link", 0));
  SHOW(mknodat(dir, "node", S_IFREG | 0600, 0));
  SHOW(mknodat(dir, "node", S_IFREG | 0600, 0));
  SHOW(mknodat(dir, "folder", S_IFDIR | 0600, 0));
  SHOW(mknod("fifo", S_IFIFO | 0600, 0));
  SHOW(open("fifo", O_WRONLY | O_NONBLOCK));
  SHOW(read(dir, text, 1));
  SHOW(write(dir, text, 1));
  SHOW(fchmod(dir, 0700));
  struct stat st;
  SHOW(fstat(dir, &st));
  printf("%o\n", st.st_mode);
  SHOW(fcntl(dir, F_GETFL) & O_PATH ? 1 : 0);
  pid_t child = fork();
  if (child == 0) {
    int out = open("fifo", O_WRONLY);
    write(out, "through the fifo", 16);
    _exit(7);
  }
  int in = open("fifo", O_RDONLY);
  int length = read(in, text, 31);
  printf("%.*s\n", length, text);
  SHOW(read(in, text, 31));
  int status;
  waitpid(child, &status, 0);
  show_status("writer", status);
  return 0;
}
