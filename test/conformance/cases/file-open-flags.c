// open(2): flags, the errnos of bad paths and bad combinations, the lowest free descriptor.
#include "case.h"

static char long_name[300], long_path[5000];

int main(void) {
  make_file("file", "hello");
  mkdir("dir", 0755);
  symlink("file", "link");
  symlink("nowhere", "dangling");
  symlink("loop", "loop");
  SHOW(open("missing", O_RDONLY));
  SHOW(open("", O_RDONLY));
  SHOW(open("missing/x", O_RDONLY | O_CREAT, 0644));
  SHOW(open("file/x", O_RDONLY));
  SHOW(open("file/", O_RDONLY));
  SHOW(open("file/.", O_RDONLY));
  SHOW(open("new/", O_WRONLY | O_CREAT, 0644));
  SHOW(open("dir", O_WRONLY));
  SHOW(open("dir", O_RDWR));
  SHOW(open("dir", O_RDONLY | O_CREAT, 0644));
  SHOW(open("file", O_RDONLY | O_DIRECTORY));
  SHOW(open("file", O_CREAT | O_EXCL | O_WRONLY, 0644));
  SHOW(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0644));
  SHOW(open("link", O_RDONLY | O_NOFOLLOW));
  SHOW(open("loop", O_RDONLY));
  SHOW(open("dir", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  SHOW(open((char *)8, O_RDONLY));
  SHOW(open(NULL, O_RDONLY));
  memset(long_name, 'n', 256);
  SHOW(open(long_name, O_RDONLY));
  long_name[255] = 0;
  SHOW(open(long_name, O_RDONLY));
  int fd;
  SHOW(fd = open(long_name, O_CREAT | O_WRONLY, 0600));
  SHOW(close(fd));
  SHOW(unlink(long_name));
  for (int i = 0; i < 4095; i++) long_path[i] = i % 2 ? '/' : '.';
  SHOW(open(long_path, O_RDONLY | O_DIRECTORY));
  memset(long_path, '/', 4096);
  SHOW(open(long_path, O_RDONLY | O_DIRECTORY));
  SHOW(open("dangling", O_CREAT | O_WRONLY, 0644));
  show_file("nowhere");
  SHOW(open("link", O_WRONLY | O_TRUNC));
  show_file("file");
  SHOW(open("link", O_PATH | O_NOFOLLOW));
  char byte;
  SHOW(read(6, &byte, 1));
  SHOW(close(4));
  SHOW(open("file", O_RDONLY));
  SHOW(write(4, "x", 1));
  SHOW(read(5, &byte, 1));
  SHOW(fcntl(5, F_GETFL) & O_ACCMODE);
  SHOW(open("file", O_RDONLY | O_CLOEXEC));
  SHOW(fcntl(7, F_GETFD));
  SHOW(creat("created", 0640));
  struct stat st;
  SHOW(fstat(8, &st));
  printf("%o\n", st.st_mode);
  SHOW(close(99));
  SHOW(close(-1));
  return 0;
}
