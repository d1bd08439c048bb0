// signalfd(2): pending signals read from a descriptor; poll; errnos.
#include "case.h"
#include <poll.h>
#include <sys/signalfd.h>

static volatile int handled;
static void handler(int signo) { handled = signo; }

int main(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGRTMIN);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signal(SIGUSR1, handler);
  int fd;
  SHOW(fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  struct signalfd_siginfo got[4];
  SHOW(read(fd, got, sizeof got));
  struct pollfd poll_fd = { fd, POLLIN, 0 };
  SHOW(poll(&poll_fd, 1, 0));
  raise(SIGUSR1);
  sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 5 });
  SHOW(poll(&poll_fd, 1, 0));
  SHOW(read(fd, got, sizeof got));
  printf("%d %d %d\n", got[0].ssi_signo == SIGUSR1, got[1].ssi_signo == (unsigned)SIGRTMIN, got[1].ssi_int);
  SHOW(read(fd, got, 10));
  SAY(handled == 0);
  SHOW(signalfd(0, &set, 0));
  SHOW(signalfd(-1, &set, 1));
  return 0;
}
