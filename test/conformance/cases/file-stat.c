// stat, lstat, fstat, fstatat, statx: fields that do not depend on the run, agreement between the calls, errnos.
#include "case.h"
#include <sys/sysmacros.h>

static void field(const char *path, int flags) {
  struct stat st;
  struct statx x;
  if (fstatat(AT_FDCWD, path, &st, flags) || statx(AT_FDCWD, path, flags, STATX_BASIC_STATS, &x)) {
    printf("%s: %s\n", path, error_name(errno));
    return;
  }
  printf("%s: %o nlink %ld size %ld blocks %ld blksize %ld\n", path, st.st_mode, (long)st.st_nlink,
    S_ISDIR(st.st_mode) ? 0L : (long)st.st_size, (long)st.st_blocks, (long)st.st_blksize);
  printf("  same: %d%d%d%d%d%d%d%d\n", x.stx_mode == st.st_mode, x.stx_nlink == st.st_nlink, x.stx_size == (uint64_t)st.st_size,
    x.stx_ino == st.st_ino, x.stx_uid == st.st_uid, x.stx_blocks == (uint64_t)st.st_blocks, x.stx_mtime.tv_sec == st.st_mtim.tv_sec,
    x.stx_mtime.tv_nsec == st.st_mtim.tv_nsec);
  printf("  mask has basics %d, owner is us %d, device agrees %d\n", (x.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS,
    st.st_uid == geteuid(), makedev(x.stx_dev_major, x.stx_dev_minor) == st.st_dev);
}

int main(void) {
  make_file("file", "12345");
  mkdir("dir", 0750);
  symlink("file", "link");
  symlink("gone", "dangling");
  mkfifo("fifo", 0604);
  field("file", 0);
  field("dir", 0);
  field("link", 0);
  field("link", AT_SYMLINK_NOFOLLOW);
  field("dangling", 0);
  field("dangling", AT_SYMLINK_NOFOLLOW);
  field("fifo", 0);
  struct stat st, st2;
  struct statx x;
  stat("/dev/null", &st);
  printf("null: %o %u,%u\n", st.st_mode, major(st.st_rdev), minor(st.st_rdev));
  int ends[2];
  pipe(ends);
  fstat(ends[0], &st);
  printf("pipe: %o size %ld\n", st.st_mode, (long)st.st_size);
  int fd = open("file", O_RDONLY);
  SHOW(fstat(fd, &st));
  SHOW(fstatat(fd, "", &st2, AT_EMPTY_PATH));
  SAY(st.st_ino == st2.st_ino);
  SHOW(fstatat(fd, "", &st2, 0));
  SHOW(fstatat(fd, "x", &st2, 0));
  SHOW(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &x));
  SHOW(statx(AT_FDCWD, "file", 0, STATX__RESERVED, &x));
  SHOW(statx(AT_FDCWD, "file", 0x40, STATX_BASIC_STATS, &x));
  SHOW(statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS, (void *)16));
  SHOW(fstat(99, &st));
  SHOW(stat("file", (void *)16));
  SHOW(stat("dir/none", &st));
  SHOW(stat("file/none", &st));
  SHOW(fstatat(AT_FDCWD, "file", &st, 8));
  stat(".", &st);
  stat("dir/..", &st2);
  SAY(st.st_ino == st2.st_ino && st.st_dev == st2.st_dev);
  return 0;
}
