// Signals: actions, masks, queues, stacks, delivery order, restarting, sending and its errnos.
#include "case.h"
#include <sys/select.h>
#include <sys/signalfd.h>
#include <poll.h>
#include <ucontext.h>
#include <semaphore.h>

static volatile int count_, trace_[32], traced;
static void counting(int signo) { count_++; trace_[traced++ % 32] = signo; }

static void handle(int signo, void (*handler)(int), int flags) {
  struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
  sigaction(signo, &action, NULL);
}

static sigset_t set_of(int a, int b) {
  sigset_t set;
  sigemptyset(&set);
  if (a) sigaddset(&set, a);
  if (b) sigaddset(&set, b);
  return set;
}

CASE(sigaction, "sigaction: errnos, what it returns, sizes") {
  struct sigaction action = { .sa_handler = counting, .sa_flags = SA_RESTART | SA_NODEFER }, old;
  SHOW(sigaction(SIGUSR1, &action, NULL));
  SHOW(sigaction(SIGUSR1, NULL, &old));
  SAY(old.sa_handler == counting && (old.sa_flags & (SA_RESTART | SA_NODEFER)) == (SA_RESTART | SA_NODEFER));
  SHOW(sigaction(0, &action, NULL));
  SHOW(sigaction(65, &action, NULL));
  SHOW(sigaction(SIGKILL, &action, NULL));
  SHOW(sigaction(SIGSTOP, &action, NULL));
  SHOW(sigaction(SIGKILL, NULL, &old));
  SHOW(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4));
  SHOW(syscall(SYS_rt_sigaction, SIGUSR1, 8, NULL, 8));
  SHOW(syscall(SYS_rt_sigaction, SIGUSR1, NULL, 8, 8));
  SHOW(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 8));
}

CASE(sigprocmask, "rt_sigprocmask: how, sizes, what cannot be blocked") {
  sigset_t set = set_of(SIGUSR1, SIGKILL), old;
  SHOW(sigprocmask(SIG_BLOCK, &set, NULL));
  SHOW(sigprocmask(SIG_SETMASK, NULL, &old));
  printf("%d %d\n", sigismember(&old, SIGUSR1), sigismember(&old, SIGKILL));
  SHOW(sigprocmask(99, &set, NULL));
  SHOW(sigprocmask(99, NULL, &old));
  SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 16));
  SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 8, NULL, 8));
  SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, 8, 8));
  raise(SIGUSR1);
  SHOW(sigpending(&set));
  printf("%d %d\n", sigismember(&set, SIGUSR1), sigismember(&set, SIGUSR2));
  SHOW(syscall(SYS_rt_sigpending, &set, 16));
  SHOW(syscall(SYS_rt_sigpending, 8, 8));
  signal(SIGUSR1, SIG_IGN);
  SHOW(sigpending(&set));
  printf("%d\n", sigismember(&set, SIGUSR1));
}

CASE(kill, "kill, tkill, tgkill, rt_sigqueueinfo: errnos") {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  SHOW(kill(getpid(), 0));
  SHOW(kill(getpid(), 65));
  SHOW(kill(getpid(), -1));
  SHOW(kill(999999, 0));
  SHOW(kill(-999999, 0));
  SHOW(kill(0, 0));
  SHOW(kill(1, SIGTERM));
  SHOW(kill(INT_MIN, 0));
  SHOW(syscall(SYS_tkill, 0, 0));
  SHOW(syscall(SYS_tkill, -1, 0));
  SHOW(syscall(SYS_tkill, 999999, 0));
  SHOW(syscall(SYS_tkill, gettid(), 65));
  SHOW(syscall(SYS_tkill, gettid(), 0));
  SHOW(syscall(SYS_tgkill, getpid(), gettid(), 0));
  SHOW(syscall(SYS_tgkill, getpid(), 999999, 0));
  SHOW(syscall(SYS_tgkill, 999999, gettid(), 0));
  SHOW(syscall(SYS_tgkill, 0, gettid(), 0));
  SHOW(syscall(SYS_tgkill, getpid(), -5, 0));
  SHOW(sigqueue(getpid(), 0, (union sigval){ 0 }));
  SHOW(sigqueue(getpid(), 65, (union sigval){ 0 }));
  SHOW(sigqueue(999999, 0, (union sigval){ 0 }));
  info.si_code = SI_USER;
  SHOW(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &info));
  SHOW(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, 8));
  SHOW(syscall(SYS_rt_tgsigqueueinfo, getpid(), 0, SIGUSR1, &info));
  SHOW(syscall(SYS_rt_tgsigqueueinfo, getpid(), 999999, SIGUSR1, &info));
}

static void show_sender(int signo, siginfo_t *info, void *context) {
  (void)context;
  printf("%s code %d value %d %s\n", sigabbrev_np(signo) ? sigabbrev_np(signo) : "RT", info->si_code,
         info->si_code == SI_QUEUE || info->si_code == SI_TIMER ? info->si_value.sival_int : 0,
         info->si_code == SI_TIMER ? "" : info->si_pid == getpid() ? "self" : info->si_pid == 0 ? "kernel" : "other");
}

CASE(siginfo, "si_code and si_pid by sender") {
  struct sigaction action = { .sa_sigaction = show_sender, .sa_flags = SA_SIGINFO };
  for (int signo = SIGHUP; signo <= SIGRTMIN + 1; signo++) sigaction(signo, &action, NULL);
  kill(getpid(), SIGUSR1);
  raise(SIGUSR2);
  sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 17 });
  pthread_kill(pthread_self(), SIGHUP);
  pthread_sigqueue(pthread_self(), SIGRTMIN + 1, (union sigval){ .sival_int = 18 });
  int ends[2];
  pipe(ends);
  close(ends[0]);
  SHOW(write(ends[1], "x", 1));
  setitimer(ITIMER_REAL, &(struct itimerval){ .it_value.tv_usec = 100000 }, NULL);
  pause();
  pid_t pid = fork();
  if (pid == 0) { kill(getppid(), SIGTERM); sleep_ms(80); _exit(0); }
  pause();
  while (waitpid(pid, NULL, 0) < 0);
}

CASE(queue, "real-time signals queue in order; standard ones do not") {
  sigset_t set = set_of(SIGRTMIN, SIGUSR1), empty = set_of(0, 0);
  sigaddset(&set, SIGRTMIN + 2);
  sigprocmask(SIG_BLOCK, &set, NULL);
  struct sigaction action = { .sa_sigaction = show_sender, .sa_flags = SA_SIGINFO };
  sigaction(SIGRTMIN, &action, NULL);
  sigaction(SIGRTMIN + 2, &action, NULL);
  sigaction(SIGUSR1, &action, NULL);
  for (int i = 1; i <= 3; i++) {
    sigqueue(getpid(), SIGRTMIN + 2, (union sigval){ .sival_int = i * 100 });
    sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = i });
    sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = i * 10 });
  }
  siginfo_t info;
  struct timespec now = { 0, 0 };
  sigset_t one = set_of(SIGRTMIN, 0);
  SHOW(sigtimedwait(&one, &info, &now) == SIGRTMIN);
  printf("%d\n", info.si_value.sival_int);
  sigprocmask(SIG_SETMASK, &empty, NULL);
}

/* A child sends SIGALRM once this process sleeps. */
static void alarm_when_asleep(void) {
  while (waitpid(-1, NULL, WNOHANG) > 0);
  if (fork() == 0) {
    wait_asleep(getppid());
    kill(getppid(), SIGALRM);
    _exit(0);
  }
}

CASE(sigtimedwait, "rt_sigtimedwait: errnos, timeouts, interruption") {
  sigset_t set = set_of(SIGUSR1, 0);
  siginfo_t info;
  struct timespec t = { 0, 1000000 }, bad = { 0, 1000000000 }, negative = { -1, 0 };
  handle(SIGALRM, counting, 0);
  sigprocmask(SIG_BLOCK, &set, NULL);
  SHOW(sigtimedwait(&set, &info, &t));
  SHOW(sigtimedwait(&set, &info, &bad));
  SHOW(sigtimedwait(&set, &info, &negative));
  SHOW(syscall(SYS_rt_sigtimedwait, 8, &info, &t, 8));
  SHOW(syscall(SYS_rt_sigtimedwait, &set, 8, NULL, 4));
  SHOW(syscall(SYS_rt_sigtimedwait, &set, NULL, 8, 8));
  raise(SIGUSR1);
  SHOW(syscall(SYS_rt_sigtimedwait, &set, 8, NULL, 8));
  alarm_when_asleep();
  SHOW(sigwaitinfo(&set, &info));
  printf("%d\n", count_);
  wait(NULL);
  pid_t pid = fork();
  if (pid == 0) { wait_asleep(getppid()); kill(getppid(), SIGUSR1); _exit(0); }
  SHOW(sigwaitinfo(&set, &info));
  SAY(info.si_pid == pid);
  waitpid(pid, NULL, 0);
}

CASE(sigsuspend, "rt_sigsuspend: mask during and after, errnos") {
  sigset_t set = set_of(SIGUSR1, 0), empty = set_of(0, 0), old;
  handle(SIGUSR1, counting, 0);
  sigprocmask(SIG_BLOCK, &set, NULL);
  raise(SIGUSR1);
  SHOW(sigsuspend(&empty));
  sigprocmask(SIG_SETMASK, NULL, &old);
  printf("%d %d\n", count_, sigismember(&old, SIGUSR1));
  SHOW(syscall(SYS_rt_sigsuspend, &empty, 4));
  SHOW(syscall(SYS_rt_sigsuspend, 8, 8));
}

static char alt[65536];
static volatile int on_alt, nested_error;
static void on_altstack(int signo) {
  char here;
  (void)signo;
  on_alt = &here > alt && &here < alt + sizeof alt;
  stack_t other = { .ss_sp = alt, .ss_size = sizeof alt };
  nested_error = sigaltstack(&other, NULL) < 0 ? errno : 0;
}

CASE(sigaltstack, "sigaltstack: errnos, use, while in use") {
  stack_t stack = { .ss_sp = alt, .ss_size = sizeof alt }, old;
  SHOW(sigaltstack(NULL, &old));
  printf("%d\n", old.ss_flags);
  stack.ss_size = 100;
  SHOW(sigaltstack(&stack, NULL));
  stack.ss_size = sizeof alt;
  stack.ss_flags = 99;
  SHOW(sigaltstack(&stack, NULL));
  stack.ss_flags = 0;
  SHOW(sigaltstack(&stack, NULL));
  SHOW(sigaltstack((void *)8, NULL));
  SHOW(sigaltstack(NULL, (void *)8));
  handle(SIGUSR1, on_altstack, SA_ONSTACK);
  raise(SIGUSR1);
  printf("%d %s\n", on_alt, error_name(nested_error));
  handle(SIGUSR1, on_altstack, 0);
  raise(SIGUSR1);
  printf("%d %d\n", on_alt, nested_error);
  stack.ss_flags = SS_DISABLE;
  SHOW(sigaltstack(&stack, &old));
  printf("%d %d\n", old.ss_flags, (int)old.ss_size);
  IN_CHILD("child", { sigaltstack(NULL, &old); printf("%d\n", old.ss_flags); });
}

CASE(flags, "SA_NODEFER, SA_RESETHAND, sa_mask") {
  static volatile int depth, deepest;
  void nest(int signo) { if (++depth > deepest) deepest = depth; if (depth < 3 && ++count_ < 4) raise(signo); depth--; }
  handle(SIGUSR1, nest, 0);
  raise(SIGUSR1);
  printf("deepest %d\n", deepest);
  handle(SIGUSR1, nest, SA_NODEFER);
  deepest = count_ = 0;
  raise(SIGUSR1);
  printf("deepest %d\n", deepest);
  IN_CHILD("resethand", { handle(SIGUSR1, counting, SA_RESETHAND); raise(SIGUSR1); raise(SIGUSR1); });
  struct sigaction action = { .sa_handler = counting };
  void masked(int signo) {
    (void)signo;
    raise(SIGUSR2);
    sigset_t pending;
    sigpending(&pending);
    printf("USR2 pending %d\n", sigismember(&pending, SIGUSR2));
  }
  sigaction(SIGUSR2, &action, NULL);
  action.sa_handler = masked;
  sigaddset(&action.sa_mask, SIGUSR2);
  sigaction(SIGUSR1, &action, NULL);
  count_ = 0;
  raise(SIGUSR1);
  printf("count %d\n", count_);
}

CASE(order, "several pending signals: the lowest number first, each handler on top of the next") {
  sigset_t set = set_of(SIGUSR1, SIGUSR2), empty = set_of(0, 0);
  sigaddset(&set, SIGHUP);
  sigaddset(&set, SIGRTMIN);
  for (int signo = 1; signo < 64; signo++) if (sigismember(&set, signo)) handle(signo, counting, 0);
  sigprocmask(SIG_BLOCK, &set, NULL);
  raise(SIGRTMIN);
  raise(SIGUSR2);
  raise(SIGUSR1);
  raise(SIGHUP);
  sigprocmask(SIG_SETMASK, &empty, NULL);
  printf("%d:", count_);
  for (int i = 0; i < count_; i++) printf(" %s", trace_[i] == SIGRTMIN ? "RTMIN" : sigabbrev_np(trace_[i]));
  printf("\n");
}

CASE(restart, "which calls restart after a handler with SA_RESTART") {
  int ends[2];
  char byte;
  pipe(ends);
  struct pollfd p = { .fd = ends[0], .events = POLLIN };
  fd_set set;
  for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
    printf("%s\n", flags ? "SA_RESTART" : "0");
    handle(SIGALRM, counting, flags);
    alarm_when_asleep();
    SHOW(poll(&p, 1, 3000));
    alarm_when_asleep();
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    SHOW(select(ends[0] + 1, &set, NULL, NULL, &(struct timeval){ 3, 0 }));
    struct timespec left, t = { 3, 0 };
    alarm_when_asleep();
    SHOW(nanosleep(&t, &left));
    alarm_when_asleep();
    ERR(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL));
    alarm_when_asleep();
    pid_t pid = fork();
    if (pid == 0) { sleep_ms(flags ? 400 : 0); write(ends[1], "x", 1); _exit(0); }
    if (!flags) waitpid(pid, NULL, 0);
    if (!flags) read(ends[0], &byte, 1);
    if (flags) SHOW(read(ends[0], &byte, 1));
    while (wait(NULL) > 0);
    alarm_when_asleep();
    SHOW(pause());
  }
}

CASE(context, "a handler may change where and with what its caller goes on") {
  static volatile long at_fault;
  void skip(int signo, siginfo_t *info, void *context) {
    ucontext_t *u = context;
    (void)signo; (void)info;
    at_fault = u->uc_mcontext.gregs[REG_RIP];
    u->uc_mcontext.gregs[REG_RIP] += 2;
    u->uc_mcontext.gregs[REG_RAX] = 77;
    sigaddset(&u->uc_sigmask, SIGUSR2);
  }
  struct sigaction action = { .sa_sigaction = skip, .sa_flags = SA_SIGINFO };
  sigaction(SIGILL, &action, NULL);
  long result = 1;
  asm volatile("ud2" : "+a"(result));
  sigset_t mask;
  sigprocmask(SIG_SETMASK, NULL, &mask);
  printf("%ld %d %d\n", result, at_fault != 0, sigismember(&mask, SIGUSR2));
}

CASE(faults, "si_code and si_addr of faults") {
  static sigjmp_buf back;
  static siginfo_t last;
  void on_fault(int signo, siginfo_t *info, void *context) { (void)signo; (void)context; last = *info; siglongjmp(back, signo); }
  struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
  int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
  for (int i = 0; i < 5; i++) sigaction(signals[i], &action, NULL);
  char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  volatile int zero = 0;
#define FAULT(...) do { int s_ = sigsetjmp(back, 1); if (s_ == 0) { __VA_ARGS__; printf("no fault\n"); } \
    else printf("%s code %d\n", sigabbrev_np(s_), last.si_code); } while (0)
  FAULT(*(volatile int *)16 = 1);
  SAY(last.si_addr == (void *)16);
  FAULT(none[5] = 1);
  SAY(last.si_addr == none + 5);
  FAULT(zero = 1 / zero);
  FAULT(asm volatile("ud2"));
  FAULT(asm volatile("int3"));
  FAULT(asm volatile("hlt"));
  FAULT(*(volatile int *)0x8000000000000000 = 1);
  FAULT(((void (*)(void))none)());
  FAULT(asm volatile("int $0x10"));
}

CASE(defaults, "default actions") {
  int die[] = { SIGHUP, SIGINT, SIGALRM, SIGPIPE, SIGTERM, SIGUSR1, SIGPROF, SIGVTALRM, SIGIO, SIGPWR, SIGSTKFLT, SIGRTMIN, SIGRTMAX };
  int ignore[] = { SIGCHLD, SIGURG, SIGWINCH, SIGCONT };
  int core[] = { SIGQUIT, SIGILL, SIGABRT, SIGFPE, SIGSEGV, SIGBUS, SIGSYS, SIGTRAP, SIGXCPU, SIGXFSZ };
  for (int i = 0; i < 13; i++) IN_CHILD("dies", raise(die[i]));
  for (int i = 0; i < 4; i++) IN_CHILD("ignored", raise(ignore[i]));
  for (int i = 0; i < 10; i++) IN_CHILD("core", raise(core[i]));
}

CASE(ignored, "ignored signals: not delivered, inherited by execve, blocked ones stay pending") {
  signal(SIGUSR1, SIG_IGN);
  raise(SIGUSR1);
  sigset_t set = set_of(SIGUSR2, 0), pending;
  sigprocmask(SIG_BLOCK, &set, NULL);
  raise(SIGUSR2);
  IN_CHILD("child", { sigpending(&pending); printf("child pending %d\n", sigismember(&pending, SIGUSR2)); });
  sigpending(&pending);
  printf("pending %d\n", sigismember(&pending, SIGUSR2));
  signal(SIGUSR2, SIG_IGN);
  sigpending(&pending);
  printf("pending %d\n", sigismember(&pending, SIGUSR2));
}

CASE(threads, "a process's signal goes to a thread that does not block it; a thread's only there") {
  static volatile pthread_t taker;
  static sem_t done;
  sem_init(&done, 0, 0);
  void take(int signo) { (void)signo; taker = pthread_self(); sem_post(&done); }
  sigset_t set = set_of(SIGUSR1, 0);
  handle(SIGUSR1, take, 0);
  sigprocmask(SIG_BLOCK, &set, NULL);
  void *open_thread(void *argument) {
    pthread_sigmask(SIG_UNBLOCK, argument, NULL);
    for (;;) pause();
  }
  pthread_t thread;
  pthread_create(&thread, NULL, open_thread, &set);
  kill(getpid(), SIGUSR1);
  sem_wait(&done);
  SAY(pthread_equal(taker, thread));
  pthread_kill(pthread_self(), SIGUSR1);
  sigset_t pending;
  sigpending(&pending);
  printf("pending here %d\n", sigismember(&pending, SIGUSR1));
  ERR(pthread_kill(thread, 65));
}

CASE(signalfd, "signalfd: records, errnos, changes of mask") {
  sigset_t set = set_of(SIGUSR1, SIGRTMIN);
  struct signalfd_siginfo info[3];
  int fd;
  sigprocmask(SIG_BLOCK, &set, NULL);
  SHOW((fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)) > 2);
  SHOW(fcntl(fd, F_GETFD));
  SHOW(read(fd, info, sizeof info));
  SHOW(read(fd, info, 10));
  raise(SIGUSR1);
  sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 5 });
  sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 6 });
  struct pollfd p = { .fd = fd, .events = POLLIN };
  SHOW(poll(&p, 1, 0));
  SHOW(read(fd, info, sizeof info));
  printf("%d %d %d %d\n", info[0].ssi_signo == SIGUSR1, info[0].ssi_code, info[1].ssi_int, info[2].ssi_int);
  SHOW(poll(&p, 1, 0));
  set = set_of(SIGUSR2, 0);
  SHOW(signalfd(fd, &set, 0) == fd);
  raise(SIGUSR1);
  SHOW(read(fd, info, sizeof info));
  SHOW(signalfd(99, &set, 0));
  SHOW(signalfd(0, &set, 0));
  SHOW(signalfd(-1, &set, 1));
  SHOW(syscall(SYS_signalfd4, -1, &set, 4, 0));
  SHOW(syscall(SYS_signalfd4, -1, 8, 8, 0));
  SHOW(write(fd, info, 8));
}

CASE(stopcont, "SIGSTOP and SIGCONT: pending, handler of SIGCONT, blocked calls") {
  int ends[2];
  pipe(ends);
  pid_t pid = fork();
  if (pid == 0) {
    void on_cont(int signo) { (void)signo; write(ends[1], "c", 1); }
    handle(SIGCONT, on_cont, SA_RESTART);
    write(ends[1], "r", 1);
    sleep_ms(150);
    write(ends[1], "s", 1);
    pause();
    _exit(0);
  }
  char text[4] = "";
  read(ends[0], text, 1);
  int status;
  kill(pid, SIGSTOP);
  waitpid(pid, &status, WUNTRACED);
  show_status("child", status);
  sleep_ms(20);
  kill(pid, SIGUSR1 == 10 ? SIGCONT : 0);
  read(ends[0], text + 1, 1);
  read(ends[0], text + 2, 1);
  printf("%s\n", text);
  kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  show_status("child", status);
}

CASE(forkexec, "fork keeps handlers, masks and dispositions, drops pending signals and timers") {
  handle(SIGUSR1, counting, 0);
  sigset_t set = set_of(SIGUSR2, 0), now;
  sigprocmask(SIG_BLOCK, &set, NULL);
  raise(SIGUSR2);
  alarm(100);
  IN_CHILD("child", {
    struct sigaction action;
    sigaction(SIGUSR1, NULL, &action);
    sigprocmask(SIG_SETMASK, NULL, &now);
    printf("%d %d ", action.sa_handler == counting, sigismember(&now, SIGUSR2));
    sigpending(&now);
    printf("%d %u\n", sigismember(&now, SIGUSR2), alarm(0));
  });
  SAY(alarm(0) > 90);
}

CASES_MAIN
