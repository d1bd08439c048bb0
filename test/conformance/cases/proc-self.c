// /proc of the process itself: formats and fields programs parse, links, descriptors, names, errnos.
#include "case.h"
#include <sys/prctl.h>

/* Prints the file's lines up to `count`, digits as 9 and runs of blanks as one. */
static void shape(const char *path, int count) {
  FILE *file = fopen(path, "r");
  if (!file) {
    printf("%s: %s\n", path, error_name(errno));
    return;
  }
  char line[4096];
  while (count-- > 0 && fgets(line, sizeof line, file)) {
    printf("%s: ", path);
    char last = 0;
    for (char *c = line; *c && *c != '\n'; c++) {
      char shown = *c >= '0' && *c <= '9' ? '9' : *c == '\t' ? '~' : *c;
      if ((shown == '9' || shown == ' ') && shown == last) continue;
      putchar(last = shown);
    }
    putchar('\n');
  }
  fclose(file);
}

/* Prints the line of a status file that starts with `name`. */
static void line_of(const char *path, const char *name) {
  FILE *file = fopen(path, "r");
  char line[4096];
  while (file && fgets(line, sizeof line, file)) if (strncmp(line, name, strlen(name)) == 0) fputs(line, stdout);
  if (file) fclose(file);
}

static void link_of(const char *path) {
  char target[PATH_MAX] = "";
  ssize_t length = readlink(path, target, sizeof target - 1);
  printf("%s -> %s\n", path, length < 0 ? error_name(errno) : target);
}

int main(void) {
  prctl(PR_SET_NAME, "a (b) c");
  char text[8192], path[100];
  int fd = open("/proc/self/stat", O_RDONLY);
  ssize_t length = read(fd, text, sizeof text - 1);
  text[length] = 0;
  int fields = 1;
  for (char *c = strrchr(text, ')'); *c; c++) fields += *c == ' ';
  printf("fields %d pid %d name %.9s\n", fields + 1, atoi(text) == getpid(), strchr(text, '('));
  SHOW(read(fd, text, 10));
  SHOW(lseek(fd, 0, SEEK_SET));
  SHOW(read(fd, text, 4));
  SHOW(lseek(fd, 0, SEEK_CUR));
  SHOW(write(fd, text, 1));
  SHOW(lseek(fd, 0, SEEK_END));
  struct stat st;
  fstat(fd, &st);
  printf("%o %ld\n", st.st_mode, (long)st.st_size);
  SHOW(open("/proc/self/stat", O_WRONLY));
  SHOW(open("/proc/self/new", O_WRONLY | O_CREAT, 0600));
  SHOW(mkdir("/proc/new", 0700));
  for (const char **name = (const char *[]){ "Name", "Umask", "Threads", "SigBlk", "NoNewPrivs", "CapEff", NULL }; *name; name++)
    line_of("/proc/self/status", *name);
  shape("/proc/self/statm", 1);
  shape("/proc/uptime", 1);
  shape("/proc/meminfo", 3);
  shape("/proc/self/limits", 3);
  shape("/proc/self/comm", 1);
  shape("/proc/self/oom_score_adj", 1);
  shape("/proc/sys/kernel/ostype", 1);
  shape("/proc/sys/kernel/random/boot_id", 0);
  shape("/proc/nothing", 1);
  shape("/proc/99999999/stat", 1);
  make_file("here", "text");
  chmod("here", 0640);
  int file = open("here", O_RDWR | O_APPEND | O_CLOEXEC);
  lseek(file, 2, SEEK_SET);
  sprintf(path, "/proc/self/fdinfo/%d", file);
  shape(path, 2);
  line_of(path, "flags");
  sprintf(path, "/proc/self/fd/%d", file);
  length = readlink(path, text, sizeof text);
  printf("fd ends in %.*s\n", 5, text + length - 5);
  SHOW(lstat(path, &st));
  printf("%o\n", st.st_mode);
  SHOW(stat(path, &st));
  printf("%o %ld\n", st.st_mode, (long)st.st_size);
  unlink("here");
  length = readlink(path, text, sizeof text);
  printf("fd ends in %.*s\n", 15, text + length - 15);
  int again = open(path, O_RDONLY);
  SHOW(read(again, text, 10));
  link_of("/proc/self/fd/77");
  link_of("/proc/self/cwd/nothing");
  SHOW(symlink("x", "/proc/self/fd/9"));
  SHOW(chdir("/proc/self/task"));
  SHOW(access("self", F_OK));
  DIR *dir = opendir(".");
  int tasks = 0;
  for (struct dirent *entry; (entry = readdir(dir));) if (entry->d_name[0] != '.') tasks += atoi(entry->d_name) == getpid() && entry->d_type == DT_DIR;
  printf("tasks %d\n", tasks);
  int comm = open("/proc/self/comm", O_WRONLY);
  SHOW(write(comm, "renamed\n", 8));
  SHOW(prctl(PR_GET_NAME, text));
  printf("name %s\n", text);
  SHOW(write(comm, "longer than fifteen", 19));
  prctl(PR_GET_NAME, text);
  printf("name %s\n", text);
  IN_CHILD("zombie", 0);
  pid_t child = fork();
  if (child == 0) _exit(3);
  siginfo_t info;
  waitid(P_PID, child, &info, WEXITED | WNOWAIT);
  sprintf(path, "/proc/%d/status", child);
  line_of(path, "State");
  line_of(path, "VmRSS");
  sprintf(path, "/proc/%d/cmdline", child);
  fd = open(path, O_RDONLY);
  SHOW(read(fd, text, 10));
  sprintf(path, "/proc/%d/exe", child);
  printf("exe %s\n", readlink(path, text, 10) < 0 ? error_name(errno) : "there");
  waitpid(child, NULL, 0);
  SHOW(read(fd, text, 10));
  SHOW(access(path, F_OK));
  return 0;
}
