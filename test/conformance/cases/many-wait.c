// wait4, waitid and the life and death of processes.
#include "case.h"
#include <sys/prctl.h>

static pid_t child_exits(int code) {
  pid_t pid = fork();
  if (pid == 0) _exit(code);
  return pid;
}

static pid_t child_pauses(void) {
  pid_t pid = fork();
  if (pid == 0) for (;;) pause();
  return pid;
}

static void show_info(const char *name, siginfo_t *info, pid_t child) {
  printf("%s: signo %d code %d status %d pid %s uid %s\n", name, info->si_signo, info->si_code, info->si_status,
         info->si_pid == child ? "child's" : info->si_pid == 0 ? "0" : "other", info->si_uid == getuid() ? "ours" : "other");
}

static void end(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

CASE(errnos, "wait4 and waitid without children and with bad arguments") {
  int status;
  siginfo_t info;
  SHOW(wait4(-1, &status, 0, NULL));
  SHOW(wait4(0, &status, 0, NULL));
  SHOW(wait4(getpid(), &status, 0, NULL));
  SHOW(wait4(-999999, &status, 0, NULL));
  SHOW(wait4(INT_MIN, &status, 0, NULL));
  SHOW(wait4(-1, &status, 0x4000, NULL));
  SHOW(wait4(-1, &status, WNOWAIT, NULL));
  SHOW(wait4(-1, &status, WEXITED, NULL));
  SHOW(waitid(P_ALL, 0, &info, WEXITED));
  SHOW(waitid(P_ALL, 0, &info, 0));
  SHOW(waitid(P_ALL, 0, &info, WNOHANG));
  SHOW(waitid(P_ALL, 0, &info, WEXITED | 0x8000));
  SHOW(waitid(99, 0, &info, WEXITED));
  SHOW(waitid(P_PID, 0, &info, WEXITED));
  SHOW(waitid(P_PID, -1, &info, WEXITED));
  SHOW(waitid(P_PGID, -1, &info, WEXITED));
  SHOW(waitid(P_PGID, 0, &info, WEXITED));
  SHOW(waitid(P_PID, 1, &info, WEXITED));
  SHOW(waitid(P_PIDFD, 9999, &info, WEXITED));
  SHOW(waitid(P_PIDFD, -1, &info, WEXITED));
  SHOW(waitid(P_PIDFD, 1, &info, WEXITED));
}

CASE(pointers, "bad pointers for status, rusage and siginfo") {
  pid_t pid = child_exits(3);
  SHOW(wait4(pid, (int *)8, 0, NULL) == pid);
  SHOW(wait4(pid, NULL, 0, NULL));
  pid = child_exits(3);
  SHOW(wait4(pid, NULL, 0, (void *)8) == pid);
  SHOW(wait4(pid, NULL, 0, NULL));
  pid = child_exits(3);
  SHOW(syscall(SYS_waitid, P_PID, pid, (void *)8, WEXITED, NULL));
  SHOW(waitid(P_PID, pid, NULL, WEXITED));
  pid = child_exits(3);
  SHOW(syscall(SYS_waitid, P_PID, pid, NULL, WEXITED, NULL));
}

CASE(nohang, "WNOHANG with a living child, then a dead one") {
  int status = 77;
  pid_t pid = child_pauses();
  siginfo_t info;
  memset(&info, 0x5a, sizeof info);
  SHOW(waitpid(-1, &status, WNOHANG));
  printf("status %d\n", status);
  SHOW(waitid(P_PID, pid, &info, WEXITED | WNOHANG));
  printf("signo %d pid %d\n", info.si_signo, info.si_pid);
  kill(pid, SIGTERM);
  SHOW(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
  show_info("dead", &info, pid);
  SHOW(waitpid(-1, &status, WNOHANG) == pid);
  show_status("child", status);
}

CASE(nowait, "WNOWAIT leaves the child to be waited for") {
  pid_t pid = child_exits(9);
  siginfo_t info;
  for (int i = 0; i < 2; i++) {
    SHOW(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
    show_info("exited", &info, pid);
  }
  SHOW(waitid(P_PID, pid, &info, WEXITED));
  SHOW(waitid(P_PID, pid, &info, WEXITED));
}

CASE(groups, "waiting for a process group") {
  pid_t a = child_pauses(), b = child_pauses();
  SHOW(setpgid(a, a));
  SHOW(setpgid(b, a));
  kill(b, SIGKILL);
  int status;
  siginfo_t info;
  SHOW(waitpid(0, &status, WNOHANG));
  SHOW(waitpid(-a, &status, 0) == b);
  show_status("b", status);
  SHOW(waitpid(-a, &status, WNOHANG));
  kill(a, SIGTERM);
  SHOW(waitid(P_PGID, a, &info, WEXITED));
  show_info("a", &info, a);
  SHOW(waitpid(-a, &status, 0));
}

CASE(stopcontinue, "WUNTRACED, WCONTINUED, WSTOPPED and their siginfo") {
  pid_t pid = child_pauses();
  int status;
  siginfo_t info;
  kill(pid, SIGSTOP);
  SHOW(waitid(P_PID, pid, &info, WSTOPPED | WNOWAIT));
  show_info("stopped", &info, pid);
  SHOW(waitpid(pid, &status, WUNTRACED) == pid);
  show_status("child", status);
  SHOW(waitpid(pid, &status, WUNTRACED | WNOHANG));
  kill(pid, SIGCONT);
  SHOW(waitid(P_PID, pid, &info, WCONTINUED));
  show_info("continued", &info, pid);
  SHOW(waitpid(pid, &status, WCONTINUED | WNOHANG));
  SHOW(setpgid(pid, pid));
  kill(pid, SIGTSTP);
  SHOW(waitpid(pid, &status, WUNTRACED) == pid);
  show_status("child", status);
  kill(pid, SIGTERM);
  SHOW(waitpid(pid, &status, WNOHANG));
  kill(pid, SIGCONT);
  SHOW(waitpid(pid, &status, 0) == pid);
  show_status("child", status);
}

CASE(onlystopped, "waitid without WEXITED does not report the dead") {
  pid_t pid = child_exits(0);
  siginfo_t info;
  SHOW(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
  SHOW(waitid(P_PID, pid, &info, WSTOPPED | WNOHANG));
  SHOW(waitid(P_PID, pid, &info, WSTOPPED));
  SHOW(waitid(P_PID, pid, &info, WEXITED));
}

static volatile int got;
static siginfo_t last;
static void on_chld(int signo, siginfo_t *info, void *context) { (void)signo; (void)context; got++; last = *info; }

CASE(sigchld, "SIGCHLD tells how the child ended, stopped and went on") {
  struct sigaction action = { .sa_sigaction = on_chld, .sa_flags = SA_SIGINFO };
  sigset_t set, old;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, &old);
  SHOW(sigaction(SIGCHLD, &action, NULL));
  pid_t pid = child_pauses();
  int signals[] = { SIGSTOP, SIGCONT, SIGKILL };
  for (int i = 0; i < 3; i++) {
    kill(pid, signals[i]);
    sigsuspend(&old);
    show_info("got", &last, pid);
  }
  SHOW(waitpid(pid, NULL, 0) == pid);
  pid = child_exits(42);
  sigsuspend(&old);
  show_info("got", &last, pid);
  SHOW(waitpid(pid, NULL, 0) == pid);
}

CASE(nocldstop, "SA_NOCLDSTOP: no signal when a child stops") {
  struct sigaction action = { .sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | SA_NOCLDSTOP };
  SHOW(sigaction(SIGCHLD, &action, NULL));
  pid_t pid = child_pauses();
  int status;
  kill(pid, SIGSTOP);
  SHOW(waitpid(pid, &status, WUNTRACED) == pid);
  printf("got %d\n", got);
  kill(pid, SIGKILL);
  while (waitpid(pid, &status, 0) != pid);
  printf("got %d\n", got);
}

CASE(nocldwait, "SA_NOCLDWAIT and SIG_IGN: children leave nothing to wait for") {
  struct sigaction action = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };
  SHOW(sigaction(SIGCHLD, &action, NULL));
  child_exits(1);
  SHOW(waitpid(-1, NULL, 0));
  signal(SIGCHLD, SIG_IGN);
  child_exits(1);
  child_exits(2);
  SHOW(wait(NULL));
  signal(SIGCHLD, SIG_DFL);
  pid_t pid = child_exits(3);
  SHOW(wait(NULL) == pid);
}

CASE(orphans, "an orphan belongs to pid 1, or to a subreaper") {
  int ends[2];
  SHOW(pipe(ends));
  IN_CHILD("parent", {
    if (fork() == 0) {
      while (getppid() == 0 || kill(getppid(), 0) == 0 && getppid() != 1 && getppid() != getpid()) sleep_ms(2);
      _exit(0);
    }
  });
  SHOW(prctl(PR_SET_CHILD_SUBREAPER, 1));
  pid_t self = getpid();
  IN_CHILD("parent", {
    if (fork() == 0) {
      while (getppid() != self) sleep_ms(1);
      char yes = 'y';
      write(ends[1], &yes, 1);
      _exit(7);
    }
  });
  char byte = 0;
  SHOW(read(ends[0], &byte, 1));
  int status;
  SHOW(wait(&status) > 0);
  show_status("grandchild", status);
  int value = 9;
  SHOW(prctl(PR_GET_CHILD_SUBREAPER, &value));
  printf("subreaper %d\n", value);
  SHOW(prctl(PR_GET_CHILD_SUBREAPER, 8));
}

CASE(usage, "rusage of children: times add up, nothing is negative") {
  struct rusage usage;
  pid_t pid = fork();
  if (pid == 0) {
    long long from = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    while (now_ns(CLOCK_PROCESS_CPUTIME_ID) < from + 30000000);
    _exit(0);
  }
  SHOW(wait4(pid, NULL, 0, &usage) == pid);
  long long us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
  SAY(us >= 25000 && us < 20000000);
  SHOW(getrusage(RUSAGE_CHILDREN, &usage));
  us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
  SAY(us >= 25000);
  SHOW(getrusage(RUSAGE_SELF, &usage));
  SHOW(getrusage(RUSAGE_THREAD, &usage));
  SHOW(getrusage(7, &usage));
  SHOW(getrusage(RUSAGE_SELF, (void *)8));
}

CASE(threadwaits, "any thread may wait for a child of another; __WNOTHREAD may not") {
  pid_t pid = child_exits(5);
  void *wait_in_thread(void *argument) {
    (void)argument;
    SHOW(waitpid(pid, NULL, WNOHANG | __WNOTHREAD));
    int status;
    SHOW(waitpid(pid, &status, 0) == pid);
    show_status("child", status);
    return NULL;
  }
  siginfo_t info;
  SHOW(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
  pthread_t thread;
  pthread_create(&thread, NULL, wait_in_thread, NULL);
  ERR(pthread_join(thread, NULL));
}

CASE(clonesignal, "__WALL and __WCLONE: children with another exit signal") {
  int status;
  pid_t pid = syscall(SYS_clone, 0, 0, 0, 0, 0);
  if (pid == 0) _exit(4);
  SHOW(waitpid(pid, &status, WNOHANG));
  SHOW(waitpid(pid, &status, __WCLONE) == pid);
  show_status("child", status);
  pid = syscall(SYS_clone, 0, 0, 0, 0, 0);
  if (pid == 0) _exit(5);
  SHOW(waitpid(pid, &status, __WALL) == pid);
  show_status("child", status);
  pid = child_exits(6);
  SHOW(waitpid(pid, &status, __WCLONE));
  SHOW(waitpid(pid, &status, __WALL) == pid);
}

CASE(interrupted, "wait4 and a signal: EINTR without SA_RESTART, goes on with it") {
  void on_alarm(int signo) { (void)signo; write(1, "alarm\n", 6); }
  struct sigaction action = { .sa_handler = on_alarm };
  sigaction(SIGALRM, &action, NULL);
  pid_t pid = child_pauses();
  pid_t alarmer = fork();
  if (alarmer == 0) { wait_asleep(getppid()); kill(getppid(), SIGALRM); _exit(0); }
  SHOW(waitpid(pid, NULL, 0));
  waitpid(alarmer, NULL, 0);
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, NULL);
  pid_t killer = fork();
  if (killer == 0) {
    wait_asleep(getppid());
    kill(getppid(), SIGALRM);
    sleep_ms(100);
    kill(pid, SIGKILL);
    _exit(0);
  }
  int status;
  SHOW(waitpid(pid, &status, 0) == pid);
  show_status("child", status);
  end(killer);
}

CASE(zombie, "what a zombie still is: killable, in its group, with an entry in /proc") {
  pid_t pid = child_exits(1);
  siginfo_t info;
  SHOW(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
  SHOW(kill(pid, 0));
  SHOW(kill(pid, SIGTERM));
  SAY(getpgid(pid) == getpgrp());
  SAY(getsid(pid) == getsid(0));
  SHOW(setpgid(pid, 0));
  char path[64], text[256] = "";
  sprintf(path, "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY);
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  SAY(n > 0 && strstr(text, ") Z ") != NULL);
  sprintf(path, "/proc/%d/cmdline", pid);
  fd = open(path, O_RDONLY);
  SHOW(read(fd, text, sizeof text));
  close(fd);
  sprintf(path, "/proc/%d/exe", pid);
  SHOW(readlink(path, text, sizeof text));
  sprintf(path, "/proc/%d/maps", pid);
  fd = open(path, O_RDONLY);
  SHOW(read(fd, text, sizeof text));
  SHOW(waitpid(pid, NULL, 0) == pid);
  SHOW(kill(pid, 0));
  SHOW(access(path, F_OK));
}

CASE(exitcodes, "exit takes the low 8 bits; exit_group ends all threads") {
  IN_CHILD("256", _exit(256));
  IN_CHILD("-1", _exit(-1));
  IN_CHILD("1000", _exit(1000));
  IN_CHILD("thread", {
    void *end_all(void *code) { (void)code; exit(6); }
    pthread_t thread;
    pthread_create(&thread, NULL, end_all, NULL);
    for (;;) pause();
  });
  IN_CHILD("main thread leaves", {
    void *later(void *code) { (void)code; sleep_ms(20); _exit(8); }
    pthread_t thread;
    pthread_create(&thread, NULL, later, NULL);
    pthread_exit(NULL);
  });
  IN_CHILD("last thread leaves", syscall(SYS_exit, 9));
}

CASE(coredumps, "WCOREDUMP depends on the limit; the signal does not") {
  struct rlimit none = { 0, 0 };
  SHOW(setrlimit(RLIMIT_CORE, &none));
  pid_t pid = fork();
  if (pid == 0) abort();
  int status;
  SHOW(waitpid(pid, &status, 0) == pid);
  printf("signal %d core %d\n", WTERMSIG(status), !!WCOREDUMP(status));
  pid = fork();
  if (pid == 0) raise(SIGTERM);
  waitpid(pid, &status, 0);
  printf("signal %d core %d\n", WTERMSIG(status), !!WCOREDUMP(status));
}

CASE(pdeathsig, "PR_SET_PDEATHSIG: the parent's end is a signal") {
  int ends[2], value = 0;
  pipe(ends);
  SHOW(prctl(PR_SET_PDEATHSIG, 65));
  SHOW(prctl(PR_SET_PDEATHSIG, SIGUSR1));
  SHOW(prctl(PR_GET_PDEATHSIG, &value));
  printf("%d\n", value);
  IN_CHILD("parent", {
    SHOW(prctl(PR_GET_PDEATHSIG, &value));
    printf("in the child %d\n", value);
    int ready[2];
    pipe(ready);
    if (fork() == 0) {
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, SIGUSR2);
      sigprocmask(SIG_BLOCK, &set, NULL);
      prctl(PR_SET_PDEATHSIG, SIGUSR2);
      write(ready[1], "r", 1);
      int signo = 0;
      sigwait(&set, &signo);
      write(ends[1], signo == SIGUSR2 ? "y" : "n", 1);
      _exit(0);
    }
    char byte;
    read(ready[0], &byte, 1);
  });
  char byte;
  SHOW(read(ends[0], &byte, 1));
  printf("%c\n", byte);
}

CASES_MAIN
