// What a signal handler does to a blocking call: SA_RESTART goes on, without it EINTR; calls that never restart; partial writes.
#include "case.h"
#include <poll.h>
#include <sys/select.h>

static volatile int signals;
static int ends[2];
static void count(int signo) { (void)signo; signals++; }

/* The state letter of a process, from /proc/PID/stat. */
static char state(pid_t pid) {
  char path[40], text[200] = "";
  sprintf(path, "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY);
  read(fd, text, 199);
  close(fd);
  char *end = strrchr(text, ')');
  return end ? end[2] : '?';
}

/* Once we sleep in the call a child sends us SIGUSR1, and 60 ms later writes a byte into the pipe. */
static pid_t disturb(void) {
  pid_t parent = getpid(), child = fork();
  if (child) return child;
  do sleep_ms(10); while (state(parent) != 'S');
  kill(parent, SIGUSR1);
  sleep_ms(60);
  write(ends[1], "x", 1);
  _exit(0);
}
#define DISTURBED(call) do { \
    signals = 0; \
    pid_t child_ = disturb(); \
    SHOW(call); \
    printf("  signals %d\n", signals); \
    pid_t reaped_ = waitpid(child_, NULL, 0); \
    (void)reaped_; \
    char drop_[16]; \
    fcntl(ends[0], F_SETFL, O_NONBLOCK); \
    while (read(ends[0], drop_, 16) > 0); \
    fcntl(ends[0], F_SETFL, 0); \
  } while (0)

int main(void) {
  pipe(ends);
  char byte;
  struct pollfd poll_fd = { ends[0], POLLIN, 0 };
  sigset_t none;
  sigemptyset(&none);
  for (int restart = 1; restart >= 0; restart--) {
    struct sigaction action = { .sa_handler = count, .sa_flags = restart ? SA_RESTART : 0 };
    sigaction(SIGUSR1, &action, NULL);
    printf("restart %d\n", restart);
    DISTURBED(read(ends[0], &byte, 1));
    DISTURBED(poll(&poll_fd, 1, 2000));
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    DISTURBED(select(ends[0] + 1, &set, NULL, NULL, NULL));
    DISTURBED(pause());
    DISTURBED(sigsuspend(&none));
    DISTURBED(waitpid(child_, NULL, 0) == child_ || errno == ECHILD ? 0 : -1);
    DISTURBED(usleep(2000000));
    struct timespec t = { 2, 0 };
    sigset_t usr2;
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    DISTURBED(sigtimedwait(&usr2, NULL, &t));
    static int word;
    DISTURBED(syscall(SYS_futex, &word, 0, 0, &t));
  }
  return 0;
}
