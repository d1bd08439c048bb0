// A file removed while open or mapped stays usable; names can be taken again; unlink and rmdir errnos.
#include "case.h"

int main(void) {
  make_file("file", "still here");
  int fd = open("file", O_RDWR);
  SHOW(unlink("file"));
  SHOW(unlink("file"));
  struct stat st;
  fstat(fd, &st);
  printf("nlink %ld\n", (long)st.st_nlink);
  char text[32] = "";
  SHOW(pread(fd, text, 10, 0));
  puts(text);
  SHOW(pwrite(fd, "STILL", 5, 0));
  char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  make_file("file", "another");
  close(fd);
  printf("%.10s\n", map);
  map[0] = 's';
  printf("%.10s\n", map);
  show_file("file");
  mkdir("dir", 0755);
  make_file("dir/x", "");
  SHOW(unlink("dir"));
  SHOW(rmdir("dir"));
  SHOW(rmdir("file"));
  SHOW(rmdir("missing"));
  SHOW(rmdir("dir/."));
  SHOW(rmdir("."));
  SHOW(rmdir("dir/.."));
  SHOW(unlink(""));
  SHOW(unlink("file/"));
  SHOW(unlink("dir/x/y"));
  SHOW(unlinkat(AT_FDCWD, "dir", 0));
  SHOW(unlinkat(AT_FDCWD, "file", AT_REMOVEDIR));
  SHOW(unlinkat(AT_FDCWD, "file", 1));
  SHOW(unlink("dir/x"));
  int dir = open("dir", O_RDONLY);
  SHOW(rmdir("dir/"));
  SHOW(openat(dir, "y", O_CREAT | O_WRONLY, 0644));
  fstat(dir, &st);
  printf("nlink %ld\n", (long)st.st_nlink);
  DIR *list = fdopendir(dir);
  SAY(readdir(list) == NULL);
  SHOW(symlink("missing", "soft"));
  SHOW(unlink("soft"));
  SHOW(access("soft", F_OK));
  return 0;
}
