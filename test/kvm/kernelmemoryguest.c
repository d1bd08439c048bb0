// Makes many of one kind of thing that the kernel keeps in its own memory: `kernelmemoryguest KIND COUNT`. Reads a byte of standard input
// before, and again when all is there.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static long count;
static char name[4096];

static void check(long result) {
  if (result >= 0) return;
  printf("errno %d\n", errno);
  exit(1);
}

static void step(void) {
  char byte;
  if (read(0, &byte, 1) != 1) exit(2);
}

static void files(const char *format) {
  for (long i = 0; i < count; i++) {
    snprintf(name, sizeof name, format, i);
    int fd = open(name, O_CREAT | O_WRONLY, 0600);
    check(fd);
    close(fd);
  }
}

static void names(void) { files("/tmp/%08ld"); }
static void longNames(void) { files("/tmp/%0200ld"); }

static void deepNames(void) {
  check(chdir("/tmp"));
  for (int i = 0; i < 15; i++) {
    memset(name, 'a' + i, 250);
    name[250] = 0;
    check(mkdir(name, 0700));
    check(chdir(name));
  }
  check(chdir("/"));
  char *at = name + sprintf(name, "/tmp");
  for (int i = 0; i < 15; i++) {
    *at++ = '/';
    memset(at, 'a' + i, 250);
    at += 250;
  }
  for (long i = 0; i < count; i++) {
    sprintf(at, "/n%015ld", i);
    int fd = open(name, O_CREAT | O_WRONLY, 0600);
    check(fd);
    close(fd);
  }
}

static void tree(void) {
  check(chdir("/tmp"));
  for (long i = 0; i < count; i++) {
    check(mkdir("d", 0700));
    check(chdir("d"));
  }
}

static void links(void) {
  memset(name, 'x', 1000);
  char link[64];
  for (long i = 0; i < count; i++) {
    sprintf(link, "/tmp/%ld", i);
    check(symlink(name, link));
  }
}

static void walk(const char *path) {
  DIR *dir = opendir(path);
  struct dirent *entry;
  struct stat found;
  while ((entry = readdir(dir))) if (fstatat(dirfd(dir), entry->d_name, &found, AT_SYMLINK_NOFOLLOW)) check(-1);
  closedir(dir);
}

static void find(void) { walk("/many"); }

static void removed(void) {
  for (long i = 0; i < count; i++) {
    sprintf(name, "/many/%05ld", i);
    check(unlink(name));
  }
}

static void maps(void) {
  char *at = mmap(0, count * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) check(-1);
  for (long i = 1; i < count; i += 2) check(mprotect(at + i * 4096, 4096, PROT_READ | PROT_WRITE));
}

static void fileMaps(void) {
  check(chdir("/tmp"));
  for (int i = 0; i < 400; i++) {
    check(mkdir("d1", 0700));
    check(chdir("d1"));
  }
  int fd = open("f", O_CREAT | O_RDWR, 0600);
  check(fd);
  for (long i = 0; i < count; i++) if (mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED) check(-1);
}

static void hidden(void) {
  char *at = mmap(0, count * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (long i = 0; i < count; i++) at[i * 4096] = 1;
  check(mprotect(at, count * 4096, PROT_NONE));
}

static void sparseFile(void) {
  int fd = open("/tmp/sparse", O_CREAT | O_RDWR, 0600);
  for (long i = 0; i < count; i++) check(pwrite(fd, "x", 1, i * (2 << 20) + 511 * 4096));
}

static void sparseShared(void) {
  char *at = mmap(0, count << 21, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) check(-1);
  for (long i = 0; i < count; i++) at[i << 21] = 1;
}

static void pipes(void) {
  int fds[2];
  for (long i = 0; i < count; i++) check(pipe(fds));
}

static void fullPipes(void) {
  static char bytes[65536];
  int fds[2];
  for (long i = 0; i < count; i++) {
    check(pipe(fds));
    check(write(fds[1], bytes, sizeof bytes));
  }
}

static void eventfds(void) { for (long i = 0; i < count; i++) check(eventfd(0, 0)); }
static void openFiles(void) { for (long i = 0; i < count; i++) check(open("/tmp", O_RDONLY)); }
static void epolls(void) { for (long i = 0; i < count; i++) check(epoll_create1(0)); }

static void timerfds(void) {
  struct itimerspec spec = { .it_value = { .tv_sec = 1000 } };
  for (long i = 0; i < count; i++) {
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    check(fd);
    spec.it_value.tv_nsec = i;
    check(timerfd_settime(fd, 0, &spec, 0));
  }
}

static void sockets(void) {
  int fds[2];
  for (long i = 0; i < count; i += 2) check(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
}

static void messages(void) {
  int fds[2];
  for (long i = 0; i < count; i++) {
    if (i % 500 == 0) check(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    check(send(fds[0], "x", 1, 0));
  }
}

/** All but the last byte of large messages is read. */
static void readMessages(void) {
  static char bytes[200000];
  int fds[2];
  for (long i = 0; i < count; i++) {
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    check(send(fds[0], bytes, sizeof bytes, 0));
    check(recv(fds[1], bytes, sizeof bytes - 1, 0));
  }
}

static void watches(void) {
  struct epoll_event event = { .events = EPOLLIN };
  int fds[100];
  for (int i = 0; i < 100; i++) check(fds[i] = eventfd(0, 0));
  for (long i = 0, epoll = 0; i < count; i++) {
    if (i % 100 == 0) check(epoll = epoll_create1(0));
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i % 100], &event));
  }
}

static void inotifyWatches(void) {
  int fd = inotify_init();
  for (long i = 0; i < count; i++) {
    sprintf(name, "/many/%05ld", i);
    check(inotify_add_watch(fd, name, IN_ALL_EVENTS));
  }
}

static void inotifyEvents(void) {
  int fd = 0;
  for (long i = 0; i < count; i++) {
    if (i % 8000 == 0) check(inotify_add_watch(fd = inotify_init(), "/tmp", IN_CREATE | IN_DELETE));
    sprintf(name, "/tmp/%ld", i % 2);
    if (i % 4 < 2) check(mknod(name, S_IFREG | 0600, 0));
    else check(unlink(name));
  }
}

static void locks(void) {
  for (long i = 0, fd = 0; i < count; i++) {
    if (i % 4000 == 0) {
      sprintf(name, "/tmp/lock%ld", i);
      check(fd = open(name, O_CREAT | O_RDWR, 0600));
    }
    struct flock lock = { .l_type = F_WRLCK, .l_start = 2 * i, .l_len = 1 };
    check(fcntl(fd, F_SETLK, &lock));
  }
}

/** Files that had a lock and are gone. */
static void lockedOnce(void) {
  for (long i = 0; i < count; i++) {
    int fd = open("/tmp/lock", O_CREAT | O_RDWR, 0600);
    check(flock(fd, LOCK_EX));
    unlink("/tmp/lock");
    close(fd);
  }
}

static void xattrs(void) {
  char attribute[32];
  for (long i = 0; i < count; i++) {
    if (i % 500 == 0) {
      sprintf(name, "/tmp/attr%ld", i);
      close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    sprintf(attribute, "user.%ld", i % 500);
    check(setxattr(name, attribute, "x", 1, 0));
  }
}

static void *sleeps(void *unused) {
  pause();
  return unused;
}

static void threads(void) {
  pthread_t thread;
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 65536);
  for (long i = 0; i < count; i++) check(-pthread_create(&thread, &small, sleeps, 0));
}

static void processes(void) {
  for (long i = 0; i < count; i++) {
    int pid = fork();
    check(pid);
    if (pid == 0) pause();
  }
}

/** Children with as many descriptors as one may have. */
static void descriptors(void) {
  check(dup2(1, 4000));
  processes();
}

static void signals(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, 0);
  int pid = 0;
  for (long i = 0; i < count; i++) {
    if (i % 1000 == 0) {
      check(pid = fork());
      if (pid == 0) for (;;) sleeps(0);
    }
    check(sigqueue(pid, SIGRTMIN, (union sigval){ .sival_int = i }));
  }
}

static void posixTimers(void) {
  struct itimerspec spec = { .it_value = { .tv_sec = 1000 } };
  for (long i = 0; i < count; i++) {
    if (i % 250 == 249 && fork()) for (;;) sleeps(0);
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    int timer;
    check(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
    spec.it_value.tv_nsec = i;
    check(syscall(SYS_timer_settime, timer, 0, &spec, 0));
  }
}

static struct pollfd polled[1000];
static void *polls(void *unused) {
  poll(polled, 1000, -1);
  return unused;
}

static void polling(void) {
  pthread_t thread;
  for (int i = 0; i < 1000; i++) {
    polled[i].events = POLLIN;
    check(polled[i].fd = eventfd(0, 0));
  }
  for (long i = 0; i < count; i++) {
    check(-pthread_create(&thread, 0, polls, 0));
    usleep(1000);
  }
}

static void arguments(void) {
  char *argv[600] = { "/bin/guest", "sleep" };
  for (int i = 2; i < 590; i++) argv[i] = "0123456789abc";
  for (long i = 0; i < count; i++) {
    int pid = vfork();
    check(pid);
    if (pid == 0) execv("/bin/guest", argv);
  }
}

static const struct { const char *name; void (*make)(void); } KINDS[] = {
  { "names", names }, { "longNames", longNames }, { "deepNames", deepNames }, { "tree", tree }, { "links", links }, { "find", find }, { "removed", removed },
  { "maps", maps }, { "fileMaps", fileMaps }, { "hidden", hidden }, { "sparseFile", sparseFile }, { "sparseShared", sparseShared },
  { "pipes", pipes }, { "fullPipes", fullPipes }, { "eventfds", eventfds }, { "openFiles", openFiles }, { "epolls", epolls }, { "timerfds", timerfds },
  { "sockets", sockets }, { "messages", messages }, { "readMessages", readMessages }, { "watches", watches },
  { "inotifyWatches", inotifyWatches }, { "inotifyEvents", inotifyEvents }, { "locks", locks }, { "lockedOnce", lockedOnce }, { "xattrs", xattrs },
  { "threads", threads }, { "processes", processes }, { "descriptors", descriptors }, { "signals", signals }, { "posixTimers", posixTimers },
  { "polling", polling }, { "arguments", arguments },
};

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  if (!strcmp(argv[1], "sleep")) for (;;) pause();
  count = atol(argv[2]);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  for (unsigned i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
    if (strcmp(KINDS[i].name, argv[1])) continue;
    step();
    KINDS[i].make();
    puts("made");
    fflush(stdout);
    step();
    return 0;
  }
  return 2;
}
