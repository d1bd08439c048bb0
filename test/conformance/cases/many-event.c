// Pipes, FIFOs, poll, select, epoll, eventfd, timerfd, sockets in pairs, futexes: errnos and blocking.
#include "case.h"
#include <linux/futex.h>
#include <poll.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>

static short poll_of(int fd, short events) {
  struct pollfd p = { .fd = fd, .events = events };
  int n = poll(&p, 1, 0);
  return n < 0 ? -1 : p.revents;
}

CASE(pipe, "pipe and pipe2: errnos, flags, end of file, EPIPE") {
  int ends[2];
  char text[8];
  signal(SIGPIPE, SIG_IGN);
  SHOW(pipe((int *)8));
  SHOW(pipe2(ends, 0x1));
  SHOW(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
  SHOW(fcntl(ends[0], F_GETFD));
  SHOW(fcntl(ends[0], F_GETFL));
  SHOW(fcntl(ends[1], F_GETFL));
  SHOW(read(ends[0], text, 8));
  SHOW(read(ends[1], text, 8));
  SHOW(write(ends[0], text, 8));
  SHOW(write(ends[1], "abcdef", 6));
  SHOW(read(ends[0], text, 0));
  SHOW(read(ends[0], text, 4));
  SHOW(close(ends[1]));
  SHOW(read(ends[0], text, 8));
  SHOW(read(ends[0], text, 8));
  pipe(ends);
  close(ends[0]);
  SHOW(write(ends[1], "x", 1));
  SHOW(write(ends[1], "x", 0));
}

CASE(pipefull, "a full pipe: capacity, atomic writes, partial ones, F_SETPIPE_SZ") {
  int ends[2];
  static char block[70000];
  pipe2(ends, O_NONBLOCK);
  SHOW(fcntl(ends[0], F_GETPIPE_SZ));
  SHOW(write(ends[1], block, 65536));
  SHOW(write(ends[1], block, 1));
  SHOW(poll_of(ends[1], POLLOUT));
  SHOW(read(ends[0], block, 4095));
  SHOW(write(ends[1], block, 4096));
  SHOW(read(ends[0], block, 1));
  SHOW(poll_of(ends[1], POLLOUT));
  SHOW(write(ends[1], block, 4096));
  SHOW(fcntl(ends[1], F_SETPIPE_SZ, 4096));
  SHOW(read(ends[0], block, 70000));
  SHOW(fcntl(ends[1], F_SETPIPE_SZ, 5000));
  SHOW(fcntl(ends[1], F_SETPIPE_SZ, 0));
  SHOW(write(ends[1], block, 70000));
  SHOW(fcntl(ends[1], F_SETPIPE_SZ, 1 << 30));
}

CASE(pipeblock, "blocking writes and reads across processes: everything arrives in order") {
  int ends[2];
  pipe(ends);
  pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    static unsigned char out[200000];
    for (int i = 0; i < 200000; i++) out[i] = i * 7 + i / 256;
    for (int at = 0; at < 200000;) at += write(ends[1], out + at, at % 3 ? 200000 - at : 5000 < 200000 - at ? 5000 : 200000 - at);
    _exit(0);
  }
  close(ends[1]);
  unsigned char in[3000];
  long total = 0, bad = 0, n;
  while ((n = read(ends[0], in, sizeof in)) > 0) {
    for (long i = 0; i < n; i++) bad += in[i] != (unsigned char)((total + i) * 7 + (total + i) / 256);
    total += n;
  }
  printf("%ld bytes, %ld bad\n", total, bad);
  int status;
  waitpid(pid, &status, 0);
  show_status("writer", status);
}

CASE(fifo, "FIFOs: who waits for whom") {
  char text[8] = "";
  mkfifo("p", 0600);
  SHOW(open("p", O_WRONLY | O_NONBLOCK));
  int r = open("p", O_RDONLY | O_NONBLOCK);
  SHOW(poll_of(r, POLLIN));
  SHOW(read(r, text, 8));
  pid_t pid = fork();
  if (pid == 0) {
    close(r);
    int w = open("p", O_WRONLY);
    write(w, "hi", 2);
    sleep_ms(30);
    write(w, "ho", 2);
    _exit(0);
  }
  struct pollfd p = { .fd = r, .events = POLLIN };
  SHOW(poll(&p, 1, -1));
  SHOW(read(r, text, 8));
  SHOW(poll(&p, 1, -1));
  SHOW(read(r, text, 8));
  waitpid(pid, NULL, 0);
  SHOW(poll_of(r, POLLIN));
  SHOW(read(r, text, 8));
  close(r);
  pid = fork();
  if (pid == 0) {
    int in = open("p", O_RDONLY);
    read(in, text, 8);
    _exit(text[0]);
  }
  int w = open("p", O_WRONLY);
  SHOW(write(w, "A", 1));
  int status;
  waitpid(pid, &status, 0);
  show_status("reader", status);
  int both = open("p", O_RDWR);
  SHOW(write(both, "x", 1));
  SHOW(read(both, text, 8));
}

CASE(poll, "poll and ppoll: errnos, negative descriptors, timeouts") {
  int ends[2];
  pipe(ends);
  struct pollfd p[3] = { { ends[0], POLLIN }, { -1, POLLIN, 77 }, { 99, POLLIN } };
  SHOW(poll(p, 3, 0));
  printf("%d %d %d\n", p[0].revents, p[1].revents, p[2].revents);
  SHOW(poll((void *)8, 1, 0));
  SHOW(poll(NULL, 0, 5));
  SHOW(poll(p, 1UL << 40, 0));
  struct timespec t = { 0, 1000000000 };
  SHOW(ppoll(p, 1, &t, NULL));
  t = (struct timespec){ 0, 1000 };
  SHOW(ppoll(p, 2, &t, NULL));
  SHOW(syscall(SYS_ppoll, p, 1, &t, &t, 4));
  SHOW(syscall(SYS_ppoll, p, 1, 8, NULL, 8));
  write(ends[1], "x", 1);
  SHOW(poll(p, 1, -1));
  printf("%d\n", p[0].revents);
  SHOW(poll_of(ends[1], POLLOUT | POLLIN));
  close(ends[0]);
  SHOW(poll_of(ends[1], 0));
  pipe(ends);
  close(ends[1]);
  SHOW(poll_of(ends[0], 0));
  int file = open("f", O_CREAT | O_RDWR, 0600);
  SHOW(poll_of(file, POLLIN | POLLOUT | POLLPRI));
}

CASE(select, "select and pselect6: errnos, sets, the rest of the timeout") {
  int ends[2];
  pipe(ends);
  fd_set r, w;
  struct timeval t = { 0, 5000 };
  FD_ZERO(&r);
  FD_ZERO(&w);
  FD_SET(ends[0], &r);
  FD_SET(ends[1], &w);
  SHOW(select(ends[1] + 1, &r, &w, NULL, &t));
  printf("%d %d\n", FD_ISSET(ends[0], &r), FD_ISSET(ends[1], &w));
  FD_SET(ends[0], &r);
  t = (struct timeval){ 0, 3000 };
  SHOW(select(ends[0] + 1, &r, NULL, NULL, &t));
  printf("%ld %ld %d\n", t.tv_sec, t.tv_usec, FD_ISSET(ends[0], &r));
  SHOW(select(-1, NULL, NULL, NULL, &t));
  SHOW(select(0, NULL, NULL, NULL, &(struct timeval){ -1, 0 }));
  FD_ZERO(&r);
  FD_SET(60, &r);
  SHOW(select(61, &r, NULL, NULL, &t));
  SHOW(select(10, (void *)8, NULL, NULL, &t));
  SHOW(syscall(SYS_select, 0, NULL, NULL, NULL, 8));
  struct timespec ts = { 0, 2000000 };
  SHOW(pselect(0, NULL, NULL, NULL, &ts, NULL));
  ts.tv_nsec = -1;
  SHOW(pselect(0, NULL, NULL, NULL, &ts, NULL));
}

CASE(epollerrnos, "epoll: errnos") {
  struct epoll_event event = { .events = EPOLLIN };
  int e = epoll_create1(0), other = epoll_create1(0), ends[2];
  pipe(ends);
  SHOW(epoll_create(0));
  SHOW(epoll_create1(1));
  SHOW(fcntl(epoll_create1(EPOLL_CLOEXEC), F_GETFD));
  SHOW(epoll_ctl(e, EPOLL_CTL_ADD, 99, &event));
  SHOW(epoll_ctl(99, EPOLL_CTL_ADD, ends[0], &event));
  SHOW(epoll_ctl(ends[0], EPOLL_CTL_ADD, ends[1], &event));
  SHOW(epoll_ctl(e, EPOLL_CTL_ADD, e, &event));
  SHOW(epoll_ctl(e, EPOLL_CTL_ADD, open("f", O_CREAT | O_RDWR, 0600), &event));
  SHOW(epoll_ctl(e, EPOLL_CTL_ADD, open(".", O_RDONLY), &event));
  SHOW(epoll_ctl(e, EPOLL_CTL_ADD, ends[0], (void *)8));
  SHOW(epoll_ctl(e, EPOLL_CTL_ADD, ends[0], &event));
  SHOW(epoll_ctl(e, EPOLL_CTL_ADD, ends[0], &event));
  SHOW(epoll_ctl(e, EPOLL_CTL_MOD, ends[1], &event));
  SHOW(epoll_ctl(e, EPOLL_CTL_DEL, ends[1], NULL));
  SHOW(epoll_ctl(e, 9, ends[0], &event));
  SHOW(epoll_ctl(e, EPOLL_CTL_ADD, other, &event));
  SHOW(epoll_ctl(other, EPOLL_CTL_ADD, e, &event));
  SHOW(epoll_wait(e, &event, 0, 0));
  SHOW(epoll_wait(e, &event, -1, 0));
  SHOW(epoll_wait(99, &event, 1, 0));
  SHOW(epoll_wait(ends[0], &event, 1, 0));
  write(ends[1], "x", 1);
  SHOW(epoll_wait(e, (void *)8, 1, 0));
  SHOW(epoll_wait(e, &event, 1, 0));
  SHOW(epoll_pwait(e, &event, 1, 0, NULL));
  SHOW(syscall(SYS_epoll_pwait, e, &event, 1, 0, &event, 4));
  struct timespec t = { 0, 0 };
  SHOW(syscall(SYS_epoll_pwait2, e, &event, 1, &t, NULL, 8));
  t.tv_nsec = -1;
  SHOW(syscall(SYS_epoll_pwait2, e, &event, 1, &t, NULL, 8));
  SHOW(epoll_ctl(e, EPOLL_CTL_DEL, ends[0], NULL));
}

CASE(epollmodes, "level, edge, one-shot; what closing does") {
  int e = epoll_create1(0), ends[2];
  char byte;
  pipe(ends);
  struct epoll_event event = { .events = EPOLLIN, .data.u64 = 5 }, out[4];
  epoll_ctl(e, EPOLL_CTL_ADD, ends[0], &event);
  write(ends[1], "ab", 2);
  SHOW(epoll_wait(e, out, 4, 0));
  SHOW(epoll_wait(e, out, 4, 0));
  event.events = EPOLLIN | EPOLLET;
  epoll_ctl(e, EPOLL_CTL_MOD, ends[0], &event);
  SHOW(epoll_wait(e, out, 4, 0));
  SHOW(epoll_wait(e, out, 4, 0));
  write(ends[1], "c", 1);
  SHOW(epoll_wait(e, out, 4, 0));
  read(ends[0], &byte, 1);
  SHOW(epoll_wait(e, out, 4, 0));
  event.events = EPOLLIN | EPOLLONESHOT;
  epoll_ctl(e, EPOLL_CTL_MOD, ends[0], &event);
  SHOW(epoll_wait(e, out, 4, 0));
  SHOW(epoll_wait(e, out, 4, 0));
  event.events = EPOLLIN;
  epoll_ctl(e, EPOLL_CTL_MOD, ends[0], &event);
  SHOW(epoll_wait(e, out, 4, 0));
  int copy = dup(ends[0]);
  close(ends[0]);
  SHOW(epoll_wait(e, out, 4, 0));
  close(copy);
  SHOW(epoll_wait(e, out, 4, 0));
}

CASE(eventfd, "eventfd: counters, semaphores, errnos, overflow") {
  unsigned long value = 0;
  int fd = eventfd(3, EFD_NONBLOCK);
  SHOW(read(fd, &value, 8));
  printf("%lu\n", value);
  SHOW(read(fd, &value, 8));
  SHOW(read(fd, &value, 4));
  SHOW(write(fd, &value, 4));
  value = -1UL;
  SHOW(write(fd, &value, 8));
  value = -2UL;
  SHOW(write(fd, &value, 8));
  SHOW(poll_of(fd, POLLIN | POLLOUT));
  value = 1;
  SHOW(write(fd, &value, 8));
  SHOW(read(fd, &value, 8));
  printf("%lx\n", value);
  int sem = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
  SHOW(read(sem, &value, 8));
  SHOW(read(sem, &value, 8));
  SHOW(read(sem, &value, 8));
  SHOW(eventfd(0, 0x10));
  SHOW(lseek(fd, 0, SEEK_SET) >= 0 || errno == ESPIPE);
  SHOW(fcntl(sem, F_GETFD));
}

CASE(eventfdblock, "a reader of an eventfd waits for a writer in another thread") {
  static int fd;
  fd = eventfd(0, 0);
  void *later(void *value) { wait_asleep(getpid()); write(fd, value, 8); return NULL; }
  unsigned long five = 5, got = 0;
  pthread_t thread;
  pthread_create(&thread, NULL, later, &five);
  SHOW(read(fd, &got, 8));
  printf("%lu\n", got);
  pthread_join(thread, NULL);
}

CASE(timerfd, "timerfd: errnos, one shot, intervals, absolute times") {
  unsigned long ticks = 0;
  struct itimerspec t = { .it_value = { 0, 5000000 } }, old;
  int fd = timerfd_create(CLOCK_MONOTONIC, 0);
  SHOW(timerfd_create(99, 0));
  SHOW(timerfd_create(CLOCK_MONOTONIC, 1));
  SHOW(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
  SHOW(timerfd_settime(fd, 0, &t, &old));
  SHOW(read(fd, &ticks, 8));
  printf("%lu %ld\n", ticks, old.it_value.tv_nsec);
  SHOW(timerfd_gettime(fd, &t));
  printf("%ld %ld\n", t.it_value.tv_nsec, t.it_interval.tv_nsec);
  t = (struct itimerspec){ .it_value = { 0, 1 }, .it_interval = { 0, 2000000 } };
  SHOW(timerfd_settime(fd, 0, &t, NULL));
  sleep_ms(30);
  SHOW(poll_of(fd, POLLIN));
  SHOW(read(fd, &ticks, 8));
  SAY(ticks >= 10);
  SHOW(read(fd, &ticks, 4));
  t = (struct itimerspec){ .it_value = { 1, 0 } };
  SHOW(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL));
  SHOW(read(fd, &ticks, 8));
  printf("%lu\n", ticks);
  t.it_value.tv_nsec = 1000000000;
  SHOW(timerfd_settime(fd, 0, &t, NULL));
  SHOW(timerfd_settime(fd, 9, &t, NULL));
  SHOW(timerfd_settime(99, 0, &t, NULL));
  SHOW(timerfd_settime(0, 0, &t, NULL));
  SHOW(timerfd_settime(fd, 0, (void *)8, NULL));
  SHOW(timerfd_gettime(fd, (void *)8));
  SHOW(timerfd_gettime(0, &t));
  int now = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  SHOW(read(now, &ticks, 8));
  t = (struct itimerspec){ 0 };
  SHOW(timerfd_settime(now, 0, &t, NULL));
  SHOW(write(now, &ticks, 8));
}

CASE(socketpair, "socketpair: errnos, streams, packets, datagrams, half closes") {
  int s[2];
  char text[16] = "";
  signal(SIGPIPE, SIG_IGN);
  SHOW(socketpair(AF_UNIX, 99, 0, s));
  SHOW(socketpair(99, SOCK_STREAM, 0, s));
  SHOW(socketpair(AF_UNIX, SOCK_STREAM, 5, s));
  SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)8));
  SHOW(socketpair(AF_INET, SOCK_STREAM, 0, s));
  SHOW(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s));
  SHOW(read(s[0], text, 4));
  SHOW(write(s[1], "abcdef", 6));
  SHOW(recv(s[0], text, 3, MSG_PEEK));
  SHOW(read(s[0], text, 16));
  SHOW(shutdown(s[1], SHUT_WR));
  SHOW(read(s[0], text, 16));
  SHOW(write(s[1], "x", 1));
  SHOW(write(s[0], "y", 1));
  SHOW(shutdown(s[1], 9));
  SHOW(shutdown(0, SHUT_WR));
  SHOW(close(s[1]));
  SHOW(write(s[0], "x", 1));
  SHOW(poll_of(s[0], POLLIN | POLLOUT));
  SHOW(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
  SHOW(send(s[0], "one", 3, 0));
  SHOW(send(s[0], "three", 5, 0));
  SHOW(recv(s[1], text, 2, 0));
  SHOW(recv(s[1], text, 16, MSG_TRUNC));
  SHOW(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
  SHOW(send(s[0], "", 0, 0));
  SHOW(recv(s[1], text, 16, 0));
  SHOW(recv(s[1], text, 16, MSG_DONTWAIT));
  SHOW(send(99, "x", 1, 0));
  SHOW(recv(0, text, 1, 0));
}

CASE(passfd, "SCM_RIGHTS and SCM_CREDENTIALS") {
  int s[2], ends[2], passed = -1;
  socketpair(AF_UNIX, SOCK_STREAM, 0, s);
  pipe(ends);
  char control[64] = "", byte = 'x';
  struct iovec v = { &byte, 1 };
  struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(sizeof(int)) };
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);
  *c = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
  memcpy(CMSG_DATA(c), &ends[1], sizeof(int));
  SHOW(sendmsg(s[0], &m, 0));
  close(ends[1]);
  memset(control, 0, sizeof control);
  m.msg_controllen = sizeof control;
  SHOW(recvmsg(s[1], &m, 0));
  c = CMSG_FIRSTHDR(&m);
  SAY(c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS);
  if (c) memcpy(&passed, CMSG_DATA(c), sizeof(int));
  SHOW(write(passed, "through", 7));
  char text[8] = "";
  SHOW(read(ends[0], text, 7));
  printf("%s\n", text);
  int bad = 99;
  m.msg_controllen = CMSG_SPACE(sizeof(int));
  c = CMSG_FIRSTHDR(&m);
  *c = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
  memcpy(CMSG_DATA(c), &bad, sizeof(int));
  SHOW(sendmsg(s[0], &m, 0));
  struct ucred cred;
  socklen_t length = sizeof cred;
  SHOW(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &cred, &length));
  SAY(cred.pid == getpid() && cred.uid == getuid());
}

CASE(futex, "futex: errnos and simple waits") {
  static int word = 5;
  struct timespec t = { 0, 5000000 }, bad = { 0, -1 };
#define FUTEX(...) SHOW(syscall(SYS_futex, __VA_ARGS__))
  FUTEX(&word, FUTEX_WAIT, 4, NULL, NULL, 0);
  FUTEX(&word, FUTEX_WAIT, 5, &t, NULL, 0);
  FUTEX(&word, FUTEX_WAIT, 5, &bad, NULL, 0);
  FUTEX((char *)&word + 1, FUTEX_WAIT, 5, NULL, NULL, 0);
  FUTEX(8, FUTEX_WAIT, 5, NULL, NULL, 0);
  FUTEX(8, FUTEX_WAKE, 5, NULL, NULL, 0);
  FUTEX(&word, FUTEX_WAKE, 1, NULL, NULL, 0);
  FUTEX(&word, 99, 1, NULL, NULL, 0);
  FUTEX(&word, FUTEX_WAIT_BITSET, 5, NULL, NULL, 0);
  FUTEX(&word, FUTEX_WAKE_BITSET, 5, NULL, NULL, 0);
  FUTEX(&word, FUTEX_WAIT_BITSET, 5, &t, NULL, 1);
  FUTEX(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 5, &t, NULL, -1);
  FUTEX(&word, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 4, NULL, NULL, 0);
  FUTEX(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0);
  FUTEX(&word, FUTEX_CMP_REQUEUE, 1, 1, &word, 4);
  FUTEX(&word, FUTEX_REQUEUE, 1, -1, &word, 0);
  FUTEX(&word, FUTEX_REQUEUE, 1, 1, 8, 0);
  FUTEX(&word, FUTEX_FD, 0, NULL, NULL, 0);
}

CASE(futexwakeop, "FUTEX_WAKE_OP, requeue and bitsets between threads") {
  static int a, b, woken;
  static volatile pid_t tids[4];
  void *wait_on(void *argument) {
    tids[__builtin_ctzl((long)argument)] = gettid();
    syscall(SYS_futex, &a, FUTEX_WAIT_BITSET, 0, NULL, NULL, (long)argument);
    __atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
    return NULL;
  }
  pthread_t threads[4];
  for (long i = 0; i < 4; i++) pthread_create(&threads[i], NULL, wait_on, (void *)(1L << i));
  for (int i = 0; i < 4; i++) {
    while (!tids[i]) sleep_ms(1);
    wait_asleep(tids[i]);
  }
  SHOW(syscall(SYS_futex, &a, FUTEX_WAKE_BITSET, 9, NULL, NULL, 0x6));
  SHOW(syscall(SYS_futex, &a, FUTEX_CMP_REQUEUE, 0, 1L, &b, 0));
  SHOW(syscall(SYS_futex, &a, FUTEX_WAKE, 9, NULL, NULL, 0));
  SHOW(syscall(SYS_futex, &b, FUTEX_WAKE, 9, NULL, NULL, 0));
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  printf("woken %d\n", woken);
  b = 7;
  SHOW(syscall(SYS_futex, &a, FUTEX_WAKE_OP, 1, 1L, &b, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 7)));
  printf("%d\n", b);
  SHOW(syscall(SYS_futex, &a, FUTEX_WAKE_OP, 1, 1L, 8, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 7)));
}

CASE(robust, "robust mutexes: the next owner learns of the death; get_robust_list") {
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
  pthread_mutex_t *mutex = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pthread_mutex_init(mutex, &attr);
  IN_CHILD("owner", pthread_mutex_lock(mutex));
  ERR(pthread_mutex_lock(mutex));
  ERR(pthread_mutex_consistent(mutex));
  ERR(pthread_mutex_unlock(mutex));
  ERR(pthread_mutex_lock(mutex));
  void *head;
  size_t length;
  SHOW(syscall(SYS_get_robust_list, 0, &head, &length));
  printf("%zu\n", length);
  SHOW(syscall(SYS_get_robust_list, 999999, &head, &length));
  SHOW(syscall(SYS_get_robust_list, 0, 8, &length));
  SHOW(syscall(SYS_set_robust_list, head, 8));
  SHOW(syscall(SYS_set_robust_list, head, length));
}

CASE(membarrier, "membarrier and rseq: queries and errnos") {
  SAY(syscall(SYS_membarrier, 0, 0, 0) > 0);
  SHOW(syscall(SYS_membarrier, 0, 1, 0));
  SHOW(syscall(SYS_membarrier, 1 << 20, 0, 0));
  SHOW(syscall(SYS_membarrier, 16, 0, 0));
  SHOW(syscall(SYS_membarrier, 8, 0, 0));
  SHOW(syscall(SYS_rseq, 16, 32, 0, 0x53053053));
}

CASE(unixlisten, "a unix listener: bind, listen, accept, connect, names, errnos") {
  struct sockaddr_un a = { AF_UNIX, "sock" }, got;
  socklen_t length = sizeof got;
  int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  SHOW(listen(l, 5));
  SHOW(accept(l, NULL, NULL));
  SHOW(connect(c, (void *)&a, sizeof a));
  SHOW(bind(l, (void *)&a, 1));
  SHOW(bind(l, (void *)&a, sizeof a));
  SHOW(bind(l, (void *)&a, sizeof a));
  SHOW(bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, sizeof a));
  SHOW(connect(c, (void *)&a, sizeof a));
  SHOW(listen(l, 1));
  SHOW(connect(c, (void *)&a, sizeof a));
  SHOW(connect(c, (void *)&a, sizeof a));
  int s;
  SHOW((s = accept4(l, (void *)&got, &length, SOCK_CLOEXEC)) > 0);
  printf("%d %d\n", got.sun_family, length);
  length = sizeof got;
  SHOW(getpeername(c, (void *)&got, &length));
  printf("%s %d\n", got.sun_path, length);
  length = sizeof got;
  SHOW(getsockname(s, (void *)&got, &length));
  printf("%s\n", got.sun_path);
  SHOW(getpeername(l, (void *)&got, &length));
  SHOW(write(c, "abc", 3));
  char text[4] = "";
  SHOW(read(s, text, 3));
  SHOW(accept4(l, NULL, NULL, 0x99));
  SHOW(fcntl(l, F_SETFL, O_NONBLOCK));
  SHOW(accept(l, NULL, NULL));
  unlink("sock");
  SHOW(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, sizeof a));
  int type = 0;
  length = sizeof type;
  SHOW(getsockopt(c, SOL_SOCKET, SO_TYPE, &type, &length));
  printf("%d\n", type);
  SHOW(getsockopt(c, SOL_SOCKET, 9999, &type, &length));
  SHOW(setsockopt(c, SOL_SOCKET, 9999, &type, 4));
  SHOW(getsockopt(99, SOL_SOCKET, SO_TYPE, &type, &length));
  SHOW(getsockopt(0, SOL_SOCKET, SO_TYPE, &type, &length));
}

CASE(tcp_buffers, "small buffers: a sender that does not block is held back early") {
  int listener = socket(AF_INET, SOCK_STREAM, 0), size = 4096;
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t length = sizeof at;
  SHOW(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &size, sizeof size));
  SHOW(bind(listener, (void *)&at, sizeof at));
  SHOW(listen(listener, 1));
  getsockname(listener, (void *)&at, &length);
  int sender = socket(AF_INET, SOCK_STREAM, 0);
  SHOW(setsockopt(sender, SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
  SHOW(connect(sender, (void *)&at, sizeof at));
  int receiver = accept(listener, NULL, NULL);
  static char big[1 << 18];
  ssize_t sent = send(sender, big, sizeof big, MSG_DONTWAIT);
  SAY(sent > 0 && sent < 150000);
  while (send(sender, big, sizeof big, MSG_DONTWAIT) > 0) ;
  SAY(errno == EAGAIN);
  ssize_t got = 0, n;
  while ((n = recv(receiver, big, sizeof big, MSG_DONTWAIT)) > 0) got += n;
  SAY(got >= sent);
  struct pollfd p = { sender, POLLOUT };
  SHOW(poll(&p, 1, 1000));
}

CASES_MAIN
