// Descriptors of the wrong kind, fsync and its relatives, /dev files, ioctl on things that are no terminal.
#include "case.h"
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <termios.h>

int main(void) {
  char bytes[64];
  memset(bytes, 'x', sizeof bytes);
  make_file("file", "content");
  int null, zero, full, file = open("file", O_RDWR);
  SHOW(null = open("/dev/null", O_RDWR));
  SHOW(read(null, bytes, 8));
  SHOW(write(null, bytes, 64));
  SHOW(lseek(null, 100, SEEK_SET));
  SHOW(zero = open("/dev/zero", O_RDWR));
  SHOW(read(zero, bytes, 8));
  printf("%d %d\n", bytes[7], bytes[8]);
  SHOW(write(zero, bytes, 8));
  SHOW(full = open("/dev/full", O_RDWR));
  SHOW(write(full, bytes, 1));
  SHOW(read(full, bytes, 8));
  int random = open("/dev/urandom", O_RDONLY);
  SHOW(read(random, bytes, 64));
  SHOW(fsync(file));
  SHOW(fdatasync(file));
  SHOW(fsync(99));
  int ends[2];
  pipe(ends);
  SHOW(fsync(ends[0]));
  struct termios termios;
  SHOW(isatty(file));
  SHOW(tcgetattr(ends[0], &termios));
  SHOW(ioctl(file, 0x1234));
  SHOW(ioctl(99, TCGETS, &termios));
  int available = 0;
  write(ends[1], "12345", 5);
  SHOW(ioctl(ends[0], FIONREAD, &available));
  printf("available %d\n", available);
  lseek(file, 3, SEEK_SET);
  SHOW(ioctl(file, FIONREAD, &available));
  printf("available %d\n", available);
  int on = 1;
  SHOW(ioctl(ends[0], FIONBIO, &on));
  SHOW(fcntl(ends[0], F_GETFL) & O_NONBLOCK ? 1 : 0);
  SHOW(ioctl(ends[0], FIOCLEX));
  SHOW(fcntl(ends[0], F_GETFD));
  struct statfs fs;
  struct statvfs vfs;
  SHOW(statfs(".", &fs));
  printf("type %lx bsize %ld namelen %ld\n", (long)fs.f_type, (long)fs.f_bsize, (long)fs.f_namelen);
  SHOW(statfs("/proc", &fs));
  printf("type %lx\n", (long)fs.f_type);
  SHOW(fstatfs(99, &fs));
  SHOW(statvfs("missing", &vfs));
  SHOW(posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL));
  SHOW(readahead(99, 0, 10));
  return 0;
}
