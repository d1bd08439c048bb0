// The program itself ends by a signal after output without a newline: what was written counts, and so does the signal.
#include "case.h"

int main(void) {
  write(1, "before", 6);
  write(2, "on stderr", 9);
  signal(SIGTERM, SIG_DFL);
  kill(getpid(), SIGTERM);
  write(1, "after", 5);
  return 0;
}
