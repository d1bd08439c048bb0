// O_TMPFILE and memfd_create: nameless files, linking one in, seals.
#include "case.h"

int main(void) {
  int fd;
  SHOW(fd = open(".", O_TMPFILE | O_RDWR, 0640));
  struct stat st;
  SHOW(write(fd, "nameless", 8));
  fstat(fd, &st);
  printf("nlink %ld mode %o size %ld\n", (long)st.st_nlink, st.st_mode, (long)st.st_size);
  DIR *dir = opendir(".");
  int entries = 0;
  while (readdir(dir)) entries++;
  closedir(dir);
  char path[64];
  sprintf(path, "/proc/self/fd/%d", fd);
  int link_result = linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW);
  printf("linkat %d\n", link_result);
  show_file("named");
  fstat(fd, &st);
  printf("nlink %ld\n", (long)st.st_nlink);
  SHOW(open(".", O_TMPFILE | O_RDONLY, 0600));
  SHOW(open("missing", O_TMPFILE | O_RDWR, 0600));
  SHOW(open("named", O_TMPFILE | O_RDWR, 0600));
  int memory;
  SHOW(memory = memfd_create("name", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  SHOW(fcntl(memory, F_GETFD));
  SHOW(ftruncate(memory, 100));
  SHOW(pwrite(memory, "abc", 3, 50));
  fstat(memory, &st);
  printf("%o %ld\n", st.st_mode & S_IFMT, (long)st.st_size);
  SHOW(fcntl(memory, F_GET_SEALS));
  SHOW(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
  SHOW(ftruncate(memory, 99));
  SHOW(ftruncate(memory, 101));
  SHOW(pwrite(memory, "x", 1, 200));
  SHOW(pwrite(memory, "x", 1, 10));
  SHOW(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL));
  SHOW(pwrite(memory, "x", 1, 10));
  SHOW(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE));
  SHOW(fcntl(memory, F_GET_SEALS));
  SAY(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0) == MAP_FAILED);
  SHOW(memfd_create("plain", 0));
  SHOW(fcntl(5, F_GET_SEALS));
  SHOW(memfd_create("x", 0x8000));
  return 0;
}
