// wait with a SIGCHLD handler that does not restart calls: the child is returned, the handler has run; no EINTR.
#include "case.h"

#include <signal.h>
#include <sys/wait.h>

static volatile int handled;

static void on_child(int signo) { handled++; }

int main(void) {
  struct sigaction action = {0};
  action.sa_handler = on_child;
  sigaction(SIGCHLD, &action, NULL);
  for (int i = 0; i < 3; i++) {
    if (fork() == 0) {
      usleep(20000);
      _exit(i);
    }
    int status = 0;
    int pid = wait(&status);
    printf("%s, status %d, handled %d\n", pid > 0 ? "child" : strerror(errno), WEXITSTATUS(status), handled);
  }
  return 0;
}
