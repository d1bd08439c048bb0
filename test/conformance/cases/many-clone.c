// clone, clone3, unshare: what is shared, who is told of the end, and errnos.
#include "case.h"
#include <linux/sched.h>
#include <sys/prctl.h>
#ifndef CLONE_DETACHED
#define CLONE_DETACHED 0x400000
#endif

struct args { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup, beyond; };
static long clone_raw(unsigned long flags) { return syscall(SYS_clone, flags, 0, 0, 0, 0); }
static long clone3(struct args *args, size_t size) { return syscall(SYS_clone3, args, size); }
static volatile sig_atomic_t got_usr1, got_chld;
static void note(int signo) { if (signo == SIGCHLD) got_chld++; else got_usr1++; }

static void wait_any(const char *name) {
  int status = 0;
  pid_t pid = waitpid(-1, &status, __WALL);
  if (pid < 0) printf("%s: %s\n", name, error_name(errno));
  else show_status(name, status);
}

CASE(exit_signal, "the exit signal clone asked for, and wait options that go with it") {
  signal(SIGUSR1, note); signal(SIGCHLD, note);
  pid_t pid = clone_raw(SIGUSR1);
  if (pid == 0) _exit(3);
  int status = 0;
  SAY(waitpid(pid, &status, __WCLONE) == pid);
  show_status("child", status);
  printf("SIGUSR1 %d SIGCHLD %d\n", got_usr1, got_chld);
  pid = clone_raw(0);
  if (pid == 0) _exit(4);
  while (SHOW(waitpid(pid, &status, 0)) != -1) ;
  SAY(waitpid(pid, &status, __WALL) == pid);
  printf("SIGUSR1 %d SIGCHLD %d\n", got_usr1, got_chld);
}

CASE(exit_signal_exec, "execve makes the exit signal SIGCHLD again") {
  signal(SIGUSR1, note); signal(SIGCHLD, note);
  pid_t pid = clone_raw(SIGUSR1);
  if (pid == 0) { execl("/bin/true", "true", NULL); _exit(9); }
  int status = 0;
  while (waitpid(pid, &status, __WALL) < 0) ;
  show_status("child", status);
  printf("SIGUSR1 %d SIGCHLD %d\n", got_usr1, got_chld);
}

CASE(parent, "CLONE_PARENT: a sibling, whose end is told as the caller's is") {
  signal(SIGUSR1, note); signal(SIGCHLD, note);
  pid_t pid = fork();
  if (pid == 0) {
    pid_t parent = getppid();
    pid_t sibling = clone_raw(CLONE_PARENT | SIGUSR1);
    if (sibling == 0) _exit(getppid() == parent ? 5 : 6);
    SAY(sibling > 0);
    SHOW(waitpid(sibling, NULL, __WALL));
    _exit(7);
  }
  int sum = 0;
  for (int i = 0; i < 2; i++) {
    int status = 0;
    while (waitpid(-1, &status, 0) < 0 && errno == EINTR) ;
    sum += WEXITSTATUS(status);
  }
  printf("sum %d, SIGUSR1 %d, SIGCHLD %s\n", sum, got_usr1, got_chld > 0 ? "yes" : "no");
}

CASE(orphan_signal, "an orphan's new parent gets SIGCHLD whatever clone asked for") {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  signal(SIGUSR1, note); signal(SIGCHLD, note);
  int pipes[2];
  pipe(pipes);
  pid_t pid = fork();
  if (pid == 0) {
    if (clone_raw(SIGUSR1) == 0) { char c; close(pipes[1]); read(pipes[0], &c, 1); _exit(3); }
    _exit(0);
  }
  while (waitpid(pid, NULL, 0) < 0) ;
  got_chld = 0;
  close(pipes[1]);
  int status = 0;
  while (waitpid(-1, &status, 0) < 0 && errno == EINTR) ;
  show_status("orphan", status);
  printf("SIGUSR1 %d SIGCHLD %d\n", got_usr1, got_chld);
}

CASE(files_fs, "CLONE_FILES and CLONE_FS: descriptors, directory and umask are one") {
  mkdir("d", 0755);
  int status, before = open("/dev/null", O_RDONLY);
  close(before);
  pid_t pid = clone_raw(CLONE_FILES | CLONE_FS | SIGCHLD);
  if (pid == 0) { SAY(open("/dev/zero", O_RDONLY) == before); chdir("d"); umask(077); _exit(0); }
  waitpid(pid, &status, 0);
  SAY(fcntl(before, F_GETFD) == 0);
  char cwd[4096];
  getcwd(cwd, sizeof cwd);
  printf("%s %o\n", strrchr(cwd, '/'), umask(022));
  pid = clone_raw(CLONE_FILES | CLONE_FS | SIGCHLD);
  if (pid == 0) {
    SHOW(unshare(CLONE_FILES | CLONE_FS));
    close(before); chdir("/"); umask(0);
    _exit(0);
  }
  waitpid(pid, &status, 0);
  SAY(fcntl(before, F_GETFD) == 0);
  getcwd(cwd, sizeof cwd);
  printf("%s %o\n", strrchr(cwd, '/'), umask(022));
}

CASE(clone_errors, "clone: flags that need or exclude each other") {
  SHOW(clone_raw(CLONE_SIGHAND | SIGCHLD));
  SHOW(clone_raw(CLONE_THREAD | CLONE_VM | SIGCHLD));
  SHOW(clone_raw(CLONE_NEWNS | CLONE_FS | SIGCHLD));
  SHOW(clone_raw(CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD));
  SHOW(clone_raw(CLONE_PIDFD | CLONE_DETACHED | SIGCHLD));
  SHOW(clone_raw(CLONE_NEWUTS | SIGCHLD));
  SHOW(clone_raw(CLONE_NEWPID | SIGCHLD));
  SHOW(clone_raw(CLONE_NEWNET | SIGCHLD));
  SHOW(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, 8, 0, 0));
  wait_any("none");
}

CASE(clone3_errors, "clone3: sizes, flags, stacks, set_tid, cgroups") {
  struct args a = { .exit_signal = SIGCHLD };
#define TRY(...) ({ struct args t = { __VA_ARGS__ }; long r = clone3(&t, 88); if (r == 0) _exit(1); r; })
  SHOW(clone3(&a, 63));
  SHOW(clone3(&a, 4097));
  SHOW(clone3((void *)8, 64));
  a.beyond = 1;
  SHOW(clone3(&a, sizeof a));
  SHOW(TRY(.exit_signal = 65));
  SHOW(TRY(.exit_signal = 1ull << 32));
  SHOW(TRY(.flags = SIGCHLD));
  SHOW(TRY(.flags = CLONE_DETACHED));
  SHOW(TRY(.flags = 1ull << 40));
  SHOW(TRY(.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, .exit_signal = SIGCHLD));
  SHOW(TRY(.flags = CLONE_PARENT, .exit_signal = SIGCHLD));
  SHOW(TRY(.flags = CLONE_CLEAR_SIGHAND | CLONE_SIGHAND | CLONE_VM));
  SHOW(TRY(.stack = 4096));
  SHOW(TRY(.stack_size = 4096));
  SHOW(TRY(.stack = 1ull << 63, .stack_size = 4096));
  SHOW(TRY(.set_tid_size = 1));
  SHOW(TRY(.set_tid = 4096));
  SHOW(TRY(.set_tid = 4096, .set_tid_size = 33));
  pid_t wanted = 1;
  SHOW(TRY(.set_tid = (uint64_t)&wanted, .set_tid_size = 1));
  wanted = 30000;
  SHOW(TRY(.set_tid = (uint64_t)&wanted, .set_tid_size = 1));
  SHOW(TRY(.flags = CLONE_INTO_CGROUP, .cgroup = 1ull << 31));
  SHOW(TRY(.flags = CLONE_INTO_CGROUP, .cgroup = 999));
  SHOW(TRY(.flags = CLONE_NEWUTS, .exit_signal = SIGCHLD));
  wait_any("none");
}

CASE(clone3_clear, "CLONE_CLEAR_SIGHAND: handlers go, what is ignored stays ignored") {
  signal(SIGUSR1, note); signal(SIGUSR2, SIG_IGN);
  struct args a = { .flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD };
  if (clone3(&a, 64) == 0) {
    SAY(signal(SIGUSR1, SIG_DFL) == SIG_DFL);
    SAY(signal(SIGUSR2, SIG_DFL) == SIG_IGN);
    _exit(0);
  }
  wait_any("child");
}

CASE(clone3_words, "clone3: tids are written, the descriptor names the child") {
  pid_t in_parent = 0, in_child = 0;
  int pidfd = -1;
  struct args a = { .flags = CLONE_PIDFD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID, .exit_signal = SIGCHLD,
    .pidfd = (uint64_t)&pidfd, .parent_tid = (uint64_t)&in_parent, .child_tid = (uint64_t)&in_child };
  pid_t pid = clone3(&a, sizeof a - 8);
  if (pid == 0) _exit(in_child == getpid() ? 0 : 1);
  SAY(in_parent == pid);
  SAY(in_child == 0);
  siginfo_t info = { 0 };
  SHOW(waitid(P_PIDFD, pidfd, &info, WEXITED));
  SAY(info.si_pid == pid);
  printf("status %d\n", info.si_status);
  SAY(fcntl(pidfd, F_GETFD) == FD_CLOEXEC);
}

static void *idle(void *unused) { pause(); return 0; }

CASE(unshare_errors, "unshare: what there is to unshare, and who may") {
  SHOW(unshare(0));
  SHOW(unshare(1));
  SHOW(unshare(CLONE_VFORK));
  SHOW(unshare(CLONE_FS | CLONE_FILES | CLONE_SYSVSEM));
  SHOW(unshare(CLONE_VM | CLONE_SIGHAND | CLONE_THREAD));
  SHOW(unshare(CLONE_NEWUTS));
  SHOW(unshare(CLONE_NEWNS));
  SHOW(unshare(CLONE_NEWPID | CLONE_NEWNET));
  pthread_t other;
  pthread_create(&other, 0, idle, 0);
  SHOW(unshare(CLONE_THREAD));
  SHOW(unshare(CLONE_SIGHAND));
  SHOW(unshare(CLONE_VM));
}

CASES_MAIN
