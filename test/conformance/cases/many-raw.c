// The older numbers of calls for which the C library uses newer ones, and errnos that other cases leave out.
#include "case.h"
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <utime.h>

#define RAW(name, ...) SHOW(syscall(SYS_##name, ##__VA_ARGS__))

CASE(open, "open, creat, close by their own numbers") {
  make_file("f", "x");
  RAW(open, "none", O_RDONLY, 0);
  RAW(open, "f", O_RDONLY, 0);
  RAW(open, "f/x", O_RDONLY, 0);
  RAW(open, 8, O_RDONLY, 0);
  RAW(creat, "none/x", 0600);
  RAW(creat, "made", 0600);
  RAW(creat, 8, 0600);
  RAW(close, 99);
}

CASE(stat, "stat, lstat, fstat, access by their own numbers") {
  struct stat st;
  make_file("f", "x");
  symlink("none", "l");
  RAW(stat, "f", &st);
  RAW(stat, "l", &st);
  RAW(stat, "f", 8);
  RAW(lstat, "l", &st);
  RAW(lstat, "none", &st);
  RAW(fstat, 0, &st);
  RAW(fstat, 99, &st);
  RAW(fstat, 0, 8);
  RAW(faccessat, AT_FDCWD, "f", R_OK);
  RAW(faccessat, AT_FDCWD, "l", R_OK);
  RAW(faccessat, 99, "l", R_OK);
  RAW(faccessat, AT_FDCWD, "f", 99);
}

CASE(names, "mknod, fchmodat2, lchown, times of files") {
  make_file("f", "x");
  symlink("none", "l");
  RAW(mknod, "p", S_IFIFO | 0600, 0);
  RAW(mknod, "p", S_IFIFO | 0600, 0);
  RAW(mknod, "none/p", S_IFIFO | 0600, 0);
  RAW(lchown, "none", -1, -1);
  RAW(lchown, "l", 0, 0);
  RAW(lchown, "l", -1, -1);
  struct utimbuf u = { 1, 2 };
  struct timeval v[2] = { { 1, 0 }, { 2, 0 } }, bad[2] = { { 1, -1 }, { 2, 0 } };
  RAW(utime, "f", &u);
  RAW(utime, "none", &u);
  RAW(utime, "f", 8);
  RAW(utimes, "f", v);
  RAW(utimes, "none", v);
  RAW(utimes, "f", bad);
  RAW(futimesat, AT_FDCWD, "f", v);
  RAW(futimesat, 99, "f", v);
  RAW(futimesat, AT_FDCWD, "f", bad);
}

CASE(fchmodat2, "fchmodat2: flags") {
  make_file("f", "x");
  symlink("f", "l");
  struct stat st;
  SHOW(syscall(452, AT_FDCWD, "f", 0640, 0));
  SHOW(syscall(452, AT_FDCWD, "l", 0640, AT_SYMLINK_NOFOLLOW));
  int fd = open("f", O_RDONLY);
  SHOW(syscall(452, fd, "", 0600, AT_EMPTY_PATH));
  SHOW(syscall(452, fd, "", 0600, 0));
  SHOW(syscall(452, AT_FDCWD, "f", 0600, 0x1));
  SHOW(syscall(452, AT_FDCWD, "none", 0600, 0));
  stat("f", &st);
  printf("%o\n", st.st_mode);
}

CASE(fork, "fork and vfork by their own numbers; getrlimit, getcpu, ids with bad pointers") {
  pid_t pid = syscall(SYS_fork);
  if (pid == 0) _exit(11);
  int status;
  waitpid(pid, &status, 0);
  show_status("child", status);
  struct rlimit none = { 0, 0 }, limit;
  RAW(getrlimit, RLIMIT_NOFILE, &limit);
  RAW(getrlimit, 99, &limit);
  RAW(getrlimit, RLIMIT_NOFILE, 8);
  setrlimit(RLIMIT_NPROC, &none);
  RAW(fork);
  RAW(getcpu, 8, NULL, NULL);
  RAW(getresgid, 8, &limit, &limit);
  RAW(sched_get_priority_min, 99);
  RAW(restart_syscall);
}

CASE(pipes, "pipe, eventfd, getdents, pwritev, recvmsg, getsockname: errnos") {
  int ends[2], s[2];
  char bytes[64];
  RAW(pipe, ends);
  RAW(pipe, 8);
  SHOW(syscall(SYS_eventfd, 3) > 0);
  struct iovec v = { (void *)8, 4 };
  int fd = open("f", O_CREAT | O_RDWR, 0600);
  RAW(pwritev, fd, &v, 1, 0, 0);
  RAW(pwritev, 99, &v, 1, 0, 0);
  RAW(pwritev, ends[1], &v, 1, 0, 0);
  RAW(pwritev, fd, 8, 1, 0, 0);
  RAW(getdents, fd, bytes, 64);
  RAW(getdents, 99, bytes, 64);
  RAW(getdents, open(".", O_RDONLY), bytes, 8);
  socketpair(AF_UNIX, SOCK_STREAM, 0, s);
  struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
  socklen_t length = 10;
  RAW(recvmsg, s[0], &m, MSG_DONTWAIT);
  RAW(recvmsg, s[0], 8, 0);
  RAW(recvmsg, 99, &m, 0);
  RAW(recvmsg, fd, &m, 0);
  RAW(getsockname, 99, bytes, &length);
  RAW(getsockname, fd, bytes, &length);
  RAW(getsockname, s[0], 8, &length);
  RAW(getsockname, s[0], bytes, 8);
  length = -1;
  RAW(getsockname, s[0], bytes, &length);
}

CASE(nfiles, "EMFILE of the calls that make descriptors") {
  struct rlimit limit = { 3, 64 };
  setrlimit(RLIMIT_NOFILE, &limit);
  RAW(eventfd, 0);
  RAW(eventfd2, 0, 0);
  RAW(epoll_create1, 0);
  RAW(timerfd_create, CLOCK_MONOTONIC, 0);
  RAW(memfd_create, "x", 0);
  RAW(socket, AF_UNIX, SOCK_STREAM, 0);
  RAW(pidfd_open, getpid(), 0);
  RAW(dup, 1);
  sigset_t set;
  sigemptyset(&set);
  RAW(signalfd4, -1, &set, 8, 0);
}

CASE(xattrs, "extended attributes of links") {
  char list[64];
  symlink("none", "l");
  RAW(llistxattr, "none", list, 64);
  RAW(llistxattr, "l", list, 64);
  RAW(lremovexattr, "l", "user.a");
  RAW(lremovexattr, "none", "user.a");
  RAW(lgetxattr, "l", "user.a", list, 64);
  RAW(lsetxattr, "none", "user.a", "x", 1, 0);
  RAW(lgetxattr, "none", "user.a", list, 64);
}

CASE(stopped, "a sleep that SIGSTOP and SIGCONT interrupt goes on to its end, without EINTR") {
  int ends[2];
  pipe(ends);
  pid_t pid = fork();
  if (pid == 0) {
    struct timespec t = { 0, 300000000 };
    long long from = now_ns(CLOCK_MONOTONIC);
    write(ends[1], "r", 1);
    int result = nanosleep(&t, NULL);
    _exit(result == 0 && now_ns(CLOCK_MONOTONIC) - from >= 300000000 ? 1 : 2);
  }
  char byte;
  read(ends[0], &byte, 1);
  wait_asleep(pid);
  int status;
  kill(pid, SIGSTOP);
  waitpid(pid, &status, WUNTRACED);
  show_status("child", status);
  kill(pid, SIGCONT);
  waitpid(pid, &status, 0);
  show_status("child", status);
}

CASE(enosys, "numbers that are no calls") {
  SHOW(syscall(400));
  SHOW(syscall(-1));
  SHOW(syscall(5000));
  SHOW(syscall(SYS_afs_syscall));
  SHOW(syscall(SYS_vserver));
}

CASES_MAIN
