// /proc: what programs read of themselves: maps, status, stat, cmdline, fd, exe, cwd, limits; the system files.
#include "case.h"

static char *slurp(const char *path) {
  static char text[200000];
  int fd = open(path, O_RDONLY);
  if (fd < 0) {
    printf("%s: %s\n", path, error_name(errno));
    text[0] = 0;
    return text;
  }
  ssize_t length = 0, got;
  while ((got = read(fd, text + length, sizeof text - 1 - length)) > 0) length += got;
  text[length] = 0;
  for (ssize_t i = 0; i < length; i++) if (!text[i]) text[i] = '\n';
  close(fd);
  return text;
}
static void has(const char *path, const char *word) { printf("%s %s: %s\n", path, word, strstr(slurp(path), word) ? "there" : "missing"); }
static long number(const char *path, const char *key) {
  char *at = strstr(slurp(path), key);
  return at ? atol(at + strlen(key)) : -1;
}

int main(int argc, char **argv) {
  char path[300], target[300];
  memset(target, 0, sizeof target);
  SAY(readlink("/proc/self", target, 299) > 0 && atoi(target) == getpid());
  int fd = open("opened", O_CREAT | O_RDWR, 0644);
  sprintf(path, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(path, target, 299);
  target[length > 0 ? length : 0] = 0;
  SAY(length > 7 && !strcmp(target + length - 7, "/opened"));
  unlink("opened");
  length = readlink(path, target, 299);
  target[length > 0 ? length : 0] = 0;
  SAY(strstr(target, "/opened (deleted)") != NULL);
  int ends[2];
  pipe(ends);
  sprintf(path, "/proc/self/fd/%d", ends[0]);
  length = readlink(path, target, 299);
  printf("%.6s\n", target);
  write(fd, "reopened", 8);
  sprintf(path, "/proc/self/fd/%d", fd);
  int again = open(path, O_RDONLY);
  SHOW(read(again, target, 299));
  DIR *dir = opendir("/proc/self/fd");
  int count = 0;
  for (struct dirent *entry; (entry = readdir(dir));) count += entry->d_name[0] != '.' && atoi(entry->d_name) < 100;
  closedir(dir);
  printf("descriptors %d\n", count);
  char cwd[300];
  getcwd(cwd, 300);
  length = readlink("/proc/self/cwd", target, 299);
  target[length > 0 ? length : 0] = 0;
  SAY(!strcmp(cwd, target));
  SAY(!strncmp(slurp("/proc/self/cmdline"), argv[0], strlen(argv[0])));
  SAY(!strncmp(slurp("/proc/self/comm"), "case\n", 5));
  has("/proc/self/status", "Name:\tcase\n");
  has("/proc/self/status", "State:\tR (running)");
  SAY(number("/proc/self/status", "Pid:\t") == getpid());
  SAY(number("/proc/self/status", "PPid:\t") == getppid());
  SAY(number("/proc/self/status", "Uid:\t") == getuid());
  printf("threads %ld\n", number("/proc/self/status", "Threads:\t"));
  SAY(number("/proc/self/status", "VmRSS:\t") > 100);
  SAY(number("/proc/self/status", "VmSize:\t") > 500);
  SAY(atoi(slurp("/proc/self/stat")) == getpid());
  SAY(strstr(slurp("/proc/self/stat"), "(case) R ") != NULL);
  SAY(atol(slurp("/proc/self/statm")) > 100);
  char *map = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(map + 4096, 4096, PROT_READ);
  sprintf(path, "%lx-%lx r--p 00000000 00:00 0", (unsigned long)map + 4096, (unsigned long)map + 8192);
  SAY(strstr(slurp("/proc/self/maps"), path) != NULL);
  has("/proc/self/maps", "[stack]");
  has("/proc/self/maps", "[heap]");
  has("/proc/self/maps", "[vdso]");
  has("/proc/self/maps", "/case\n");
  has("/proc/self/environ", "CASE_VARIABLE=of the case");
  has("/proc/self/limits", "Max open files");
  has("/proc/self/mounts", "proc /proc proc ");
  has("/proc/self/mountinfo", " /proc ");
  has("/proc/self/smaps", "Rss:");
  has("/proc/self/cgroup", ":");
  has("/proc/self/auxv", "");
  has("/proc/meminfo", "MemTotal:");
  has("/proc/meminfo", "MemAvailable:");
  has("/proc/cpuinfo", "processor\t: 0");
  has("/proc/cpuinfo", "flags\t");
  has("/proc/stat", "cpu  ");
  has("/proc/version", "Linux version ");
  has("/proc/filesystems", "tmpfs");
  SAY(atof(slurp("/proc/uptime")) > 0);
  SAY(strchr(slurp("/proc/loadavg"), '.') != NULL);
  SAY(strlen(slurp("/proc/sys/kernel/random/boot_id")) == 37);
  SAY(atol(slurp("/proc/sys/kernel/pid_max")) > 1000);
  SAY(atol(slurp("/proc/sys/fs/file-max")) > 100);
  SAY(strlen(slurp("/proc/sys/kernel/ostype")) == 6);
  SHOW(open("/proc/999999999", O_RDONLY));
  SHOW(open("/proc/self/nonexistent", O_RDONLY));
  SAY(mkdir("/proc/x", 0755) == -1);
  struct stat st;
  SHOW(stat("/proc/self/status", &st));
  printf("%o %ld\n", st.st_mode, (long)st.st_size);
  pid_t child = fork();
  if (child == 0) pause();
  sprintf(path, "/proc/%d/status", child);
  sleep_ms(20);
  SAY(number(path, "PPid:\t") == getpid());
  SAY(strstr(slurp(path), "State:\tS (sleeping)") != NULL);
  kill(child, SIGKILL);
  siginfo_t info;
  waitid(P_PID, child, &info, WEXITED | WNOWAIT);
  SAY(strstr(slurp(path), "State:\tZ (zombie)") != NULL);
  waitpid(child, NULL, 0);
  SAY(open(path, O_RDONLY) == -1 && errno == ENOENT);
  (void)argc;
  return 0;
}
