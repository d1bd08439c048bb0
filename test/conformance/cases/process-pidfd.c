// Process descriptors: pidfd_open, CLONE_PIDFD, poll, waitid(P_PIDFD), pidfd_send_signal, pidfd_getfd, and their errnos.
#include "case.h"
#include <linux/sched.h>
#include <poll.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int pidfd_open_(pid_t pid, unsigned flags) { return syscall(SYS_pidfd_open, pid, flags); }
static int pidfd_send_signal_(int fd, int sig, siginfo_t *info, unsigned flags) { return syscall(SYS_pidfd_send_signal, fd, sig, info, flags); }
static int pidfd_getfd_(int fd, int target, unsigned flags) { return syscall(SYS_pidfd_getfd, fd, target, flags); }
static int events(int fd, int ms) {
  struct pollfd p = { fd, POLLIN, 0 };
  int n = poll(&p, 1, ms);
  return n <= 0 ? n : p.revents;
}
static void *thread(void *arg) { pause(); return arg; }
static int got, got_value;
static void handler(int sig, siginfo_t *info, void *context) {
  got = sig;
  got_value = info->si_code == SI_QUEUE ? info->si_value.sival_int : info->si_code;
}
static pid_t child_of(int code) {
  pid_t pid = fork();
  if (pid == 0) {
    if (code >= 0) _exit(code);
    pause();
    _exit(0);
  }
  return pid;
}

int main(void) {
  struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
  sigaction(SIGUSR1, &action, NULL);
  SHOW(pidfd_open_(0, 0));
  SHOW(pidfd_open_(-1, 0));
  SHOW(pidfd_open_(getpid(), 1));
  SHOW(pidfd_open_(0x3ffffff, 0));
  pid_t pid = child_of(-1);
  int fd = pidfd_open_(pid, 0);
  printf("cloexec %d access %d\n", fcntl(fd, F_GETFD), fcntl(fd, F_GETFL) & O_ACCMODE);
  printf("alive %d\n", events(fd, 0));
  char link[64], path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(path, link, sizeof link - 1);
  link[length > 0 ? length : 0] = 0;
  printf("%s\n", link);
  SHOW(read(fd, link, 1));
  SHOW(pidfd_send_signal_(fd, 0, NULL, 0));
  SHOW(pidfd_send_signal_(fd, 99, NULL, 0));
  SHOW(pidfd_send_signal_(fd, SIGTERM, NULL, 1 << 20));
  SHOW(pidfd_send_signal_(0, 0, NULL, 0));
  siginfo_t info = { 0 };
  info.si_signo = SIGUSR1;
  info.si_code = SI_QUEUE;
  info.si_value.sival_int = 7;
  SHOW(pidfd_send_signal_(fd, SIGUSR2, &info, 0));
  info.si_code = SI_USER;
  SHOW(pidfd_send_signal_(fd, SIGUSR1, &info, 0));
  info.si_code = SI_QUEUE;
  int self = pidfd_open_(getpid(), 0);
  SHOW(pidfd_send_signal_(self, SIGUSR1, &info, 0));
  printf("got %s value %d\n", got == SIGUSR1 ? "SIGUSR1" : "nothing", got_value);

  SHOW(waitid(P_PIDFD, fd, &info, WEXITED | WNOHANG));
  SHOW(waitid(P_PIDFD, 0, &info, WEXITED));
  SHOW(waitid(P_PIDFD, -1, &info, WEXITED));
  SHOW(waitid(P_PIDFD, self, &info, WEXITED));
  int nonblock = pidfd_open_(pid, O_NONBLOCK);
  SHOW(waitid(P_PIDFD, nonblock, &info, WEXITED));
  SHOW(pidfd_send_signal_(fd, SIGKILL, NULL, 0));
  printf("dead %x\n", events(fd, 5000));
  SHOW(waitid(P_PIDFD, fd, &info, WEXITED | WNOWAIT));
  printf("code %d status %d own %d\n", info.si_code, info.si_status, info.si_pid == pid);
  SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
  SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
  SHOW(pidfd_send_signal_(fd, SIGTERM, NULL, 0));
  SHOW(pidfd_getfd_(fd, 0, 0));
  printf("gone %d\n", (events(fd, 0) & POLLIN) != 0);

  struct clone_args args = { .flags = CLONE_PIDFD, .pidfd = (uintptr_t)&fd, .exit_signal = SIGCHLD };
  close(fd);
  fd = -1;
  pid = syscall(SYS_clone3, &args, sizeof args);
  if (pid == 0) _exit(3);
  printf("clone3 pidfd %s\n", fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC ? "set" : "missing");
  SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
  printf("status %d\n", info.si_status);
  args.pidfd = 8;
  SHOW(syscall(SYS_clone3, &args, sizeof args));
  SHOW(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &fd, 0, 0));

  int pipes[2];
  if (pipe(pipes)) return 1;
  pid = fork();
  if (pid == 0) {
    int mine[2];
    if (pipe(mine) || dup2(mine[1], 100) < 0) _exit(1);
    if (write(pipes[1], "r", 1) != 1) _exit(1);
    char byte = 0;
    if (read(mine[0], &byte, 1) != 1) _exit(2);
    _exit(byte);
  }
  char ready;
  if (read(pipes[0], &ready, 1) != 1) return 1;
  fd = pidfd_open_(pid, 0);
  int copy = pidfd_getfd_(fd, 100, 0);
  printf("getfd %s cloexec %d\n", copy >= 0 ? "ok" : error_name(errno), fcntl(copy, F_GETFD));
  SHOW(pidfd_getfd_(fd, 101, 0));
  SHOW(pidfd_getfd_(fd, 100, 1));
  SHOW(write(copy, "\x2a", 1));
  SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
  printf("status %d\n", info.si_status);
  return 0;
}
