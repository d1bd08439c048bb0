// The socket calls: socket(2), socketpair(2), bind(2), listen(2), accept(2), connect(2), shutdown(2), getsockname(2),
// getsockopt(2). What moves data is in sockmsg.ts.
//
// There is no network: internet sockets exist, so that programs fail where they would on a machine whose cable is out (connect
// to a host: ENETUNREACH; names: "Temporary failure in name resolution"), and talk to each other over loopback.

import {
  EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EBADF, ECONNREFUSED, EEXIST, EFAULT, EINVAL, ENETUNREACH, ENFILE, ENOTCONN, ENOTSOCK,
  EOPNOTSUPP, EPERM, EPROTONOSUPPORT, EPROTOTYPE, ESOCKTNOSUPPORT,
} from '../../abi/linux/errno.ts';
import { NETLINK_ROUTE } from '../../abi/linux/netlink.ts';
import {
  AF_INET, AF_INET6, AF_MAX, AF_NETLINK, AF_UNIX, AF_UNSPEC, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, SHUT_RD, SHUT_RDWR, SHUT_WR, SOCK_CLOEXEC, SOCK_DGRAM,
  SOCK_NONBLOCK, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM, SOCK_TYPE_MASK,
} from '../../abi/linux/socket.ts';
import { makeNode } from '../fs/namei.ts';
import { lookupAt } from '../fs/path.ts';
import { MAY_WRITE, permission } from '../fs/perm.ts';
import { SOCKETS_MAX } from '../ipc/budget.ts';
import { SocketFile } from '../ipc/socket.ts';
import { ucredOf } from '../ipc/socketio.ts';
import { anyAddress, concrete, encodeAddress, isLoopback, parseAddress } from '../ipc/socketname.ts';
import type { SocketAddress } from '../ipc/socketname.ts';
import { SocketNames } from '../ipc/socketnames.ts';
import type { Task } from '../process/task.ts';
import type { Wait } from '../wait.ts';
import { FD, FLAGS, FULL, INT, OUT_BUF, PARTIAL, STRUCT, UINT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const O_NONBLOCK = 0o4000, S_IFSOCK = 0o140000, AT_FDCWD = -100;
/** sizeof(struct sockaddr_storage). */
const SOCKADDR_MAX = 128;

/** The socket behind a descriptor, or -EBADF / -ENOTSOCK. */
export function socketOf(task: Task, fd: number): SocketFile | number {
  const file = task.process.files.get(fd);
  if (!file) return -EBADF;
  return file instanceof SocketFile ? file : -ENOTSOCK;
}

/** 0 when such a socket can be made. */
function checkKind(task: Task, domain: number, type: number, protocol: number): number {
  if (domain < 0 || domain >= AF_MAX) return -EAFNOSUPPORT;
  if (type > 10) return -EINVAL;
  if (domain === AF_UNIX) {
    if (protocol !== 0 && protocol !== AF_UNIX) return -EPROTONOSUPPORT;
    return [SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET].includes(type) ? 0 : -ESOCKTNOSUPPORT;
  }
  if (domain === AF_NETLINK) {
    if (type !== SOCK_RAW && type !== SOCK_DGRAM) return -ESOCKTNOSUPPORT;
    return protocol === NETLINK_ROUTE ? 0 : -EPROTONOSUPPORT;
  }
  if (domain !== AF_INET && domain !== AF_INET6) {
    task.kernel.count(`socket family ${domain}`);
    return -EAFNOSUPPORT;
  }
  if (type === SOCK_RAW) return -EPERM;
  if (type === SOCK_STREAM) return protocol === 0 || protocol === IPPROTO_TCP ? 0 : -EPROTONOSUPPORT;
  if (type === SOCK_DGRAM) return [0, IPPROTO_UDP, IPPROTO_UDPLITE].includes(protocol) ? 0 : -EPROTONOSUPPORT;
  return -ESOCKTNOSUPPORT;
}

function newSocket(task: Task, domain: number, rawType: number, protocol: number): SocketFile | number {
  const type = rawType & SOCK_TYPE_MASK;
  if ((rawType & ~(SOCK_TYPE_MASK | SOCK_NONBLOCK | SOCK_CLOEXEC)) !== 0) return -EINVAL;
  const refused = checkKind(task, domain, type, protocol);
  if (refused < 0) return refused;
  if (task.kernel.ipc.sockets >= SOCKETS_MAX) return -ENFILE;
  // A raw unix socket is a datagram one; the protocol of an internet socket is implied by its type.
  const isInternet = domain === AF_INET || domain === AF_INET6;
  const kind = domain === AF_UNIX && type === SOCK_RAW ? SOCK_DGRAM : type;
  const implied = !isInternet || protocol !== 0 ? protocol : kind === SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
  return new SocketFile(task.kernel, domain, kind, implied, rawType & SOCK_NONBLOCK);
}

/** Gives a file its descriptor; drops it when there is none. */
export function installFile(task: Task, file: SocketFile, flags: number): number {
  const fd = task.process.files.install(file, 0, (flags & SOCK_CLOEXEC) !== 0);
  if (fd < 0) file.unref();
  return fd;
}

function socket(task: Task, domain: number, type: number, protocol: number): number {
  const made = newSocket(task, domain, type, protocol);
  return typeof made === 'number' ? made : installFile(task, made, type);
}

function socketpair(task: Task, domain: number, type: number, protocol: number, out: number): number {
  if (domain !== AF_UNIX && domain < AF_MAX && domain >= 0) return -EOPNOTSUPP;
  const a = newSocket(task, domain, type, protocol);
  if (typeof a === 'number') return a;
  const b = newSocket(task, domain, type, protocol);
  if (typeof b === 'number') {
    a.unref();
    return b;
  }
  SocketFile.join(a, b, ucredOf(task), ucredOf(task));
  const { files, mm } = task.process;
  const fdA = installFile(task, a, type);
  if (fdA < 0) {
    b.unref();
    return fdA;
  }
  const fdB = installFile(task, b, type);
  if (fdB >= 0 && mm.writeU32(out, fdA) === 0 && mm.writeU32(out + 4, fdB) === 0) return 0;
  if (fdB >= 0) files.close(fdB);
  files.close(fdA);
  return fdB < 0 ? fdB : -EFAULT;
}

/** Reads the sockaddr a call was given. */
export function readAddress(task: Task, gva: number, length: number, domain: number): SocketAddress | number {
  if (length > SOCKADDR_MAX || length < 0) return -EINVAL;
  const bytes = task.process.mm.readBytes(gva, length);
  return typeof bytes === 'number' ? -EFAULT : parseAddress(bytes, domain);
}

/** Writes an address as accept, getsockname and recvfrom do: cut to the room at `lengthAt`, which gets the full length. */
export function writeAddress(task: Task, gva: number, lengthAt: number, address: SocketAddress | null): number {
  if (gva === 0) return 0;
  const { mm } = task.process;
  const room = mm.readU32(lengthAt);
  if (room < 0) return -EFAULT;
  if ((room | 0) < 0) return -EINVAL;
  const bytes = address ? encodeAddress(address) : new Uint8Array(0);
  if (mm.copyOut(gva, bytes.subarray(0, Math.min(room, bytes.length))) < 0) return -EFAULT;
  return mm.writeU32(lengthAt, bytes.length);
}

function bind(task: Task, fd: number, gva: number, length: number): number {
  const file = socketOf(task, fd);
  if (typeof file === 'number') return file;
  const address = readAddress(task, gva, length, file.domain);
  if (typeof address === 'number') return address;
  if (address.family === AF_NETLINK) return bindNetlink(task, file, address.port, address.groups);
  if (address.family !== AF_UNIX) return bindPort(task, file, address);
  if (address.path === '') return autobind(task, file);
  if (address.path.startsWith('\0')) return file.bindTo(SocketNames.abstractKey(address.path), address);
  if (file.key !== '') return typeof lookupAt(task, AT_FDCWD, address.path, 0x100 /* AT_SYMLINK_NOFOLLOW */) === 'number' ? -EINVAL : -EADDRINUSE;
  const made = makeNode(task, AT_FDCWD, address.path, S_IFSOCK | 0o777, 0);
  if (typeof made === 'number') return made === -EEXIST ? -EADDRINUSE : made;
  return file.bindTo(SocketNames.inodeKey(made.inode.dev, made.inode.ino), address);
}

/** unix(7), autobind: an abstract name of five hexadecimal digits. */
export function autobind(task: Task, file: SocketFile): number {
  if (file.key !== '') return file.domain === AF_UNIX ? -EINVAL : 0;
  if (file.domain === AF_NETLINK) return bindNetlink(task, file, 0, 0);
  if (file.domain !== AF_UNIX) return bindPort(task, file, anyAddress(file.domain));
  const start = randomU32(task);
  for (let i = 0; i < 0x10_0000; i++) {
    const path = `\0${((start + i) & 0xf_ffff).toString(16).padStart(5, '0')}`;
    if (file.bindTo(SocketNames.abstractKey(path), { family: AF_UNIX, path }) === 0) return 0;
  }
  return -EADDRINUSE;
}

function bindPort(task: Task, file: SocketFile, address: SocketAddress): number {
  if (address.family === AF_UNIX || address.family === AF_NETLINK) return -EINVAL;
  if (!isLoopback(address)) return -EADDRNOTAVAIL;
  if (address.port > 0 && address.port < 1024 && task.process.credentials.euid !== 0) return -EACCES;
  const port = address.port || task.kernel.sockets.freePort(file.protocol, randomU32(task));
  if (port === 0) return -EADDRINUSE;
  return file.bindTo(SocketNames.portKey(file.protocol, port), { ...address, port });
}

/** netlink(7): port 0 stands for the process, or any number when that one is taken. Groups hear nothing: nothing ever changes. */
function bindNetlink(task: Task, file: SocketFile, wanted: number, groups: number): number {
  const { sockets } = task.kernel;
  const isTaken = (port: number): boolean => sockets.find(SocketNames.portKey(AF_NETLINK, port)) !== null;
  if (file.key !== '') return file.local.family === AF_NETLINK && file.local.port === wanted ? 0 : -EINVAL;
  let port = wanted || task.process.pid;
  while (wanted === 0 && isTaken(port)) port = (randomU32(task) | 0x8000_0000) >>> 0;
  return file.bindTo(SocketNames.portKey(AF_NETLINK, port), { family: AF_NETLINK, port, groups });
}

function randomU32(task: Task): number {
  const bytes = new Uint8Array(4);
  task.kernel.host.random(bytes);
  return new DataView(bytes.buffer).getUint32(0);
}

function listen(task: Task, fd: number, backlog: number): number {
  const file = socketOf(task, fd);
  if (typeof file === 'number') return file;
  if (file.key === '' && file.domain !== AF_UNIX && file.isStream && file.phase === 'new') autobind(task, file);
  return file.listen(backlog, ucredOf(task));
}

function accept4(task: Task, fd: number, address: number, lengthAt: number, flags: number): number | Wait {
  if ((flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) !== 0) return -EINVAL;
  const file = socketOf(task, fd);
  if (typeof file === 'number') return file;
  const next = file.accept();
  if (!(next instanceof SocketFile)) return next;
  if ((flags & SOCK_NONBLOCK) !== 0) next.flags |= O_NONBLOCK;
  const written = writeAddress(task, address, lengthAt, next.remote);
  if (written < 0) {
    next.unref();
    return written;
  }
  return installFile(task, next, flags);
}

function accept(task: Task, fd: number, address: number, lengthAt: number): number | Wait {
  return accept4(task, fd, address, lengthAt, 0);
}

/** The socket `from` reaches at an address: null when nobody has it, -errno when it cannot be reached. */
export function targetOf(task: Task, address: SocketAddress, from: SocketFile): SocketFile | null | number {
  const { sockets } = task.kernel;
  if (address.family === AF_NETLINK) return address.port === 0 ? from : -ECONNREFUSED;
  if (address.family !== AF_UNIX) {
    if (!isLoopback(address)) return -ENETUNREACH;
    return sockets.findPort(from.protocol, concrete(address), from.local);
  }
  if (address.path === '') return -ECONNREFUSED;
  if (address.path.startsWith('\0')) return sockets.find(SocketNames.abstractKey(address.path));
  const at = lookupAt(task, AT_FDCWD, address.path, 0);
  if (typeof at === 'number') return at;
  const denied = permission(at.inode, MAY_WRITE, task.process.credentials);
  if (denied < 0) return denied;
  return sockets.find(SocketNames.inodeKey(at.inode.dev, at.inode.ino));
}

function connect(task: Task, fd: number, gva: number, length: number): number | Wait {
  const file = socketOf(task, fd);
  if (typeof file === 'number') return file;
  const family = length >= 2 && length <= SOCKADDR_MAX ? task.process.mm.readU32(gva) & 0xffff : -1;
  if (family === AF_UNSPEC && file.isDatagram) return disconnect(file);
  const address = readAddress(task, gva, length, file.domain);
  if (typeof address === 'number') return address;
  const target = targetOf(task, address, file);
  if (typeof target === 'number') return target;
  if (file.isDatagram) return connectDatagram(task, file, target, concrete(address));
  if (file.domain !== AF_UNIX && file.key === '' && target) autobind(task, file);
  if (file.domain !== AF_UNIX) file.local = concrete(file.local);
  return file.connectTo(target, ucredOf(task), concrete(address));
}

function disconnect(file: SocketFile): number {
  file.peer = null;
  file.remote = null;
  file.phase = 'new';
  return 0;
}

function connectDatagram(task: Task, file: SocketFile, target: SocketFile | null, remote: SocketAddress): number {
  if (file.domain === AF_UNIX && !target) return -ECONNREFUSED;
  if (target && target.type !== file.type) return -EPROTOTYPE;
  if (file.domain === AF_UNIX && target?.peer && target.peer !== file) return -EPERM;
  if (file.domain !== AF_UNIX && file.key === '') autobind(task, file);
  if (file.domain !== AF_UNIX) file.local = concrete(file.local);
  file.peer = target;
  file.remote = remote;
  file.phase = 'connected';
  return 0;
}

function shutdown(task: Task, fd: number, how: number): number {
  const file = socketOf(task, fd);
  if (typeof file === 'number') return file;
  if (how < SHUT_RD || how > SHUT_RDWR) return -EINVAL;
  return file.shutdown(how !== SHUT_WR, how !== SHUT_RD);
}

function getsockname(task: Task, fd: number, address: number, lengthAt: number): number {
  const file = socketOf(task, fd);
  return typeof file === 'number' ? file : writeAddress(task, address, lengthAt, file.local);
}

function getpeername(task: Task, fd: number, address: number, lengthAt: number): number {
  const file = socketOf(task, fd);
  if (typeof file === 'number') return file;
  if (file.phase !== 'connected' || !file.remote) return -ENOTCONN;
  return writeAddress(task, address, lengthAt, file.remote);
}

const NO_NETWORK = 'unix, rtnetlink, TCP, UDP and UDP-Lite over loopback; there is no network: elsewhere is ENETUNREACH, other families EAFNOSUPPORT';

export const rows: readonly SyscallRow[] = [
  sys(41, 'socket', socket, PARTIAL(NO_NETWORK), [INT, UINT, INT]),
  sys(53, 'socketpair', socketpair, FULL, [INT, UINT, INT, OUT_BUF]),
  sys(49, 'bind', bind, PARTIAL(NO_NETWORK), [FD, STRUCT, INT]),
  sys(50, 'listen', listen, FULL, [FD, INT]),
  sys(43, 'accept', accept, FULL, [FD, OUT_BUF, OUT_BUF]),
  sys(288, 'accept4', accept4, FULL, [FD, OUT_BUF, OUT_BUF, FLAGS]),
  sys(42, 'connect', connect, PARTIAL(NO_NETWORK), [FD, STRUCT, INT]),
  sys(48, 'shutdown', shutdown, FULL, [FD, INT]),
  sys(51, 'getsockname', getsockname, FULL, [FD, OUT_BUF, OUT_BUF]),
  sys(52, 'getpeername', getpeername, FULL, [FD, OUT_BUF, OUT_BUF]),
];
