// Hard and symbolic links: link counts, loops and depth, readlink truncation, linkat flags, trailing slashes.
#include "case.h"

static void count(const char *path) {
  struct stat st;
  if (lstat(path, &st)) printf("%s: %s\n", path, error_name(errno));
  else printf("%s: type %o nlink %ld size %ld\n", path, st.st_mode >> 12, (long)st.st_nlink, S_ISDIR(st.st_mode) ? 0L : (long)st.st_size);
}

int main(void) {
  make_file("file", "text");
  mkdir("dir", 0755);
  SHOW(link("file", "hard"));
  count("file");
  SHOW(link("file", "hard"));
  SHOW(link("missing", "x"));
  SHOW(link("dir", "x"));
  SHOW(link("file", "dir/hard"));
  count("hard");
  SHOW(unlink("file"));
  count("hard");
  show_file("hard");
  SHOW(symlink("hard", "soft"));
  SHOW(symlink("hard", "soft"));
  SHOW(symlink("", "empty"));
  count("soft");
  char text[32];
  memset(text, '#', sizeof text);
  SHOW(readlink("soft", text, 31));
  SHOW(readlink("soft", text, 2));
  printf("%.6s\n", text);
  SHOW(readlink("hard", text, 31));
  SHOW(readlink("missing", text, 31));
  SHOW(readlink("soft", text, 0));
  SHOW(link("soft", "linked-soft"));
  count("linked-soft");
  SHOW(linkat(AT_FDCWD, "soft", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
  count("followed");
  SHOW(linkat(AT_FDCWD, "soft", AT_FDCWD, "bad", 1));
  SHOW(symlink("loop-b", "loop-a"));
  SHOW(symlink("loop-a", "loop-b"));
  struct stat st;
  SHOW(stat("loop-a", &st));
  SHOW(stat("loop-a/x", &st));
  SHOW(lstat("loop-a", &st));
  char from[16], to[16];
  make_file("chain0", "end of chain\n");
  for (int i = 1; i <= 41; i++) {
    sprintf(from, "chain%d", i);
    sprintf(to, "chain%d", i - 1);
    symlink(to, from);
  }
  SHOW(stat("chain40", &st));
  SHOW(stat("chain41", &st));
  SHOW(symlink("dir", "to-dir"));
  SHOW(stat("to-dir/hard", &st));
  SHOW(lstat("to-dir/", &st));
  printf("type %o\n", st.st_mode >> 12);
  SHOW(symlink("../dir", "dir/up"));
  SHOW(stat("dir/up/up/up/hard", &st));
  SHOW(stat("dir/hard/", &st));
  SHOW(stat("soft/", &st));
  SHOW(mkdir("dangling-parent", 0755));
  SHOW(symlink("made", "dangling"));
  SHOW(mkdir("dangling", 0755));
  SHOW(rmdir("to-dir"));
  SHOW(unlink("to-dir"));
  count("dir");
  return 0;
}
