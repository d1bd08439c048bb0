// /proc, /sys, /dev as programs read them; clocks and timers.
#include "case.h"
#include <ctype.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sysinfo.h>
#include <sys/timex.h>
#include <sys/vfs.h>

/* The file's text, or "" with the errno printed. */
static char text_[65536];
static const char *text_of(const char *path) {
  int fd = open(path, O_RDONLY);
  ssize_t n = fd < 0 ? -1 : 0, got;
  while (fd >= 0 && (got = read(fd, text_ + n, sizeof text_ - 1 - n)) > 0) n += got;
  if (n < 0) printf("%s: %s\n", path, error_name(errno));
  text_[n < 0 ? 0 : n] = 0;
  close(fd);
  return text_;
}

/* Prints a text with every run of digits as # and of blanks as one. */
static void shape(const char *text, int lines) {
  for (int i = 0; text[i] && lines > 0; i++) {
    if (isdigit(text[i])) {
      while (isdigit(text[i + 1])) i++;
      putchar('#');
    } else if (text[i] == ' ' || text[i] == '\t') {
      while (text[i + 1] == ' ' || text[i + 1] == '\t') i++;
      putchar(' ');
    } else putchar(text[i]);
    if (text[i] == '\n') lines--;
  }
}

/* Whether each line's name is there. */
static void has(const char *path, const char *const *names) {
  const char *text = text_of(path);
  printf("%s:", strrchr(path, '/'));
  for (int i = 0; names[i]; i++) if (!strstr(text, names[i])) printf(" no %s", names[i]);
  printf("\n");
}
#define HAS(path, ...) has(path, (const char *const[]){ __VA_ARGS__, NULL })

CASE(status, "/proc/self/status: its names and some values") {
  HAS("/proc/self/status", "Name:\t", "Umask:\t0022", "State:\tR (running)", "Tgid:", "Pid:", "PPid:", "TracerPid:\t0", "Uid:\t", "Gid:\t",
      "FDSize:", "Groups:", "VmPeak:", "VmSize:", "VmRSS:", "VmData:", "VmStk:", "VmExe:", "Threads:\t1", "SigQ:", "SigPnd:\t0000000000000000",
      "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:", "CapEff:", "NoNewPrivs:\t", "Seccomp:", "Cpus_allowed:", "voluntary_ctxt_switches:",
      "nonvoluntary_ctxt_switches:");
  signal(SIGUSR1, SIG_IGN);
  signal(SIGUSR2, (void (*)(int))abort);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  sigprocmask(SIG_BLOCK, &set, NULL);
  kill(getpid(), SIGHUP);
  HAS("/proc/self/status", "SigIgn:\t0000000000000200", "SigCgt:\t0000000000000800", "SigBlk:\t0000000000000001", "ShdPnd:\t0000000000000001");
}

CASE(stat, "/proc/self/stat: 52 fields; comm with odd characters") {
  const char *text = text_of("/proc/self/stat");
  int fields = 1;
  for (const char *at = strrchr(text, ')'); *at; at++) fields += *at == ' ';
  printf("%d\n", fields + 1);
  long pid, ppid, pgrp, session;
  char state;
  sscanf(strrchr(text, ')'), ") %c %ld %ld %ld", &state, &ppid, &pgrp, &session);
  sscanf(text, "%ld", &pid);
  SAY(pid == getpid() && ppid == getppid() && pgrp == getpgrp() && session == getsid(0) && state == 'R');
  text = text_of("/proc/self/statm");
  shape(text, 1);
}

CASE(pids, "/proc/PID, /proc/self, /proc/thread-self, what is not there") {
  char path[64], link[64] = "";
  sprintf(path, "/proc/%d", getpid());
  SHOW(access(path, F_OK));
  readlink("/proc/self", link, sizeof link);
  SAY(atoi(link) == getpid());
  memset(link, 0, sizeof link);
  readlink("/proc/thread-self", link, sizeof link);
  sprintf(path, "%d/task/%d", getpid(), gettid());
  SAY(strcmp(link, path) == 0);
  SHOW(access("/proc/999999", F_OK));
  SHOW(access("/proc/self/none", F_OK));
  SHOW(access("/proc/none", F_OK));
  SHOW(access("/proc/self/task/999999", F_OK));
  SHOW(open("/proc/self/none", O_CREAT | O_WRONLY, 0600));
  SHOW(mkdir("/proc/x", 0700));
  SHOW(unlink("/proc/version"));
  SHOW(open("/proc/version", O_WRONLY));
}

CASE(fds, "/proc/self/fd and fdinfo: links, reopening, what they point to") {
  int ends[2];
  char path[64], link[300];
  pipe(ends);
  sprintf(path, "/proc/self/fd/%d", ends[0]);
  memset(link, 0, sizeof link);
  readlink(path, link, sizeof link);
  SAY(strncmp(link, "pipe:[", 6) == 0);
  int fd = open("file", O_CREAT | O_RDWR | O_APPEND, 0640);
  write(fd, "hello", 5);
  sprintf(path, "/proc/self/fd/%d", fd);
  memset(link, 0, sizeof link);
  readlink(path, link, sizeof link);
  SAY(strcmp(strrchr(link, '/'), "/file") == 0);
  int again = open(path, O_RDONLY);
  memset(link, 0, sizeof link);
  SHOW(read(again, link, 9));
  struct stat a, b;
  stat(path, &a);
  lstat(path, &b);
  SAY(S_ISREG(a.st_mode) && S_ISLNK(b.st_mode));
  printf("%o\n", b.st_mode & 0777);
  sprintf(path, "/proc/self/fdinfo/%d", fd);
  shape(text_of(path), 4);
  SHOW(access("/proc/self/fd/99", F_OK));
  close(again);
}

CASE(memory, "meminfo, sysinfo and overcommit files") {
  HAS("/proc/meminfo", "MemTotal:", "MemFree:", "MemAvailable:", "Buffers:", "Cached:", "SwapTotal:", "SwapFree:", "Shmem:", "Slab:", "Dirty:");
  long total = 0, free = 0;
  sscanf(strstr(text_, "MemTotal:") + 9, "%ld", &total);
  sscanf(strstr(text_, "MemFree:") + 8, "%ld", &free);
  SAY(total > 0 && free > 0 && free <= total);
  struct sysinfo info;
  SHOW(sysinfo(&info));
  SAY(info.totalram * info.mem_unit / 1024 == total);
  shape(text_of("/proc/sys/vm/overcommit_memory"), 1);
}

CASE(system, "cpuinfo, stat, uptime, loadavg, version, filesystems, mounts") {
  HAS("/proc/cpuinfo", "processor\t: 0", "vendor_id", "model name", "flags\t", "cpu MHz", "cache size");
  HAS("/proc/stat", "cpu  ", "cpu0 ", "ctxt ", "btime ", "processes ", "procs_running ");
  shape(text_of("/proc/uptime"), 1);
  shape(text_of("/proc/loadavg"), 1);
  SAY(strncmp(text_of("/proc/version"), "Linux version ", 14) == 0);
  HAS("/proc/filesystems", "proc", "tmpfs");
  HAS("/proc/mounts", " /proc proc ", " / ");
  HAS("/proc/self/mountinfo", " / ", " - proc proc ");
}

CASE(sysctl, "/proc/sys: what programs look at") {
  shape(text_of("/proc/sys/kernel/pid_max"), 1);
  printf("%s", text_of("/proc/sys/kernel/ostype"));
  shape(text_of("/proc/sys/kernel/ngroups_max"), 1);
  shape(text_of("/proc/sys/fs/pipe-max-size"), 1);
  shape(text_of("/proc/sys/fs/file-max"), 1);
  shape(text_of("/proc/sys/net/core/somaxconn"), 1);
  printf("%zu\n", strlen(text_of("/proc/sys/kernel/random/boot_id")));
  char first[64];
  strcpy(first, text_of("/proc/sys/kernel/random/uuid"));
  SAY(strcmp(first, text_of("/proc/sys/kernel/random/uuid")) != 0);
  SHOW(open("/proc/sys/kernel/pid_max", O_WRONLY));
}

CASE(threads, "/proc/self/task: one entry for each thread, with names and states") {
  static volatile pid_t tid;
  void *idle(void *argument) { tid = gettid(); pthread_setname_np(pthread_self(), "idler"); for (;;) pause(); return argument; }
  pthread_t thread;
  pthread_create(&thread, NULL, idle, NULL);
  while (!tid) sleep_ms(1);
  char path[64];
  sprintf(path, "/proc/self/task/%d/comm", tid);
  while (strcmp(text_of(path), "idler\n") != 0) sleep_ms(1);
  wait_asleep(tid);
  int count = 0;
  DIR *dir = opendir("/proc/self/task");
  for (struct dirent *e; (e = readdir(dir));) count += isdigit(e->d_name[0]) != 0;
  printf("%d\n", count);
  sprintf(path, "/proc/self/task/%d/status", tid);
  HAS(path + 0, "Name:\tidler", "State:\tS (sleeping)", "Threads:\t2");
}

CASE(devices, "/dev/null, zero, full, random, urandom: reads, writes, modes") {
  char bytes[16];
  memset(bytes, 1, sizeof bytes);
  struct stat st;
  int fd = open("/dev/null", O_RDWR);
  SHOW(read(fd, bytes, 16));
  SHOW(write(fd, bytes, 16));
  SHOW(lseek(fd, 5, SEEK_SET));
  SHOW(ftruncate(fd, 5));
  fd = open("/dev/zero", O_RDWR);
  SHOW(read(fd, bytes, 16));
  printf("%d\n", bytes[0] | bytes[15]);
  SHOW(write(fd, bytes, 16));
  char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  SAY(map != MAP_FAILED && map[100] == 0);
  fd = open("/dev/full", O_RDWR);
  SHOW(read(fd, bytes, 16));
  SHOW(write(fd, bytes, 16));
  fd = open("/dev/urandom", O_RDONLY);
  SHOW(read(fd, bytes, 16));
  SAY(bytes[0] | bytes[1] | bytes[2] | bytes[3]);
  SHOW(open("/dev/random", O_RDONLY) > 0);
  const char *names[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/random" };
  for (int i = 0; i < 5; i++) {
    stat(names[i], &st);
    printf("%s %o %lx\n", names[i], st.st_mode, (long)st.st_rdev);
  }
  SHOW(access("/dev/shm", W_OK));
  SHOW(access("/dev/none", F_OK));
  SHOW(open("/dev/tty", O_RDWR));
  char link[64] = "";
  readlink("/dev/fd", link, 63);
  printf("%s\n", link);
}

CASE(clocks, "clock_gettime, clock_getres: every clock, errnos") {
  struct timespec t, r;
  int ids[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
    CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI };
  for (int i = 0; i < 9; i++) printf("%d: %d %d\n", ids[i], clock_gettime(ids[i], &t), clock_getres(ids[i], &r));
  SHOW(clock_gettime(99, &t));
  SHOW(clock_getres(99, &t));
  SHOW(clock_getres(CLOCK_MONOTONIC, NULL));
  SHOW(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8));
  SHOW(syscall(SYS_clock_getres, CLOCK_MONOTONIC, 8));
  SHOW(syscall(SYS_clock_gettime, -1, &t));
  long long last = 0, bad = 0;
  for (int i = 0; i < 10000; i++) {
    long long now = now_ns(CLOCK_MONOTONIC);
    bad += now < last;
    last = now;
  }
  printf("backwards %lld\n", bad);
  struct timeval v;
  SHOW(gettimeofday(&v, NULL));
  SHOW(syscall(SYS_gettimeofday, 8, NULL));
  long now = time(NULL);
  SAY(now - v.tv_sec <= 1 && now > 1600000000);
  SHOW(syscall(SYS_time, 8));
  struct timex x = { 0 };
  SAY(adjtimex(&x) >= 0);
  x.modes = ADJ_OFFSET;
  SHOW(adjtimex(&x));
}

CASE(sleeping, "nanosleep and clock_nanosleep: errnos, absolute times") {
  struct timespec t = { 0, 1000000000 }, now;
  SHOW(nanosleep(&t, NULL));
  t = (struct timespec){ -1, 0 };
  SHOW(nanosleep(&t, NULL));
  SHOW(syscall(SYS_nanosleep, 8, NULL));
  t = (struct timespec){ 0, 1000 };
  SHOW(nanosleep(&t, NULL));
  ERR(clock_nanosleep(99, 0, &t, NULL));
  ERR(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL));
  ERR(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
  clock_gettime(CLOCK_MONOTONIC, &now);
  long long from = now_ns(CLOCK_MONOTONIC);
  now.tv_nsec += 20000000;
  if (now.tv_nsec >= 1000000000) now.tv_sec++, now.tv_nsec -= 1000000000;
  ERR(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &now, NULL));
  SAY(now_ns(CLOCK_MONOTONIC) - from >= 20000000);
  clock_gettime(CLOCK_REALTIME, &now);
  now.tv_sec -= 10;
  ERR(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &now, NULL));
  SHOW(usleep(1));
  SHOW(sleep(0));
}

CASE(timers, "timer_create and its family: errnos") {
  timer_t id;
  struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = 99 };
  struct itimerspec t = { .it_value = { 0, 1000000000 } };
  SHOW(timer_create(CLOCK_MONOTONIC, &event, &id));
  event.sigev_signo = SIGUSR1;
  SHOW(timer_create(99, &event, &id));
  event.sigev_notify = 77;
  SHOW(timer_create(CLOCK_MONOTONIC, &event, &id));
  event.sigev_notify = SIGEV_NONE;
  SHOW(timer_create(CLOCK_MONOTONIC, &event, &id));
  SHOW(timer_settime(id, 0, &t, NULL));
  t = (struct itimerspec){ .it_value = { 100, 0 }, .it_interval = { 5, 0 } };
  SHOW(timer_settime(id, 0, &t, NULL));
  SHOW(timer_gettime(id, &t));
  SAY(t.it_value.tv_sec >= 98 && t.it_interval.tv_sec == 5);
  SHOW(syscall(SYS_timer_settime, id, 0, 8, NULL));
  SHOW(syscall(SYS_timer_settime, id, 0, NULL, NULL));
  SHOW(syscall(SYS_timer_gettime, 999, &t));
  SHOW(syscall(SYS_timer_settime, 999, 0, &t, NULL));
  SHOW(syscall(SYS_timer_getoverrun, 999));
  SHOW(syscall(SYS_timer_delete, 999));
  SHOW(timer_getoverrun(id));
  SHOW(timer_delete(id));
  SHOW(timer_gettime(id, &t));
  struct itimerval v = { .it_value = { 0, 1000000 } };
  SHOW(setitimer(ITIMER_REAL, &v, NULL));
  v.it_value.tv_usec = -1;
  SHOW(setitimer(ITIMER_REAL, &v, NULL));
  SHOW(syscall(SYS_setitimer, ITIMER_REAL, 8, NULL));
  SHOW(syscall(SYS_setitimer, 7, &v, NULL));
  SHOW(syscall(SYS_getitimer, 7, &v));
  SHOW(syscall(SYS_getitimer, ITIMER_REAL, 8));
  SHOW(alarm(7));
  SHOW(alarm(0));
}

CASE(net, "/proc/net and sockets of a machine without a network") {
  SAY(strstr(text_of("/proc/net/dev"), "lo:") != NULL);
  shape(text_of("/proc/net/unix"), 1);
  SAY(text_of("/proc/net/tcp")[0] != 0);
}

CASES_MAIN
