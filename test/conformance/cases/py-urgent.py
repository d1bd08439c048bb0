# TCP's urgent byte (MSG_OOB, SO_OOBINLINE, SIOCATMARK, POLLPRI) and connections that end with a reset (SO_LINGER with 0).
import errno
import fcntl
import select
import socket
import struct


def pair():
    server = socket.create_server(("127.0.0.1", 0))
    a = socket.create_connection(server.getsockname())
    b, _ = server.accept()
    server.close()
    for one in a, b:
        one.settimeout(None)
    return a, b


def tried(what, call, *args):
    try:
        print(what, call(*args))
    except OSError as error:
        print(what, errno.errorcode.get(error.errno, error))


def events(sock, wanted=select.POLLIN | select.POLLPRI | select.POLLRDHUP | select.POLLERR | select.POLLHUP):
    poll = select.poll()
    poll.register(sock, wanted)
    return [format(mask, "x") for _, mask in poll.poll(200)]


def at_mark(sock):
    return struct.unpack("i", fcntl.ioctl(sock, 0x8905, b"\0\0\0\0"))[0]


a, b = pair()
tried("nothing urgent", b.recv, 1, socket.MSG_OOB)
print(a.send(b"abcU", socket.MSG_OOB), events(b), at_mark(b))
a.send(b"def")
tried("peek", b.recv, 5, socket.MSG_OOB | socket.MSG_PEEK)
tried("up to the mark", b.recv, 100)
print(at_mark(b), events(b))
tried("urgent", b.recv, 5, socket.MSG_OOB)
tried("once", b.recv, 5, socket.MSG_OOB)
print(events(b))
tried("rest", b.recv, 100)
print(at_mark(b))
a.send(b"V", socket.MSG_OOB)
print("only urgent", events(b), at_mark(b))
b.setblocking(False)
tried("read", b.recv, 10)
tried("urgent", b.recv, 10, socket.MSG_OOB)
b.setblocking(True)
b.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
a.send(b"xyW", socket.MSG_OOB)
print("inline", events(b))
tried("not apart", b.recv, 1, socket.MSG_OOB)
tried("before", b.recv, 100)
print(at_mark(b))
tried("with it", b.recv, 100)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
tried("udp", udp.sendto, b"x", socket.MSG_OOB, ("127.0.0.1", 9))

a, b = pair()
a.send(b"before")
a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
a.close()
print("reset", events(b))
tried("peer name", b.getpeername)
tried("data", b.recv, 100)
tried("then", b.recv, 100)
tried("then", b.recv, 100)
try:
    b.send(b"x")
except OSError as error:
    print("send", errno.errorcode.get(error.errno, error))

a, b = pair()
b.send(b"unread")
events(a)
a.close()
print("closed with unread data", events(b))
tried("peer name", b.getpeername)
tried("read", b.recv, 100)
