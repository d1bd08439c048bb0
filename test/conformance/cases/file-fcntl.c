// fcntl(2): descriptor and status flags, duplication with a minimum, errnos, record locks between processes.
#include "case.h"

int main(void) {
  make_file("file", "0123456789");
  int fd;
  SHOW(fd = open("file", O_RDWR));
  SHOW(fcntl(fd, F_GETFD));
  SHOW(fcntl(fd, F_SETFD, FD_CLOEXEC));
  SHOW(fcntl(fd, F_GETFD));
  SHOW(fcntl(fd, F_DUPFD, 10));
  SHOW(fcntl(10, F_GETFD));
  SHOW(fcntl(fd, F_DUPFD, 10));
  SHOW(fcntl(fd, F_DUPFD_CLOEXEC, 10));
  SHOW(fcntl(12, F_GETFD));
  SHOW(fcntl(fd, F_DUPFD, -1));
  SHOW(fcntl(fd, F_DUPFD, 1 << 30));
  SHOW(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
  SHOW(fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND | O_WRONLY));
  SHOW(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
  SHOW(fcntl(10, F_GETFL) & (O_APPEND | O_NONBLOCK));
  SHOW(fcntl(99, F_GETFD));
  SHOW(fcntl(fd, 9999));
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 3 };
  SHOW(fcntl(fd, F_SETLK, &lock));
  IN_CHILD("locker", {
    struct flock probe = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0 };
    SHOW(fcntl(fd, F_GETLK, &probe));
    printf("type %d start %ld len %ld by parent %d\n", probe.l_type, (long)probe.l_start, (long)probe.l_len, probe.l_pid == getppid());
    probe = (struct flock){ .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 4, .l_len = 1 };
    SHOW(fcntl(fd, F_SETLK, &probe));
    probe.l_start = 5;
    SHOW(fcntl(fd, F_SETLK, &probe));
  });
  lock.l_type = F_UNLCK;
  SHOW(fcntl(fd, F_SETLK, &lock));
  IN_CHILD("unlocked", {
    struct flock probe = { .l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -5, .l_len = 5 };
    SHOW(fcntl(fd, F_SETLK, &probe));
  });
  lock = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = -1, .l_len = 1 };
  SHOW(fcntl(fd, F_SETLK, &lock));
  int ro = open("file", O_RDONLY);
  lock = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
  SHOW(fcntl(ro, F_SETLK, &lock));
  SHOW(fcntl(fd, F_GETLK, (void *)16));
  SHOW(fcntl(fd, F_SETLK, &lock));
  pid_t child = fork();
  if (child == 0) {
    struct flock wait = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int result = fcntl(fd, F_SETLKW, &wait);
    printf("waited: %d\n", result);
    _exit(0);
  }
  sleep_ms(50);
  printf("releasing\n");
  close(ro);
  waitpid(child, NULL, 0);
  return 0;
}
