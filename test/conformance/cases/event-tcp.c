// TCP and UDP over loopback: binding, connecting, refusing, addresses, half-closing, non-blocking, options, errnos.
#include "case.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

static struct sockaddr_in any_port(void) {
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  return address;
}
static struct sockaddr_in name_of(int fd, int (*get)(int, struct sockaddr *, socklen_t *)) {
  struct sockaddr_in address = { 0 };
  socklen_t length = sizeof address;
  if (get(fd, (struct sockaddr *)&address, &length) < 0) printf("name: %s\n", error_name(errno));
  else printf("length %u family %d host %s port %s\n", length, address.sin_family, inet_ntoa(address.sin_addr), address.sin_port ? "set" : "0");
  return address;
}
static int events(int fd) {
  struct pollfd p = { fd, POLLIN | POLLOUT | POLLRDHUP, 0 };
  poll(&p, 1, 50);
  return p.revents;
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  char block[100];
  int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = any_port(), other;
  printf("fresh %x\n", events(client));
  name_of(client, getsockname);
  name_of(client, getpeername);
  SHOW(send(client, "x", 1, 0));
  SHOW(recv(client, block, 1, 0));
  SHOW(shutdown(client, SHUT_WR));
  SHOW(bind(server, (struct sockaddr *)&address, sizeof address));
  SHOW(bind(server, (struct sockaddr *)&address, sizeof address));
  address = name_of(server, getsockname);
  SHOW(connect(client, (struct sockaddr *)&address, sizeof address));
  close(client);
  client = socket(AF_INET, SOCK_STREAM, 0);
  SHOW(listen(server, 5));
  SHOW(bind(client, (struct sockaddr *)&address, sizeof address));
  SHOW(connect(client, (struct sockaddr *)&address, 8));
  SHOW(connect(client, (struct sockaddr *)&address, sizeof address));
  SHOW(connect(client, (struct sockaddr *)&address, sizeof address));
  socklen_t length = sizeof other;
  int end = accept(server, (struct sockaddr *)&other, &length);
  struct sockaddr_in own = name_of(client, getsockname);
  printf("same port %d\n", own.sin_port == other.sin_port);
  name_of(client, getpeername);
  name_of(end, getsockname);
  SHOW(send(client, "hello", 5, 0));
  SHOW(recv(end, block, 3, MSG_PEEK));
  SHOW(recv(end, block, 100, 0));
  SHOW(recv(end, block, 100, MSG_DONTWAIT));
  SHOW(send(end, "back", 4, MSG_NOSIGNAL));
  SHOW(recv(client, block, 4, MSG_WAITALL));
  SHOW(shutdown(client, SHUT_WR));
  printf("half closed %x\n", events(end));
  SHOW(recv(end, block, 100, 0));
  SHOW(send(end, "more", 4, 0));
  SHOW(recv(client, block, 100, 0));
  SHOW(send(client, "x", 1, 0));
  close(end);
  SHOW(recv(client, block, 100, 0));
  printf("closed %x\n", events(client) & (POLLHUP | POLLRDHUP));
  int value = 1;
  SHOW(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value));
  value = 0;
  length = sizeof value;
  SHOW(getsockopt(client, IPPROTO_TCP, TCP_NODELAY, &value, &length));
  printf("nodelay %d length %u\n", value, length);
  length = 2;
  SHOW(getsockopt(client, SOL_SOCKET, SO_TYPE, &value, &length));
  printf("length %u\n", length);
  SHOW(setsockopt(client, SOL_SOCKET, SO_REUSEADDR, &value, 2));
  SHOW(setsockopt(client, SOL_SOCKET, 9999, &value, 4));
  SHOW(socketpair(AF_INET, SOCK_STREAM, 0, &value));
  SHOW(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
  SHOW(socket(AF_INET, 77, 0));
  SHOW(socket(99, SOCK_STREAM, 0));
  SHOW(socket(AF_INET, SOCK_SEQPACKET, 0));

  int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
  address = any_port();
  SHOW(send(a, "x", 1, 0));
  SHOW(bind(a, (struct sockaddr *)&address, sizeof address));
  address = name_of(a, getsockname);
  SHOW(sendto(b, "datagram", 8, 0, (struct sockaddr *)&address, sizeof address));
  SHOW(sendto(b, "", 0, 0, (struct sockaddr *)&address, sizeof address));
  length = sizeof other;
  SHOW(recvfrom(a, block, 4, 0, (struct sockaddr *)&other, &length));
  printf("from %s length %u\n", inet_ntoa(other.sin_addr), length);
  SHOW(recv(a, block, 100, 0));
  SHOW(connect(b, (struct sockaddr *)&address, sizeof address));
  SHOW(send(b, "again", 5, 0));
  SHOW(recv(a, block, 100, MSG_TRUNC));
  close(a);
  SHOW(send(b, "lost", 4, 0));
  sleep_ms(20);
  SHOW(recv(b, block, 100, MSG_DONTWAIT));
  SHOW(recv(b, block, 100, MSG_DONTWAIT));
  static char big[70000];
  SHOW(send(b, big, sizeof big, 0));
  struct timeval limit = { 0, 30000 };
  SHOW(setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
  SHOW(recv(b, block, 100, 0));
  return 0;
}
