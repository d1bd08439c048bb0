// Processes, timers, names and descriptors without end. usage: processes exitsig | zombies | timers | deep | hidden | threads | signals
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// An exit signal beyond the last one, while signal 32 is ignored.
static void exitsig(void) {
  struct { void *handler; unsigned long flags; void *restorer; unsigned long mask; } ignore = { (void *)1, 0, 0, 0 };
  syscall(SYS_rt_sigaction, 32, &ignore, 0, 8);
  signal(60, SIG_IGN);
  for (int signo = 60; signo < 256; signo += 15) {
    long pid = syscall(SYS_clone, signo, 0, 0, 0, 0);
    if (pid == 0) _exit(0);
    while (waitpid(-1, 0, __WALL) != pid) if (errno == ECHILD) break;
  }
  printf("waited\n");
}

// Children that nobody waits for hold their pids.
static void zombies(void) {
  int n = 0;
  for (; n < 40000; n++) {
    int pid = vfork();
    if (pid == 0) _exit(0);
    if (pid < 0) break;
  }
  printf("%s\n", n < 1000 ? strerror(errno) : "no limit");
}

// Processes full of timers that are due all the time.
static void timers(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, 0);
  for (int p = 0; p < 20; p++) {
    if (fork() != 0) continue;
    for (int i = 0; i < 256; i++) {
      timer_t timer;
      struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + i % 20 };
      if (timer_create(CLOCK_MONOTONIC, &event, &timer)) break;
      struct itimerspec time = { { 0, 1 }, { 1, 0 } };
      timer_settime(timer, 0, &time, 0);
    }
    for (;;) pause();
  }
  sleep(3);
  printf("awake\n");
  fflush(stdout);
  kill(0, SIGKILL);
}

// A directory so deep that its path is a megabyte; mappings of a file in it.
static void deep(void) {
  char name[256], buffer[5000];
  memset(name, 'x', 255);
  name[255] = 0;
  chdir("/tmp");
  for (int depth = 0; depth < 4000; depth++) if (mkdir(name, 0755) || chdir(name)) break;
  printf("getcwd: %s\n", syscall(SYS_getcwd, buffer, 5000) > 0 ? buffer : strerror(errno));
  int fd = open(".", O_TMPFILE | O_RDWR, 0644);
  ftruncate(fd, 4096);
  int mapped = 0;
  for (; mapped < 3000; mapped++) {
    if (mmap((void *)(0x100000000 + mapped * 8192l), 4096, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) break;
  }
  printf("mapped %d\n", mapped);
}

// Many hidden pages, and many areas each larger than these.
static void hidden(void) {
  long n = 20000;
  char *p = mmap(0, n * 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *start = (char *)0x10000000000, *at = start;
  for (long i = 0; i < n; i++) p[i * 4096] = 1;
  mprotect(p, n * 4096, 0);
  for (int i = 0; i < 10000; i++, at += 500l << 20) {
    mmap(at, 500l << 20, i & 1 ? PROT_NONE : PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  }
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  int pid = fork();
  if (pid == 0) _exit(0);
  mprotect(start, at - start, PROT_READ | PROT_EXEC);
  munmap(start, at - start);
  clock_gettime(CLOCK_MONOTONIC, &b);
  double seconds = b.tv_sec - a.tv_sec + (b.tv_nsec - a.tv_nsec) / 1e9;
  fprintf(stderr, "%.2f s\n", seconds);
  printf("%s\n", seconds < 5 ? "soon" : "late");
  mprotect(p, n * 4096, 3);
  long kept = 0;
  for (long i = 0; i < n; i++) kept += p[i * 4096];
  printf("kept %ld\n", kept);
}

static void *forever(void *unused) { for (;;) pause(); }

// Threads and forks up to the limit; then there is room again.
static void threads(void) {
  int made = 0, pid;
  pthread_t thread;
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 65536);
  while (made < 10000 && pthread_create(&thread, &small, forever, 0) == 0) made++;
  printf("%s\n", made < 1000 ? "threads end" : "threads without end");
  pid = fork();
  printf("fork: %s\n", pid < 0 ? strerror(errno) : "made");
}

// Queues of signals.
static void signals(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, 0);
  siginfo_t info = { .si_signo = SIGRTMIN, .si_code = -1 };
  int queued = 0;
  while (queued < 100000 && syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN + queued % 30, &info) == 0) queued++;
  printf("%s\n", queued < 5000 ? strerror(errno) : "no limit");
}

int main(int argc, char **argv) {
  static const struct { const char *name; void (*run)(void); } PARTS[] = {
    { "exitsig", exitsig }, { "zombies", zombies }, { "timers", timers }, { "deep", deep }, { "hidden", hidden }, { "threads", threads },
    { "signals", signals },
  };
  for (int i = 0; i < sizeof PARTS / sizeof *PARTS; i++) if (strcmp(PARTS[i].name, argv[1]) == 0) PARTS[i].run();
  return 0;
}
