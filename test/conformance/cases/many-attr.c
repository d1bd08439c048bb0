// Names and attributes of files: mkdir, mknod, link, symlink, rename, unlink, chmod, chown, utimensat, xattr, statx, access, openat2.
#include "case.h"
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <linux/openat2.h>
#include <utime.h>

static char long_name[300];
static const char *name256(void) { memset(long_name, 'n', 256); return long_name; }

CASE(mkdir, "mkdir, mkdirat, rmdir") {
  SHOW(mkdir("d", 0777));
  SHOW(mkdir("d", 0777));
  SHOW(mkdir("d/", 0777));
  SHOW(mkdir("x/y", 0777));
  SHOW(mkdir("", 0777));
  SHOW(mkdir(".", 0777));
  SHOW(mkdir("/", 0777));
  make_file("f", "");
  SHOW(mkdir("f", 0777));
  SHOW(mkdir("f/g", 0777));
  SHOW(mkdir(name256(), 0777));
  SHOW(mkdir((char *)8, 0777));
  SHOW(mkdir("slash/", 01777));
  struct stat st;
  stat("slash", &st);
  printf("%o links %d\n", st.st_mode, (int)st.st_nlink);
  SHOW(mkdirat(99, "z", 0777));
  SHOW(mkdirat(0, "z", 0777));
  int dir = open("d", O_RDONLY);
  SHOW(mkdirat(dir, "in", 0700));
  SHOW(rmdir("d"));
  SHOW(rmdir("f"));
  SHOW(rmdir("d/."));
  SHOW(rmdir("d/in/.."));
  SHOW(rmdir("d/in/"));
  SHOW(rmdir("d"));
  SHOW(mkdirat(dir, "in", 0700));
  SHOW(rmdir("/"));
  SHOW(rmdir("nothing"));
  SHOW(unlinkat(AT_FDCWD, "slash", AT_REMOVEDIR));
  SHOW(unlinkat(AT_FDCWD, "f", AT_REMOVEDIR));
  SHOW(unlinkat(AT_FDCWD, "f", 0x1000));
}

CASE(unlink, "unlink and unlinkat") {
  make_file("f", "1");
  symlink("f", "l");
  mkdir("d", 0777);
  SHOW(unlink("d"));
  SHOW(unlink("f/"));
  SHOW(unlink("f/x"));
  SHOW(unlink("none"));
  SHOW(unlink(""));
  SHOW(unlink((char *)8));
  SHOW(unlink(name256()));
  SHOW(unlink("l"));
  show_file("f");
  SHOW(unlinkat(AT_FDCWD, "f", 0));
  SHOW(unlinkat(77, "f", 0));
  SHOW(unlinkat(77, "/none", 0));
  SHOW(unlink("/dev/null"));
}

CASE(link, "link and linkat") {
  make_file("f", "x");
  symlink("f", "l");
  mkdir("d", 0777);
  SHOW(link("f", "g"));
  SHOW(link("f", "g"));
  SHOW(link("d", "e"));
  SHOW(link("none", "h"));
  SHOW(link("f", "d/none/x"));
  SHOW(link("f", ""));
  SHOW(link("", "z"));
  SHOW(link("l", "l2"));
  struct stat st;
  lstat("l2", &st);
  SAY(S_ISLNK(st.st_mode) && st.st_nlink == 2);
  SHOW(linkat(AT_FDCWD, "l", AT_FDCWD, "l3", AT_SYMLINK_FOLLOW));
  lstat("l3", &st);
  SAY(S_ISREG(st.st_mode) && st.st_nlink == 3);
  SHOW(linkat(AT_FDCWD, "f", AT_FDCWD, "i", 0x100000));
  int fd = open("f", O_RDONLY);
  char path[64];
  sprintf(path, "/proc/self/fd/%d", fd);
  SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "proc", AT_SYMLINK_FOLLOW));
  SHOW(link("f", "/proc/x"));
  SHOW(link("f", "/dev/shm/../../proc/self/x"));
  SHOW(link("/proc/version", "v"));
  unlink("f");
  SHOW(fstat(fd, &st));
  printf("links %d\n", (int)st.st_nlink);
}

CASE(symlink, "symlink and readlink") {
  char text[64], big[5000];
  memset(big, 'a', sizeof big);
  big[4095] = 0;
  SHOW(symlink("target", "s"));
  SHOW(symlink("target", "s"));
  SHOW(symlink("", "e"));
  SHOW(symlink("x", ""));
  SHOW(symlink(big, "big"));
  big[4095] = 'a';
  big[4096] = 0;
  SHOW(symlink(big, "bigger"));
  SHOW(symlink((char *)8, "p"));
  SHOW(readlink("s", text, sizeof text));
  SHOW(readlink("s", text, 3));
  SHOW(readlink("s", text, 0));
  SHOW(syscall(SYS_readlink, "s", text, -1));
  SHOW(readlink(".", text, 9));
  SHOW(readlink("none", text, 9));
  SHOW(readlink("s", (char *)8, 9));
  SHOW(symlinkat("t2", 99, "q"));
  struct stat st;
  lstat("s", &st);
  printf("%o %d\n", st.st_mode, (int)st.st_size);
  int fd = open("s", O_PATH | O_NOFOLLOW);
  SHOW(readlinkat(fd, "", text, sizeof text));
  SHOW(readlinkat(AT_FDCWD, "", text, sizeof text));
  SHOW(symlink("loop2", "loop1"));
  SHOW(symlink("loop1", "loop2"));
  SHOW(open("loop1", O_RDONLY));
  SHOW(stat("loop1/x", &st));
  SHOW(lstat("loop1", &st));
}

CASE(symlinkdepth, "40 links in a row, and no more") {
  char from[16], to[16];
  make_file("link0", "x");
  for (int i = 1; i <= 42; i++) {
    sprintf(from, "link%d", i - 1);
    sprintf(to, "link%d", i);
    symlink(from, to);
  }
  SHOW(access("link40", F_OK));
  SHOW(access("link41", F_OK));
  mkdir("dir", 0755);
  symlink("dir", "a");
  SHOW(access("a/../a/../a/../a/../a", F_OK));
  SHOW(access("a/", F_OK));
  SHOW(access("link0/", F_OK));
  SHOW(access("link5/", F_OK));
}

CASE(rename, "rename: over files, directories, into itself") {
  make_file("a", "a");
  make_file("b", "bb");
  mkdir("d", 0777);
  mkdir("e", 0777);
  make_file("e/f", "f");
  SHOW(rename("a", "b"));
  show_file("b");
  SHOW(rename("none", "b"));
  SHOW(rename("b", "d"));
  SHOW(rename("d", "b"));
  SHOW(rename("d", "e"));
  SHOW(rename("e", "d"));
  show_file("d/f");
  SHOW(rename("d", "d/x"));
  SHOW(rename("d", "d/f/x"));
  SHOW(rename("d/f", "d"));
  SHOW(rename("b", "b"));
  link("b", "b2");
  SHOW(rename("b", "b2"));
  SHOW(access("b", F_OK));
  SHOW(rename("b", ""));
  SHOW(rename(".", "q"));
  SHOW(rename("d/..", "q"));
  SHOW(rename("b", "q/"));
  SHOW(rename("d/", "q"));
  SHOW(rename("b", name256()));
}

CASE(renameat2, "RENAME_NOREPLACE, RENAME_EXCHANGE, errnos") {
  make_file("a", "a");
  make_file("b", "b");
  mkdir("d", 0755);
  SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
  SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
  SHOW(renameat2(AT_FDCWD, "c", AT_FDCWD, "b", RENAME_EXCHANGE));
  show_file("c");
  show_file("b");
  SHOW(renameat2(AT_FDCWD, "c", AT_FDCWD, "d", RENAME_EXCHANGE));
  SHOW(access("c/.", F_OK));
  SHOW(renameat2(AT_FDCWD, "c", AT_FDCWD, "none", RENAME_EXCHANGE));
  SHOW(renameat2(AT_FDCWD, "c", AT_FDCWD, "c/x", RENAME_EXCHANGE));
  SHOW(renameat2(AT_FDCWD, "c", AT_FDCWD, "b", RENAME_EXCHANGE | RENAME_NOREPLACE));
  SHOW(renameat2(AT_FDCWD, "c", AT_FDCWD, "b", 8));
  SHOW(renameat(99, "c", AT_FDCWD, "b"));
}

CASE(mknod, "mknod and mkfifo") {
  struct stat st;
  SHOW(mknod("f", 0644, 0));
  SHOW(mknod("r", S_IFREG | 0600, 0));
  SHOW(mkfifo("p", 0666));
  SHOW(mkfifo("p", 0666));
  SHOW(mknod("s", S_IFSOCK | 0600, 0));
  SHOW(mknod("c", S_IFCHR | 0600, makedev(1, 3)));
  SHOW(mknod("b", S_IFBLK | 0600, makedev(1, 3)));
  SHOW(mknod("d", S_IFDIR | 0600, 0));
  SHOW(mknod("l", S_IFLNK | 0600, 0));
  SHOW(mknod("none/x", S_IFREG, 0));
  SHOW(mknodat(99, "x", S_IFREG, 0));
  static const char *names[] = { "f", "r", "p", "s" };
  for (int i = 0; i < 4; i++) {
    lstat(names[i], &st);
    printf("%s %o\n", names[i], st.st_mode);
  }
  SHOW(open("s", O_RDONLY));
  SHOW(open("p", O_WRONLY | O_NONBLOCK));
}

CASE(chmod, "chmod, fchmod, fchmodat, umask") {
  make_file("f", "");
  symlink("f", "l");
  struct stat st;
  SHOW(chmod("f", 07777));
  stat("f", &st);
  printf("%o\n", st.st_mode);
  SHOW(chmod("f", 0170000 | 0444));
  stat("f", &st);
  printf("%o\n", st.st_mode);
  SHOW(chmod("none", 0600));
  SHOW(chmod("", 0600));
  SHOW(chmod("l", 0640));
  SHOW(fchmodat(AT_FDCWD, "f", 0600, AT_SYMLINK_NOFOLLOW));
  SHOW(fchmodat(99, "f", 0600, 0));
  int fd = open("f", O_RDONLY), path = open("f", O_PATH);
  SHOW(fchmod(fd, 0111));
  SHOW(fchmod(path, 0111));
  SHOW(fchmod(99, 0111));
  SHOW(chmod("/proc/version", 0777));
  SHOW(chmod("/", 0777));
  SHOW(umask(027));
  SHOW(umask(-1));
  SHOW(umask(0));
  close(open("g", O_CREAT | O_WRONLY, 07777));
  stat("g", &st);
  printf("%o\n", st.st_mode);
  SHOW(open("f", O_RDONLY));
}

CASE(chown, "chown by an ordinary user") {
  make_file("f", "");
  chmod("f", 06755);
  struct stat st;
  SHOW(chown("f", -1, -1));
  stat("f", &st);
  printf("%o\n", st.st_mode);
  SHOW(chown("f", 1000, 1000));
  stat("f", &st);
  printf("%o\n", st.st_mode);
  SHOW(chown("f", 0, -1));
  SHOW(chown("f", -1, 0));
  SHOW(lchown("f", 1000, -1));
  SHOW(fchown(99, 1, 1));
  SHOW(fchownat(AT_FDCWD, "", 1000, 1000, AT_EMPTY_PATH));
  SHOW(fchownat(AT_FDCWD, "f", 1000, 1000, 0x1));
  SHOW(chown("none", 1000, 1000));
  SHOW(chown("/", 1000, 1000));
  int fd = open("f", O_RDONLY), path = open("f", O_PATH);
  SHOW(fchown(fd, -1, 1000));
  SHOW(fchown(path, -1, 1000));
}

CASE(times, "utimensat, futimens, utime, utimes, futimesat") {
  struct stat st;
  make_file("f", "x");
  symlink("f", "l");
  struct timespec t[2] = { { 100, 5 }, { 200, 6 } };
  SHOW(utimensat(AT_FDCWD, "f", t, 0));
  stat("f", &st);
  printf("%ld.%ld %ld.%ld\n", st.st_atim.tv_sec, st.st_atim.tv_nsec, st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
  t[0].tv_nsec = UTIME_OMIT;
  t[1].tv_nsec = UTIME_NOW;
  SHOW(utimensat(AT_FDCWD, "f", t, 0));
  stat("f", &st);
  SAY(st.st_atime == 100 && st.st_mtime > 1000000000);
  t[0].tv_nsec = 1000000000;
  SHOW(utimensat(AT_FDCWD, "f", t, 0));
  t[0].tv_nsec = t[1].tv_nsec = UTIME_OMIT;
  SHOW(utimensat(AT_FDCWD, "none", t, 0));
  SHOW(utimensat(99, "f", t, 0));
  t[0].tv_nsec = t[1].tv_nsec = 7;
  SHOW(utimensat(99, "f", t, 0));
  SHOW(utimensat(AT_FDCWD, "f", t, 0x1));
  SHOW(utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW));
  SHOW(syscall(SYS_utimensat, AT_FDCWD, NULL, t, 0));
  SHOW(syscall(SYS_utimensat, 99, NULL, t, 0));
  SHOW(syscall(SYS_utimensat, AT_FDCWD, "f", 8, 0));
  int fd = open("f", O_RDONLY);
  SHOW(futimens(fd, t));
  SHOW(futimens(99, t));
  struct utimbuf u = { 11, 22 };
  SHOW(utime("f", &u));
  SHOW(utime("none", NULL));
  struct timeval v[2] = { { 1, 999999 }, { 2, 0 } };
  SHOW(utimes("f", v));
  v[0].tv_usec = 1000000;
  SHOW(utimes("f", v));
  v[0].tv_usec = 1;
  SHOW(syscall(SYS_futimesat, AT_FDCWD, "f", v));
  SHOW(utimes("/", NULL));
  t[0].tv_sec = t[1].tv_sec = -5;
  SHOW(utimensat(AT_FDCWD, "f", t, 0));
  stat("f", &st);
  printf("%ld %ld\n", st.st_atim.tv_sec, st.st_mtim.tv_sec);
}

CASE(xattr, "extended attributes") {
  char value[64], list[64];
  make_file("f", "");
  SHOW(setxattr("f", "user.a", "one", 3, 0));
  int supported = errno != EOPNOTSUPP;
  SHOW(getxattr("f", "user.none", value, sizeof value));
  SHOW(setxattr("f", "trusted.a", "x", 1, 0));
  SHOW(setxattr("f", "other.a", "x", 1, 0));
  SHOW(setxattr("f", "noprefix", "x", 1, 0));
  SHOW(setxattr("f", "", "x", 1, 0));
  SHOW(setxattr("f", "user.", "x", 1, 0));
  SHOW(setxattr("f", "user.a", "x", 1, 9));
  SHOW(setxattr("f", "user.a", (void *)8, 1, 0));
  SHOW(setxattr("f", "user.b", NULL, 70000, 0));
  SHOW(setxattr("none", "user.a", "x", 1, 0));
  SHOW(fsetxattr(99, "user.a", "x", 1, 0));
  SHOW(removexattr("f", "user.none"));
  SHOW(removexattr("none", "user.none"));
  SHOW(fremovexattr(99, "user.none"));
  SHOW(fgetxattr(99, "user.none", NULL, 0));
  SHOW(getxattr("f", (char *)8, NULL, 0));
  SHOW(listxattr("none", list, sizeof list));
  SHOW(flistxattr(99, list, sizeof list));
  symlink("f", "l");
  SHOW(lsetxattr("l", "user.a", "x", 1, 0));
  if (!supported) return;
  SHOW(setxattr("f", "user.a", "two", 3, XATTR_CREATE));
  SHOW(setxattr("f", "user.z", "two", 3, XATTR_REPLACE));
  SHOW(getxattr("f", "user.a", NULL, 0));
  SHOW(getxattr("f", "user.a", value, 2));
  SHOW(getxattr("f", "user.a", value, 64));
  SHOW(listxattr("f", NULL, 0));
  SHOW(listxattr("f", list, 2));
  SHOW(listxattr("f", list, 64));
  printf("%s\n", list);
  SHOW(removexattr("f", "user.a"));
  SHOW(listxattr("f", list, 64));
}

CASE(access, "access, faccessat and faccessat2") {
  make_file("f", "");
  chmod("f", 0444);
  symlink("none", "dangling");
  SHOW(access("f", R_OK));
  SHOW(access("f", W_OK));
  SHOW(access("f", X_OK));
  SHOW(access("f", 8));
  SHOW(access("f", -1));
  SHOW(access("", F_OK));
  SHOW(access("dangling", F_OK));
  SHOW(access((char *)8, F_OK));
  SHOW(access("/", W_OK));
  SHOW(faccessat(99, "f", F_OK, 0));
  SHOW(faccessat(AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
  SHOW(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
  int fd = open("f", O_RDONLY);
  SHOW(syscall(SYS_faccessat2, fd, "", R_OK, AT_EMPTY_PATH));
  SHOW(syscall(SYS_faccessat2, fd, "", W_OK, AT_EMPTY_PATH));
  SHOW(syscall(SYS_faccessat2, fd, "", R_OK, 0));
  SHOW(syscall(SYS_faccessat2, AT_FDCWD, "f", R_OK, 0x8000));
  SHOW(syscall(SYS_faccessat2, AT_FDCWD, "f", 9, 0));
}

CASE(statx, "statx: masks, flags, errnos") {
  struct statx x;
  make_file("f", "12345");
  memset(&x, 0xff, sizeof x);
  SHOW(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &x));
  printf("%o %d %d %d\n", x.stx_mode, (int)x.stx_nlink, (int)x.stx_size, (x.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
  SHOW(statx(AT_FDCWD, "f", 0, 0, &x));
  SHOW(statx(AT_FDCWD, "f", 0, 0x80000000u, &x));
  SHOW(statx(AT_FDCWD, "f", 0x6000, STATX_SIZE, &x));
  SHOW(statx(AT_FDCWD, "f", 0x1, STATX_SIZE, &x));
  SHOW(statx(AT_FDCWD, "none", 0, STATX_SIZE, &x));
  SHOW(statx(AT_FDCWD, "", 0, STATX_SIZE, &x));
  SHOW(statx(AT_FDCWD, "", AT_EMPTY_PATH, STATX_TYPE, &x));
  SAY(S_ISDIR(x.stx_mode));
  SHOW(statx(99, "", AT_EMPTY_PATH, STATX_TYPE, &x));
  SHOW(statx(AT_FDCWD, "f", 0, STATX_SIZE, (void *)8));
  SHOW(statx(AT_FDCWD, (char *)8, 0, STATX_SIZE, &x));
  SHOW(statx(AT_FDCWD, "f", 0, STATX_BTIME, &x));
  SAY((x.stx_mask & STATX_BTIME) != 0 && x.stx_btime.tv_sec > 1000000000);
}

CASE(stat, "stat, lstat, fstat, newfstatat") {
  struct stat st;
  SHOW(stat("none", &st));
  SHOW(stat("", &st));
  SHOW(stat(".", (void *)8));
  SHOW(fstat(99, &st));
  SHOW(fstat(-1, &st));
  SHOW(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
  SHOW(fstatat(99, "", &st, AT_EMPTY_PATH));
  SHOW(fstatat(99, ".", &st, 0));
  SHOW(fstatat(99, "/", &st, 0));
  SHOW(fstatat(AT_FDCWD, ".", &st, 0x1));
  make_file("f", "x");
  SHOW(stat("f/x", &st));
  SHOW(stat("f/", &st));
  SHOW(stat("f/.", &st));
  SHOW(stat(name256(), &st));
  static char path[5000];
  memset(path, '/', 4096);
  SHOW(stat(path, &st));
  path[4095] = 0;
  SHOW(stat(path, &st));
  SHOW(fstat(open("f", O_PATH), &st));
  printf("%o %d\n", st.st_mode, (int)st.st_blksize);
}

CASE(statfs, "statfs, fstatfs, sync and its kin") {
  struct statfs s;
  SHOW(statfs(".", &s));
  SAY(s.f_bsize == 4096 && s.f_namelen == 255 && s.f_bfree <= s.f_blocks);
  SHOW(statfs("none", &s));
  SHOW(statfs(".", (void *)8));
  SHOW(fstatfs(99, &s));
  int fd = open(".", O_RDONLY);
  SHOW(fstatfs(fd, &s));
  SHOW(statfs("/proc", &s));
  printf("%lx\n", (long)s.f_type);
  SHOW(syncfs(fd));
  SHOW(syncfs(99));
  SHOW(fsync(fd));
  SHOW(fdatasync(fd));
  SHOW(fsync(99));
  int ends[2];
  pipe(ends);
  SHOW(fsync(ends[0]));
  SHOW(fdatasync(ends[1]));
  sync();
  SHOW(sync_file_range(fd, 0, 0, 8));
  SHOW(sync_file_range(ends[0], 0, 0, 1));
  SHOW(sync_file_range(99, 0, 0, 1));
}

static int openat2_(int dir, const char *path, unsigned long flags, unsigned long mode, unsigned long resolve) {
  struct open_how how = { flags, mode, resolve };
  return syscall(SYS_openat2, dir, path, &how, sizeof how);
}

CASE(openat2, "openat2: RESOLVE_*, strict flags, sizes") {
  make_file("f", "x");
  mkdir("d", 0755);
  make_file("d/g", "x");
  symlink("../f", "d/out");
  symlink("g", "d/in");
  symlink("/", "d/abs");
  int d = open("d", O_PATH);
  OK(openat2_(AT_FDCWD, "f", O_RDONLY, 0, 0));
  SHOW(openat2_(AT_FDCWD, "f", O_RDONLY, 0600, 0));
  SHOW(openat2_(AT_FDCWD, "n", O_RDWR | O_CREAT, 0177777, 0));
  SHOW(openat2_(AT_FDCWD, "f", 1UL << 40, 0, 0));
  SHOW(openat2_(AT_FDCWD, "f", O_PATH | O_RDWR, 0, 0));
  SHOW(openat2_(AT_FDCWD, "f", O_RDONLY, 0, 0x100));
  SHOW(openat2_(d, "../f", O_RDONLY, 0, RESOLVE_BENEATH));
  SHOW(openat2_(d, "out", O_RDONLY, 0, RESOLVE_BENEATH));
  OK(openat2_(d, "in", O_RDONLY, 0, RESOLVE_BENEATH));
  SHOW(openat2_(d, "/f", O_RDONLY, 0, RESOLVE_BENEATH));
  SHOW(openat2_(d, "in", O_RDONLY, 0, RESOLVE_NO_SYMLINKS));
  OK(openat2_(d, "/g", O_RDONLY, 0, RESOLVE_IN_ROOT));
  OK(openat2_(d, "../../g", O_RDONLY, 0, RESOLVE_IN_ROOT));
  SHOW(openat2_(d, "out", O_RDONLY, 0, RESOLVE_IN_ROOT));
  SHOW(openat2_(d, "in", O_RDONLY, 0, RESOLVE_IN_ROOT | RESOLVE_BENEATH));
  SHOW(openat2_(AT_FDCWD, "/proc/self/cwd", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS));
  SHOW(openat2_(AT_FDCWD, "/proc", O_RDONLY, 0, RESOLVE_NO_XDEV));
  struct { struct open_how how; long more; } how = { { O_RDONLY, 0, 0 }, 0 };
  OK(syscall(SYS_openat2, AT_FDCWD, "f", &how, sizeof how));
  how.more = 1;
  SHOW(syscall(SYS_openat2, AT_FDCWD, "f", &how, sizeof how));
  SHOW(syscall(SYS_openat2, AT_FDCWD, "f", &how, 8));
  SHOW(syscall(SYS_openat2, AT_FDCWD, "f", 8, 24));
}

CASE(cwd, "chdir, fchdir, getcwd") {
  char text[4096];
  mkdir("d", 0755);
  make_file("f", "");
  mkdir("no", 0);
  SHOW(chdir("none"));
  SHOW(chdir("f"));
  SHOW(chdir(""));
  SHOW(chdir("no"));
  SHOW(chdir((char *)8));
  SHOW(fchdir(99));
  SHOW(fchdir(open("f", O_RDONLY)));
  int d = open("d", O_RDONLY), p = open("d", O_PATH);
  SHOW(fchdir(p));
  SHOW(chdir(".."));
  SHOW(fchdir(d));
  SHOW(syscall(SYS_getcwd, text, 3));
  SHOW(syscall(SYS_getcwd, text, 0));
  SHOW(syscall(SYS_getcwd, 8, 4096));
  SAY(syscall(SYS_getcwd, text, 4096) > 0 && strstr(text, "/d") != NULL);
  SHOW(rmdir("../d"));
  SHOW(syscall(SYS_getcwd, text, 4096));
  SHOW(open("x", O_CREAT | O_WRONLY, 0600));
  SHOW(chdir(".."));
  SHOW(access("no", F_OK));
}

CASE(getdents, "getdents64 and getdents: cookies, sizes, errnos") {
  char buffer[4096];
  mkdir("d", 0755);
  for (int i = 0; i < 20; i++) {
    sprintf(buffer, "d/file%02d", i);
    make_file(buffer, "");
  }
  int d = open("d", O_RDONLY), f = open("d/file00", O_RDONLY);
  SHOW(syscall(SYS_getdents64, f, buffer, 4096));
  SHOW(syscall(SYS_getdents64, 99, buffer, 4096));
  SHOW(syscall(SYS_getdents64, d, buffer, 10));
  SHOW(syscall(SYS_getdents64, d, 8, 4096));
  int count = 0, calls = 0;
  long n;
  while ((n = syscall(SYS_getdents64, d, buffer, 200)) > 0) {
    calls++;
    for (long at = 0; at < n; count++) at += *(unsigned short *)(buffer + at + 16);
  }
  SAY(count == 22 && calls > 3);
  SHOW(lseek(d, 0, SEEK_SET));
  count = 0;
  while ((n = syscall(SYS_getdents, d, buffer, 300)) > 0) for (long at = 0; at < n; count++) at += *(unsigned short *)(buffer + at + 16);
  SAY(count == 22);
  rewinddir(fdopendir(dup(d)));
  SHOW(lseek(d, 0, SEEK_SET));
  for (int i = 0; i < 20; i++) {
    sprintf(buffer, "d/file%02d", i);
    unlink(buffer);
  }
  SAY(syscall(SYS_getdents64, d, buffer, 4096) == 48);
  rmdir("d");
  SHOW(syscall(SYS_getdents64, d, buffer, 4096));
}

CASES_MAIN
