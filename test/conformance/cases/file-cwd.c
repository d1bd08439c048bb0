// chdir, fchdir, getcwd: dots and slashes, a removed working directory, inheritance by fork, errnos.
// uid: 1000
#include "case.h"

static char base[PATH_MAX];

static void where(void) {
  char path[PATH_MAX];
  if (!getcwd(path, sizeof path)) printf("getcwd: %s\n", error_name(errno));
  else printf("cwd %s\n", strncmp(path, base, strlen(base)) ? path : path + strlen(base));
}

int main(void) {
  getcwd(base, sizeof base);
  mkdir("a", 0755);
  mkdir("a/b", 0755);
  symlink("a/b", "link");
  make_file("file", "");
  SHOW(chdir("a//./b/"));
  where();
  SHOW(chdir("../../link"));
  where();
  SHOW(chdir("../.."));
  where();
  SHOW(chdir("missing"));
  SHOW(chdir("file"));
  SHOW(chdir(""));
  SHOW(chdir((char *)16));
  int fd = open("a", O_RDONLY), path = open("a/b", O_PATH);
  SHOW(fchdir(fd));
  where();
  SHOW(fchdir(path));
  where();
  SHOW(fchdir(99));
  SHOW(fchdir(open("../../file", O_RDONLY)));
  IN_CHILD("child", { SHOW(chdir("..")); where(); });
  where();
  SHOW(rmdir("../b"));
  where();
  SHOW(open("x", O_CREAT | O_WRONLY, 0644));
  SHOW(chdir("."));
  SHOW(chdir(".."));
  where();
  SHOW(chdir("/"));
  SHOW(chdir(".."));
  where();
  char small[3];
  SHOW(syscall(SYS_getcwd, small, 1));
  SHOW(syscall(SYS_getcwd, small, 2));
  SHOW(syscall(SYS_getcwd, (void *)16, 100));
  chdir(base);
  mkdir("locked", 0);
  SHOW(chdir("locked"));
  SHOW(chdir("/root/."));
  return 0;
}
