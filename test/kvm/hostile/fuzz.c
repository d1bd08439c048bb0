// Random system calls with nasty arguments, in forked children: one death does not end the run. Every other child has threads that
// make calls at the same time and signal each other.
// usage: fuzz SEED CHILDREN CALLS [VERBOSE]
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static __thread uint64_t state;
static uint64_t rnd(void) {
  state ^= state << 13; state ^= state >> 7; state ^= state << 17;
  return state * 0x2545f4914f6cdd1dull;
}
static uint64_t pick(uint64_t n) { return (rnd() >> 11) % n; }

static char *data, *readonly, *straddle, *noaccess, *strings;
static const uint64_t NASTY[] = {
  0, 1, 2, 3, 7, 8, 15, 16, 63, 64, 65, 127, 128, 255, 256, 511, 512, 1023, 1024, 1025, 4095, 4096, 4097, 65535, 65536, 65537, 1 << 20, 1 << 24,
  0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0x100000000, 0x100000001, 0xfffffffe, 1ull << 40, (1ull << 46), (1ull << 47) - 1, 1ull << 47,
  (1ull << 53) - 1, 1ull << 53, (1ull << 53) + 1, (1ull << 62), (1ull << 63) - 1, 1ull << 63, (1ull << 63) + 1, -1ull, -2ull, -8ull, -16ull, -100ull,
  -4095ull, -4096ull, -4097ull, 0xffff800000000000ull, 0xffff800100000000ull, 0xffffffff81000000ull, 0x7fffffffe000ull, 0x7ffffffff000ull,
  0x7fffffdff000ull, 0x7fffffe00000ull, 0x7ffffffff800ull, 0x800000000000ull, 0xdeadbeefull, 0x1000, 0x10000, 999999999, 1000000000, 0xff00ff00ff00ff00ull,
};
static const char *NAMES[] = {
  "", ".", "..", "/", "a", "b", "d", "d/x", "d/..", "l", "loop", "f", "/proc", "/proc/self", "/proc/self/fd", "/proc/self/maps", "/proc/self/mem", "/proc/self/exe",
  "/proc/self/fd/0", "/proc/self/cwd", "/proc/self/root", "/proc/self/task", "/proc/self/stat", "/proc/self/environ", "/proc/meminfo", "/proc/sys", "/dev", "/dev/null", "/dev/zero",
  "/dev/full", "/dev/tty", "/dev/urandom", "/dev/ptmx", "/dev/shm", "/dev/stdin", "/sys", "/tmp", "/etc/passwd", "/usr/bin/env", "/nonexistent", "a/b/c", "//a//", "__proto__",
  "constructor", "toString", "hasOwnProperty", "__defineGetter__", "user.x", "user.__proto__", "security.x", "trusted.y", "system.posix_acl_access", "user.",
  "/proc/1", "/proc/thread-self", "/proc/self/smaps", "/proc/self/status", "/proc/self/oom_score_adj", "/proc/self/comm", "/proc/sys/kernel/random/uuid", "\xff\xfe\x80", "\n\033[31m",
};
#define COUNT(a) (sizeof(a) / sizeof *(a))

static uint64_t number(void) {
  switch (pick(6)) {
    case 0: return pick(16);
    case 1: return 1ull << pick(64);
    case 2: return rnd();
    case 3: return (uint64_t)(int64_t)-(int64_t)pick(200);
    default: return NASTY[pick(COUNT(NASTY))];
  }
}

static void scribble(char *at, size_t size) {
  for (size_t i = 0; i + 8 <= size; i += 8) {
    uint64_t v = number();
    if (pick(4) == 0) v = (uint64_t)(data + pick(60000));
    if (pick(3) == 0) v = pick(300);
    memcpy(at + i, &v, 8);
  }
}

static uint64_t address(void) {
  switch (pick(12)) {
    case 0: return 0;
    case 1: return NASTY[pick(COUNT(NASTY))];
    case 2: return (uint64_t)readonly + pick(4096);
    case 3: return (uint64_t)straddle + 4096 - pick(64); // the next page is not there
    case 4: return (uint64_t)noaccess + pick(4096);
    case 5: return (uint64_t)(strings + 64 * pick(COUNT(NAMES)));
    case 6: return (uint64_t)(data + 65536 - pick(32)); // crosses a page, both there
    default: {
      char *at = data + pick(8000) * 8 + (pick(4) == 0 ? pick(8) : 0);
      scribble(data + ((at - data) & ~7), 16 + 8 * pick(16));
      return (uint64_t)at;
    }
  }
}

static uint64_t argument(void) {
  switch (pick(8)) {
    case 0: case 1: return number();
    case 2: return pick(40);                                // a descriptor
    case 3: return (uint64_t)(int64_t)AT_FDCWD;
    case 4: return (uint64_t)(strings + 64 * pick(COUNT(NAMES)));
    case 5: return 1ull << pick(33) | 1ull << pick(33);   // flags
    default: return address();
  }
}

/* What would only end the fuzzer: exit, exit_group, vfork and CLONE_VM (they share its stack). Endless waits are cut by alarm. */
static int skip(long nr) { return nr == SYS_exit || nr == SYS_exit_group || nr == SYS_vfork; }
static int signals(long nr) { return nr == SYS_kill || nr == SYS_tkill || nr == SYS_tgkill || nr == SYS_rt_sigqueueinfo || nr == SYS_rt_tgsigqueueinfo; }
static int forks(long nr) { return nr == SYS_fork || nr == SYS_clone || nr == SYS_clone3; }

#define THREADS 3
static pid_t tids[THREADS + 1];
static int calls_each;

static void nothing(int signo) {}

static void open_everything(void) {
  int p[2], fd;
  mkdir("d", 0755); symlink("f", "l"); symlink("loop", "loop");
  fd = open("f", O_RDWR | O_CREAT, 0644); ftruncate(fd, 10000);
  open("f", O_RDONLY); open("f", O_WRONLY | O_APPEND); open(".", O_RDONLY | O_DIRECTORY); open("/", O_PATH); open("/etc/passwd", O_RDONLY);
  pipe(p); pipe2(p, O_NONBLOCK); socketpair(AF_UNIX, SOCK_STREAM, 0, p); socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, p);
  socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p); socket(AF_INET, SOCK_STREAM, 0); socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0); socket(AF_UNIX, SOCK_STREAM, 0);
  epoll_create1(0); eventfd(0, 0); eventfd(5, EFD_SEMAPHORE | EFD_NONBLOCK); timerfd_create(CLOCK_MONOTONIC, 0);
  sigset_t set; sigfillset(&set); signalfd(-1, &set, SFD_NONBLOCK);
  memfd_create("m", MFD_ALLOW_SEALING); open("/dev/zero", O_RDWR); open("/dev/null", O_RDWR); open("/proc/self/maps", O_RDONLY); open("/proc/self/mem", O_RDWR); open("/proc", O_RDONLY);
  fd = open("/dev/ptmx", O_RDWR | O_NONBLOCK); int unlocked = 0; ioctl(fd, 0x40045431, &unlocked); open("/dev/pts/0", O_RDWR | O_NONBLOCK); ioctl(fd, 0x5441, O_RDWR);
  open("/tmp", O_TMPFILE | O_RDWR, 0600); open("/dev/urandom", O_RDONLY); open("/dev/full", O_RDWR); open("/proc/self/fd", O_RDONLY);
}

static int verbose;

/* New processes and threads end at once; what a thread got for a stack is what clone was given. */
static void forking(long nr, uint64_t *a) {
  uint64_t args[11];
  for (int i = 0; i < 11; i++) args[i] = argument();
  args[0] &= ~(uint64_t)(CLONE_VM | CLONE_VFORK);
  if (pick(2)) args[5] = args[6] = 0;
  if (nr == SYS_clone) { a[0] &= ~(uint64_t)(CLONE_VM | CLONE_VFORK); a[1] = 0; }
  if (nr == SYS_clone3 && pick(4)) { a[0] = (uint64_t)args; a[1] = pick(4) ? 88 : 8 * pick(20); }
  else if (nr == SYS_clone3) return;
  long pid = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (pid != 0) return;
  for (int i = 0; i < 3; i++) {
    nr = pick(335);
    if (!signals(nr)) syscall(nr, argument(), argument(), argument(), argument(), argument(), argument());
  }
  syscall(SYS_exit_group, 0);
}

static void fuzz_calls(int calls) {
  static const int CALLS[] = { 0, 1, 2, 3, 5, 8, 9, 10, 11, 16, 17, 18, 19, 20, 25, 28, 32, 33, 40, 42, 44, 45, 46, 47, 49, 54, 55, 56, 57, 72, 76, 77, 78, 82, 83, 86, 87, 88, 89, 132, 157, 188, 191, 194, 202, 213, 217, 218, 222, 223, 227, 232, 233, 257, 262, 273, 275, 276, 278, 281, 283, 285, 286, 295, 296, 299, 302, 307, 310, 311, 316, 319, 326, 332, 435, 437, 441, 439, 449 };
  for (int i = 0; i < calls; i++) {
    struct itimerval it = { {0, 3000}, {0, 3000} };
    syscall(SYS_setitimer, ITIMER_REAL, &it, 0);
    long nr = pick(16) == 0 ? number() : pick(3) == 0 ? CALLS[pick(COUNT(CALLS))] : pick(463);
    uint64_t a[6];
    for (int k = 0; k < 6; k++) a[k] = argument();
    if (skip(nr & 0xffffffff)) continue;
    if (nr == SYS_rt_sigreturn && pick(20)) continue;                 // nearly always the end of this child
    if (nr == SYS_rt_sigprocmask || nr == SYS_rt_sigsuspend || nr == SYS_rt_sigaction) { if (pick(4)) continue; }
    if (signals(nr) && (int)a[0] != 0) a[0] = getpid();
    if (nr == SYS_kill && (int)a[0] <= 0) continue;
    if (verbose) { char line[200]; int n = sprintf(line, "%d %ld(%lx,%lx,%lx,%lx,%lx,%lx)\n", gettid(), nr, a[0], a[1], a[2], a[3], a[4], a[5]); syscall(SYS_write, 2, line, n); }
    if (nr == SYS_ioctl && pick(2)) a[1] = pick(2) ? 0x5400 + pick(0x60) : 0x80045430 + pick(16);
    if (forks(nr)) forking(nr, a);
    else syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (pick(8) == 0) syscall(SYS_tgkill, getpid(), tids[pick(THREADS + 1)], pick(2) ? SIGUSR1 : SIGRTMIN + pick(4));
  }
}

static void *thread(void *seed) {
  state = (uint64_t)seed;
  tids[pick(THREADS) + 1] = gettid();
  fuzz_calls(calls_each);
  return 0;
}

static void child(uint64_t seed, int calls) {
  state = seed * 0x9e3779b97f4a7c15ull + 1;
  char dir[32]; sprintf(dir, "/tmp/fuzz%d", getpid());
  mkdir(dir, 0755); chdir(dir);
  open_everything();
  struct rlimit core = {0, 0}; setrlimit(RLIMIT_CORE, &core);
  struct rlimit cpu = {2, 2}; setrlimit(RLIMIT_CPU, &cpu);
  struct sigaction sa = { .sa_handler = nothing, .sa_flags = pick(2) ? SA_RESTART : 0 };
  sigaction(SIGALRM, &sa, 0); sigaction(SIGUSR1, &sa, 0);
  sa.sa_flags |= SA_SIGINFO;
  for (int i = 0; i < 4; i++) sigaction(SIGRTMIN + i, &sa, 0);
  tids[0] = getpid();
  if (seed % 2 == 0) { fuzz_calls(calls); return; }
  calls_each = calls / (THREADS + 1);
  pthread_t made;
  for (int i = 0; i < THREADS; i++) pthread_create(&made, 0, thread, (void *)(rnd() | 1));
  fuzz_calls(calls_each);
}

int main(int argc, char **argv) {
  uint64_t seed = strtoull(argv[1], 0, 0);
  int children = atoi(argv[2]), calls = atoi(argv[3]);
  verbose = argc > 4;
  data = mmap(0, 1 << 17, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  readonly = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  straddle = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); munmap(straddle + 4096, 4096);
  noaccess = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  strings = mmap(0, 64 * COUNT(NAMES) + 64, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < COUNT(NAMES); i++) strcpy(strings + 64 * i, NAMES[i]);
  int ended[4] = {0};
  signal(SIGTERM, SIG_IGN);
  for (int i = 0; i < children; i++) {
    pid_t pid = fork();
    if (pid == 0) { setpgid(0, 0); close(1); open("/dev/null", O_WRONLY); if (!verbose) { close(2); open("/dev/null", O_WRONLY); } child(seed * 1000 + i, calls); _exit(0); }
    if (pid < 0) { printf("fork: %s\n", strerror(errno)); break; }
    int status = 0;
    // A child that stopped or waits for ever is killed.
    for (int t = 0; ; t++) {
      pid_t got = waitpid(pid, &status, WNOHANG | WUNTRACED);
      if (got == pid && !WIFSTOPPED(status)) break;
      if (t > 400 || (got == pid && WIFSTOPPED(status))) { kill(pid, SIGKILL); waitpid(pid, &status, 0); ended[3]++; break; }
      struct timespec ts = {0, t < 50 ? 2000000 : 10000000}; nanosleep(&ts, 0);
    }
    ended[WIFEXITED(status) ? 0 : 1]++;
    kill(-pid, SIGKILL);
    while (waitpid(-1, &status, WNOHANG) > 0);
  }
  printf("children %d: exited %d, signalled %d, killed %d\n", children, ended[0], ended[1], ended[3]);
  return 0;
}
