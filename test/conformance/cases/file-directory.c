// getdents64 through readdir: names and types after changes, many entries, rewinding, removal while reading, mkdir errnos.
#include "case.h"

static int by_name(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

static void list(const char *path) {
  DIR *dir = opendir(path);
  char *names[64];
  int count = 0;
  for (struct dirent *entry; (entry = readdir(dir));) {
    char *name = malloc(300);
    sprintf(name, "%s/%d", entry->d_name, entry->d_type);
    names[count++] = name;
  }
  closedir(dir);
  qsort(names, count, sizeof *names, by_name);
  for (int i = 0; i < count; i++) printf("%s%s", i ? " " : "", names[i]);
  printf("\n");
}

int main(void) {
  mkdir("d", 0755);
  list("d");
  make_file("d/file", "");
  mkdir("d/dir", 0755);
  symlink("x", "d/link");
  mkfifo("d/fifo", 0600);
  list("d");
  unlink("d/file");
  rename("d/link", "d/renamed");
  list("d");
  struct stat st;
  stat("d", &st);
  printf("nlink %ld\n", (long)st.st_nlink);
  mkdir("many", 0755);
  char path[64];
  for (int i = 0; i < 1000; i++) {
    sprintf(path, "many/entry-number-%d", i);
    close(open(path, O_CREAT | O_WRONLY, 0644));
  }
  DIR *dir = opendir("many");
  int count = 0, sum = 0, number;
  for (struct dirent *entry; (entry = readdir(dir)); count++)
    if (sscanf(entry->d_name, "entry-number-%d", &number) == 1) sum += number;
  printf("count %d sum %d\n", count, sum);
  rewinddir(dir);
  for (count = 0; readdir(dir);) count++;
  printf("again %d\n", count);
  rewinddir(dir);
  int removed = 0;
  for (struct dirent *entry; (entry = readdir(dir));) {
    sprintf(path, "many/%s", entry->d_name);
    if (entry->d_name[0] != '.' && unlink(path) == 0) removed++;
  }
  printf("removed %d\n", removed);
  closedir(dir);
  list("many");
  SHOW(rmdir("many"));
  SHOW(mkdir("d", 0755));
  SHOW(mkdir("d/dir/", 0755));
  SHOW(mkdir("missing/x", 0755));
  SHOW(mkdir("d/renamed/x", 0755));
  SHOW(mkdir("trailing/", 0755));
  SHOW(mkdir("", 0755));
  SHOW(mkdir(".", 0755));
  SHOW(mkdir("/", 0755));
  char buffer[8];
  int fd = open("d", O_RDONLY), file = open("d/x", O_CREAT | O_RDWR, 0644);
  SHOW(syscall(SYS_getdents64, fd, buffer, sizeof buffer));
  SHOW(syscall(SYS_getdents64, file, buffer, sizeof buffer));
  SHOW(syscall(SYS_getdents64, 99, buffer, sizeof buffer));
  SHOW(syscall(SYS_getdents64, fd, (void *)16, 4096));
  return 0;
}
