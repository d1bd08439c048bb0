// Pipes: capacity and its change, blocking and not, atomic writes, end of file, O_CLOEXEC, packets, tee and splice, FIFOs.
#include "case.h"

int main(void) {
  int ends[2];
  static char block[70000];
  SHOW(pipe2(ends, O_NONBLOCK | O_CLOEXEC));
  SHOW(fcntl(ends[0], F_GETFD));
  SHOW(fcntl(ends[0], F_GETPIPE_SZ));
  SHOW(read(ends[0], block, 1));
  SHOW(write(ends[1], block, 70000));
  SHOW(write(ends[1], block, 1));
  SHOW(read(ends[0], block, 4095));
  SHOW(write(ends[1], block, 4096));
  SHOW(read(ends[0], block, 1));
  SHOW(write(ends[1], block, 4096));
  SHOW(read(ends[0], block, 70000));
  SHOW(write(ends[1], block, 0));
  SHOW(read(ends[0], block, 0));
  SHOW(read(ends[0], block, 1));
  SHOW(read(ends[1], block, 1));
  SHOW(write(ends[0], block, 1));
  SHOW(pipe2(ends, 0x1000000));
  SHOW(fcntl(ends[0], F_SETPIPE_SZ, 4096));
  int written = 0;
  while (write(ends[1], block, 1) == 1) written++;
  printf("one by one: %d\n", written);
  SHOW(fcntl(ends[0], F_SETPIPE_SZ, 100000));
  SHOW(write(ends[1], block, 70000));
  SHOW(fcntl(ends[0], F_SETPIPE_SZ, 4096));
  signal(SIGPIPE, SIG_IGN);
  close(ends[0]);
  SHOW(write(ends[1], block, 1));
  close(ends[1]);
  pipe(ends);
  pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    SHOW(write(ends[1], block, 70000));
    _exit(0);
  }
  close(ends[1]);
  sleep_ms(50);
  long total = 0;
  for (ssize_t got; (got = read(ends[0], block, 1000)) > 0;) total += got;
  printf("blocked writer sent %ld\n", total);
  waitpid(child, NULL, 0);
  SHOW(read(ends[0], block, 1));
  pipe(ends);
  child = fork();
  if (child == 0) {
    for (int writer = 0; writer < 3; writer++)
      if (fork() == 0) {
        memset(block, 'a' + writer, 3000);
        for (int i = 0; i < 40; i++) write(ends[1], block, 3000);
        _exit(0);
      }
    while (wait(NULL) > 0);
    _exit(0);
  }
  close(ends[1]);
  int torn = 0, messages = 0;
  for (int have = 0; ; ) {
    ssize_t got = read(ends[0], block + have, 3000 - have);
    if (got <= 0) break;
    if ((have += got) < 3000) continue;
    for (int i = 1; i < 3000; i++) torn += block[i] != block[0];
    messages++;
    have = 0;
  }
  printf("messages %d torn %d\n", messages, torn);
  waitpid(child, NULL, 0);
  mkfifo("fifo", 0600);
  int reader = open("fifo", O_RDONLY | O_NONBLOCK), writer = open("fifo", O_WRONLY);
  SHOW(read(reader, block, 1));
  SHOW(write(writer, "fifo", 4));
  SHOW(read(reader, block, 10));
  close(writer);
  SHOW(read(reader, block, 10));
  int both = open("fifo", O_RDWR);
  SHOW(write(both, "x", 1));
  SHOW(read(reader, block, 10));
  SHOW(open("fifo", O_WRONLY | O_NONBLOCK) >= 0);
  struct stat st;
  SHOW(stat("fifo", &st));
  printf("%o %ld\n", st.st_mode, (long)st.st_size);
  return 0;
}
