// execve, execveat, scripts, clone, vfork, posix_spawn, threads.
#include "case.h"
#include <linux/sched.h>
#include <spawn.h>
#include <sys/prctl.h>

extern char **environ;
static char self[300];

static void find_self(void) {
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  self[n > 0 ? n : 0] = 0;
}

/* Runs this program's case in a child and prints how it ended. */
static void run_case(const char *name) {
  find_self();
  IN_CHILD(name, execl(self, "case", name, NULL));
}

CASE(errnos, "execve: errnos") {
  char *argv[] = { "x", NULL };
  make_file("text", "no program\n");
  chmod("text", 0755);
  make_file("plain", "x");
  make_file("empty", "");
  chmod("empty", 0755);
  make_file("badelf", "\177ELFgarbage");
  chmod("badelf", 0755);
  mkdir("dir", 0755);
  symlink("loop", "loop");
  SHOW(execve("none", argv, environ));
  SHOW(execve("", argv, environ));
  SHOW(execve("text", argv, environ));
  SHOW(execve("plain", argv, environ));
  SHOW(execve("empty", argv, environ));
  SHOW(execve("badelf", argv, environ));
  SHOW(execve("dir", argv, environ));
  SHOW(execve("loop", argv, environ));
  SHOW(execve("text/x", argv, environ));
  SHOW(execve((char *)8, argv, environ));
  SHOW(syscall(SYS_execve, "/proc/self/exe", 8, NULL));
  SHOW(syscall(SYS_execve, "/proc/self/exe", NULL, 8));
  SHOW(execve("/dev/null", argv, environ));
  SHOW(execve("/proc/version", argv, environ));
}

CASE(toobig, "execve: E2BIG for one string and for all together") {
  static char big[131073 + 10];
  memset(big, 'a', 131072);
  char *argv[] = { "x", big, NULL };
  SHOW(execve("/proc/self/exe", argv, environ));
  big[131071] = 0;
  static char *many[200];
  for (int i = 0; i < 120; i++) many[i] = big;
  SHOW(execve("/proc/self/exe", many, environ));
}

CASE(busy, "ETXTBSY: a program that is written to, and writing to one that runs") {
  find_self();
  char command[700];
  sprintf(command, "cp %s ./prog && chmod 755 ./prog", self);
  SHOW(system(command));
  int fd = open("prog", O_WRONLY);
  char *argv[] = { "prog", "quiet", NULL };
  SHOW(execve("./prog", argv, environ));
  close(fd);
  int go[2];
  pipe(go);
  pid_t pid = fork();
  if (pid == 0) {
    char *waits[] = { "prog", "sleeps", NULL };
    dup2(go[1], 5);
    execve("./prog", waits, environ);
    _exit(9);
  }
  char byte;
  read(go[0], &byte, 1);
  SHOW(open("prog", O_WRONLY));
  SHOW(open("prog", O_RDWR | O_TRUNC));
  SHOW(truncate("prog", 0));
  SHOW(unlink("prog"));
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

CASE(quiet, "a case that does nothing") {}
CASE(sleeps, "a case that says so and sleeps; without descriptor 5 it returns") { if (write(5, "r", 1) == 1) for (;;) pause(); }

static void script(const char *path, const char *text) {
  make_file(path, text);
  chmod(path, 0755);
}

CASE(scripts, "#! lines: arguments, nesting, what is wrong with them") {
  find_self();
  char line[700];
  sprintf(line, "#!%s show one  two\nrest\n", self);
  script("s1", line);
  script("s2", "#!./s1\n");
  script("bad1", "#!\n");
  script("bad2", "#!/none/such\n");
  script("bad3", "#!  \n");
  script("l1", "#!./l2\n");
  script("l2", "#!./l3\n");
  script("l3", "#!./l4\n");
  script("l4", "#!./l5\n");
  script("l5", "#!./l6\n");
  script("l6", "#!./l1\n");
  sprintf(line, "#!%s showargs\n", self);
  script("good", line);
  sprintf(line, "#! \t %s   showargs with  spaces \t\n", self);
  script("spaces", line);
  char *argv[] = { "zero", "a", "b", NULL };
  SHOW(execve("./bad1", argv, environ));
  SHOW(execve("./bad2", argv, environ));
  SHOW(execve("./bad3", argv, environ));
  SHOW(execve("./l1", argv, environ));
  IN_CHILD("good", execve("./good", argv, environ));
  chmod("good", 0644);
  SHOW(execve("./good", argv, environ));
}

/* The arguments of this process from /proc, without the program's own path. */
CASE(showargs, "prints its arguments") {
  char text[1024];
  int fd = open("/proc/self/cmdline", O_RDONLY);
  ssize_t n = read(fd, text, sizeof text);
  int at = strlen(text) + 1;
  for (; at < n; at += strlen(text + at) + 1) printf("[%s]", text + at);
  printf("\n");
}

CASE(execveat, "execveat: directories, descriptors, AT_EMPTY_PATH, errnos") {
  find_self();
  char *argv[] = { "x", "quiet", NULL };
  int fd = open(self, O_RDONLY), path = open(self, O_PATH | O_CLOEXEC);
  symlink(self, "link");
  IN_CHILD("empty path", syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH));
  IN_CHILD("O_PATH", syscall(SYS_execveat, path, "", argv, environ, AT_EMPTY_PATH));
  IN_CHILD("link", syscall(SYS_execveat, AT_FDCWD, "link", argv, environ, 0));
  SHOW(syscall(SYS_execveat, AT_FDCWD, "link", argv, environ, AT_SYMLINK_NOFOLLOW));
  SHOW(syscall(SYS_execveat, fd, "", argv, environ, 0));
  SHOW(syscall(SYS_execveat, 99, "x", argv, environ, 0));
  SHOW(syscall(SYS_execveat, fd, "x", argv, environ, 0));
  SHOW(syscall(SYS_execveat, AT_FDCWD, "link", argv, environ, 0x1));
}

CASE(keeps, "what execve keeps: pid, cwd, umask, limits, ignored signals, mask, nice; what it closes") {
  find_self();
  mkdir("sub", 0755);
  chdir("sub");
  umask(031);
  signal(SIGUSR1, SIG_IGN);
  signal(SIGUSR2, (void (*)(int))find_self);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  sigprocmask(SIG_BLOCK, &set, NULL);
  raise(SIGHUP);
  alarm(50);
  dup2(1, 30);
  fcntl(1, F_DUPFD_CLOEXEC, 31);
  prctl(PR_SET_NAME, "before");
  struct rlimit limit = { 77, 88 };
  setrlimit(RLIMIT_NOFILE, &limit);
  IN_CHILD("exec", { alarm(50); raise(SIGHUP); execl(self, "case", "kept", NULL); });
}

CASE(kept, "shows what keeps left") {
  char text[300], name[20];
  struct sigaction action;
  sigset_t set;
  struct rlimit limit;
  getcwd(text, sizeof text);
  mode_t mask = umask(0);
  printf("cwd ends in sub %d umask %o\n", strcmp(text + strlen(text) - 4, "/sub") == 0, mask);
  sigaction(SIGUSR1, NULL, &action);
  printf("USR1 ignored %d ", action.sa_handler == SIG_IGN);
  sigaction(SIGUSR2, NULL, &action);
  printf("USR2 default %d ", action.sa_handler == SIG_DFL);
  sigprocmask(SIG_SETMASK, NULL, &set);
  printf("HUP blocked %d ", sigismember(&set, SIGHUP));
  sigpending(&set);
  printf("pending %d alarm %d\n", sigismember(&set, SIGHUP), alarm(0) > 0);
  printf("30: %d 31: %d\n", fcntl(30, F_GETFD), fcntl(31, F_GETFD));
  getrlimit(RLIMIT_NOFILE, &limit);
  prctl(PR_GET_NAME, name);
  printf("limit as set %d name %s\n", limit.rlim_cur == 77 && limit.rlim_max == 88, name);
}

CASE(environment, "argv and envp: empty ones, many, their order") {
  find_self();
  char *argv[] = { "x", "showargs", "", "a b", NULL }, *none[] = { NULL };
  char *envp[] = { "A=1", "NOEQUALS", "=x", NULL };
  IN_CHILD("args", execve(self, argv, none));
  char *show[] = { "x", "showenv", NULL };
  IN_CHILD("env", execve(self, show, envp));
  IN_CHILD("no env", execve(self, show, NULL));
}

CASE(showenv, "prints its environment") {
  for (char **at = environ; *at; at++) printf("[%s]", *at);
  char text[100];
  int fd = open("/proc/self/environ", O_RDONLY);
  printf(" %zd\n", read(fd, text, sizeof text));
}

CASE(threadexec, "execve in a thread ends the others and takes the process's id") {
  find_self();
  IN_CHILD("thread", {
    static pid_t before;
    before = getpid();
    void *idle(void *argument) { for (;;) pause(); return argument; }
    void *run(void *argument) { char pid[20]; sprintf(pid, "%d", before); setenv("BEFORE", pid, 1); execl(self, "case", "samepid", NULL); return argument; }
    pthread_t a, b;
    pthread_create(&a, NULL, idle, NULL);
    pthread_create(&b, NULL, run, NULL);
    for (;;) pause();
  });
}

CASE(samepid, "whether the pid is that of the environment") {
  printf("same pid %d, one thread %d\n", getpid() == atoi(getenv("BEFORE") ?: "0"), gettid() == getpid());
}

CASE(vfork, "vfork: the parent waits, memory is shared") {
  static volatile int value;
  value = 1;
  pid_t pid = vfork();
  if (pid == 0) {
    value = 2;
    sleep_ms(20);
    value = 3;
    _exit(4);
  }
  printf("%d\n", value);
  int status;
  waitpid(pid, &status, 0);
  show_status("child", status);
  find_self();
  pid = vfork();
  if (pid == 0) {
    execl(self, "case", "quiet", NULL);
    _exit(9);
  }
  waitpid(pid, &status, 0);
  show_status("exec", status);
}

CASE(spawn, "posix_spawn: file actions, attributes, errors") {
  find_self();
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attr;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "out", O_CREAT | O_WRONLY, 0644);
  posix_spawnattr_init(&attr);
  posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  char *argv[] = { "x", "showargs", "spawned", NULL };
  pid_t pid;
  ERR(posix_spawn(&pid, self, &actions, &attr, argv, environ));
  int status;
  waitpid(pid, &status, 0);
  show_status("child", status);
  show_file("out");
  ERR(posix_spawn(&pid, "/none/such", NULL, NULL, argv, environ));
  ERR(posix_spawnp(&pid, "no-such-program-anywhere", NULL, NULL, argv, environ));
  posix_spawn_file_actions_addclose(&actions, 99);
  posix_spawn_file_actions_addopen(&actions, 0, "/none/such", O_RDONLY, 0);
  ERR(posix_spawn(&pid, self, &actions, NULL, argv, environ));
}

CASE(clone, "clone and clone3: errnos") {
#define CLONE(flags) SHOW(syscall(SYS_clone, flags, 0, NULL, NULL, 0) > 0 ? 0 : -1)
  CLONE(CLONE_THREAD);
  CLONE(CLONE_SIGHAND);
  CLONE(CLONE_THREAD | CLONE_SIGHAND);
  CLONE(CLONE_FS | CLONE_NEWNS);
  struct clone_args args = { 0 };
  SHOW(syscall(SYS_clone3, &args, 8));
  SHOW(syscall(SYS_clone3, 8, sizeof args));
  args.exit_signal = 99;
  SHOW(syscall(SYS_clone3, &args, sizeof args));
  args.exit_signal = SIGCHLD;
  args.flags = CLONE_THREAD;
  SHOW(syscall(SYS_clone3, &args, sizeof args));
  args.flags = 0;
  args.stack = 4096;
  SHOW(syscall(SYS_clone3, &args, sizeof args));
  args.stack = 0;
  args.stack_size = 4096;
  SHOW(syscall(SYS_clone3, &args, sizeof args));
  char padded[200] = "";
  memcpy(padded, &(struct clone_args){ .exit_signal = SIGCHLD }, sizeof args);
  pid_t pid = syscall(SYS_clone3, padded, sizeof padded);
  if (pid == 0) _exit(6);
  int status;
  waitpid(pid, &status, 0);
  show_status("child", status);
  padded[199] = 1;
  SHOW(syscall(SYS_clone3, padded, sizeof padded));
}

CASE(shared, "CLONE_FILES, CLONE_FS, CLONE_VM without CLONE_THREAD: what is shared and what not") {
  static volatile int memory;
  static char stack[65536] __attribute__((aligned(16)));
  int child(void *argument) {
    (void)argument;
    memory = 5;
    dup2(1, 40);
    chdir("/");
    umask(077);
    return 3;
  }
  int status;
  pid_t pid = clone(child, stack + sizeof stack, CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD, NULL);
  waitpid(pid, &status, 0);
  show_status("sharing", status);
  char cwd[300];
  getcwd(cwd, sizeof cwd);
  printf("memory %d fd %d cwd %s umask %o\n", memory, fcntl(40, F_GETFD), cwd, umask(022));
  close(40);
  chdir("/tmp");
  memory = 0;
  pid = clone(child, stack + sizeof stack, SIGCHLD, NULL);
  waitpid(pid, &status, 0);
  getcwd(cwd, sizeof cwd);
  printf("memory %d fd %d cwd %s\n", memory, fcntl(40, F_GETFD), cwd);
}

CASE(tids, "CLONE_PARENT_SETTID, CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID, set_tid_address") {
  static volatile pid_t parent_tid, child_tid;
  pid_t pid = syscall(SYS_clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0, &parent_tid, &child_tid, 0);
  if (pid == 0) _exit(child_tid == getpid() ? 1 : 2);
  int status;
  waitpid(pid, &status, 0);
  show_status("child", status);
  printf("%d %d\n", parent_tid == pid, child_tid);
  SAY(syscall(SYS_set_tid_address, &child_tid) == gettid());
  SAY(gettid() == getpid());
}

CASE(bomb, "many processes and threads at once, all waited for") {
  int made = 0, ok = 0, status;
  for (int i = 0; i < 60; i++) {
    pid_t pid = fork();
    if (pid == 0) _exit(i);
    made += pid > 0;
  }
  long sum = 0;
  while (wait(&status) > 0) ok++, sum += WEXITSTATUS(status);
  printf("%d %d %ld\n", made, ok, sum);
  static int counter;
  void *add(void *argument) { for (int i = 0; i < 1000; i++) __atomic_add_fetch(&counter, 1, __ATOMIC_SEQ_CST); return argument; }
  pthread_t threads[40];
  for (int i = 0; i < 40; i++) pthread_create(&threads[i], NULL, add, NULL);
  for (int i = 0; i < 40; i++) pthread_join(threads[i], NULL);
  printf("%d\n", counter);
}

CASE(fair, "a spinning process does not keep another from running") {
  pid_t pid = fork();
  if (pid == 0) for (;;);
  long long from = now_ns(CLOCK_PROCESS_CPUTIME_ID);
  while (now_ns(CLOCK_PROCESS_CPUTIME_ID) < from + 50000000);
  printf("done\n");
  kill(pid, SIGKILL);
  int status;
  waitpid(pid, &status, 0);
  show_status("spinner", status);
}

CASES_MAIN
