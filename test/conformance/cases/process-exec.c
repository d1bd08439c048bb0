// execve(2): arguments and environment, what is kept and what is reset, scripts, errnos.
// link: both
#include "case.h"
#include <sys/prctl.h>

extern char **environ;

/* The program runs itself with what it should find. */
static int second(int argc, char **argv) {
  printf("argc %d argv %s [%s] [%s]\n", argc, argv[1], argv[2], argv[3]);
  for (char **variable = environ; *variable; variable++) printf("env %s\n", *variable);
  char name[16], byte;
  prctl(PR_GET_NAME, name);
  printf("name %s\n", name);
  SHOW(read(10, &byte, 1));
  SHOW(fcntl(11, F_GETFD));
  struct sigaction action;
  sigaction(SIGUSR1, NULL, &action);
  printf("handler reset %d\n", action.sa_handler == SIG_DFL);
  sigaction(SIGUSR2, NULL, &action);
  printf("ignored kept %d\n", action.sa_handler == SIG_IGN);
  sigset_t set;
  sigprocmask(0, NULL, &set);
  printf("mask kept %d\n", sigismember(&set, SIGHUP));
  sigpending(&set);
  printf("pending kept %d\n", sigismember(&set, SIGHUP));
  stack_t stack;
  sigaltstack(NULL, &stack);
  printf("altstack gone %d\n", stack.ss_flags == SS_DISABLE);
  SHOW(umask(0));
  SHOW(alarm(0) > 0);
  return 5;
}

static void handler(int signo) { (void)signo; }

int main(int argc, char **argv) {
  if (argc > 1) return second(argc, argv);
  make_file("data", "data");
  make_file("text", "no program");
  make_file("script", "#!/bin/sh\necho script $0 $# $1 \"$2\"\nexit 21\n");
  make_file("script2", "#! /bin/echo   one argument  \n");
  make_file("script3", "#!./script2 x\n");
  make_file("bad", "#!/missing/interpreter\n");
  make_file("empty", "");
  make_file("elf", "\177ELF\2\1\1 but then no more than this");
  symlink("loop", "loop");
  mkdir("dir", 0755);
  char *files[] = { "text", "script", "script2", "script3", "bad", "empty", "elf" };
  for (int i = 0; i < 7; i++) chmod(files[i], 0755);
  char *args[] = { "zero", "first", "second word", NULL }, *none[] = { NULL };
  char *names[] = { "./missing", "./data", "./text", "./bad", "./empty", "./elf", "./dir", "./loop", "", "./data/x" };
  for (int i = 0; i < 10; i++) {
    execve(names[i], args, none);
    printf("%s: %s\n", names[i], error_name(errno));
  }
  IN_CHILD("script", execve("./script", args, none));
  IN_CHILD("script2", execve("./script2", args, none));
  IN_CHILD("script3", execve("./script3", args, none));
  IN_CHILD("execvp of text", execvp("./script", args));
  IN_CHILD("self", {
    int fd = open("data", O_RDONLY);
    dup2(fd, 10);
    dup3(fd, 11, O_CLOEXEC);
    struct sigaction action = { .sa_handler = handler };
    sigaction(SIGUSR1, &action, NULL);
    signal(SIGUSR2, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGHUP);
    static char memory[65536];
    stack_t stack = { .ss_sp = memory, .ss_size = sizeof memory };
    sigaltstack(&stack, NULL);
    umask(027);
    alarm(100);
    char *self[] = { "my-own-name", "first", "", "with space", NULL };
    char *variables[] = { "A=1", "EMPTY=", "NO_EQUALS", NULL };
    symlink("/proc/self/exe", "self-program");
    execve("/proc/self/exe", self, variables);
  });
  IN_CHILD("fexecve", {
    int fd = open("/bin/echo", O_RDONLY | O_CLOEXEC);
    char *echo[] = { "echo", "by descriptor", NULL };
    fexecve(fd, echo, environ);
  });
  static char *many[2002], long_argument[100001];
  memset(long_argument, 'a', 100000);
  for (int i = 0; i < 2000; i++) many[i] = "argument";
  many[0] = "sh";
  many[1] = "-c";
  many[2] = "echo $#";
  many[3] = long_argument;
  IN_CHILD("many", execv("/bin/sh", many));
  static char too_long[140000];
  memset(too_long, 'b', 139999);
  char *big[] = { "x", too_long, NULL };
  SHOW(execv("/bin/true", big));
  return 0;
}
