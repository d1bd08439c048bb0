# Internet sockets in detail: connects that do not wait, who may share a port, both families, packet headers as control messages,
# and the loopback interface as rtnetlink and netdevice ioctls show it.
import errno
import fcntl
import select
import socket
import struct


def tried(what, call, *args):
    try:
        result = call(*args)
        print(what, "ok", *([result] if isinstance(result, (int, bytes, str, tuple, list)) else []))
        return result
    except OSError as error:
        print(what, errno.errorcode.get(error.errno, error))


def tcp(family=socket.AF_INET, blocking=True):
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setblocking(blocking)
    return made


def events(sock):
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLOUT | select.POLLRDHUP)
    return [format(mask, "x") for _, mask in poll.poll(1000)]


# A connect that does not wait is in progress, even over loopback.
server = tcp()
server.bind(("127.0.0.1", 0))
port = server.getsockname()[1]
refused = tcp(blocking=False)
print("refused", errno.errorcode[refused.connect_ex(("127.0.0.1", port))], events(refused))
print("then", errno.errorcode[refused.connect_ex(("127.0.0.1", port))])
refused = tcp(blocking=False)
refused.connect_ex(("127.0.0.1", port))
events(refused)
print("SO_ERROR", errno.errorcode[refused.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)], events(refused))
print("then", [errno.errorcode[refused.connect_ex(("127.0.0.1", port))] for _ in range(2)])
server.listen()
client = tcp(blocking=False)
print("accepted", errno.errorcode[client.connect_ex(("127.0.0.1", port))], events(client))
print("again", client.connect_ex(("127.0.0.1", port)), errno.errorcode[client.connect_ex(("127.0.0.1", port))])

# Ports.
tried("same port", tcp().bind, ("127.0.0.1", port))
tried("any address", tcp().bind, ("0.0.0.0", port))
other = tcp()
tried("other address", other.bind, ("127.0.0.2", port))
six = tcp(socket.AF_INET6)
tried("v6 any", six.bind, ("::", port))
six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
tried("v6 only", six.bind, ("::", port))
tried("connect v6", tcp(socket.AF_INET6).connect, ("::1", port))
a, b = tcp(), tcp()
for one in a, b:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
a.bind(("127.0.0.1", 0))
tried("reuse", b.bind, a.getsockname())
tried("listen", a.listen)
tried("listen too", b.listen)
dual = tcp(socket.AF_INET6)
dual.bind(("::", 0))
dual.listen()
client = tcp()
client.connect(("127.0.0.1", dual.getsockname()[1]))
accepted, address = dual.accept()
print("mapped", address[0], accepted.getsockname()[0], client.getpeername()[0])

# UDP: only the connected peer is heard.
server, peer, stranger = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3))
for one in server, peer, stranger:
    one.bind(("127.0.0.1", 0))
    one.settimeout(1)
server.connect(peer.getsockname())
stranger.sendto(b"stranger", server.getsockname())
peer.sendto(b"peer", server.getsockname())
print(server.recv(100))

# Hop limit and traffic class.
for family, level, hops, tclass in ((socket.AF_INET, socket.IPPROTO_IP, socket.IP_TTL, socket.IP_TOS),
                                    (socket.AF_INET6, socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT, socket.IPV6_TCLASS)):
    receiver, sender = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
    receiver.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
    receiver.settimeout(1)
    wanted = (12, 13) if family == socket.AF_INET else (socket.IPV6_RECVHOPLIMIT, socket.IPV6_RECVTCLASS)
    for option in wanted:
        receiver.setsockopt(level, option, 1)
    items = [(level, hops, struct.pack("i", 17)), (level, tclass, struct.pack("i", 8))]
    for control in [], items[:1], items:
        sender.sendmsg([b"x"], control, 0, receiver.getsockname())
        print(receiver.recvmsg(10, 200)[:3])
    for room in 0, 12, 16, 18, 20, 24, 34, 40, 48:
        sender.sendmsg([b"x"], items, 0, receiver.getsockname())
        data, control, flags, _ = receiver.recvmsg(10, room)
        print(room, control, flags & socket.MSG_CTRUNC)
    tried("bad length", sender.sendmsg, [b"x"], [(level, hops, b"xy")], 0, receiver.getsockname())
    tried("bad value", sender.sendmsg, [b"x"], [(level, hops, struct.pack("i", 300))], 0, receiver.getsockname())

# The interface.
print([pair for pair in socket.if_nameindex() if pair[1] == "lo"], socket.if_nametoindex("lo"), socket.if_indextoname(1))
tried("no such name", socket.if_nametoindex, "offshoot0")
probe = tcp()
for command in 0x8913, 0x8915, 0x891B, 0x8921, 0x8927, 0x8933, 0x8942:
    answer = fcntl.ioctl(probe, command, struct.pack("40s", b"lo"))
    print(hex(command), answer[:16].rstrip(b"\0"), answer[16:32])
tried("ioctl", fcntl.ioctl, probe, 0x8913, struct.pack("40s", b"offshoot0"))
route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
route.bind((0, 0))
route.settimeout(2)
route.send(struct.pack("IHHIIB3x", 20, 22, 0x301, 7, 0, socket.AF_INET))
answer = route.recv(65536)
length, kind, flags, sequence, _ = struct.unpack_from("IHHII", answer)
print("address", kind, flags & 2, sequence, struct.unpack_from("BBBBI", answer, 16), b"\x08\0\x01\0\x7f\0\0\x01" in answer)
route.send(struct.pack("IHHIIB3x", 20, 24, 1, 8, 0, socket.AF_INET))
print("change", struct.unpack_from("IHHII", route.recv(65536))[1:4])
