// inotify: what is told of files and directories, in which order, moves, limits of a read, flags of watches, errnos.
#include "case.h"
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

static int in;

static const char *bits(uint32_t mask) {
  static char text[200];
  static const struct { uint32_t bit; const char *name; } names[] = {
    { IN_ACCESS, "ACCESS" }, { IN_MODIFY, "MODIFY" }, { IN_ATTRIB, "ATTRIB" }, { IN_CLOSE_WRITE, "CLOSE_WRITE" }, { IN_CLOSE_NOWRITE, "CLOSE_NOWRITE" },
    { IN_OPEN, "OPEN" }, { IN_MOVED_FROM, "MOVED_FROM" }, { IN_MOVED_TO, "MOVED_TO" }, { IN_CREATE, "CREATE" }, { IN_DELETE, "DELETE" },
    { IN_DELETE_SELF, "DELETE_SELF" }, { IN_MOVE_SELF, "MOVE_SELF" }, { IN_Q_OVERFLOW, "Q_OVERFLOW" }, { IN_IGNORED, "IGNORED" }, { IN_ISDIR, "ISDIR" },
  };
  text[0] = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) if (mask & names[i].bit) sprintf(text + strlen(text), " %s", names[i].name);
  return text;
}

/* Prints what has happened; cookies as their number among those seen. */
static void happened(const char *what) {
  char buffer[16384] __attribute__((aligned(8)));
  uint32_t cookie = 0;
  int moves = 0;
  printf("%s:\n", what);
  for (ssize_t n; (n = read(in, buffer, sizeof buffer)) > 0;) {
    for (char *at = buffer; at < buffer + n;) {
      const struct inotify_event *e = (const void *)at;
      if (e->cookie && e->cookie != cookie) { cookie = e->cookie; moves++; }
      printf("  %d%s%s%s len %u%s%d\n", e->wd, bits(e->mask), e->len ? " " : "", e->len ? e->name : "", e->len, e->cookie ? " move " : " no move ", e->cookie ? moves : 0);
      at += sizeof *e + e->len;
    }
  }
}

static void enter(void) {
  char template[] = "/tmp/inotifyXXXXXX";
  if (mkdtemp(template) == NULL || chdir(template) != 0) exit(9);
  in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
}

static void touch(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (write(fd, text, strlen(text)) < 0) exit(9);
  close(fd);
}

CASE(inotify_directory, "inotify: what a watch of a directory is told") {
  char buffer[100];
  enter();
  SHOW(inotify_add_watch(in, ".", IN_ALL_EVENTS));
  touch("a", "text");
  happened("a new file");
  touch("a", "text");
  happened("it is written again");
  int fd = open("a", O_RDONLY);
  SHOW(read(fd, buffer, 2));
  SHOW(read(fd, buffer, 100));
  SHOW(read(fd, buffer, 100));
  close(fd);
  happened("read");
  mkdir("dir", 0755);
  happened("mkdir");
  touch("dir/inside", "x");
  happened("nothing of what is inside");
  symlink("a", "link");
  mkfifo("fifo", 0600);
  link("a", "b");
  happened("links and nodes");
  chmod("a", 0600);
  utimes("a", NULL);
  truncate("a", 1);
  truncate("a", 1);
  setxattr("a", "user.x", "y", 1, 0);
  fd = open("a", O_RDWR);
  ftruncate(fd, 100);
  fchmod(fd, 0644);
  pwrite(fd, "z", 1, 50);
  lseek(fd, 0, SEEK_SET);
  close(fd);
  happened("attributes and sizes");
  rename("a", "c");
  rename("c", "b");
  rename("c", "dir/c");
  rename("b", "dir/b");
  rename("dir/b", "b");
  rename("dir", "other");
  happened("moves");
  unlink("b");
  unlink("link");
  unlink("other/c");
  unlink("other/inside");
  rmdir("other");
  happened("removals");
  DIR *d = opendir(".");
  while (readdir(d)) ;
  closedir(d);
  happened("listed");
}

CASE(inotify_self, "inotify: what a watch of the file itself is told, until it is gone") {
  enter();
  touch("a", "text");
  touch("victim", "text");
  mkdir("dir", 0755);
  mkdir("old", 0755);
  SHOW(inotify_add_watch(in, "a", IN_ALL_EVENTS));
  SHOW(inotify_add_watch(in, "victim", IN_ALL_EVENTS));
  SHOW(inotify_add_watch(in, "dir", IN_ALL_EVENTS));
  touch("a", "more");
  link("a", "b");
  chmod("a", 0600);
  happened("a file");
  rename("a", "c");
  rename("dir", "dir2");
  rename("c", "victim");
  happened("moved, once over another that is watched");
  unlink("victim");
  happened("one of two names");
  int fd = open("b", O_RDONLY);
  unlink("b");
  happened("open and without a name");
  close(fd);
  happened("gone");
  touch("dir2/x", "x");
  unlink("dir2/x");
  rmdir("dir2");
  happened("a directory");
  SHOW(inotify_rm_watch(in, 1));
  SHOW(inotify_add_watch(in, "old", IN_ALL_EVENTS));
  SHOW(inotify_rm_watch(in, 4));
  happened("removed by hand");
  rmdir("old");
  happened("no more");
}

CASE(inotify_both, "inotify: a file and its directory watched by one, an exchange") {
  enter();
  touch("a", "a");
  touch("b", "b");
  SHOW(inotify_add_watch(in, ".", IN_ALL_EVENTS));
  SHOW(inotify_add_watch(in, "a", IN_ALL_EVENTS));
  touch("a", "x");
  happened("written");
  SHOW(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 2));
  happened("exchanged");
  unlink("a");
  unlink("b");
  happened("removed");
}

CASE(inotify_flags, "inotify: masks, IN_MASK_ADD, IN_MASK_CREATE, IN_ONESHOT, IN_ONLYDIR, IN_DONT_FOLLOW, IN_EXCL_UNLINK") {
  enter();
  touch("a", "text");
  symlink("a", "link");
  SHOW(inotify_add_watch(in, "a", IN_OPEN));
  touch("a", "x");
  happened("opened only");
  SHOW(inotify_add_watch(in, "a", IN_MODIFY));
  touch("a", "x");
  happened("modified only");
  SHOW(inotify_add_watch(in, "a", IN_MASK_ADD | IN_OPEN));
  touch("a", "x");
  happened("both");
  SHOW(inotify_add_watch(in, "a", IN_MASK_CREATE | IN_OPEN));
  SHOW(inotify_add_watch(in, "link", IN_MODIFY | IN_DONT_FOLLOW));
  SHOW(inotify_add_watch(in, "link", IN_MODIFY));
  SHOW(inotify_add_watch(in, "link", IN_MODIFY | IN_ONLYDIR));
  SHOW(inotify_add_watch(in, "link", IN_MODIFY | IN_ONLYDIR | IN_DONT_FOLLOW));
  SHOW(inotify_add_watch(in, "a", IN_OPEN | IN_ONESHOT));
  touch("a", "x");
  touch("a", "x");
  happened("once");
  SHOW(inotify_add_watch(in, ".", IN_ALL_EVENTS | IN_EXCL_UNLINK));
  int fd = open("a", O_WRONLY);
  unlink("a");
  write(fd, "x", 1);
  close(fd);
  happened("without what has no name any more");
  SHOW(inotify_add_watch(in, ".", IN_ALL_EVENTS));
  fd = open("b", O_WRONLY | O_CREAT, 0600);
  unlink("b");
  write(fd, "x", 1);
  close(fd);
  happened("with it");
}

CASE(inotify_read, "inotify: reading whole events, FIONREAD, poll, what is merged, blocking") {
  char buffer[256];
  int size = -1;
  struct pollfd one;
  enter();
  one = (struct pollfd){ in, POLLIN | POLLOUT, 0 };
  SHOW(read(in, buffer, sizeof buffer));
  SHOW(inotify_add_watch(in, ".", IN_CREATE | IN_DELETE | IN_MODIFY));
  SHOW(poll(&one, 1, 0));
  touch("a", "x");
  mkdir("a-name-of-16-byt", 0700);
  SHOW(poll(&one, 1, 0));
  printf("%x\n", one.revents);
  SHOW(ioctl(in, FIONREAD, &size));
  printf("%d\n", size);
  SHOW(read(in, buffer, 16));
  SHOW(read(in, buffer, 31));
  SHOW(read(in, buffer, 33));
  SHOW(read(in, buffer, 63));
  SHOW(write(in, buffer, 1));
  SHOW(pread(in, buffer, 100, 0));
  SHOW(lseek(in, 0, SEEK_SET));
  happened("the rest");
  int fd = open("a", O_WRONLY);
  for (int i = 0; i < 5; i++) write(fd, "x", 1);
  happened("five writes");
  fcntl(in, F_SETFL, 0);
  pid_t pid = fork();
  if (pid == 0) { sleep_ms(30); touch("late", "x"); _exit(0); }
  SHOW(read(in, buffer, sizeof buffer) > 0);
  printf("%s\n", ((struct inotify_event *)buffer)->name);
  waitpid(pid, NULL, 0);
}

CASE(inotify_errors, "inotify: errnos, overflow, limits") {
  enter();
  SHOW(inotify_init1(1));
  SHOW(inotify_add_watch(-1, ".", IN_OPEN));
  SHOW(inotify_add_watch(0, ".", IN_OPEN));
  SHOW(inotify_add_watch(in, ".", 0));
  SHOW(inotify_add_watch(-1, ".", 0));
  SHOW(inotify_add_watch(in, "missing", IN_OPEN));
  SHOW(inotify_add_watch(in, (char *)8, IN_OPEN));
  SHOW(inotify_add_watch(in, "", IN_OPEN));
  SHOW(inotify_add_watch(in, ".", IN_OPEN | IN_MASK_ADD | IN_MASK_CREATE));
  SHOW(inotify_rm_watch(in, 1));
  SHOW(inotify_rm_watch(-1, 1));
  SHOW(inotify_rm_watch(0, 1));
  SHOW(inotify_add_watch(in, "/proc/self/status", IN_OPEN));
  touch("elsewhere", "x");
  happened("nothing there");
  SHOW(inotify_rm_watch(in, 1));
  happened("but it was a watch");
  touch("secret", "x");
  chmod("secret", 0200);
  SHOW(inotify_add_watch(in, "secret", IN_OPEN));
  SHOW(inotify_add_watch(in, ".", IN_MOVE));
  touch("x", "x");
  for (int i = 0; i < 4200; i++) { rename("x", "y"); rename("y", "x"); }
  struct inotify_event *e;
  char buffer[1 << 20];
  ssize_t length = read(in, buffer, sizeof buffer);
  int events = 0;
  for (char *at = buffer; at < buffer + length; at += sizeof *e + e->len) { e = (void *)at; events++; }
  printf("%d events, then %d%s\n", events, e->wd, bits(e->mask));
  happened("no more");
}

CASES_MAIN
