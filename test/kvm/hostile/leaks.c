// What a program may see of others: freed frames, ends of files, stack and registers at the start.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/socket.h>
#include <unistd.h>
static int dirty(const char *p, long n) { long found = 0; for (long i = 0; i < n; i++) if (p[i]) found++; return found; }
int main(int argc, char **argv) {
  long n = 64 << 20;
  for (int round = 0; round < 3; round++) {
    char *p = mmap(0, n, 3, 34, -1, 0); if (dirty(p, n)) printf("old memory shows\n"); memset(p, 0xa5, n);
    if (round == 1) { int pid = fork(); if (!pid) { memset(p, 0x5a, n / 2); _exit(0); } waitpid(pid, 0, 0); }
    if (round == 2) madvise(p, n, MADV_DONTNEED); 
    if (round == 2 && dirty(p, n)) printf("dropped memory shows\n");
    munmap(p, n);
    int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600); ftruncate(fd, 8 << 20); p = mmap(0, 8 << 20, 3, MAP_SHARED, fd, 0);
    if (dirty(p, 8 << 20)) printf("old memory shows in a file\n");
    memset(p, 0xa5, 8 << 20); ftruncate(fd, 100); if (dirty(p + 100, 3996)) printf("the end of a page shows after a cut\n");
    memset(p + 100, 1, 3000); ftruncate(fd, 8 << 20); if (dirty(p + 4096, 4096)) printf("cut pages show\n");
    munmap(p, 8 << 20); close(fd);
    p = mmap(0, 4 << 20, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0); if (dirty(p, 4 << 20)) printf("old memory shows in shared memory\n"); munmap(p, 4 << 20);
  }
  // the end of the last page of a file of the image
  int fd = open("/etc/passwd", O_RDONLY); long size = lseek(fd, 0, SEEK_END); char *p = mmap(0, 4096, 1, MAP_PRIVATE, fd, 0); if (dirty(p + size % 4096, 4096 - size % 4096)) printf("bytes behind /etc/passwd\n");
  // nothing but what was asked for is written
  char *b = malloc(1 << 20); int s[2], q[2]; socketpair(AF_UNIX, SOCK_DGRAM, 0, s); pipe(q);
  memset(b, 0x77, 1 << 20); write(s[1], "x", 1); long r = read(s[0], b, 1 << 20); if (r != 1 || b[1] != 0x77) printf("datagram longer than sent\n");
  memset(b, 0x77, 1 << 20); write(q[1], "x", 1); r = read(q[0], b, 1 << 20); if (r != 1 || b[1] != 0x77) printf("pipe longer than sent\n");
  extern char **environ; for (char **e = environ; *e; e++) if (strstr(*e, "offshoot-secret") || strstr(*e, "OFFSHOOT_HOME")) printf("environment of the host: %s\n", *e);
  printf("done\n");
}
