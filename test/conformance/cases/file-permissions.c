// Permission checks for an ordinary user: the three bits on files and directories, chmod and chown by who is not the owner.
// uid: 1000
#include "case.h"

int main(void) {
  SHOW(getuid());
  SHOW(geteuid());
  make_file("file", "x");
  struct stat st;
  SHOW(chmod("file", 0));
  SHOW(open("file", O_RDONLY));
  SHOW(open("file", O_WRONLY));
  SHOW(chmod("file", 0200));
  SHOW(open("file", O_RDONLY));
  SHOW(open("file", O_WRONLY));
  SHOW(open("file", O_RDWR));
  SHOW(chmod("file", 0077));
  SHOW(open("file", O_RDONLY));
  SHOW(truncate("file", 0));
  SHOW(chmod("file", 0644));
  char *argv[] = { "file", NULL };
  SHOW(execv("./file", argv));
  mkdir("dir", 0755);
  make_file("dir/in", "y");
  SHOW(chmod("dir", 0600));
  SHOW(stat("dir/in", &st));
  SHOW(open("dir/in", O_RDONLY));
  SHOW(open("dir", O_RDONLY));
  SHOW(chmod("dir", 0300));
  SHOW(open("dir", O_RDONLY));
  SHOW(stat("dir/in", &st));
  SHOW(open("dir/new", O_CREAT | O_WRONLY, 0600));
  SHOW(chmod("dir", 0500));
  SHOW(open("dir/new2", O_CREAT | O_WRONLY, 0600));
  SHOW(unlink("dir/in"));
  SHOW(rename("dir/in", "out"));
  SHOW(mkdir("dir/sub", 0700));
  SHOW(symlink("x", "dir/sym"));
  SHOW(link("file", "dir/hard"));
  SHOW(open("dir/in", O_WRONLY | O_TRUNC));
  SHOW(chmod("dir", 0700));
  SHOW(chown("file", 0, -1));
  SHOW(chown("file", 1000, 1000));
  SHOW(chown("file", -1, -1));
  SHOW(chown("file", -1, 0));
  SHOW(chmod("/etc/passwd", 0666));
  SHOW(open("/etc/passwd", O_WRONLY));
  SHOW(unlink("/etc/passwd"));
  SHOW(mkdir("/usr/newdir", 0755));
  SHOW(rename("/etc/passwd", "/etc/passwd2"));
  SHOW(open("/root/x", O_RDONLY));
  SHOW(setuid(0));
  SHOW(setgid(0));
  SHOW(chroot("."));
  return 0;
}
