// What `offshoot bench syscall` runs in a sandbox: one kind of system call, timed in batches with the sandbox's own clock (the vDSO: no
// call). Every result is checked; a wrong one ends the program with a message.
//
// usage: syscall CASE BATCHES OPERATIONS   prints for each batch but the first (warming up) the nanoseconds of one operation, then "ok".
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BIG 65536
#define DEEP "/tmp/bench/a/b/c/d/e/f/g/h"

static char buffer[BIG];
static int file, there[2], back[2];
static volatile uint32_t turn;

static void expect(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void do_getpid(void) { expect(syscall(SYS_getpid) > 0, "getpid"); }
static void do_read1(void) { expect(pread(file, buffer, 1, 4097) == 1, "read"); }
static void do_write1(void) { expect(pwrite(file, buffer, 1, 4097) == 1, "write"); }
static void do_read64k(void) { expect(pread(file, buffer, BIG, 0) == BIG && buffer[BIG - 1] == 'x', "read"); }
static void do_write64k(void) { expect(pwrite(file, buffer, BIG, 0) == BIG, "write"); }

// lstat: stat of the same path again may be answered without a call.
static void do_stat(void) {
  struct stat st;
  expect(lstat(DEEP "/file", &st) == 0 && st.st_size == 5, "stat");
}

static void do_pipe(void) {
  char c = 'p';
  expect(write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1 && c == 'q', "ping-pong");
}

static void pipe_peer(void) {
  char c;
  while (read(there[0], &c, 1) == 1 && c == 'p') { c = 'q'; if (write(back[1], &c, 1) != 1) break; }
  _exit(0);
}

static void wait_turn(uint32_t mine) {
  while (turn != mine) {
    long r = syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, !mine, NULL, NULL, 0);
    expect(r == 0 || errno == EAGAIN || errno == EINTR, "futex");
  }
}
static void give_turn(uint32_t other) {
  turn = other;
  expect(syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) >= 0, "futex");
}
static void *futex_peer(void *unused) {
  for (;;) { wait_turn(1); give_turn(0); }
}
static void do_futex(void) { give_turn(1); wait_turn(0); }

static void do_fork(void) {
  int status = -1;
  pid_t pid = fork();
  if (pid == 0) { execl("/bin/true", "true", NULL); _exit(9); }
  expect(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "fork, exec, wait");
}

static void do_mmap(void) {
  volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  expect(page != MAP_FAILED && page[5] == 0, "mmap");
  page[5] = 1;
  expect(munmap((void *)page, 4096) == 0, "munmap");
}

static const struct { const char *name; void (*run)(void); } CASES[] = {
  { "getpid", do_getpid }, { "read.1B", do_read1 }, { "write.1B", do_write1 }, { "read.64KiB", do_read64k }, { "write.64KiB", do_write64k },
  { "stat.deep", do_stat }, { "pipe.pingpong", do_pipe }, { "futex.handover", do_futex }, { "fork.exec.wait", do_fork },
  { "mmap.touch.munmap", do_mmap },
};

static void prepare(const char *name) {
  char path[64] = "/tmp";
  memset(buffer, 'x', BIG);
  for (const char *at = "/bench/a/b/c/d/e/f/g/h"; *at; ) {
    const char *end = strchrnul(at + 1, '/');
    strncat(path, at, end - at);
    expect(mkdir(path, 0755) == 0, path);
    at = end;
  }
  file = open(DEEP "/file", O_RDWR | O_CREAT, 0644);
  expect(file >= 0 && write(file, "hello", 5) == 5, "file");
  file = open("/tmp/bench/big", O_RDWR | O_CREAT, 0644);
  expect(file >= 0 && write(file, buffer, BIG) == BIG, "big file");
  if (strcmp(name, "pipe.pingpong") == 0) {
    expect(pipe(there) == 0 && pipe(back) == 0, "pipe");
    pid_t pid = fork();
    if (pid == 0) { close(there[1]); pipe_peer(); }
    close(there[0]);
  }
  pthread_t peer;
  if (strcmp(name, "futex.handover") == 0) expect(pthread_create(&peer, NULL, futex_peer, NULL) == 0, "thread");
}

int main(int argc, char **argv) {
  int batches = atoi(argv[2]), operations = atoi(argv[3]);
  prepare(argv[1]);
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    if (strcmp(CASES[i].name, argv[1]) != 0) continue;
    for (int batch = 0; batch <= batches; batch++) {
      uint64_t start = now();
      for (int k = 0; k < operations; k++) CASES[i].run();
      if (batch > 0) printf("%llu\n", (unsigned long long)((now() - start) / operations));
    }
    puts("ok");
    return 0;
  }
  fprintf(stderr, "no case %s\n", argv[1]);
  return 2;
}
