// Questions that programs ask again and again, while others change what the answer is.
#include "case.h"
#include <poll.h>
#include <sys/inotify.h>

static char here[PATH_MAX];

static const char *in(const char *name) {
  static char path[8][2 * PATH_MAX];
  static int next;
  char *at = path[next++ % 8];
  sprintf(at, "%s/%s", here, name);
  return at;
}

/* Three times, because what was learned once is asked again. */
static void ask(const char *what, const char *name) {
  const char *path = in(name);
  for (int i = 0; i < 3; i++) {
    struct stat st = {0};
    errno = 0;
    long r = syscall(SYS_newfstatat, AT_FDCWD, path, &st, 0);
    long size = S_ISREG(st.st_mode) ? st.st_size : 0, links = S_ISREG(st.st_mode) ? st.st_nlink : 0;
    printf("%s %s: %ld %s %o %ld %ld\n", what, name, r, r ? error_name(errno) : "", st.st_mode, size, links);
  }
}

static void put(const char *name, const char *text) {
  int fd = open(in(name), O_WRONLY | O_CREAT | O_APPEND, 0644);
  write(fd, text, strlen(text));
  close(fd);
}

static void start(void) {
  getcwd(here, sizeof here);
}

static void in_child(void (*does)(void)) {
  if (fork() == 0) {
    does();
    _exit(0);
  }
  wait(NULL);
}

static void unlink_b(void) { unlink(in("b")); }
static void make_b(void) { put("b", "child"); }
static void *make_b_too(void *a) { put("b", "thread"); return a; }

CASE(missing, "stat of a path that is not there, comes and goes") {
  start();
  ask("none", "a"); ask("none", "b");
  put("a", "1"); ask("made", "a"); ask("other", "b");
  in_child(make_b); ask("by a child", "b");
  in_child(unlink_b); ask("gone", "b");
  pthread_t t;
  pthread_create(&t, NULL, make_b_too, NULL);
  pthread_join(t, NULL);
  ask("by a thread", "b");
  rename(in("b"), in("c")); ask("renamed", "b"); ask("renamed", "c");
  link(in("c"), in("b")); ask("linked", "b"); ask("linked", "c");
  unlink(in("c")); ask("one less", "b");
  unlink(in("b")); mkdir(in("b"), 0750); ask("a directory", "b"); ask("in it", "b/x");
  mkdir(in("b/x"), 0700); ask("in it", "b/x"); ask("below", "b/x/y");
  rename(in("b"), in("d")); ask("moved", "b/x"); ask("moved", "d/x"); ask("moved", "d/x/y");
  put("b", "file"); ask("a file in between", "b/x");
}

CASE(links, "stat of a path behind links whose targets come and go, also in another file system") {
  start();
  char target[64];
  sprintf(target, "/dev/shm/again-%d", getpid());
  symlink(target, in("l"));
  ask("dangling", "l");
  close(open(target, O_CREAT | O_WRONLY, 0644)); ask("there", "l");
  truncate(target, 5); ask("longer", "l");
  unlink(target); ask("dangling", "l");
  mkdir(target, 0700); ask("directory", "l"); ask("below", "l/x");
  char below[80];
  sprintf(below, "%s/x", target);
  mkdir(below, 0711); ask("below", "l/x");
  rmdir(below); rmdir(target); ask("gone", "l/x");
  unlink(in("l")); ask("no link", "l");
}

CASE(contents, "stat of a file that is written to, truncated, linked, changed") {
  start();
  put("f", "123"); ask("new", "f");
  int fd = open(in("f"), O_RDWR);
  write(fd, "4", 1); ask("written", "f");
  pwrite(fd, "5", 1, 9); ask("longer", "f");
  ftruncate(fd, 2); ask("cut", "f");
  fchmod(fd, 0600); ask("mode", "f");
  link(in("f"), in("g")); ask("links", "f");
  unlink(in("g")); ask("links", "f");
  struct timespec times[2] = {{5, 0}, {7, 0}};
  for (int i = 0; i < 3; i++) {
    struct stat st;
    times[1].tv_sec++;
    utimensat(AT_FDCWD, in("f"), times, 0);
    for (int j = 0; j < 3; j++) stat(in("f"), &st);
    printf("times %ld %ld\n", (long)st.st_atime, (long)st.st_mtime);
  }
  char b[4];
  read(fd, b, 1);
  struct stat st;
  stat(in("f"), &st);
  printf("read: %d\n", st.st_atime > 5);
  in_child(unlink_b);
  ftruncate(fd, 1 << 20);
  char *map = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  stat(in("f"), &st);
  long before = st.st_blocks;
  for (int i = 0; i < 1 << 20; i += 4096) map[i] = 1;
  msync(map, 1 << 20, MS_SYNC);
  stat(in("f"), &st);
  printf("holes are filled: %d\n", st.st_blocks > before);
}

CASE(permission, "stat of a path that may be walked or not") {
  start();
  mkdir(in("d"), 0755); put("d/f", "1");
  ask("may", "d/f"); ask("may", "d/none");
  chmod(in("d"), 0600); ask("may not", "d/f"); ask("may not", "d/none"); ask("itself", "d");
  chmod(in("d"), 0700); ask("may", "d/f"); ask("may", "d/none");
}

// uid: 0
CASE(ids, "stat of a path by one who may walk there and one who may not") {
  start();
  chmod(here, 0755);
  mkdir(in("d"), 0700); put("d/f", "1"); put("open", "1");
  chmod(in("open"), 0644);
  ask("root", "d/f"); ask("root", "d/none");
  if (fork() == 0) {
    setgid(1000);
    setuid(1000);
    int fd = open(in("open"), O_RDONLY);
    ask("another", "d/f");
    fd = open(in("open"), O_RDONLY);
    lseek(fd, 0, SEEK_CUR);
    ask("another", "d/none"); ask("another", "open");
    _exit(0);
  }
  wait(NULL);
  ask("root", "d/f"); ask("root", "d/none");
  if (fork() == 0) {
    chroot(in("d"));
    char b[PATH_MAX];
    show("getcwd in another root", syscall(SYS_getcwd, b, sizeof b) > 0 ? strncmp(b, "(unreachable)", 13) : -1);
    ask("chroot", "d/f");
    _exit(0);
  }
  wait(NULL);
  ask("root", "d/f");
}

static void where(const char *what) {
  for (int i = 0; i < 3; i++) {
    char b[PATH_MAX];
    memset(b, '~', sizeof b);
    errno = 0;
    long r = syscall(SYS_getcwd, b, 1024);
    if (r < 0) printf("%s: %s\n", what, error_name(errno));
    else printf("%s: %d ...%s, length %d, behind %c\n", what, strncmp(b, here, strlen(here)), b + strlen(here), r == (long)strlen(b) + 1, b[r]);
  }
}
static void elsewhere(void) { chdir("/"); char b[9]; getcwd(b, sizeof b); printf("%s\n", b); }
static void move_away(void) { rename(in("p/q"), in("p/r")); }

CASE(cwd, "getcwd while directories are renamed and removed, also by others") {
  start();
  where("start");
  mkdir(in("p"), 0755); mkdir(in("p/q"), 0755);
  chdir(in("p/q")); where("below");
  in_child(elsewhere); where("a child went elsewhere");
  in_child(move_away); where("renamed by a child");
  rename(in("p"), in("o")); where("a parent renamed");
  int fd = open(".", O_RDONLY | O_DIRECTORY);
  chdir(".."); where("up");
  fchdir(fd); where("back");
  rmdir(in("o/r")); where("removed");
  chdir(here); where("start");
  char b[PATH_MAX];
  long exact = syscall(SYS_getcwd, b, PATH_MAX);
  for (int i = -2; i <= 2; i++) {
    errno = 0;
    long r = syscall(SYS_getcwd, b, exact + i);
    printf("size %d: %ld %d\n", i, r < 0 ? r : r - exact, errno);
  }
  errno = 0;
  printf("%ld %d\n", syscall(SYS_getcwd, (void *)-1L, 1024), errno);
}

/* Prints afterwards: no other call comes in between. */
static void some_entries(const char *what, int fd, long size, int times) {
  char b[4096];
  long result[16], count[16] = {0};
  for (int i = 0; i < times; i++) {
    result[i] = syscall(SYS_getdents64, fd, b, size);
    if (result[i] < 0) result[i] = -errno;
    for (long at = 0; at < result[i]; count[i]++) at += *(unsigned short *)(b + at + 16);
  }
  for (int i = 0; i < times; i++) printf("%s: %ld entries %s\n", what, count[i], result[i] < 0 ? error_name(-result[i]) : "");
}
static void entries(const char *what, int fd) { some_entries(what, fd, 4096, 3); }
static void make_in_d(void) { close(open(in("d/z"), O_CREAT | O_WRONLY, 0644)); }

CASE(directory, "a directory that is read to its end, once more and when it has changed") {
  start();
  mkdir(in("d"), 0755); put("d/a", "1"); put("d/b", "1");
  int fd = open(in("d"), O_RDONLY | O_DIRECTORY);
  struct stat st;
  syscall(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH);
  char b[8];
  errno = 0;
  long r = syscall(SYS_ioctl, fd, 0x5401, b);
  printf("%o %ld %s, ", st.st_mode, r, error_name(errno));
  r = read(fd, b, 1);
  printf("read %ld %s, at %ld\n", r, error_name(errno), (long)lseek(fd, 0, SEEK_CUR));
  entries("all", fd);
  in_child(make_in_d);
  lseek(fd, 0, SEEK_SET);
  entries("again", fd);
  int copy = dup(fd);
  lseek(copy, 0, SEEK_SET);
  entries("by a copy", fd);
  lseek(copy, 0, SEEK_SET);
  some_entries("one at a time", fd, 24, 8);
  int watch = inotify_init1(IN_NONBLOCK), count = 0;
  inotify_add_watch(watch, in("d"), IN_ACCESS);
  inotify_add_watch(watch, here, IN_ACCESS);
  entries("watched", fd);
  char events[4096];
  r = read(watch, events, sizeof events);
  for (long at = 0; at < r; count++) at += sizeof(struct inotify_event) + ((struct inotify_event *)(events + at))->len;
  printf("events: %d\n", count);
  unlink(in("d/a")); unlink(in("d/b")); unlink(in("d/z")); rmdir(in("d"));
  entries("removed", fd);
}

struct action { void *handler; unsigned long flags; void *restorer; unsigned long mask; };
static void on_signal(int signal) { (void)signal; }
static void actions(const char *what) {
  for (int round = 0; round < 2; round++) {
    printf("%s:", what);
    for (int signal = 0; signal <= 66; signal++) {
      struct action old;
      memset(&old, 0x5a, sizeof old);
      errno = 0;
      long r = syscall(SYS_rt_sigaction, signal, NULL, &old, 8);
      if (r < 0) printf(" %d %s", signal, error_name(errno));
      else if (old.handler || old.flags || old.mask) {
        const char *does = old.handler == SIG_IGN ? "ignored" : old.handler ? "handled" : "";
        printf(" %d %s %lx %lx", signal, does, old.flags & ~0x4000000UL, old.mask);
      }
    }
    puts("");
  }
}
static void *set_one(void *a) { signal(SIGUSR2, on_signal); return a; }
static void set_in_child(void) { signal(SIGTERM, SIG_IGN); actions("child"); }

CASE(signals, "actions of all signals while they change") {
  actions("start");
  signal(SIGHUP, SIG_IGN); actions("ignored");
  struct sigaction once = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
  sigaddset(&once.sa_mask, SIGINT);
  sigaction(SIGUSR1, &once, NULL); actions("once");
  raise(SIGUSR1); actions("delivered");
  pthread_t t;
  pthread_create(&t, NULL, set_one, NULL);
  pthread_join(t, NULL);
  actions("by a thread");
  in_child(set_in_child); actions("parent");
  struct sigaction flagged = {.sa_handler = SIG_DFL, .sa_flags = SA_RESTART};
  sigaction(SIGWINCH, &flagged, NULL); actions("default with a flag");
  struct action old = {NULL, SA_NODEFER, NULL, 0};
  syscall(SYS_rt_sigaction, SIGURG, &old, NULL, 8); actions("nothing but a flag");
  errno = 0;
  printf("%ld %d\n", syscall(SYS_rt_sigaction, 40, NULL, &old, 16), errno);
  printf("%ld\n", syscall(SYS_rt_sigaction, 40, NULL, NULL, 8));
}

CASES_MAIN
