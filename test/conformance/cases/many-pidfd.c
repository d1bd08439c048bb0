// pidfd_open, pidfd_send_signal, pidfd_getfd, waitid(P_PIDFD), CLONE_PIDFD: processes as descriptors.
#include "case.h"
#include <poll.h>
#include <sys/epoll.h>
#include <linux/sched.h>

static int pidfd_open_(pid_t pid, unsigned flags) { return syscall(SYS_pidfd_open, pid, flags); }
static int pidfd_kill(int fd, int signo, void *info, unsigned flags) { return syscall(SYS_pidfd_send_signal, fd, signo, info, flags); }
static int pidfd_getfd_(int pidfd, int fd, unsigned flags) { return syscall(SYS_pidfd_getfd, pidfd, fd, flags); }

static pid_t child_pauses(void) {
  pid_t pid = fork();
  if (pid == 0) for (;;) pause();
  return pid;
}

static short poll_now(int fd) {
  struct pollfd p = { .fd = fd, .events = POLLIN };
  poll(&p, 1, 0);
  return p.revents;
}

CASE(errnos, "errnos of the three calls") {
  int fd;
  SHOW(pidfd_open_(0, 0));
  SHOW(pidfd_open_(-1, 0));
  SHOW(pidfd_open_(999999, 0));
  SHOW(pidfd_open_(getpid(), 1));
  SHOW(pidfd_open_(getpid(), 0x10000000));
  SHOW(fd = pidfd_open_(getpid(), 0));
  SHOW(fcntl(fd, F_GETFD));
  SHOW(fcntl(fd, F_GETFL) == O_RDWR);
  SHOW(pidfd_kill(fd, 0, NULL, 0));
  SHOW(pidfd_kill(fd, 99, NULL, 0));
  SHOW(pidfd_kill(fd, 0, NULL, 0x100000));
  SHOW(pidfd_kill(0, 0, NULL, 0));
  SHOW(pidfd_kill(77, 0, NULL, 0));
  SHOW(pidfd_kill(fd, 0, (void *)8, 0));
  SHOW(pidfd_getfd_(fd, 99, 0));
  SHOW(pidfd_getfd_(fd, 1, 5));
  SHOW(pidfd_getfd_(0, 1, 0));
  SHOW(pidfd_getfd_(99, 1, 0));
  char byte;
  SHOW(read(fd, &byte, 1));
  SHOW(write(fd, "x", 1));
  SHOW(lseek(fd, 0, SEEK_SET));
  SHOW(poll_now(fd));
  SHOW(close(fd));
}

CASE(ends, "readable once the process has ended, whether or not it was waited for") {
  pid_t pid = child_pauses();
  int fd, epoll;
  SHOW(fd = pidfd_open_(pid, 0));
  SHOW(poll_now(fd));
  SHOW(epoll = epoll_create1(0));
  struct epoll_event event = { .events = EPOLLIN, .data.u32 = 7 };
  SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
  SHOW(epoll_wait(epoll, &event, 1, 0));
  SHOW(pidfd_kill(fd, SIGTERM, NULL, 0));
  struct pollfd p = { .fd = fd, .events = POLLIN };
  SHOW(poll(&p, 1, -1));
  printf("revents %d\n", p.revents);
  SHOW(epoll_wait(epoll, &event, 1, -1));
  SHOW(pidfd_kill(fd, 0, NULL, 0));
  siginfo_t info;
  SHOW(waitid(P_PIDFD, fd, &info, WEXITED | WNOWAIT));
  printf("code %d status %d pid is the child's %d\n", info.si_code, info.si_status, info.si_pid == pid);
  SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
  SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
  SHOW(pidfd_kill(fd, 0, NULL, 0));
  SHOW(poll_now(fd) & POLLIN);
  SHOW(pidfd_open_(pid, 0));
}

CASE(waits, "waitid blocks on a pidfd; PIDFD_NONBLOCK fails instead") {
  int go[2];
  char byte;
  pipe(go);
  pid_t pid = fork();
  if (pid == 0) {
    read(go[0], &byte, 1);
    wait_asleep(getppid());
    _exit(13);
  }
  int fd, now;
  siginfo_t info;
  SHOW(fd = pidfd_open_(pid, 0));
  SHOW(now = pidfd_open_(pid, O_NONBLOCK));
  SHOW(waitid(P_PIDFD, fd, &info, WEXITED | WNOHANG));
  SHOW(waitid(P_PIDFD, now, &info, WEXITED));
  write(go[1], "x", 1);
  SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
  printf("code %d status %d\n", info.si_code, info.si_status);
  SHOW(waitid(P_PIDFD, now, &info, WEXITED));
  int other = pidfd_open_(getppid(), 0);
  SAY(other >= 0 || errno == ESRCH);
  SHOW(waitid(P_PIDFD, 0, &info, WEXITED));
}

CASE(queues, "a siginfo of one's own") {
  void on_signal(int signo, siginfo_t *info, void *context) { (void)context; printf("%d %d %d\n", signo, info->si_code, info->si_value.sival_int); }
  struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
  sigaction(SIGRTMIN, &action, NULL);
  int fd = pidfd_open_(getpid(), 0);
  siginfo_t info;
  memset(&info, 0, sizeof info);
  info.si_signo = SIGRTMIN;
  info.si_code = SI_QUEUE;
  info.si_value.sival_int = 41;
  SHOW(pidfd_kill(fd, SIGRTMIN, &info, 0));
  SHOW(pidfd_kill(fd, SIGRTMIN + 1, &info, 0));
  info.si_code = SI_USER;
  SHOW(pidfd_kill(fd, SIGRTMIN, &info, 0));
  pid_t pid = child_pauses();
  int other = pidfd_open_(pid, 0);
  SHOW(pidfd_kill(other, SIGRTMIN, &info, 0));
  SHOW(kill(pid, SIGKILL));
  SHOW(waitpid(pid, NULL, 0) == pid);
}

CASE(getfd, "a descriptor of another process") {
  int ends[2], ready[2];
  pipe(ready);
  pid_t pid = fork();
  if (pid == 0) {
    pipe(ends);
    write(ready[1], ends, sizeof ends);
    char text[6] = "";
    read(ends[0], text, 5);
    _exit(strcmp(text, "hello") == 0 ? 17 : 1);
  }
  read(ready[0], ends, sizeof ends);
  int fd = pidfd_open_(pid, 0), mine;
  SAY((mine = pidfd_getfd_(fd, ends[1], 0)) >= 0);
  SHOW(fcntl(mine, F_GETFD));
  SHOW(write(mine, "hello", 5));
  int status;
  SHOW(waitpid(pid, &status, 0) == pid);
  show_status("child", status);
  SHOW(pidfd_getfd_(fd, 0, 0));
}

CASE(clonepidfd, "CLONE_PIDFD in clone and clone3") {
  int fd = -1;
  pid_t pid = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &fd, 0, 0);
  if (pid == 0) _exit(3);
  SAY(pid > 0 && fd >= 0);
  SHOW(fcntl(fd, F_GETFD));
  siginfo_t info;
  SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
  printf("status %d\n", info.si_status);
  close(fd);
  struct clone_args args = { .flags = CLONE_PIDFD, .pidfd = (uintptr_t)&fd, .exit_signal = SIGCHLD };
  fd = -1;
  pid = syscall(SYS_clone3, &args, sizeof args);
  if (pid == 0) _exit(4);
  SAY(pid > 0 && fd >= 0);
  SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
  printf("status %d\n", info.si_status);
  SHOW(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &fd, 0, 0));
  SHOW(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, 8, 0, 0));
  args.pidfd = 8;
  SHOW(syscall(SYS_clone3, &args, sizeof args));
}

CASE(reuse, "a pidfd stands for its process, not for its number") {
  pid_t pid = fork();
  if (pid == 0) _exit(0);
  int fd = pidfd_open_(pid, 0);
  waitpid(pid, NULL, 0);
  SHOW(pidfd_kill(fd, SIGKILL, NULL, 0));
  siginfo_t info;
  SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
  int copy;
  SHOW((copy = dup(fd)) > fd);
  SHOW(pidfd_kill(copy, 0, NULL, 0));
}

CASE(permissions, "signalling through a pidfd needs what kill needs") {
  int fd = pidfd_open_(1, 0);
  SAY(fd >= 0 || errno == ESRCH);
  SHOW(kill(1, 0));
}

CASE(proc_directory, "a descriptor of /proc/PID takes signals too") {
  char path[64];
  pid_t pid = fork();
  if (pid == 0) { pause(); _exit(0); }
  sprintf(path, "/proc/%d", pid);
  int fd = open(path, O_RDONLY | O_DIRECTORY), by_path = open(path, O_PATH), dir = open("/proc", O_RDONLY);
  SHOW(pidfd_kill(fd, 0, NULL, 0));
  SHOW(pidfd_kill(by_path, 0, NULL, 0));
  SHOW(pidfd_kill(dir, 0, NULL, 0));
  SHOW(pidfd_kill(0, SIGINT, NULL, 0));
  SHOW(pidfd_kill(fd, SIGTERM, NULL, 0));
  int status;
  waitpid(pid, &status, 0);
  show_status("child", status);
  SHOW(pidfd_kill(fd, 0, NULL, 0));
  siginfo_t info;
  SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
}

CASE(notify, "F_NOTIFY: asking for nothing, and of what is no directory") {
  int dir = open(".", O_RDONLY), file = open("f", O_RDWR | O_CREAT, 0644);
  SHOW(fcntl(dir, F_NOTIFY, 0));
  SHOW(fcntl(dir, F_NOTIFY, DN_MULTISHOT));
  SHOW(fcntl(file, F_NOTIFY, 0));
  SHOW(fcntl(file, F_NOTIFY, DN_CREATE));
}

CASES_MAIN
