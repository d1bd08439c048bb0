// access, faccessat, faccessat2: each mode, the real and the effective user, errnos.
// uid: 1000
#include "case.h"

int main(void) {
  make_file("file", "x");
  mkdir("dir", 0755);
  make_file("dir/in", "");
  symlink("file", "link");
  symlink("none", "dangling");
  int modes[] = { 0, 0100, 0200, 0400, 0600, 0700 };
  for (int i = 0; i < 6; i++) {
    chmod("file", modes[i]);
    printf("%o:", modes[i]);
    for (int want = 0; want < 8; want++) printf(" %s", access("file", want) ? error_name(errno) : "ok");
    printf("\n");
  }
  SHOW(access("file", 8));
  SHOW(access("missing", F_OK));
  SHOW(access("dangling", F_OK));
  SHOW(faccessat(AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
  SHOW(access("link", W_OK));
  SHOW(access("file/x", F_OK));
  SHOW(access("", F_OK));
  SHOW(access("dir", X_OK));
  chmod("dir", 0644);
  SHOW(access("dir", X_OK));
  SHOW(access("dir/in", F_OK));
  chmod("dir", 0755);
  int dir = open("dir", O_RDONLY), file = open("file", O_RDONLY);
  SHOW(faccessat(dir, "in", R_OK, 0));
  SHOW(faccessat(dir, "in", R_OK, AT_EACCESS));
  SHOW(faccessat(file, "in", R_OK, 0));
  SHOW(faccessat(99, "in", R_OK, 0));
  SHOW(faccessat(AT_FDCWD, "file", R_OK, 0x40));
  SHOW(access((char *)16, R_OK));
  SHOW(access("/etc/passwd", R_OK));
  SHOW(access("/etc/passwd", W_OK));
  SHOW(access("/root", W_OK));
  SHOW(access("/usr/bin/env", X_OK));
  return 0;
}
