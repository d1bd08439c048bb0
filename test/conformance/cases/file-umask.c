// umask applies to files, directories and FIFOs, not to symlinks or chmod; setuid, setgid and sticky bits.
#include "case.h"

static void mode(const char *path) {
  struct stat st;
  if (lstat(path, &st)) printf("%s: %s\n", path, error_name(errno));
  else printf("%s: %o\n", path, st.st_mode);
}

int main(void) {
  SHOW(umask(027));
  SHOW(umask(07777027));
  close(open("file", O_CREAT | O_WRONLY, 0777));
  mode("file");
  mkdir("dir", 0777);
  mode("dir");
  mkdir("sticky", 01777);
  mode("sticky");
  mkfifo("fifo", 0666);
  mode("fifo");
  symlink("x", "link");
  mode("link");
  SHOW(chmod("file", 0666));
  mode("file");
  SHOW(chmod("file", 07777));
  mode("file");
  umask(0);
  close(open("open", O_CREAT | O_WRONLY, 07777));
  mode("open");
  SHOW(fchmodat(AT_FDCWD, "open", 0400, 0));
  mode("open");
  SHOW(chmod("missing", 0600));
  SHOW(fchmod(99, 0600));
  IN_CHILD("child", { SHOW(umask(077)); SHOW(umask(0)); });
  SHOW(umask(022));
  mkdir("group", 0755);
  chmod("group", 02755);
  mkdir("group/sub", 0755);
  mode("group/sub");
  close(open("group/file", O_CREAT | O_WRONLY, 0644));
  mode("group/file");
  return 0;
}
