// Pseudo-terminals: opening, line editing, raw reads, signals, job control, windows, packet mode, hang-ups.
#include "case.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

static int master, slave;
static char slave_name[64];

static void open_pair(int flags) {
  master = posix_openpt(O_RDWR | O_NOCTTY);
  grantpt(master);
  unlockpt(master);
  strcpy(slave_name, ptsname(master));
  slave = open(slave_name, O_RDWR | flags);
}

/* What can be read within 100 ms. */
static void show_read(const char *what, int fd) {
  char text[300];
  struct pollfd p = { fd, POLLIN };
  int length = poll(&p, 1, 100) > 0 ? read(fd, text, sizeof text) : -2;
  printf("%s: %d", what, length);
  if (length == -1) printf(" %s", error_name(errno));
  for (int i = 0; i < length; i++) printf(text[i] >= 32 && text[i] < 127 ? (i ? "%c" : " %c") : " \\%02x", (unsigned char)text[i]);
  printf("\n");
}

/* Linux looks at what is typed a little later. */
static void type(const char *text) {
  if (write(master, text, strlen(text)) != (ssize_t)strlen(text)) printf("write: %s\n", error_name(errno));
  sleep_ms(20);
}

static void set(int clear, int add) {
  struct termios t;
  tcgetattr(slave, &t);
  t.c_lflag = (t.c_lflag & ~clear) | add;
  tcsetattr(slave, TCSANOW, &t);
}

static void raw(int min, int time) {
  struct termios t;
  tcgetattr(slave, &t);
  cfmakeraw(&t);
  t.c_cc[VMIN] = min; t.c_cc[VTIME] = time;
  tcsetattr(slave, TCSANOW, &t);
}

CASE(open, "the two ends: names, locks, numbers, what a new one is set to") {
  master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
  SAY(master >= 0);
  unsigned number = 99;
  SHOW(ioctl(master, TIOCGPTN, &number));
  char name[64];
  sprintf(name, "/dev/pts/%u", number);
  SAY(strcmp(name, ptsname(master)) == 0);
  int locked = 0;
  SHOW(ioctl(master, TIOCGPTLCK, &locked));
  printf("locked %d\n", locked);
  SHOW(open(name, O_RDWR | O_NOCTTY));
  SHOW(grantpt(master));
  SHOW(unlockpt(master));
  slave = open(name, O_RDWR | O_NOCTTY);
  SAY(slave >= 0);
  struct stat st;
  SHOW(fstat(slave, &st));
  printf("%o %d %d\n", st.st_mode & ~020, (int)(st.st_rdev >> 8), st.st_uid == getuid());
  SAY(isatty(slave) && isatty(master));
  char link[64] = "";
  sprintf(link, "/proc/self/fd/%d", slave);
  char target[64] = "";
  readlink(link, target, 63);
  SAY(strcmp(target, name) == 0);
  struct termios t;
  SHOW(tcgetattr(slave, &t));
  printf("%o %o %o %o %d\n", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag, t.c_line);
  for (int i = 0; i < 17; i++) printf("%d ", t.c_cc[i]);
  printf("\n");
  SAY(cfgetospeed(&t) == B38400);
  struct winsize w = { 9, 9, 9, 9 };
  SHOW(ioctl(slave, TIOCGWINSZ, &w));
  printf("%d %d\n", w.ws_row, w.ws_col);
  w = (struct winsize){ 24, 80, 1, 2 };
  SHOW(ioctl(master, TIOCSWINSZ, &w));
  w.ws_col = 0;
  SHOW(ioctl(slave, TIOCGWINSZ, &w));
  printf("%d %d\n", w.ws_row, w.ws_col);
  SHOW(open("/dev/tty", O_RDWR));
  SHOW(ioctl(slave, TIOCGPGRP, &locked));
  SHOW(ioctl(slave, TIOCGSID, &locked));
  SHOW(lseek(slave, 0, SEEK_SET));
  SHOW(ioctl(slave, TIOCGPTN, &number));
  SHOW(ioctl(slave, 0x54ff, 0));
  SHOW(close(master));
  SHOW(open(name, O_RDWR | O_NOCTTY));
}

CASE(lines, "canonical mode: lines, echo, ends of file, pieces of a line") {
  open_pair(O_NOCTTY);
  type("hello");
  int n = 9;
  SHOW(ioctl(slave, FIONREAD, &n));
  printf("%d\n", n);
  show_read("before the newline", slave);
  type("\nsecond line\n");
  SHOW(ioctl(slave, FIONREAD, &n));
  printf("%d\n", n);
  show_read("line", slave);
  char text[7] = "";
  SHOW(read(slave, text, 6));
  printf("%s\n", text);
  show_read("rest", slave);
  show_read("echo", master);
  type("abc\004");
  show_read("without newline", slave);
  type("\004");
  show_read("end of file", slave);
  show_read("echo", master);
  SHOW(write(slave, "a\nb\tc\r", 6));
  show_read("output", master);
  type("cr\rx\n");
  show_read("cr", slave);
  show_read("x", slave);
  show_read("echo", master);
  set(ECHO, 0);
  type("secret\n");
  show_read("secret", slave);
  show_read("echo", master);
  set(0, ECHONL);
  type("s\n");
  show_read("s", slave);
  show_read("echo", master);
}

CASE(editing, "canonical mode: erase, kill, words, literal next, control characters") {
  open_pair(O_NOCTTY);
  type("ab\177c\n");
  show_read("erased", slave); show_read("echo", master);
  type("\177\177x\n");
  show_read("erased too much", slave); show_read("echo", master);
  type("one two  \027three\n");
  show_read("word", slave); show_read("echo", master);
  type("gone\025kept\n");
  show_read("kill", slave); show_read("echo", master);
  type("a\026\003b\n");
  show_read("literal", slave); show_read("echo", master);
  type("a\001b\177\177c\n");
  show_read("control", slave); show_read("echo", master);
  type("a\tb\177\177c\n");
  show_read("tab", slave); show_read("echo", master);
  type("xy\022z\n");
  show_read("reprint", slave); show_read("echo", master);
  struct termios t;
  tcgetattr(slave, &t);
  t.c_iflag |= IUTF8;
  tcsetattr(slave, TCSANOW, &t);
  type("\303\251\303\251\177\n");
  show_read("utf-8", slave); show_read("echo", master);
}

CASE(raw_reads, "raw mode: MIN and TIME, bytes as they are") {
  open_pair(O_NOCTTY);
  raw(1, 0);
  type("a\003\r\n\004");
  show_read("bytes", slave);
  show_read("no echo", master);
  SHOW(write(slave, "x\ny", 3));
  show_read("output", master);
  raw(0, 0);
  char text[10];
  SHOW(read(slave, text, 10));
  type("q");
  SHOW(read(slave, text, 10));
  raw(0, 1);
  SHOW(read(slave, text, 10));
  raw(3, 0);
  type("12");
  struct pollfd p = { slave, POLLIN };
  SHOW(poll(&p, 1, 50));
  type("34");
  SHOW(poll(&p, 1, 1000));
  SHOW(read(slave, text, 10));
  raw(5, 1);
  type("abc");
  SHOW(read(slave, text, 10));
  fcntl(slave, F_SETFL, O_NONBLOCK);
  raw(1, 0);
  SHOW(read(slave, text, 10));
  fcntl(master, F_SETFL, O_NONBLOCK);
  SHOW(read(master, text, 10));
}

CASE(modes, "from canonical to raw and back with bytes typed before; flushes, stops") {
  open_pair(O_NOCTTY);
  set(ECHO, 0);
  type("half");
  raw(1, 0);
  show_read("half", slave);
  type("whole");
  set(0, ICANON);
  show_read("whole", slave);
  raw(1, 0);
  type("lost");
  SHOW(tcflush(slave, TCIFLUSH));
  SHOW(tcflush(slave, 9));
  SHOW(tcflow(slave, 9));
  show_read("flushed", slave);
  set(0, ICANON);
  SHOW(tcflow(slave, TCOOFF));
  fcntl(slave, F_SETFL, O_NONBLOCK);
  SHOW(write(slave, "no", 2));
  SHOW(tcflow(slave, TCOON));
  SHOW(write(slave, "yes", 3));
  show_read("output", master);
  SHOW(tcdrain(slave));
  struct termios t;
  tcgetattr(slave, &t);
  t.c_iflag |= IXON;
  tcsetattr(slave, TCSANOW, &t);
  type("\023");
  SHOW(write(slave, "no", 2));
  type("\021");
  SHOW(write(slave, "yes", 3));
  show_read("output", master);
}

static volatile sig_atomic_t got[65];
static void note(int signo) { got[signo]++; }

CASE(controlling, "a session's terminal: opened, asked for, given up; keys that are signals") {
  open_pair(O_NOCTTY);
  int status;
  pid_t pid = fork();
  if (pid == 0) {
    int group = 0;
    SHOW(ioctl(slave, TIOCSCTTY, 0));
    SAY(setsid() == getpid());
    SHOW(open("/dev/tty", O_RDWR));
    SHOW(ioctl(slave, TIOCSCTTY, 0));
    SHOW(ioctl(slave, TIOCSCTTY, 0));
    SAY(tcgetpgrp(slave) == getpid() && tcgetsid(slave) == getpid());
    SHOW(ioctl(master, TIOCGPGRP, &group));
    SAY(group == getpid());
    int tty = open("/dev/tty", O_RDWR);
    SAY(tty >= 0);
    signal(SIGINT, note); signal(SIGQUIT, note); signal(SIGTSTP, note); signal(SIGWINCH, note); signal(SIGHUP, note);
    type("x\003");
    SAY(got[SIGINT] == 1);
    type("\034\032");
    SAY(got[SIGQUIT] == 1 && got[SIGTSTP] == 1);
    show_read("echo", master);
    struct winsize w = { 10, 20 };
    SHOW(ioctl(master, TIOCSWINSZ, &w));
    SHOW(ioctl(master, TIOCSWINSZ, &w));
    SAY(got[SIGWINCH] == 1);
    SHOW(tcsetpgrp(tty, 99999));
    SHOW(tcsetpgrp(tty, -1));
    SHOW(tcsetpgrp(tty, getppid()));
    char stat[512], wanted[64];
    int fd = open("/proc/self/stat", O_RDONLY);
    stat[read(fd, stat, sizeof stat - 1)] = 0;
    struct stat st;
    fstat(slave, &st);
    sprintf(wanted, " %d %d %d %d", getpid(), getpid(), (int)st.st_rdev, getpid());
    SAY(strstr(stat, wanted) != NULL);
    SHOW(ioctl(tty, TIOCNOTTY));
    SAY(got[SIGHUP] == 1);
    SHOW(open("/dev/tty", O_RDWR));
    SHOW(ioctl(slave, TIOCGPGRP, &group));
    int again = open(slave_name, O_RDWR);
    SAY(tcgetpgrp(again) == getpid());
    _exit(0);
  }
  waitpid(pid, &status, 0);
  show_status("leader", status);
}

CASE(background, "reading and writing from the background, changing the terminal, orphans") {
  open_pair(O_NOCTTY);
  int status;
  pid_t leader = fork();
  if (leader == 0) {
    setsid();
    ioctl(slave, TIOCSCTTY, 0);
    pid_t pid = fork();
    if (pid == 0) {
      setpgid(0, 0);
      char c;
      read(slave, &c, 1);
      printf("read %c\n", c);
      signal(SIGTTIN, SIG_IGN);
      _exit(5);
    }
    setpgid(pid, pid);
    waitpid(pid, &status, WUNTRACED);
    show_status("reader", status);
    SHOW(tcsetpgrp(slave, pid));
    type("y\n");
    kill(-pid, SIGCONT);
    waitpid(pid, &status, 0);
    show_status("reader", status);
    signal(SIGTTOU, SIG_IGN);
    SHOW(tcsetpgrp(slave, getpid()));
    signal(SIGTTOU, SIG_DFL);
    pid = fork();
    if (pid == 0) {
      char c;
      setpgid(0, 0);
      write(slave, "w", 1);
      signal(SIGTTIN, SIG_IGN);
      SHOW(read(slave, &c, 1));
      set(0, TOSTOP);
      _exit(6);
    }
    setpgid(pid, pid);
    waitpid(pid, &status, WUNTRACED);
    show_status("changer", status);
    kill(-pid, SIGKILL);
    waitpid(pid, &status, 0);
    for (int waiting = 0; waiting < 4;) ioctl(master, FIONREAD, &waiting); // on Linux output arrives at the master a moment later
    show_read("written from the background", master);
    set(0, TOSTOP);
    pid = fork();
    if (pid == 0) { setpgid(0, 0); write(slave, "w", 1); _exit(7); }
    setpgid(pid, pid);
    waitpid(pid, &status, WUNTRACED);
    show_status("writer", status);
    kill(-pid, SIGKILL);
    _exit(0);
  }
  waitpid(leader, &status, 0);
  show_status("leader", status);
}

CASE(hangup, "ends that are closed: EIO, end of file, SIGHUP to the session") {
  open_pair(O_NOCTTY);
  struct pollfd p = { master, POLLIN };
  write(slave, "last", 4);
  close(slave);
  show_read("what was written", master);
  show_read("nobody there", master);
  SHOW(poll(&p, 1, 0));
  SAY(p.revents & POLLHUP);
  slave = open(slave_name, O_RDWR | O_NOCTTY);
  SHOW(poll(&p, 1, 0));
  int status;
  pid_t leader = fork();
  if (leader == 0) {
    close(master);
    setsid();
    ioctl(slave, TIOCSCTTY, 0);
    signal(SIGHUP, note);
    char c;
    while (!got[SIGHUP]) pause();
    SHOW(read(slave, &c, 1));
    SHOW(write(slave, "x", 1));
    struct termios t;
    SHOW(tcgetattr(slave, &t));
    SHOW(open("/dev/tty", O_RDWR));
    struct pollfd q = { slave, POLLIN | POLLOUT };
    SHOW(poll(&q, 1, 0));
    SAY((q.revents & (POLLIN | POLLHUP | POLLERR)) == (POLLIN | POLLHUP | POLLERR));
    _exit(0);
  }
  sleep_ms(50);
  wait_asleep(leader);
  close(slave);
  close(master);
  waitpid(leader, &status, 0);
  show_status("leader", status);
}

CASE(leader, "the leader's end hangs up the foreground; stopped orphans are continued") {
  open_pair(O_NOCTTY);
  int status, told[2];
  pipe(told);
  pid_t leader = fork();
  if (leader == 0) {
    setsid();
    ioctl(slave, TIOCSCTTY, 0);
    pid_t pid = fork();
    if (pid == 0) {
      setpgid(0, 0);
      signal(SIGHUP, note); signal(SIGCONT, note);
      write(told[1], "r", 1);
      raise(SIGSTOP);
      while (!got[SIGHUP] || !got[SIGCONT]) sleep_ms(1);
      write(told[1], "h", 1);
      _exit(0);
    }
    setpgid(pid, pid);
    waitpid(pid, &status, WUNTRACED);
    show_status("job", status);
    _exit(0);
  }
  waitpid(leader, &status, 0);
  show_status("leader", status);
  char text[3] = "";
  read(told[0], text, 1);
  read(told[0], text + 1, 1);
  printf("%s\n", text);
}

CASE(packet, "packet mode, and the peer opened without its name") {
  master = posix_openpt(O_RDWR | O_NOCTTY);
  unlockpt(master);
  int one = 1;
  SHOW(ioctl(master, TIOCPKT, &one));
  slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  SAY(slave >= 0 && fcntl(slave, F_GETFD) == FD_CLOEXEC);
  write(slave, "data", 4);
  show_read("data", master);
  tcflow(slave, TCOOFF);
  show_read("stop", master);
  tcflow(slave, TCOON);
  show_read("start", master);
  tcflush(slave, TCIOFLUSH);
  show_read("flush", master);
}

CASE(flow, "more than fits: writers wait for readers") {
  open_pair(O_NOCTTY);
  raw(1, 0);
  int status, total = 0;
  pid_t pid = fork();
  if (pid == 0) {
    static char big[100000];
    memset(big, 'b', sizeof big);
    _exit(write(slave, big, sizeof big) == sizeof big ? 0 : 1);
  }
  char text[4096];
  while (total < 100000) {
    int n = read(master, text, sizeof text);
    if (n <= 0) break;
    total += n;
  }
  printf("%d\n", total);
  waitpid(pid, &status, 0);
  show_status("writer", status);
  pid = fork();
  if (pid == 0) {
    static char big[20000];
    memset(big, 'c', sizeof big);
    _exit(write(master, big, sizeof big) == sizeof big ? 0 : 1);
  }
  for (total = 0; total < 20000;) {
    int n = read(slave, text, sizeof text);
    if (n <= 0) break;
    total += n;
  }
  printf("%d\n", total);
  waitpid(pid, &status, 0);
  show_status("writer", status);
}

CASES_MAIN
