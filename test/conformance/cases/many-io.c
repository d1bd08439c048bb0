// Reading, writing and positioning; descriptors; locks; copying; sizes.
#include "case.h"
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>

static int file_of(const char *path, const char *text) {
  make_file(path, text);
  return open(path, O_RDWR);
}

CASE(open, "open: flags and errnos") {
  mkdir("d", 0755);
  make_file("f", "x");
  make_file("secret", "x");
  chmod("secret", 0);
  symlink("f", "l");
  SHOW(open("none", O_RDONLY));
  SHOW(open("f", O_CREAT | O_EXCL | O_RDWR, 0600));
  SHOW(open("l", O_CREAT | O_EXCL | O_RDWR, 0600));
  SHOW(open("l", O_NOFOLLOW));
  SHOW(open("d", O_WRONLY));
  SHOW(open("d", O_RDWR));
  SHOW(open("d", O_CREAT | O_RDONLY, 0600));
  SHOW(open("f", O_DIRECTORY));
  SHOW(open("none", O_DIRECTORY | O_CREAT, 0600));
  SHOW(open("f/x", O_RDONLY));
  SHOW(open("f/", O_RDONLY));
  SHOW(open("d/new/", O_CREAT | O_WRONLY, 0600));
  SHOW(open("secret", O_RDONLY));
  SHOW(open("secret", O_WRONLY));
  SHOW(open("/newfile", O_CREAT | O_WRONLY, 0600));
  SHOW(open("", O_RDONLY));
  SHOW(open((char *)8, O_RDONLY));
  SHOW(openat(99, "f", O_RDONLY));
  SHOW(openat(0, "f", O_RDONLY));
  SHOW(open("d", O_TMPFILE | O_RDONLY, 0600));
  SHOW(open("f", O_TMPFILE | O_RDWR, 0600));
  SHOW(open("d", O_TMPFILE | O_RDWR, 0600));
  SHOW(open("f", O_RDWR | O_TRUNC));
  show_file("f");
  SHOW(open("f", O_WRONLY | O_RDWR));
  SHOW(creat("made", 0640));
  SHOW(fcntl(open("f", O_RDWR | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_TRUNC), F_GETFL) & ~0100000);
}

CASE(path, "O_PATH descriptors do almost nothing") {
  make_file("f", "x");
  int fd = open("f", O_PATH);
  char byte;
  SHOW(read(fd, &byte, 1));
  SHOW(write(fd, "x", 1));
  SHOW(lseek(fd, 0, SEEK_SET));
  SHOW(fchmod(fd, 0600));
  SHOW(ftruncate(fd, 0));
  SHOW(ioctl(fd, FIONREAD, &byte));
  SHOW(fcntl(fd, F_GETFD));
  SHOW(fcntl(fd, F_SETFL, 0));
  SHOW(fcntl(fd, F_GETFL) & O_PATH);
  SHOW(flock(fd, LOCK_SH));
  SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0));
  SAY(dup(fd) > fd);
  struct stat st;
  SHOW(fstat(fd, &st));
  SHOW(fsync(fd));
  SHOW(close(fd));
}

CASE(read, "read and write: errnos and partial buffers") {
  int fd = file_of("f", "0123456789");
  char text[20];
  SHOW(read(99, text, 1));
  SHOW(read(-1, text, 1));
  SHOW(write(99, text, 1));
  SHOW(read(fd, (void *)8, 4));
  SHOW(read(fd, (void *)8, 0));
  SHOW(write(fd, (void *)8, 4));
  SHOW(read(fd, text, 4));
  SHOW(lseek(fd, 0, SEEK_CUR));
  char *edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(edge + 4096, 4096);
  SHOW(read(fd, edge + 4093, 6));
  SHOW(lseek(fd, 0, SEEK_CUR));
  memcpy(edge + 4093, "abc", 3);
  SHOW(write(fd, edge + 4093, 6));
  show_file("f");
  SHOW(read(open("f", O_WRONLY), text, 1));
  SHOW(write(open("f", O_RDONLY), text, 1));
  SHOW(read(open(".", O_RDONLY), text, 1));
  SHOW(write(open(".", O_RDONLY), text, 1));
  SHOW(read(fd, text, -1UL));
  SHOW(lseek(fd, 100, SEEK_SET));
  SHOW(read(fd, text, 1));
}

CASE(lseek, "lseek: whence, limits, SEEK_DATA and SEEK_HOLE") {
  int fd = file_of("f", "0123456789"), ends[2];
  pipe(ends);
  SHOW(lseek(fd, -1, SEEK_SET));
  SHOW(lseek(fd, 5, SEEK_SET));
  SHOW(lseek(fd, -3, SEEK_CUR));
  SHOW(lseek(fd, -9, SEEK_CUR));
  SHOW(lseek(fd, 4, SEEK_END));
  SHOW(lseek(fd, 0, 9));
  SHOW(lseek(ends[0], 0, SEEK_SET));
  SHOW(lseek(99, 0, SEEK_SET));
  SHOW(lseek(fd, 2, SEEK_DATA));
  SHOW(lseek(fd, 2, SEEK_HOLE));
  SHOW(lseek(fd, 10, SEEK_DATA));
  SHOW(lseek(fd, -1, SEEK_HOLE));
  SHOW(lseek(open("/dev/null", O_RDWR), 50, SEEK_SET));
}

CASE(pread, "pread64, pwrite64, preadv, pwritev and their second versions") {
  int fd = file_of("f", "0123456789"), ends[2];
  char a[4], b[4];
  struct iovec v[2] = { { a, 3 }, { b, 3 } };
  pipe(ends);
  SHOW(pread(fd, a, 3, 8));
  SHOW(pread(fd, a, 3, 11));
  SHOW(pread(fd, a, 3, -1));
  SHOW(pwrite(fd, "xy", 2, -1));
  SHOW(pread(ends[0], a, 1, 0));
  SHOW(pwrite(ends[1], a, 1, 0));
  SHOW(pread(99, a, 1, 0));
  SHOW(pread(fd, (void *)8, 1, 0));
  SHOW(pwrite(fd, "xy", 2, 4));
  SHOW(preadv(fd, v, 2, 2));
  printf("%.3s %.3s\n", a, b);
  SHOW(pwritev(fd, v, 2, 6));
  SHOW(preadv(fd, v, 2, -1));
  SHOW(preadv(fd, v, -1, 0));
  SHOW(preadv(fd, v, 1025, 0));
  SHOW(preadv(ends[0], v, 1, 0));
  SHOW(preadv2(fd, v, 1, -1, 0));
  SHOW(lseek(fd, 0, SEEK_CUR));
  SHOW(preadv2(fd, v, 1, 0, 0x8000));
  SHOW(pwritev2(fd, v, 1, 0, RWF_APPEND));
  SHOW(pwritev2(fd, v, 1, -1, RWF_DSYNC));
  show_file("f");
  SHOW(lseek(fd, 0, SEEK_CUR));
}

CASE(vectors, "readv and writev") {
  int fd = file_of("f", "0123456789");
  char a[4] = "", b[4] = "";
  struct iovec v[3] = { { a, 3 }, { NULL, 0 }, { b, 3 } };
  SHOW(readv(fd, v, 3));
  printf("%s %s\n", a, b);
  SHOW(readv(fd, v, 0));
  SHOW(readv(fd, v, -1));
  SHOW(readv(fd, v, 1025));
  SHOW(readv(fd, (void *)8, 1));
  v[1] = (struct iovec){ a, -1UL };
  SHOW(readv(fd, v, 3));
  v[1] = (struct iovec){ (void *)8, 4 };
  lseek(fd, 0, SEEK_SET);
  SHOW(readv(fd, v, 3));
  SHOW(lseek(fd, 0, SEEK_CUR));
  SHOW(writev(fd, v, 3));
  show_file("f");
  SHOW(writev(99, v, 1));
}

CASE(truncate, "truncate and ftruncate") {
  int fd = file_of("f", "0123456789"), ends[2];
  pipe(ends);
  SHOW(ftruncate(fd, 4));
  SHOW(ftruncate(fd, 6));
  show_file("f");
  SHOW(ftruncate(fd, -1));
  SHOW(truncate("f", -1));
  SHOW(truncate("none", 1));
  SHOW(truncate(".", 1));
  SHOW(truncate("f/x", 1));
  SHOW(truncate("/etc/passwd", 1));
  SHOW(ftruncate(open("f", O_RDONLY), 1));
  SHOW(ftruncate(ends[1], 1));
  SHOW(ftruncate(99, 1));
  SHOW(truncate("f", 1));
  SHOW(truncate((char *)8, 1));
}

CASE(fallocate, "fallocate: modes and errnos") {
  int fd = file_of("f", "0123456789"), ends[2];
  pipe(ends);
  struct stat st;
  SHOW(fallocate(fd, 0, 0, 8192));
  fstat(fd, &st);
  printf("%ld %ld\n", (long)st.st_size, (long)st.st_blocks);
  SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 16384));
  fstat(fd, &st);
  printf("%ld\n", (long)st.st_size);
  SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2, 4));
  SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 2, 4));
  SHOW(fallocate(fd, 0, 0, 0));
  SHOW(fallocate(fd, 0, -1, 5));
  SHOW(fallocate(fd, 0, 0, -5));
  SHOW(fallocate(fd, 0, LONG_MAX, 5));
  SHOW(fallocate(fd, 0x4000, 0, 5));
  SHOW(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
  SHOW(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096));
  SHOW(fallocate(ends[1], 0, 0, 5));
  SHOW(fallocate(99, 0, 0, 5));
  SHOW(fallocate(open("f", O_RDONLY), 0, 0, 5));
  SHOW(fallocate(open(".", O_RDONLY), 0, 0, 5));
  ftruncate(fd, 10);
  show_file("f");
}

CASE(dup, "dup, dup2, dup3, F_DUPFD, close, close_range") {
  int fd = file_of("f", "0123456789");
  SHOW(dup(99));
  SHOW(dup(-1));
  SHOW(dup2(99, 5));
  SHOW(dup2(fd, fd));
  SHOW(dup2(99, 99));
  SHOW(dup2(fd, -1));
  SHOW(dup2(fd, 20));
  SHOW(dup3(fd, fd, 0));
  SHOW(dup3(fd, 21, O_CLOEXEC));
  SHOW(fcntl(21, F_GETFD));
  SHOW(dup3(fd, 22, O_NONBLOCK));
  SHOW(fcntl(fd, F_DUPFD, 30));
  SHOW(fcntl(fd, F_DUPFD_CLOEXEC, 30));
  SHOW(fcntl(31, F_GETFD));
  SHOW(fcntl(fd, F_DUPFD, -1));
  SHOW(lseek(20, 4, SEEK_SET));
  SHOW(lseek(30, 0, SEEK_CUR));
  SHOW(close(20));
  SHOW(close(20));
  SHOW(close(-1));
  SHOW(close_range(30, 31, CLOSE_RANGE_CLOEXEC));
  SHOW(fcntl(30, F_GETFD));
  SHOW(close_range(30, 40, 0));
  SHOW(fcntl(30, F_GETFD));
  SHOW(close_range(40, 30, 0));
  SHOW(close_range(30, 40, 0x100));
  SHOW(close_range(60, ~0U, CLOSE_RANGE_UNSHARE));
}

CASE(fcntl, "fcntl: flags, owner, unknown commands") {
  int fd = file_of("f", "");
  SHOW(fcntl(fd, F_GETFD));
  SHOW(fcntl(fd, F_SETFD, 77));
  SHOW(fcntl(fd, F_GETFD));
  SHOW(fcntl(fd, F_SETFL, O_APPEND | O_WRONLY));
  SHOW(fcntl(fd, F_GETFL) & ~0100000);
  SHOW(fcntl(99, F_GETFL));
  SHOW(fcntl(fd, 9999));
  SHOW(fcntl(fd, F_GETOWN));
  SHOW(fcntl(fd, F_SETOWN, getpid()));
  SAY(fcntl(fd, F_GETOWN) == getpid());
  SHOW(fcntl(fd, F_SETOWN, 999999));
  SHOW(fcntl(fd, F_GETSIG));
  SHOW(fcntl(fd, F_SETSIG, 99));
  SHOW(fcntl(fd, F_GETPIPE_SZ));
  SHOW(fcntl(fd, F_GET_SEALS));
  SHOW(fcntl(fd, F_GETLEASE));
  SHOW(fcntl(fd, F_SETLK, 8));
}

static void lock_line(const char *name, int fd, int command, struct flock lock) {
  int result = fcntl(fd, command, &lock);
  if (result < 0) printf("%s: %s\n", name, error_name(errno));
  else if (command == F_GETLK || command == F_OFD_GETLK) {
    printf("%s: type %d whence %d start %ld len %ld %s\n", name, lock.l_type, lock.l_whence, (long)lock.l_start, (long)lock.l_len,
           lock.l_type == F_UNLCK ? "" : lock.l_pid == getppid() ? "parent's" : lock.l_pid == -1 ? "a file's" : "other's");
  } else printf("%s: ok\n", name);
}

CASE(posixlocks, "POSIX record locks: ranges, conflicts, what releases them") {
  int fd = file_of("f", "0123456789");
  lock_line("write 2+4", fd, F_SETLK, (struct flock){ F_WRLCK, SEEK_SET, 2, 4 });
  lock_line("read 4+4", fd, F_SETLK, (struct flock){ F_RDLCK, SEEK_SET, 4, 4 });
  lock_line("own", fd, F_GETLK, (struct flock){ F_WRLCK, SEEK_SET, 0, 0 });
  IN_CHILD("child", {
    lock_line("get", fd, F_GETLK, (struct flock){ F_WRLCK, SEEK_SET, 0, 0 });
    lock_line("get 4", fd, F_GETLK, (struct flock){ F_WRLCK, SEEK_SET, 4, 1 });
    lock_line("read 4", fd, F_SETLK, (struct flock){ F_RDLCK, SEEK_SET, 4, 1 });
    lock_line("write 4", fd, F_SETLK, (struct flock){ F_WRLCK, SEEK_SET, 4, 1 });
    lock_line("write 8", fd, F_SETLK, (struct flock){ F_WRLCK, SEEK_SET, 8, 1 });
    lock_line("unlock", fd, F_SETLK, (struct flock){ F_UNLCK, SEEK_SET, 0, 0 });
    lock_line("end -10", fd, F_SETLK, (struct flock){ F_WRLCK, SEEK_END, -10, 1 });
    lock_line("end -11", fd, F_SETLK, (struct flock){ F_WRLCK, SEEK_END, -11, 1 });
    lock_line("whence", fd, F_SETLK, (struct flock){ F_WRLCK, 9, 0, 1 });
    lock_line("type", fd, F_SETLK, (struct flock){ 9, SEEK_SET, 0, 1 });
    lock_line("length", fd, F_SETLK, (struct flock){ F_WRLCK, SEEK_SET, 12, -2 });
    lock_line("overflow", fd, F_SETLK, (struct flock){ F_WRLCK, SEEK_SET, LONG_MAX, 2 });
    lock_line("read-only", open("f", O_RDONLY), F_SETLK, (struct flock){ F_WRLCK, SEEK_SET, 20, 2 });
    lock_line("write-only", open("f", O_WRONLY), F_SETLK, (struct flock){ F_RDLCK, SEEK_SET, 20, 2 });
  });
  close(open("f", O_RDONLY));
  IN_CHILD("after a close", lock_line("write", fd, F_SETLK, (struct flock){ F_WRLCK, SEEK_SET, 0, 0 }));
}

CASE(lockwait, "F_SETLKW waits, is interrupted, and finds a deadlock") {
  int fd = file_of("f", "0123456789"), ends[2];
  pipe(ends);
  lock_line("mine", fd, F_SETLK, (struct flock){ F_WRLCK, SEEK_SET, 0, 1 });
  pid_t pid = fork();
  if (pid == 0) {
    void on_alarm(int signo) { (void)signo; }
    struct sigaction action = { .sa_handler = on_alarm };
    sigaction(SIGALRM, &action, NULL);
    lock_line("theirs", fd, F_SETLK, (struct flock){ F_WRLCK, SEEK_SET, 1, 1 });
    if (fork() == 0) { wait_asleep(getppid()); kill(getppid(), SIGALRM); _exit(0); }
    lock_line("interrupted", fd, F_SETLKW, (struct flock){ F_WRLCK, SEEK_SET, 0, 1 });
    write(ends[1], "x", 1);
    struct flock wanted = { F_WRLCK, SEEK_SET, 0, 1 };
    _exit(fcntl(fd, F_SETLKW, &wanted) == 0 ? 21 : 22);
  }
  char byte;
  read(ends[0], &byte, 1);
  wait_asleep(pid);
  lock_line("deadlock", fd, F_SETLKW, (struct flock){ F_WRLCK, SEEK_SET, 1, 1 });
  lock_line("unlock", fd, F_SETLK, (struct flock){ F_UNLCK, SEEK_SET, 0, 1 });
  int status;
  waitpid(pid, &status, 0);
  show_status("child", status);
}

CASE(ofdlocks, "open file description locks") {
  int a = file_of("f", "0123456789"), b = open("f", O_RDWR);
  lock_line("a", a, F_OFD_SETLK, (struct flock){ F_WRLCK, SEEK_SET, 0, 5 });
  lock_line("b get", b, F_OFD_GETLK, (struct flock){ F_WRLCK, SEEK_SET, 0, 0 });
  lock_line("b", b, F_OFD_SETLK, (struct flock){ F_WRLCK, SEEK_SET, 4, 1 });
  lock_line("b pid", b, F_OFD_SETLK, (struct flock){ F_WRLCK, SEEK_SET, 4, 1, 7 });
  lock_line("posix", b, F_SETLK, (struct flock){ F_WRLCK, SEEK_SET, 4, 1 });
  int copy = dup(a);
  close(a);
  lock_line("b after close of a", b, F_OFD_SETLK, (struct flock){ F_WRLCK, SEEK_SET, 4, 1 });
  close(copy);
  lock_line("b after close of its copy", b, F_OFD_SETLK, (struct flock){ F_WRLCK, SEEK_SET, 4, 1 });
}

CASE(flock, "flock: shared, exclusive, upgrade, inheritance") {
  int a = file_of("f", ""), b = open("f", O_RDWR);
  SHOW(flock(a, LOCK_SH));
  SHOW(flock(b, LOCK_SH));
  SHOW(flock(a, LOCK_EX | LOCK_NB));
  SHOW(flock(b, LOCK_UN));
  SHOW(flock(a, LOCK_EX | LOCK_NB));
  SHOW(flock(b, LOCK_SH | LOCK_NB));
  SHOW(flock(a, 0));
  SHOW(flock(a, LOCK_SH | LOCK_EX));
  SHOW(flock(99, LOCK_SH));
  IN_CHILD("child", SHOW(flock(a, LOCK_UN)));
  SHOW(flock(b, LOCK_EX | LOCK_NB));
  int ends[2];
  pipe(ends);
  SHOW(flock(ends[0], LOCK_SH));
  pid_t pid = fork();
  if (pid == 0) {
    int c = open("f", O_RDWR);
    _exit(flock(c, LOCK_EX) == 0 ? 31 : 32);
  }
  wait_asleep(pid);
  printf("unlocking\n");
  flock(b, LOCK_UN);
  int status;
  waitpid(pid, &status, 0);
  show_status("child", status);
}

CASE(copyrange, "copy_file_range and sendfile") {
  int a = file_of("a", "0123456789"), b = file_of("b", ""), ends[2];
  pipe(ends);
  off_t in = 2, out = 5;
  SHOW(copy_file_range(a, &in, b, &out, 4, 0));
  printf("%ld %ld\n", (long)in, (long)out);
  show_file("b");
  SHOW(copy_file_range(a, NULL, b, NULL, 100, 0));
  SHOW(copy_file_range(a, NULL, b, NULL, 100, 1));
  in = 0;
  out = 2;
  SHOW(copy_file_range(a, &in, a, &out, 4, 0));
  SHOW(copy_file_range(a, NULL, ends[1], NULL, 4, 0));
  SHOW(copy_file_range(99, NULL, b, NULL, 4, 0));
  SHOW(copy_file_range(open("a", O_WRONLY), NULL, b, NULL, 4, 0));
  SHOW(copy_file_range(a, NULL, open("b", O_RDONLY), NULL, 4, 0));
  SHOW(copy_file_range(a, NULL, open("b", O_WRONLY | O_APPEND), NULL, 4, 0));
  SHOW(copy_file_range(open(".", O_RDONLY), NULL, b, NULL, 4, 0));
  SHOW(copy_file_range(a, (void *)8, b, NULL, 4, 0));
  in = 1;
  SHOW(sendfile(b, a, &in, 3));
  printf("%ld\n", (long)in);
  SHOW(sendfile(ends[1], a, NULL, 3));
  in = -1;
  SHOW(sendfile(b, a, &in, 3));
  SHOW(sendfile(b, ends[0], NULL, 1));
  SHOW(sendfile(99, a, NULL, 3));
  SHOW(sendfile(open("b", O_RDONLY), a, NULL, 3));
  SHOW(sendfile(open("b", O_WRONLY | O_APPEND), a, NULL, 3));
  SHOW(sendfile(b, a, (void *)8, 3));
}

CASE(ioctl, "ioctl: what a file answers") {
  int fd = file_of("f", "0123456789"), ends[2], n = -1;
  pipe(ends);
  SHOW(ioctl(99, FIONREAD, &n));
  SHOW(ioctl(fd, FIONREAD, &n));
  printf("%d\n", n);
  SHOW(write(ends[1], "abc", 3));
  SHOW(ioctl(ends[0], FIONREAD, &n));
  printf("%d\n", n);
  SHOW(ioctl(fd, TCGETS, &n));
  SHOW(ioctl(ends[0], TIOCGWINSZ, &n));
  SHOW(ioctl(fd, FIOCLEX));
  SHOW(fcntl(fd, F_GETFD));
  SHOW(ioctl(fd, FIONCLEX));
  n = 1;
  SHOW(ioctl(ends[0], FIONBIO, &n));
  SHOW(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
  SHOW(ioctl(ends[0], FIONBIO, 8));
  SHOW(ioctl(fd, 0x12345678, &n));
  SHOW(ioctl(open("/dev/null", O_RDWR), TCGETS, &n));
}

CASE(fadvise, "posix_fadvise, readahead") {
  int fd = file_of("f", "0123456789"), ends[2];
  pipe(ends);
  ERR(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED));
  ERR(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
  ERR(posix_fadvise(fd, 0, 0, 99));
  ERR(posix_fadvise(fd, 0, -1, POSIX_FADV_NORMAL));
  ERR(posix_fadvise(ends[0], 0, 0, POSIX_FADV_NORMAL));
  ERR(posix_fadvise(99, 0, 0, POSIX_FADV_NORMAL));
  SHOW(readahead(fd, 0, 100));
  SHOW(readahead(ends[0], 0, 100));
  SHOW(readahead(99, 0, 100));
}

CASE(append, "O_APPEND: two writers never overwrite each other") {
  int a = open("log", O_CREAT | O_WRONLY | O_APPEND, 0600), b = open("log", O_WRONLY | O_APPEND);
  pid_t pid = fork();
  for (int i = 0; i < 200; i++) write(pid ? a : b, pid ? "aaaa\n" : "bbbb\n", 5);
  if (pid == 0) _exit(0);
  waitpid(pid, NULL, 0);
  struct stat st;
  fstat(a, &st);
  printf("%ld\n", (long)st.st_size);
  FILE *file = fopen("log", "r");
  char line[16];
  int bad = 0;
  while (fgets(line, sizeof line, file)) bad += strcmp(line, "aaaa\n") != 0 && strcmp(line, "bbbb\n") != 0;
  printf("bad lines %d\n", bad);
}

CASE(tmpfile, "O_TMPFILE and linkat; unlinked files live on") {
  int fd = open(".", O_TMPFILE | O_RDWR, 0640);
  struct stat st;
  fstat(fd, &st);
  printf("%o %d\n", st.st_mode, (int)st.st_nlink);
  write(fd, "temp", 4);
  char path[64];
  sprintf(path, "/proc/self/fd/%d", fd);
  SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
  show_file("named");
  int excl = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
  sprintf(path, "/proc/self/fd/%d", excl);
  SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "other", AT_SYMLINK_FOLLOW));
  unlink("named");
  char text[8] = "";
  SHOW(pread(fd, text, 8, 0));
  sprintf(path, "/proc/self/fd/%d", fd);
  int again = open(path, O_RDONLY);
  SHOW(read(again, text, 8));
  char target[300] = "";
  readlink(path, target, sizeof target - 1);
  SAY(strstr(target, " (deleted)") != NULL);
}

CASE(memfd, "memfd_create and seals") {
  int fd = memfd_create("name", MFD_ALLOW_SEALING | MFD_CLOEXEC);
  SHOW(fcntl(fd, F_GETFD));
  SHOW(fcntl(fd, F_GET_SEALS));
  SHOW(write(fd, "0123456789", 10));
  SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
  SHOW(ftruncate(fd, 5));
  SHOW(ftruncate(fd, 20));
  SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
  SHOW(ftruncate(fd, 30));
  SHOW(pwrite(fd, "x", 1, 25));
  SHOW(pwrite(fd, "xyz", 3, 18));
  void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
  munmap(map, 4096);
  SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
  SHOW(pwrite(fd, "x", 1, 0));
  SAY(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
  SAY(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) != MAP_FAILED);
  SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
  SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
  SHOW(fcntl(fd, F_GET_SEALS));
  int plain = memfd_create("plain", 0);
  SHOW(fcntl(plain, F_GET_SEALS));
  SHOW(fcntl(plain, F_ADD_SEALS, F_SEAL_GROW));
  SHOW(memfd_create((char *)8, 0));
  SHOW(memfd_create("x", 0x8000));
  char name[300];
  memset(name, 'a', 299);
  name[299] = 0;
  SHOW(memfd_create(name, 0));
}

CASES_MAIN
