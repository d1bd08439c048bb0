// vfork and posix_spawn: file actions, attributes, errors reported in the parent, shared memory until exec.
#include "case.h"
#include <spawn.h>

extern char **environ;
static volatile int shared;

int main(void) {
  pid_t child = vfork();
  if (child == 0) {
    shared = 5;
    _exit(6);
  }
  int status;
  waitpid(child, &status, 0);
  printf("shared %d\n", shared);
  show_status("vfork", status);
  child = vfork();
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", "exit 8", NULL);
    _exit(1);
  }
  waitpid(child, &status, 0);
  show_status("vfork exec", status);
  char *argv[] = { "sh", "-c", "cat; echo to stderr >&2; exit 4", NULL };
  make_file("in", "from a file\n");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "in", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "out", O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  ERR(posix_spawn(&child, "/bin/sh", &actions, NULL, argv, environ));
  waitpid(child, &status, 0);
  show_status("spawned", status);
  show_file("out");
  ERR(posix_spawn(&child, "/missing", NULL, NULL, argv, environ));
  ERR(posix_spawnp(&child, "missing-program", NULL, NULL, argv, environ));
  posix_spawn_file_actions_addopen(&actions, 5, "missing/file", O_RDONLY, 0);
  ERR(posix_spawn(&child, "/bin/sh", &actions, NULL, argv, environ));
  SHOW(waitpid(-1, &status, 0));
  posix_spawnattr_t attr;
  posix_spawnattr_init(&attr);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  posix_spawnattr_setsigmask(&attr, &set);
  posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  char *masked[] = { "grep", "SigBlk", "/proc/self/status", NULL };
  int error = posix_spawnp(&child, "grep", NULL, &attr, masked, environ);
  waitpid(child, &status, 0);
  printf("error %d\n", error);
  show_status("masked", status);
  for (int i = 0; i < 20; i++) {
    char *quick[] = { "true", NULL };
    if (posix_spawnp(&child, "true", NULL, NULL, quick, environ) || waitpid(child, &status, 0) != child || status) printf("failed\n");
  }
  printf("shared %d\n", shared);
  return 0;
}
