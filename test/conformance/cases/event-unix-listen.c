// AF_UNIX names: bind, listen, connect, accept; lengths of addresses; credentials; datagrams by name; queues; closed ends; errnos.
#include "case.h"
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_un name_of(const char *path) {
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  strcpy(address.sun_path, path);
  return address;
}
static socklen_t length_of(const char *path) { return offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1; }
static int to(int fd, const char *path) {
  struct sockaddr_un address = name_of(path);
  return connect(fd, (struct sockaddr *)&address, length_of(path));
}
static int at(int fd, const char *path) {
  struct sockaddr_un address = name_of(path);
  return bind(fd, (struct sockaddr *)&address, length_of(path));
}
static void show_name(const char *text, int (*get)(int, struct sockaddr *, socklen_t *), int fd) {
  struct sockaddr_un address;
  socklen_t length = sizeof address;
  memset(&address, '?', sizeof address);
  if (get(fd, (struct sockaddr *)&address, &length) < 0) printf("%s: %s\n", text, error_name(errno));
  else printf("%s: %u family %d \"%.*s\"\n", text, length, address.sun_family, length > 2 ? (int)length - 3 : 0, address.sun_path);
}
static int events(int fd) {
  struct pollfd p = { fd, POLLIN | POLLOUT | POLLRDHUP, 0 };
  poll(&p, 1, 0);
  return p.revents;
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  char block[100];
  int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  printf("fresh %x\n", events(client));
  SHOW(to(client, "nobody"));
  SHOW(listen(server, 1));
  SHOW(accept(server, NULL, NULL));
  SHOW(at(server, "name"));
  SHOW(at(server, "other"));
  SHOW(at(client, "name"));
  SHOW(to(client, "name"));
  show_name("server", getsockname, server);
  show_name("unbound", getsockname, client);
  show_name("no peer", getpeername, client);
  SHOW(listen(server, 0));
  SHOW(listen(server, 1));
  printf("listening %x\n", events(server));
  SHOW(to(client, "name"));
  SHOW(to(client, "name"));
  printf("server %x client %x\n", events(server), events(client));
  SHOW(send(client, "early", 5, 0));
  int second = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), third = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  SHOW(to(second, "name"));
  SHOW(to(third, "name"));
  struct sockaddr_un peer;
  socklen_t length = sizeof peer;
  int end = accept4(server, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
  printf("peer length %u flags %d %o\n", length, fcntl(end, F_GETFD), fcntl(end, F_GETFL) & (O_NONBLOCK | O_ACCMODE));
  SHOW(read(end, block, 100));
  SHOW(read(end, block, 100));
  show_name("accepted", getsockname, end);
  show_name("client's peer", getpeername, client);
  struct ucred cred;
  length = sizeof cred;
  SHOW(getsockopt(end, SOL_SOCKET, SO_PEERCRED, &cred, &length));
  printf("own pid %d uid %d gid %d\n", cred.pid == getpid(), cred.uid == getuid(), cred.gid == getgid());
  int value;
  for (int option = 0; option < 4; option++) {
    static const int options[] = { SO_TYPE, SO_DOMAIN, SO_ACCEPTCONN, SO_ERROR };
    length = sizeof value;
    getsockopt(server, SOL_SOCKET, options[option], &value, &length);
    printf("option %d = %d\n", options[option], value);
  }
  close(server);
  printf("never accepted %x\n", events(second));
  SHOW(read(second, block, 100));
  SHOW(read(second, block, 100));
  SHOW(write(second, "x", 1));
  SHOW(to(third, "name"));
  SHOW(unlink("name"));
  SHOW(shutdown(client, SHUT_WR));
  printf("half closed %x %x\n", events(client), events(end));
  SHOW(read(end, block, 100));
  SHOW(write(end, "still", 5));
  SHOW(read(client, block, 100));
  SHOW(write(client, "x", 1));

  int a = socket(AF_UNIX, SOCK_DGRAM, 0), b = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  SHOW(at(a, "dgram"));
  SHOW(to(b, "dgram"));
  SHOW(send(b, "one", 3, 0));
  length = sizeof peer;
  SHOW(recvfrom(a, block, 100, 0, (struct sockaddr *)&peer, &length));
  printf("unnamed sender %u\n", length);
  SHOW(at(b, "sender"));
  SHOW(send(b, "", 0, 0));
  length = sizeof peer;
  SHOW(recvfrom(a, block, 100, 0, (struct sockaddr *)&peer, &length));
  printf("sender %u %s\n", length, peer.sun_path);
  SHOW(sendto(a, "back", 4, 0, (struct sockaddr *)&peer, length));
  SHOW(recv(b, block, 2, MSG_TRUNC));
  int sent = 0;
  while (send(b, "x", 1, 0) == 1) sent++;
  printf("queue %d %s\n", sent, error_name(errno));
  close(a);
  SHOW(send(b, "x", 1, 0));
  SHOW(send(b, "x", 1, 0));
  int stream = socket(AF_UNIX, SOCK_STREAM, 0), packet = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  SHOW(at(stream, "stream"));
  SHOW(listen(stream, 1));
  SHOW(to(packet, "stream"));
  SHOW(to(b, "stream"));
  make_file("plain", "x");
  SHOW(to(packet, "plain"));
  SHOW(at(packet, "plain"));
  SHOW(open("stream", O_RDWR));
  struct stat st;
  SHOW(stat("stream", &st));
  printf("%o\n", st.st_mode);
  struct sockaddr_un abstract = { .sun_family = AF_UNIX, .sun_path = "\0conformance" };
  socklen_t abstract_length = offsetof(struct sockaddr_un, sun_path) + 12;
  int c = socket(AF_UNIX, SOCK_STREAM, 0), d = socket(AF_UNIX, SOCK_STREAM, 0);
  SHOW(bind(c, (struct sockaddr *)&abstract, abstract_length));
  SHOW(bind(d, (struct sockaddr *)&abstract, abstract_length));
  SHOW(connect(d, (struct sockaddr *)&abstract, abstract_length - 1));
  SHOW(listen(c, 1));
  SHOW(connect(d, (struct sockaddr *)&abstract, abstract_length));
  int e = socket(AF_UNIX, SOCK_STREAM, 0);
  SHOW(bind(e, (struct sockaddr *)&abstract, sizeof(sa_family_t)));
  length = sizeof peer;
  SHOW(getsockname(e, (struct sockaddr *)&peer, &length));
  printf("autobind %u\n", length);
  SHOW(bind(e, (struct sockaddr *)&abstract, 200));
  abstract.sun_family = AF_INET;
  SHOW(connect(e, (struct sockaddr *)&abstract, abstract_length));
  return 0;
}
