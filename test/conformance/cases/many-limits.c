// Resource limits, prctl, scheduling parameters, credentials of an ordinary user, process groups and sessions.
#include "case.h"
#include <grp.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <ucontext.h>
#include <linux/capability.h>

static void show_limit(const char *name, int resource) {
  struct rlimit limit;
  if (getrlimit(resource, &limit) < 0) printf("%s: %s\n", name, error_name(errno));
  else printf("%s: soft %s hard\n", name, limit.rlim_cur == limit.rlim_max ? "=" : "<");
}

CASE(rlimits, "getrlimit, setrlimit, prlimit64 and their errnos") {
  struct rlimit limit, old;
  SHOW(getrlimit(16, &limit));
  SHOW(getrlimit(-1, &limit));
  SHOW(getrlimit(RLIMIT_NOFILE, (void *)8));
  SHOW(setrlimit(RLIMIT_NOFILE, (void *)8));
  limit = (struct rlimit){ 10, 5 };
  SHOW(setrlimit(RLIMIT_NOFILE, &limit));
  limit = (struct rlimit){ 64, 128 };
  SHOW(setrlimit(RLIMIT_NOFILE, &limit));
  limit = (struct rlimit){ 64, 256 };
  SHOW(setrlimit(RLIMIT_NOFILE, &limit));
  limit = (struct rlimit){ 100, 128 };
  SHOW(prlimit(0, RLIMIT_NOFILE, &limit, &old));
  printf("%ld %ld\n", (long)old.rlim_cur, (long)old.rlim_max);
  SHOW(prlimit(getpid(), RLIMIT_NOFILE, NULL, &old));
  printf("%ld %ld\n", (long)old.rlim_cur, (long)old.rlim_max);
  SHOW(prlimit(0, 99, NULL, &old));
  SHOW(prlimit(999999, RLIMIT_NOFILE, NULL, &old));
  SHOW(prlimit(0, RLIMIT_NOFILE, NULL, (void *)8));
  SHOW(prlimit(0, RLIMIT_NOFILE, NULL, NULL));
  SHOW(syscall(SYS_getrlimit, RLIMIT_CORE, &limit));
  SHOW(syscall(SYS_setrlimit, 77, &limit));
}

CASE(nofile, "RLIMIT_NOFILE: EMFILE, and what is open already stays") {
  int high = fcntl(1, F_DUPFD, 40);
  struct rlimit limit = { 10, 128 };
  SHOW(setrlimit(RLIMIT_NOFILE, &limit));
  int n = 0;
  while (dup(1) >= 0) n++;
  printf("%d: %s\n", n, error_name(errno));
  int ends[2];
  SHOW(open("x", O_CREAT | O_RDWR, 0600));
  SHOW(access("x", F_OK));
  SHOW(pipe(ends));
  SHOW(dup2(1, 10));
  SHOW(dup2(1, 9));
  SHOW(fcntl(1, F_DUPFD, 10));
  SHOW(fcntl(1, F_DUPFD, 5));
  SHOW(fcntl(high, F_GETFD));
  close(7);
  SHOW(pipe(ends));
  close(8);
  SHOW(pipe(ends));
  SAY(sysconf(_SC_OPEN_MAX) == 10);
}

CASE(fsize, "RLIMIT_FSIZE: SIGXFSZ, EFBIG, a short write first") {
  struct rlimit limit = { 1000, RLIM_INFINITY };
  signal(SIGXFSZ, SIG_IGN);
  SHOW(setrlimit(RLIMIT_FSIZE, &limit));
  int fd = open("f", O_CREAT | O_RDWR, 0600);
  static char bytes[2000];
  SHOW(write(fd, bytes, 600));
  SHOW(write(fd, bytes, 600));
  SHOW(write(fd, bytes, 600));
  SHOW(pwrite(fd, bytes, 10, 2000));
  SHOW(pwrite(fd, bytes, 10, 995));
  SHOW(ftruncate(fd, 1001));
  SHOW(ftruncate(fd, 1000));
  SHOW(posix_fallocate(fd, 0, 2000));
  SHOW(fallocate(fd, 0, 0, 2000));
  SHOW(truncate("f", 5000));
  show_file("f");
  IN_CHILD("default", { signal(SIGXFSZ, SIG_DFL); ftruncate(fd, 5000); });
}

CASE(nproc, "RLIMIT_NPROC: EAGAIN") {
  struct rlimit limit = { 0, 100 };
  SHOW(setrlimit(RLIMIT_NPROC, &limit));
  SHOW(fork());
  pthread_t thread;
  ERR(pthread_create(&thread, NULL, (void *(*)(void *))abort, NULL));
}

CASE(as, "RLIMIT_AS and RLIMIT_DATA: ENOMEM") {
  struct rlimit limit = { 64 << 20, RLIM_INFINITY };
  IN_CHILD("as", {
    SHOW(setrlimit(RLIMIT_AS, &limit));
    SAY(mmap(NULL, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
    SAY(mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    void *end = sbrk(0);
    SAY(sbrk(256 << 20) == (void *)-1 && errno == ENOMEM);
    SAY(sbrk(0) == end);
  });
  IN_CHILD("data", {
    SHOW(setrlimit(RLIMIT_DATA, &limit));
    SAY(mmap(NULL, 128 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
    SAY(mmap(NULL, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    SAY(mmap(NULL, 128 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    SAY(sbrk(256 << 20) == (void *)-1 && errno == ENOMEM);
  });
}

CASE(cpu, "RLIMIT_CPU: SIGXCPU each second, SIGKILL at the hard limit") {
  volatile int got = 0;
  void on_xcpu(int signo) { (void)signo; got++; }
  signal(SIGXCPU, on_xcpu);
  struct rlimit limit = { 1, 2 };
  SHOW(setrlimit(RLIMIT_CPU, &limit));
  IN_CHILD("spins", {
    while (!got);
    printf("got SIGXCPU\n");
    for (;;);
  });
}

CASE(stack, "RLIMIT_STACK bounds the stack's growth; pthreads take their size from it") {
  volatile char *deep(int n) { volatile char room[4096]; room[0] = n; return n ? deep(n - 1) : room; }
  struct rlimit limit = { 256 << 10, RLIM_INFINITY };
  IN_CHILD("small", { setrlimit(RLIMIT_STACK, &limit); deep(200); });
  IN_CHILD("fits", deep(200));
}

CASE(inherited, "limits pass to children and through execve; soft limits stay below hard ones") {
  struct rlimit limit = { 33, 44 };
  setrlimit(RLIMIT_NOFILE, &limit);
  IN_CHILD("child", {
    getrlimit(RLIMIT_NOFILE, &limit);
    printf("%d %d\n", (int)limit.rlim_cur, (int)limit.rlim_max);
  });
  static const char *names[] = { "CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS" };
  for (int i = 0; i < 6; i++) if (i != RLIMIT_STACK && i != RLIMIT_CORE) show_limit(names[i], i);
}

CASE(prctlnames, "PR_SET_NAME, PR_GET_NAME, comm in /proc") {
  char name[20] = "", text[20] = "";
  SHOW(prctl(PR_SET_NAME, "a-name-that-is-too-long"));
  SHOW(prctl(PR_GET_NAME, name));
  printf("%s\n", name);
  int fd = open("/proc/self/comm", O_RDWR);
  SHOW(read(fd, text, 19));
  printf("%s", text);
  SHOW(write(fd, "other", 5));
  SHOW(prctl(PR_GET_NAME, name));
  printf("%s\n", name);
  SHOW(prctl(PR_SET_NAME, 8));
  SHOW(prctl(PR_GET_NAME, 8));
  void *in_thread(void *argument) { prctl(PR_SET_NAME, "thread"); prctl(PR_GET_NAME, argument); return NULL; }
  pthread_t thread;
  pthread_create(&thread, NULL, in_thread, text);
  pthread_join(thread, NULL);
  prctl(PR_GET_NAME, name);
  printf("%s %s\n", name, text);
}

CASE(prctlflags, "dumpable, no_new_privs, keepcaps, timer slack, THP, securebits, errnos") {
  int value = 5;
  SHOW(prctl(PR_GET_DUMPABLE));
  SHOW(prctl(PR_SET_DUMPABLE, 0));
  SHOW(prctl(PR_GET_DUMPABLE));
  SHOW(prctl(PR_SET_DUMPABLE, 2));
  SHOW(prctl(PR_SET_DUMPABLE, 1));
  SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  SHOW(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
  SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0));
  SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  SHOW(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0));
  SHOW(prctl(PR_GET_KEEPCAPS));
  SHOW(prctl(PR_SET_KEEPCAPS, 2));
  SHOW(prctl(PR_SET_KEEPCAPS, 1));
  SHOW(prctl(PR_GET_KEEPCAPS));
  SHOW(prctl(PR_GET_TIMERSLACK));
  SHOW(prctl(PR_SET_TIMERSLACK, 1000));
  SHOW(prctl(PR_GET_TIMERSLACK));
  SHOW(prctl(PR_SET_TIMERSLACK, 0));
  SHOW(prctl(PR_GET_TIMERSLACK));
  SHOW(prctl(PR_SET_PDEATHSIG, -1));
  SHOW(prctl(PR_GET_PDEATHSIG, 8));
  SHOW(prctl(PR_GET_TSC, &value));
  printf("%d\n", value);
  SHOW(prctl(PR_CAPBSET_READ, 99));
  SHOW(prctl(PR_CAPBSET_DROP, 0));
  SHOW(prctl(PR_GET_SECUREBITS));
  SHOW(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
  SHOW(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
  SHOW(prctl(9999));
}

CASE(priorities, "getpriority and setpriority") {
  errno = 0;
  SHOW(setpriority(PRIO_PROCESS, 0, 10));
  SHOW(getpriority(PRIO_PROCESS, 0));
  SHOW(setpriority(PRIO_PROCESS, getpid(), 15));
  SHOW(syscall(SYS_getpriority, PRIO_PROCESS, 0));
  SHOW(setpriority(PRIO_PROCESS, 0, 100));
  SHOW(getpriority(PRIO_PROCESS, 0));
  SHOW(setpriority(PRIO_PROCESS, 0, 3));
  SHOW(setpriority(7, 0, 3));
  SHOW(getpriority(7, 0));
  SHOW(setpriority(PRIO_PROCESS, 999999, 19));
  SHOW(getpriority(PRIO_PROCESS, 999999));
  SHOW(getpriority(PRIO_PGRP, getpgrp()) >= 0);
  SHOW(getpriority(PRIO_USER, 999999));
  SHOW(nice(-5));
  IN_CHILD("child", { SHOW(getpriority(PRIO_PROCESS, 0)); });
}

CASE(scheduling, "scheduling policies of an ordinary user") {
  struct sched_param param = { 0 };
  SHOW(sched_getscheduler(0));
  SHOW(sched_setscheduler(0, SCHED_OTHER, &param));
  SHOW(sched_setscheduler(0, SCHED_BATCH, &param));
  SHOW(sched_getscheduler(0));
  SHOW(sched_setscheduler(0, 99, &param));
  SHOW(sched_setscheduler(0, SCHED_OTHER, NULL));
  param.sched_priority = 1;
  SHOW(sched_setscheduler(0, SCHED_OTHER, &param));
  SHOW(sched_setparam(0, &param));
  SHOW(sched_setscheduler(999999, SCHED_OTHER, &param));
  SHOW(sched_setscheduler(-1, SCHED_OTHER, &param));
  SHOW(sched_getscheduler(-1));
  SHOW(sched_getscheduler(999999));
  SHOW(sched_getparam(0, NULL));
  SHOW(sched_getparam(-2, &param));
  param.sched_priority = 0;
  SHOW(sched_setparam(0, &param));
  SHOW(sched_setscheduler(0, SCHED_IDLE, &param));
  SHOW(sched_getscheduler(0));
  SHOW(sched_get_priority_min(SCHED_RR));
  SHOW(sched_get_priority_max(SCHED_BATCH));
  SHOW(sched_get_priority_max(-1));
  struct timespec t = { -1, -1 };
  SHOW(sched_rr_get_interval(0, &t));
  SHOW(sched_rr_get_interval(-1, &t));
  SHOW(sched_rr_get_interval(999999, &t));
  SHOW(sched_rr_get_interval(0, (void *)8));
  SHOW(sched_yield());
}

CASE(affinity, "sched_setaffinity and sched_getaffinity") {
  cpu_set_t set;
  CPU_ZERO(&set);
  SHOW(sched_setaffinity(0, sizeof set, &set));
  CPU_SET(0, &set);
  SHOW(sched_setaffinity(0, sizeof set, &set));
  CPU_ZERO(&set);
  SHOW(sched_getaffinity(0, sizeof set, &set));
  printf("%d %d\n", CPU_COUNT(&set), CPU_ISSET(0, &set));
  SHOW(sched_getcpu());
  SHOW(sched_setaffinity(999999, sizeof set, &set));
  SHOW(sched_getaffinity(999999, sizeof set, &set));
  SHOW(syscall(SYS_sched_getaffinity, 0, 3, &set));
  SHOW(syscall(SYS_sched_setaffinity, 0, sizeof set, 8));
  SHOW(syscall(SYS_sched_getaffinity, 0, sizeof set, 8));
  unsigned cpu = 9, node = 9;
  SHOW(syscall(SYS_getcpu, &cpu, &node, NULL));
  printf("%u %u\n", cpu, node);
  SHOW(syscall(SYS_getcpu, NULL, NULL, NULL));
}

CASE(ids, "credentials of uid 1000: what may be set and what not") {
  uid_t r, e, s;
  SHOW(getuid());
  SHOW(geteuid());
  SHOW(getgid());
  SHOW(getegid());
  SHOW(setuid(1000));
  SHOW(setuid(0));
  SHOW(setgid(0));
  SHOW(setreuid(-1, 1000));
  SHOW(setreuid(0, -1));
  SHOW(setregid(-1, 0));
  SHOW(setregid(1000, 1000));
  SHOW(setresuid(-1, -1, -1));
  SHOW(setresuid(1000, 1000, 1000));
  SHOW(setresuid(1000, 0, 1000));
  SHOW(setresgid(-1, -1, 1));
  SHOW(setresgid(1000, -1, 1000));
  SHOW(getresuid(&r, &e, &s));
  printf("%u %u %u\n", r, e, s);
  SHOW(getresgid(&r, &e, &s));
  printf("%u %u %u\n", r, e, s);
  SHOW(syscall(SYS_getresuid, 8, &e, &s));
  SHOW(setfsuid(0));
  SHOW(setfsuid(-1));
  SHOW(setfsgid(5));
  SHOW(setfsgid(-1));
  gid_t groups[2] = { 1, 2 };
  SHOW(setgroups(2, groups));
  SHOW(syscall(SYS_getgroups, -1, groups));
  SHOW(syscall(SYS_setuid, -1));
  SHOW(syscall(SYS_setgid, -1));
}

CASE(capabilities, "capget and capset of an ordinary user") {
  struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
  struct __user_cap_data_struct data[2];
  memset(data, 0xff, sizeof data);
  SHOW(syscall(SYS_capget, &header, data));
  printf("%x %x\n", data[0].effective, data[0].permitted);
  header.pid = 999999;
  SHOW(syscall(SYS_capget, &header, data));
  header.pid = -1;
  SHOW(syscall(SYS_capget, &header, data));
  header = (struct __user_cap_header_struct){ 0x1234, 0 };
  SHOW(syscall(SYS_capget, &header, data));
  printf("%x\n", header.version);
  header = (struct __user_cap_header_struct){ 0x1234, 0 };
  SHOW(syscall(SYS_capget, &header, NULL));
  header = (struct __user_cap_header_struct){ _LINUX_CAPABILITY_VERSION_3, 0 };
  memset(data, 0, sizeof data);
  SHOW(syscall(SYS_capset, &header, data));
  data[0].permitted = data[0].effective = 1 << CAP_CHOWN;
  SHOW(syscall(SYS_capset, &header, data));
  header.pid = 1;
  SHOW(syscall(SYS_capset, &header, data));
  SHOW(syscall(SYS_capget, 8, data));
}

CASE(sessions, "setsid, getsid, setpgid, getpgid") {
  SAY(getpgrp() == getpgid(0));
  SHOW(getpgid(-1));
  SHOW(getpgid(999999));
  SHOW(getsid(-1));
  SHOW(getsid(999999));
  SHOW(setpgid(0, -1));
  SHOW(setpgid(999999, 0));
  SHOW(setpgid(getppid(), 0));
  IN_CHILD("leader", {
    SAY(setsid() == getpid());
    SHOW(setsid());
    SHOW(setpgid(0, 0));
    SAY(getsid(0) == getpid() && getpgrp() == getpid());
  });
  IN_CHILD("group", {
    SHOW(setpgid(0, 0));
    SAY(getpgrp() == getpid());
    SHOW(setsid());
    SHOW(setpgid(0, 999998));
  });
  int go[2];
  pipe(go);
  pid_t pid = fork();
  if (pid == 0) {
    char byte;
    read(go[0], &byte, 1);
    _exit(0);
  }
  SHOW(setpgid(pid, pid));
  SAY(getpgid(pid) == pid);
  SHOW(setpgid(pid, getpgrp()));
  write(go[1], "x", 1);
  waitpid(pid, NULL, 0);
  SHOW(getpgid(pid));
}

CASE(uname, "uname, sethostname and setdomainname without privilege") {
  struct utsname name;
  SHOW(uname(&name));
  SAY(strcmp(name.sysname, "Linux") == 0 && strcmp(name.machine, "x86_64") == 0);
  SHOW(uname((void *)8));
  SHOW(sethostname("x", 1));
  SHOW(sethostname("x", -1));
  SHOW(setdomainname("x", 1));
}

CASE(random, "getrandom: flags, sizes, errnos") {
  static char bytes[1000];
  SHOW(getrandom(bytes, 16, 0));
  SHOW(getrandom(bytes, 0, 0));
  SHOW(getrandom(bytes, sizeof bytes, GRND_NONBLOCK));
  SHOW(getrandom(bytes, 8, GRND_RANDOM));
  SHOW(getrandom(bytes, 8, GRND_INSECURE));
  SHOW(getrandom(bytes, 8, GRND_INSECURE | GRND_RANDOM));
  SHOW(getrandom(bytes, 8, 0x80));
  SHOW(getrandom((void *)8, 8, 0));
  int zeros = 0;
  for (size_t i = 0; i < sizeof bytes; i++) zeros += bytes[i] == 0;
  SAY(zeros < 50);
}

CASE(privileged, "calls that need privilege") {
  struct timespec t = { 0, 0 };
  struct timeval v = { 0, 0 };
  SHOW(clock_settime(CLOCK_REALTIME, &t));
  SHOW(clock_settime(CLOCK_MONOTONIC, &t));
  SHOW(clock_settime(99, &t));
  SHOW(settimeofday(&v, NULL));
  SHOW(syscall(SYS_reboot, 0, 0, 0, NULL));
  SHOW(syscall(SYS_swapon, "/x", 0));
  SHOW(syscall(SYS_acct, "/x"));
  SHOW(syscall(SYS_chroot, "/tmp"));
  SHOW(syscall(SYS_vhangup));
}

CASE(times, "times, clock ids of processes and threads, sysconf") {
  struct { long a, b, c, d; } t;
  SAY(syscall(SYS_times, &t) != -1);
  SAY(syscall(SYS_times, NULL) != -1);
  SHOW(syscall(SYS_times, 8));
  clockid_t id;
  ERR(clock_getcpuclockid(0, &id));
  struct timespec ts;
  SHOW(clock_gettime(id, &ts));
  ERR(clock_getcpuclockid(999999, &id));
  ERR(pthread_getcpuclockid(pthread_self(), &id));
  SHOW(clock_gettime(id, &ts));
  SHOW(sysconf(_SC_CLK_TCK));
  SHOW(sysconf(_SC_PAGESIZE));
}

CASES_MAIN
