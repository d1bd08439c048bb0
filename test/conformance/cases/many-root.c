// What root may do and what follows: credentials, ownership, permission checks after giving it up, set-user-ID programs.
// uid: 0
#include "case.h"
#include <grp.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <linux/capability.h>

static void ids(void) {
  uid_t r, e, s, rg, eg, sg;
  getresuid(&r, &e, &s);
  getresgid(&rg, &eg, &sg);
  printf("uid %u %u %u gid %u %u %u\n", r, e, s, rg, eg, sg);
}

CASE(setuid, "setuid, seteuid, setreuid and setresuid of root") {
  ids();
  SHOW(seteuid(1000));
  ids();
  SHOW(setuid(1001));
  SHOW(seteuid(0));
  SHOW(setreuid(1000, -1));
  ids();
  SHOW(setreuid(-1, 1000));
  ids();
  SHOW(seteuid(0));
  ids();
  SHOW(setresuid(5, 6, 7));
  ids();
  SHOW(setresuid(7, 5, 6));
  ids();
  SHOW(setresuid(0, -1, -1));
  SHOW(setuid(5));
  ids();
}

CASE(setgid, "setgid and supplementary groups") {
  gid_t groups[4] = { 100, 200, 300 };
  SHOW(setgroups(3, groups));
  SHOW(getgroups(0, NULL));
  memset(groups, 0, sizeof groups);
  SHOW(getgroups(4, groups));
  printf("%d %d %d\n", groups[0], groups[1], groups[2]);
  SHOW(getgroups(2, groups));
  SHOW(syscall(SYS_setgroups, -1, groups));
  SHOW(syscall(SYS_setgroups, 70000, groups));
  SHOW(syscall(SYS_setgroups, 2, 8));
  SHOW(setregid(10, 20));
  ids();
  SHOW(setgid(30));
  ids();
  SHOW(setuid(1000));
  SHOW(setgid(0));
  SHOW(setgroups(0, NULL));
}

CASE(drop, "permissions after giving root up") {
  SHOW(mkdir("rootdir", 0700));
  make_file("rootfile", "secret");
  chmod("rootfile", 0600);
  make_file("group", "g");
  SHOW(chown("group", 0, 500));
  chmod("group", 0060);
  gid_t groups[1] = { 500 };
  SHOW(setgroups(1, groups));
  SHOW(chmod(".", 0777));
  SHOW(setresgid(1000, 1000, 1000));
  SHOW(setresuid(1000, 1000, 1000));
  SHOW(open("rootfile", O_RDONLY));
  SHOW(access("rootdir/x", F_OK));
  SAY(open("group", O_RDWR) >= 0);
  SHOW(unlink("rootfile"));
  SHOW(chown("group", 1000, 1000));
  SHOW(chmod("group", 0777));
  SHOW(access("group", R_OK | W_OK));
}

CASE(sticky, "the sticky bit: only owners remove") {
  SHOW(mkdir("t", 0777));
  SHOW(chmod("t", 01777));
  make_file("t/root", "");
  make_file("t/user", "");
  SHOW(chown("t/user", 1000, 1000));
  IN_CHILD("1000", {
    setresuid(1000, 1000, 1000);
    SHOW(unlink("t/root"));
    SHOW(rename("t/root", "t/x"));
    SHOW(rename("t/user", "t/root"));
    SHOW(rename("t/user", "t/own"));
    SHOW(unlink("t/own"));
  });
}

CASE(setgiddir, "files made in a set-group-ID directory take its group") {
  struct stat st;
  SHOW(mkdir("g", 0777));
  SHOW(chown("g", 0, 700));
  SHOW(chmod("g", 02777));
  make_file("g/file", "");
  SHOW(mkdir("g/dir", 0755));
  stat("g/file", &st);
  printf("%d %o\n", st.st_gid, st.st_mode);
  stat("g/dir", &st);
  printf("%d %o\n", st.st_gid, st.st_mode);
}

CASE(chown, "chown and the set-ID bits; lchown of links") {
  struct stat st;
  make_file("f", "");
  symlink("f", "l");
  chmod("f", 06755);
  SHOW(chown("f", 1, 2));
  stat("f", &st);
  printf("%d %d %o\n", st.st_uid, st.st_gid, st.st_mode);
  SHOW(lchown("l", 3, 4));
  lstat("l", &st);
  printf("%d %d\n", st.st_uid, st.st_gid);
  stat("f", &st);
  printf("%d %d\n", st.st_uid, st.st_gid);
  SHOW(fchownat(AT_FDCWD, "l", 5, 6, AT_SYMLINK_NOFOLLOW));
  SHOW(chown("f", -1, 9));
  stat("f", &st);
  printf("%d %d\n", st.st_uid, st.st_gid);
  chmod("f", 06755);
  int fd = open("f", O_WRONLY);
  SHOW(setuid(1));
  write(fd, "x", 1);
  fstat(fd, &st);
  printf("%o\n", st.st_mode);
}

CASE(fsuid, "setfsuid: file accesses as another user") {
  make_file("f", "");
  chmod("f", 0600);
  SHOW(setfsuid(1000));
  SHOW(setfsuid(-1));
  SHOW(open("f", O_RDONLY));
  SHOW(access("f", R_OK));
  SHOW(setfsuid(0));
  SAY(open("f", O_RDONLY) >= 0);
  SHOW(setfsgid(7));
  SHOW(setfsgid(-1));
}

CASE(kills, "signals between users") {
  pid_t root = fork();
  if (root == 0) for (;;) pause();
  pid_t user = fork();
  if (user == 0) {
    setresuid(1000, 1000, 1000);
    for (;;) pause();
  }
  sleep_ms(50);
  IN_CHILD("1000", {
    setresuid(1000, 1000, 1000);
    SHOW(kill(root, 0));
    SHOW(kill(user, 0));
    SHOW(kill(root, SIGCONT));
    SHOW(kill(root, SIGTERM));
    SHOW(kill(user, SIGTERM));
    SHOW(setpriority(PRIO_PROCESS, root, 5));
    SAY(getpriority(PRIO_PROCESS, root) == getpriority(PRIO_PROCESS, 0));
  });
  SHOW(kill(root, SIGTERM));
  int status;
  waitpid(root, &status, 0);
  show_status("root's", status);
  waitpid(user, &status, 0);
  show_status("user's", status);
}

CASE(chroot, "chroot: the new root, and who leaves it") {
  SHOW(mkdir("jail", 0755));
  make_file("jail/inside", "x");
  SHOW(chroot("none"));
  SHOW(chroot("jail/inside"));
  int out = open(".", O_RDONLY);
  IN_CHILD("jailed", {
    SHOW(chroot("jail"));
    SHOW(access("/inside", F_OK));
    SHOW(access("/../inside", F_OK));
    SHOW(access("/jail", F_OK));
    SHOW(chdir("/"));
    SHOW(access("../../inside", F_OK));
    SHOW(fchdir(out));
    SHOW(access("jail/inside", F_OK));
  });
  SHOW(setuid(1000));
  SHOW(chroot("jail"));
}

CASE(limits, "root raises hard limits; others do not") {
  struct rlimit limit = { 100, 200 }, now;
  SHOW(setrlimit(RLIMIT_NOFILE, &limit));
  limit.rlim_max = 300;
  SHOW(setrlimit(RLIMIT_NOFILE, &limit));
  getrlimit(RLIMIT_NOFILE, &now);
  printf("%d %d\n", (int)now.rlim_cur, (int)now.rlim_max);
  SHOW(setpriority(PRIO_PROCESS, 0, -5));
  SHOW(getpriority(PRIO_PROCESS, 0));
  SHOW(setuid(1000));
  limit.rlim_max = 400;
  SHOW(setrlimit(RLIMIT_NOFILE, &limit));
  SHOW(setpriority(PRIO_PROCESS, 0, -6));
}

CASE(keepcaps, "capabilities follow the ids") {
  struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
  struct __user_cap_data_struct data[2];
  SHOW(syscall(SYS_capget, &header, data));
  SAY((data[0].effective & (1 << CAP_CHOWN)) != 0);
  seteuid(1000);
  SHOW(syscall(SYS_capget, &header, data));
  printf("%x %d\n", data[0].effective, (data[0].permitted & (1 << CAP_CHOWN)) != 0);
  seteuid(0);
  SHOW(syscall(SYS_capget, &header, data));
  SAY((data[0].effective & (1 << CAP_CHOWN)) != 0);
  setuid(1000);
  SHOW(syscall(SYS_capget, &header, data));
  printf("%x %x\n", data[0].effective, data[0].permitted);
}

CASE(suid, "a set-user-ID program runs as its owner, unless no_new_privs says no") {
  char self[300] = "";
  readlink("/proc/self/exe", self, sizeof self - 1);
  char command[700];
  sprintf(command, "cp %s ./prog && chmod 755 ./prog", self);
  SHOW(system(command));
  SHOW(chown("prog", 1234, 1235));
  SHOW(chmod("prog", 06755));
  SHOW(chmod(".", 0755));
  IN_CHILD("setuid", {
    setresgid(1000, 1000, 1000);
    setresuid(1000, 1000, 1000);
    execl("./prog", "prog", "showids", NULL);
    _exit(9);
  });
  IN_CHILD("no_new_privs", {
    setresgid(1000, 1000, 1000);
    setresuid(1000, 1000, 1000);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    execl("./prog", "prog", "showids", NULL);
    _exit(9);
  });
}

CASE(showids, "the ids of this process, and whether it is started securely") {
  ids();
  printf("secure %d dumpable %d\n", (int)getauxval(AT_SECURE), prctl(PR_GET_DUMPABLE));
}

CASE(procroot, "/proc/PID of another user's process") {
  pid_t pid = fork();
  if (pid == 0) for (;;) pause();
  char path[64], text[64];
  IN_CHILD("1000", {
    setresuid(1000, 1000, 1000);
    const char *names[] = { "stat", "status", "cmdline", "maps", "environ", "fd", "exe", "cwd", "comm", "limits", "io" };
    for (int i = 0; i < 10; i++) {
      sprintf(path, "/proc/%d/%s", pid, names[i]);
      int fd = open(path, O_RDONLY);
      int error = fd < 0 ? errno : 0;
      if (fd >= 0 && i < 5 && read(fd, text, sizeof text) < 0) error = errno;
      printf("%s: %s\n", names[i], error ? error_name(error) : "ok");
    }
    sprintf(path, "/proc/%d/exe", pid);
    SHOW(readlink(path, text, sizeof text) < 0 ? -1 : 0);
  });
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

CASE(trusted, "trusted and security attributes are root's; user ones the owner's") {
  make_file("f", "");
  chmod("f", 0644);
  SHOW(setxattr("f", "trusted.a", "x", 1, 0));
  char text[8];
  SHOW(getxattr("f", "trusted.a", text, 8));
  SHOW(listxattr("f", NULL, 0));
  SHOW(setuid(1000));
  SHOW(getxattr("f", "trusted.a", text, 8));
  SHOW(setxattr("f", "trusted.a", "x", 1, 0));
  SHOW(removexattr("f", "trusted.a"));
}

CASES_MAIN
