// What the conformance cases share: headers, and printing a call with its result or the name of its errno.
// A case prints only what is the same on every Linux and in every run: no address, time, pid or inode number.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Lines leave at once, so that a fork does not print them twice and a crash does not lose them. */
__attribute__((constructor)) static void case_start(void) {
  setvbuf(stdout, NULL, _IOLBF, 8192);
  umask(022);
}

__attribute__((unused)) static const char *error_name(int error) {
  const char *name = strerrorname_np(error);
  return name ? name : "?";
}

/* Prints `text = 3` or `text = -1 ENOENT`, and returns the result. */
__attribute__((unused)) static long show(const char *text, long result) {
  int error = errno;
  if (result == -1) printf("%s = -1 %s\n", text, error_name(error));
  else printf("%s = %ld\n", text, result);
  errno = error;
  return result;
}

/* The result itself is not the same in every run: prints `ok` in its place. */
__attribute__((unused)) static long show_ok(const char *text, long result) {
  int error = errno;
  if (result == -1) printf("%s = -1 %s\n", text, error_name(error));
  else printf("%s ok\n", text);
  errno = error;
  return result;
}

/* For functions that return the errno, as those of pthreads do. */
__attribute__((unused)) static int show_error(const char *text, int error) {
  printf("%s = %s\n", text, error ? error_name(error) : "0");
  return error;
}

#define SHOW(call) show(#call, (long)(call))
#define OK(call) show_ok(#call, (long)(call))
#define ERR(call) show_error(#call, call)
#define SAY(condition) printf("%s: %s\n", #condition, (condition) ? "yes" : "no")

__attribute__((unused)) static void make_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) printf("make_file %s: %s\n", path, error_name(errno));
  close(fd);
}

/* Prints a file's size and content, bytes that are not printable as \xx. */
__attribute__((unused)) static void show_file(const char *path) {
  unsigned char bytes[256];
  int fd = open(path, O_RDONLY);
  if (fd < 0) {
    printf("%s: %s\n", path, error_name(errno));
    return;
  }
  ssize_t length = read(fd, bytes, sizeof bytes);
  printf("%s: %zd \"", path, length);
  for (ssize_t i = 0; i < length; i++) printf(bytes[i] >= 32 && bytes[i] < 127 ? "%c" : "\\%02x", bytes[i]);
  printf("\"\n");
  close(fd);
}

__attribute__((unused)) static long long now_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

__attribute__((unused)) static void sleep_ms(long ms) {
  struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
  nanosleep(&t, NULL);
}

/* Waits until a process or a thread of ours sleeps: in the call that it said it would make next. */
__attribute__((unused)) static void wait_asleep(pid_t id) {
  char path[64], text[512];
  for (;;) {
    sprintf(path, "/proc/%d/stat", id);
    int fd = open(path, O_RDONLY);
    ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = 0;
    char *state = strrchr(text, ')');
    if (!state || state[2] == 'S') return;
    sleep_ms(1);
  }
}

/* Prints how a child ended; not whether it left a core, which depends on the host. */
__attribute__((unused)) static void show_status(const char *name, int status) {
  if (WIFEXITED(status)) printf("%s: exited %d\n", name, WEXITSTATUS(status));
  else if (WIFSIGNALED(status)) printf("%s: killed by %s\n", name, sigabbrev_np(WTERMSIG(status)));
  else if (WIFSTOPPED(status)) printf("%s: stopped by %s\n", name, sigabbrev_np(WSTOPSIG(status)));
  else if (WIFCONTINUED(status)) printf("%s: continued\n", name);
  else printf("%s: status %x\n", name, status);
}

/* One of a file's cases: CASE(name, "what it checks") { statements }. The program runs the one its argument names. */
struct case_entry { const char *name; void (*run)(void); struct case_entry *next; };
__attribute__((unused)) static struct case_entry *case_list;

#define CASE(name_, what_) \
  static void case_##name_(void); \
  __attribute__((constructor)) static void case_add_##name_(void) { \
    static struct case_entry entry = { #name_, case_##name_, NULL }; \
    entry.next = case_list; \
    case_list = &entry; \
  } \
  static void case_##name_(void)

#define CASES_MAIN \
  int main(int argc, char **argv) { \
    for (struct case_entry *at = case_list; at; at = at->next) if (argc > 1 && strcmp(argv[1], at->name) == 0) return at->run(), 0; \
    printf("no case %s\n", argc > 1 ? argv[1] : "given"); \
    return 99; \
  }

/* Runs the statements in a child and prints how it ended. */
#define IN_CHILD(name, ...) do { \
    pid_t child_ = fork(); \
    if (child_ == 0) { __VA_ARGS__; _exit(0); } \
    int status_ = 0; \
    waitpid(child_, &status_, 0); \
    show_status(name, status_); \
  } while (0)
