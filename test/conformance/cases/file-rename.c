// rename(2), renameat2(2): replacing files and directories, onto itself, into its own child, links, flags.
#include "case.h"

static ino_t ino(const char *path) {
  struct stat st;
  return lstat(path, &st) ? 0 : st.st_ino;
}

int main(void) {
  make_file("a", "A");
  make_file("b", "B");
  mkdir("d", 0755);
  mkdir("e", 0755);
  make_file("e/inside", "x");
  ino_t a = ino("a");
  SHOW(rename("a", "b"));
  SAY(ino("b") == a);
  show_file("a");
  show_file("b");
  SHOW(rename("b", "b"));
  SHOW(rename("missing", "b"));
  SHOW(rename("b", "d"));
  SHOW(rename("d", "b"));
  SHOW(rename("d", "e"));
  SHOW(rename("e", "d"));
  show_file("d/inside");
  SHOW(access("e", F_OK));
  SHOW(mkdir("d/sub", 0755));
  SHOW(rename("d", "d/sub/x"));
  SHOW(rename("d", "d"));
  SHOW(rename("d/.", "z"));
  SHOW(rename("d/sub", "d/.."));
  SHOW(rename("b", "missing/b"));
  SHOW(rename("b", "b/c"));
  SHOW(rename("b", ""));
  SHOW(rename("b", "c/"));
  SHOW(rename("d", "f/"));
  SHOW(link("b", "hard"));
  SHOW(rename("b", "hard"));
  SAY(ino("b") == ino("hard"));
  SHOW(symlink("b", "soft"));
  SHOW(rename("soft", "soft2"));
  SAY(ino("soft") == 0 && ino("soft2") != ino("b"));
  SHOW(rename("soft2", "hard"));
  char target[10] = "";
  SHOW(readlink("hard", target, 9));
  int fd = open("b", O_RDWR);
  make_file("n", "new");
  SHOW(rename("n", "b"));
  struct stat st;
  fstat(fd, &st);
  printf("old nlink %ld size %ld\n", (long)st.st_nlink, (long)st.st_size);
  show_file("b");
  make_file("p", "P");
  make_file("q", "Q");
  SHOW(renameat2(AT_FDCWD, "p", AT_FDCWD, "q", RENAME_NOREPLACE));
  SHOW(renameat2(AT_FDCWD, "p", AT_FDCWD, "r", RENAME_NOREPLACE));
  SHOW(renameat2(AT_FDCWD, "r", AT_FDCWD, "q", RENAME_EXCHANGE));
  show_file("q");
  show_file("r");
  SHOW(renameat2(AT_FDCWD, "r", AT_FDCWD, "missing", RENAME_EXCHANGE));
  SHOW(renameat2(AT_FDCWD, "r", AT_FDCWD, "q", RENAME_EXCHANGE | RENAME_NOREPLACE));
  SHOW(renameat2(AT_FDCWD, "r", AT_FDCWD, "q", 128));
  stat("f", &st);
  printf("nlink of f %ld\n", (long)st.st_nlink);
  SHOW(rename("f/sub", "moved"));
  stat("f", &st);
  printf("nlink of f %ld\n", (long)st.st_nlink);
  return 0;
}
