// Sessions and process groups: setsid, setpgid, getsid and their errnos; prctl, personality, resource limits.
#include "case.h"
#include <sys/personality.h>
#include <sys/prctl.h>

int main(void) {
  IN_CHILD("session", {
    SAY(setsid() == getpid());
    SAY(getsid(0) == getpid() && getpgrp() == getpid());
    SHOW(setsid());
    SHOW(setpgid(0, 0));
    pid_t inner = fork();
    if (inner == 0) {
      SAY(getsid(0) == getppid() && getpgid(0) == getppid());
      SHOW(setpgid(0, 0));
      SAY(getpgid(0) == getpid());
      SHOW(setpgid(0, getppid()));
      SHOW(setpgid(0, 999999));
      SHOW(setpgid(getppid(), 0));
      SHOW(setpgid(0, -1));
      _exit(0);
    }
    waitpid(inner, NULL, 0);
    SHOW(setpgid(999999, 0));
    SHOW(getpgid(999999));
    SHOW(getsid(999999));
    SHOW(setpgid(1, 0));
  });
  char name[17] = "";
  SHOW(prctl(PR_SET_NAME, "a very long name indeed"));
  SHOW(prctl(PR_GET_NAME, name));
  puts(name);
  FILE *comm = fopen("/proc/self/comm", "r");
  if (comm && fgets(name, 17, comm)) printf("%s", name);
  SHOW(prctl(PR_GET_DUMPABLE));
  SHOW(prctl(PR_SET_DUMPABLE, 0));
  SHOW(prctl(PR_GET_DUMPABLE));
  SHOW(prctl(PR_SET_DUMPABLE, 9));
  SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  SHOW(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
  SHOW(prctl(PR_SET_PDEATHSIG, 99));
  SHOW(prctl(9999, 0, 0, 0, 0));
  SHOW(personality(0xffffffff));
  struct rlimit limit = { 100, 200 };
  SHOW(setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }));
  SHOW(getrlimit(RLIMIT_CORE, &limit));
  printf("%ld %ld\n", (long)limit.rlim_cur, (long)limit.rlim_max);
  SHOW(setrlimit(RLIMIT_CORE, &(struct rlimit){ 1, 0 }));
  SHOW(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 100, 200 }));
  SHOW(getrlimit(RLIMIT_NOFILE, &limit));
  printf("%ld %ld\n", (long)limit.rlim_cur, (long)limit.rlim_max);
  SHOW(sysconf(_SC_OPEN_MAX));
  SHOW(getrlimit(99, &limit));
  SHOW(getrlimit(RLIMIT_STACK, (void *)16));
  SHOW(prlimit(0, RLIMIT_NOFILE, NULL, &limit));
  IN_CHILD("inherits", { getrlimit(RLIMIT_NOFILE, &limit); printf("%ld\n", (long)limit.rlim_cur); });
  IN_CHILD("file size limit", {
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 10, 10 });
    int fd = open("limited", O_CREAT | O_WRONLY, 0644);
    SHOW(write(fd, "123456789012345", 15));
    signal(SIGXFSZ, SIG_IGN);
    SHOW(write(fd, "1", 1));
    signal(SIGXFSZ, SIG_DFL);
    write(fd, "1", 1);
  });
  return 0;
}
