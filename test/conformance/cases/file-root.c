// What uid 0 may do: read and write without permission bits, give files away, drop its privileges for good.
// uid: 0
#include "case.h"
#include <grp.h>

int main(void) {
  struct stat st;
  make_file("file", "x");
  SHOW(chmod("file", 0));
  SHOW(open("file", O_RDWR));
  SHOW(access("file", R_OK | W_OK));
  SHOW(access("file", X_OK));
  SHOW(chmod("file", 0010));
  SHOW(access("file", X_OK));
  SHOW(chown("file", 1000, 1001));
  SHOW(stat("file", &st));
  printf("%d:%d %o\n", st.st_uid, st.st_gid, st.st_mode);
  SHOW(chmod("file", 06755));
  SHOW(chown("file", 1, 2));
  SHOW(stat("file", &st));
  printf("%d:%d %o\n", st.st_uid, st.st_gid, st.st_mode);
  mkdir("dir", 0);
  SHOW(open("dir/x", O_CREAT | O_WRONLY, 0666));
  SHOW(lchown("dir", 1000, 1000));
  mkdir("private", 0700);
  make_file("private/x", "");
  make_file("shared", "");
  chmod("shared", 0666);
  chmod(".", 0777);
  gid_t groups[2] = { 50, 60 };
  SHOW(setgroups(2, groups));
  SHOW(getgroups(0, NULL));
  SHOW(setresgid(1000, 1000, 1000));
  SHOW(setresuid(1000, 1000, 0));
  SHOW(open("private/x", O_RDONLY));
  SHOW(seteuid(0));
  SHOW(open("private/x", O_RDONLY));
  SHOW(setresuid(1000, 1000, 1000));
  SHOW(seteuid(0));
  SHOW(setuid(0));
  SHOW(open("private/x", O_RDONLY));
  SHOW(open("shared", O_WRONLY));
  SHOW(chmod("shared", 0600));
  SHOW(unlink("shared"));
  SHOW(setgroups(0, NULL));
  uid_t r, e, s;
  SHOW(getresuid(&r, &e, &s));
  printf("%d %d %d\n", r, e, s);
  gid_t got[4];
  SHOW(getgroups(4, got));
  printf("%d %d\n", got[0], got[1]);
  SHOW(getgroups(1, got));
  return 0;
}
