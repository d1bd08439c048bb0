// utimensat, futimens, utimes: exact values, UTIME_NOW, UTIME_OMIT, errnos; which operations move mtime and ctime.
#include "case.h"

static void times(const char *path) {
  struct stat st;
  lstat(path, &st);
  printf("%s: %ld.%09ld %ld.%09ld\n", path, (long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static long long stamp(const char *path, char which) {
  struct stat st;
  lstat(path, &st);
  struct timespec t = which == 'm' ? st.st_mtim : which == 'c' ? st.st_ctim : st.st_atim;
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

#define CHANGES(path, action) do { \
    struct timespec old_[2] = { { 1000, 0 }, { 2000, 0 } }; \
    utimensat(AT_FDCWD, path, old_, 0); \
    long long c_ = stamp(path, 'c'); \
    sleep_ms(20); \
    action; \
    printf("%-28s mtime %s ctime %s\n", #action, stamp(path, 'm') == 2000000000000LL ? "same" : "moved", \
      stamp(path, 'c') == c_ ? "same" : "moved"); \
  } while (0)

int main(void) {
  make_file("file", "x");
  symlink("file", "link");
  mkdir("dir", 0755);
  struct timespec exact[2] = { { 1234567890, 123456789 }, { 987654321, 987654321 } };
  SHOW(utimensat(AT_FDCWD, "file", exact, 0));
  times("file");
  struct timespec omit[2] = { { 0, UTIME_OMIT }, { 5, 6 } };
  SHOW(utimensat(AT_FDCWD, "file", omit, 0));
  times("file");
  struct timespec both[2] = { { 0, UTIME_OMIT }, { 0, UTIME_OMIT } };
  SHOW(utimensat(AT_FDCWD, "missing", both, 0));
  SHOW(utimensat(AT_FDCWD, "missing", exact, 0));
  SHOW(utimensat(AT_FDCWD, "link", exact, AT_SYMLINK_NOFOLLOW));
  times("link");
  times("file");
  struct timespec before[2] = { { -5, 500000000 }, { -100, 0 } };
  SHOW(utimensat(AT_FDCWD, "file", before, 0));
  times("file");
  struct timespec bad[2] = { { 0, 1000000000 }, { 0, 0 } };
  SHOW(utimensat(AT_FDCWD, "file", bad, 0));
  SHOW(utimensat(AT_FDCWD, "file", exact, 4));
  SHOW(utimensat(99, "file", exact, 0));
  struct timeval coarse[2] = { { 10, 11 }, { 12, 13 } };
  SHOW(utimes("file", coarse));
  times("file");
  int fd = open("file", O_RDWR);
  SHOW(futimens(fd, exact));
  times("file");
  SHOW(futimens(99, exact));
  long long now = now_ns(CLOCK_REALTIME);
  SHOW(futimens(fd, NULL));
  SAY(llabs(stamp("file", 'm') - now) < 5000000000LL && stamp("file", 'a') == stamp("file", 'm'));
  CHANGES("file", write(fd, "y", 1));
  CHANGES("file", write(fd, "y", 0));
  CHANGES("file", chmod("file", 0600));
  CHANGES("file", link("file", "hard"));
  CHANGES("file", unlink("hard"));
  CHANGES("file", rename("file", "file"));
  CHANGES("file", ftruncate(fd, 1));
  CHANGES("file", open("file", O_WRONLY | O_TRUNC));
  CHANGES("dir", make_file("dir/x", ""));
  CHANGES("dir", make_file("dir/x", "again"));
  CHANGES("dir", rename("dir/x", "dir/y"));
  CHANGES("dir", unlink("dir/y"));
  CHANGES("dir", mkdir("dir/z", 0755));
  CHANGES("dir", rmdir("dir/z"));
  return 0;
}
