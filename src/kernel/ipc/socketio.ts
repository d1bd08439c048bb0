// Moving data between local sockets: send(2), recv(2) and their message forms, as unix(7) and socket(7) define them.
//
// Interface: sendBytes, receiveInto. Streams move what fits and remember in their Wait how much is sent; datagrams and
// packets move whole or not at all.

import {
  EAGAIN, ECONNREFUSED, EDESTADDRREQ, EINVAL, EISCONN, EMSGSIZE, ENOBUFS, ENOTCONN, EOPNOTSUPP, EPERM, EPIPE,
  ERESTARTSYS, ETOOMANYREFS,
} from '../../abi/linux/errno.ts';
import { SIGPIPE } from '../../abi/linux/signal.ts';
import {
  AF_NETLINK, AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_OOB, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, SOL_SOCKET, SO_OOBINLINE, SO_RCVTIMEO, SO_SNDBUF, SO_SNDTIMEO,
} from '../../abi/linux/socket.ts';
import type { File } from '../fs/file.ts';
import type { Task } from '../process/task.ts';
import { sendSignalToTask } from '../signal/send.ts';
import { waitOn } from '../wait.ts';
import type { Wait } from '../wait.ts';
import { FILES_IN_FLIGHT_MAX, SOCKET_BYTES_MAX } from './budget.ts';
import { DATAGRAMS_MAX, MESSAGE_OVERHEAD, O_NONBLOCK, SOCKET_BUFFER } from './message.ts';
import type { Message, PacketHead, Ucred } from './message.ts';
import { answerNetlink } from './netdevice.ts';
import { writtenBefore } from './pipe.ts';
import type { SocketFile } from './socket.ts';
import { asFamily, concrete } from './socketname.ts';
import type { SocketAddress } from './socketname.ts';

export interface SendOptions {
  /** MSG_*. */
  readonly flags: number;
  /** The socket an address was given for; null: none was given. */
  readonly to: SocketFile | null;
  /** Files to pass; on success the message holds a reference to each. */
  readonly files: readonly File[];
  /** Internet datagrams: what stands in the packet's header. */
  readonly head?: PacketHead | null;
  /** The address names nobody: the datagram is refused (unix) or lost (UDP). */
  readonly nobody?: boolean;
  /** Streams: `src` starts after `sent` bytes of `total`; absent when it is all of them. */
  readonly stream?: { readonly sent: number; readonly total: number };
}

/** What came out of a receive: the result of the call, and what recvmsg also tells. */
export interface Received {
  readonly result: number;
  /** MSG_TRUNC and so on. */
  readonly flags: number;
  readonly from: SocketAddress | null;
  readonly cred: Ucred | null;
  readonly head: PacketHead | null;
  /** Passed files, with their references; empty when peeking leaves them. */
  readonly files: readonly File[];
}

function received(result: number): Received {
  return { result, flags: 0, from: null, cred: null, head: null, files: [] };
}

export function ucredOf(task: Task): Ucred {
  const { euid, egid } = task.process.credentials;
  return { pid: task.process.pid, uid: euid, gid: egid };
}

function dontWait(socket: SocketFile, flags: number): boolean {
  return (socket.flags & O_NONBLOCK) !== 0 || (flags & MSG_DONTWAIT) !== 0;
}

/** Until when a call of this socket may block (SO_RCVTIMEO, SO_SNDTIMEO), kept across reruns. */
function deadline(socket: SocketFile, task: Task, option: number): { deadlineNs: number; onTimeout: number } {
  const timeoutNs = socket.options.get(`${SOL_SOCKET}:${option}`) ?? 0;
  const before = task.rerun?.deadlineNs;
  if (timeoutNs === 0) return { deadlineNs: Infinity, onTimeout: -EAGAIN };
  const isBegun = before !== undefined && before !== Infinity;
  return { deadlineNs: isBegun ? before : task.kernel.clock.monotonicNs() + timeoutNs, onTimeout: -EAGAIN };
}

/** Sends `src`; the result of the call, or a Wait. */
export function sendBytes(socket: SocketFile, task: Task, src: Uint8Array, options: SendOptions): number | Wait {
  if (options.flags & MSG_OOB && !hasUrgent(socket)) return -EOPNOTSUPP;
  // unix(7): whoever may not write any more is told so before anything else.
  if (socket.domain === AF_UNIX && !socket.isDatagram && socket.outShut) return pipeError(socket, task, options, writtenBefore(task));
  const failed = socket.takeError();
  if (failed < 0) return failed;
  const { ipc } = socket.kernel;
  if (ipc.socketBytes + Math.min(src.length, SOCKET_BUFFER) > SOCKET_BYTES_MAX) return -ENOBUFS;
  if (options.files.length > 0 && ipc.filesInFlight + options.files.length > FILES_IN_FLIGHT_MAX) return -ETOOMANYREFS;
  if (socket.domain === AF_NETLINK) return sendNetlink(socket, task, src);
  if (socket.isDatagram) return sendDatagram(socket, task, src, options);
  if (socket.domain === AF_UNIX && (options.to || options.nobody)) return socket.phase === 'connected' ? -EISCONN : -EOPNOTSUPP;
  if (socket.phase !== 'connected') return socket.domain === AF_UNIX ? -ENOTCONN : pipeError(socket, task, options, 0);
  return socket.isStream ? sendStream(socket, task, src, options) : sendPacket(socket, task, src, options);
}

function pipeError(socket: SocketFile, task: Task, options: SendOptions, sent: number): number {
  if (sent > 0) return sent;
  if (socket.isStream && !(options.flags & MSG_NOSIGNAL)) sendSignalToTask(task, SIGPIPE);
  return -EPIPE;
}

function sendStream(socket: SocketFile, task: Task, src: Uint8Array, options: SendOptions): number | Wait {
  let written = options.stream?.sent ?? writtenBefore(task);
  const total = options.stream?.total ?? src.length;
  const rest = options.stream ? src : src.subarray(written);
  const { peer } = socket;
  if (!peer && !socket.outShut && socket.domain !== AF_UNIX) {
    // The peer's end has closed: what fits into the buffer is taken and lost, its answer is a reset.
    socket.outShut = true;
    socket.changed();
    return Math.min(total, written + (socket.options.get(`${SOL_SOCKET}:${SO_SNDBUF}`) ?? SOCKET_BUFFER));
  }
  if (socket.outShut || !peer || (peer.inShut && socket.domain === AF_UNIX)) return pipeError(socket, task, options, written);
  const room = Math.max(0, peer.streamCapacity - peer.inboxCharge - MESSAGE_OVERHEAD);
  const n = Math.min(room, rest.length);
  if (n > 0) {
    // The last byte of a send with MSG_OOB is the urgent one.
    const urgent = options.flags & MSG_OOB && written + n === total ? 1 : 0;
    if (n > urgent) deliver(socket, peer, task, rest.subarray(0, n - urgent), written === 0 ? options.files : []);
    if (urgent) deliverUrgent(socket, peer, task, rest.subarray(n - 1, n));
    written += n;
  }
  if (written === total) return written;
  if (dontWait(socket, options.flags)) return written || -EAGAIN;
  return waitOn([socket.writeQueue], {
    ...deadline(socket, task, SO_SNDTIMEO), ...(written > 0 ? { onTimeout: written } : {}),
    onSignal: written || -ERESTARTSYS, memo: { written },
  });
}

function sendPacket(socket: SocketFile, task: Task, src: Uint8Array, options: SendOptions): number | Wait {
  const { peer } = socket;
  if (socket.outShut || !peer || peer.inShut) return pipeError(socket, task, options, 0);
  if (src.length > SOCKET_BUFFER - MESSAGE_OVERHEAD) return -EMSGSIZE;
  if (peer.inboxCharge > 0 && peer.inboxCharge + src.length + MESSAGE_OVERHEAD > SOCKET_BUFFER) {
    if (dontWait(socket, options.flags)) return -EAGAIN;
    return waitOn([socket.writeQueue], deadline(socket, task, SO_SNDTIMEO));
  }
  deliver(socket, peer, task, src, options.files);
  return src.length;
}

function sendDatagram(socket: SocketFile, task: Task, src: Uint8Array, options: SendOptions): number | Wait {
  if (socket.outShut) return pipeError(socket, task, options, 0);
  const isUnix = socket.domain === AF_UNIX;
  if (src.length > (isUnix ? SOCKET_BUFFER - MESSAGE_OVERHEAD : 65507)) return -EMSGSIZE;
  const target = options.to ?? (options.nobody ? null : socket.peer);
  if (!target || target.dead) {
    if (!options.nobody && !socket.remote) return isUnix ? -ENOTCONN : -EDESTADDRREQ;
    return isUnix ? refused(socket) : lostDatagram(socket, src);
  }
  if (target.peer && target.peer !== socket && isUnix) return -EPERM;
  if (target.inShut) return isUnix ? -EPIPE : src.length;
  if (target.inbox.length > DATAGRAMS_MAX && target !== socket && isUnix) {
    if (dontWait(socket, options.flags)) return -EAGAIN;
    return waitOn([target.writeQueue], deadline(socket, task, SO_SNDTIMEO));
  }
  // UDP drops what its receiver has no room for.
  if (!isUnix && target.inboxCharge + src.length > SOCKET_BUFFER) return src.length;
  deliver(socket, target, task, src, options.files, options.head);
  return src.length;
}

/** Whoever a netlink message is addressed to: only the kernel is there. Its answers are in the socket's own queue when this returns. */
function sendNetlink(socket: SocketFile, task: Task, src: Uint8Array): number {
  const port = socket.local.family === AF_NETLINK ? socket.local.port : 0;
  const cred = { pid: 0, uid: 0, gid: 0 };
  for (const bytes of answerNetlink(task, src, port)) {
    if (socket.inboxCharge + bytes.length > SOCKET_BUFFER) break;
    socket.receive({ bytes, done: 0, files: [], cred, from: { family: AF_NETLINK, port: 0, groups: 0 }, head: null });
  }
  socket.kernel.waits.wake(socket.readQueue);
  return src.length;
}

function refused(socket: SocketFile): number {
  socket.peer = null;
  socket.remote = null;
  return -ECONNREFUSED;
}

/** Nobody listens on that port: a connected UDP socket learns of it with its next call (ICMP port unreachable). */
function lostDatagram(socket: SocketFile, src: Uint8Array): number {
  if (socket.remote) {
    socket.error = ECONNREFUSED;
    socket.changed();
  }
  return src.length;
}

function deliver(socket: SocketFile, target: SocketFile, task: Task, src: Uint8Array, files: readonly File[], head: PacketHead | null = null): void {
  for (const file of files) file.ref();
  socket.kernel.ipc.filesInFlight += files.length;
  target.receive({ bytes: src.slice(), done: 0, files, cred: ucredOf(task), from: asFamily(concrete(socket.local), target.domain), head });
  socket.kernel.waits.wake(target.readQueue);
}

/** Urgent data: tcp(7). Unix streams have none here. */
function hasUrgent(socket: SocketFile): boolean {
  return socket.isStream && socket.domain !== AF_UNIX;
}

function isInline(socket: SocketFile): boolean {
  return (socket.options.get(`${SOL_SOCKET}:${SO_OOBINLINE}`) ?? 0) !== 0;
}

/** One urgent byte, kept beside the stream unless the receiver wants it inline. */
function deliverUrgent(socket: SocketFile, peer: SocketFile, task: Task, byte: Uint8Array): void {
  peer.urgentMark = available(peer);
  peer.urgentByte = byte[0];
  if (isInline(peer)) deliver(socket, peer, task, byte, []);
  else socket.kernel.waits.wake(peer.readQueue);
}

/** recv with MSG_OOB: the urgent byte, once. */
function takeUrgent(socket: SocketFile, dst: Uint8Array, flags: number): Received {
  if (!hasUrgent(socket)) return received(-EOPNOTSUPP);
  if (socket.phase === 'listening' || socket.phase === 'new') return received(-ENOTCONN);
  if (isInline(socket) || socket.urgentByte < 0) return received(-EINVAL);
  const n = Math.min(dst.length, 1);
  if (n > 0) dst[0] = socket.urgentByte;
  if (!(flags & MSG_PEEK)) socket.urgentByte = -1;
  return { ...received(n), flags: n > 0 ? MSG_OOB : MSG_TRUNC };
}

/** Receives into `dst` (MSG_PEEK, MSG_TRUNC, MSG_DONTWAIT, MSG_WAITALL); errors are in `result`. */
export function receiveInto(socket: SocketFile, task: Task, dst: Uint8Array, flags: number): Received | Wait {
  if (flags & MSG_OOB) return takeUrgent(socket, dst, flags);
  if (!socket.isDatagram && socket.phase !== 'connected') {
    return received(socket.isStream && socket.domain === AF_UNIX ? -EINVAL : -ENOTCONN);
  }
  if (socket.inbox.length === 0) return nothingThere(socket, task, dst, flags);
  if (!socket.isStream) return takeMessage(socket, dst, flags);
  const wanted = flags & MSG_WAITALL && !(flags & MSG_PEEK) ? Math.min(dst.length, SOCKET_BUFFER / 2) : 0;
  if (wanted > 0 && !socket.inShut && !dontWait(socket, flags) && available(socket) < wanted) return waitForData(socket, task);
  return takeStream(socket, dst, flags);
}

function nothingThere(socket: SocketFile, task: Task, dst: Uint8Array, flags: number): Received | Wait {
  const failed = socket.takeError();
  if (failed < 0) return received(failed);
  // Looking for more passes the urgent byte.
  if (dst.length > 0 && !(flags & MSG_PEEK) && socket.urgentMark === 0) socket.urgentMark = socket.urgentByte = -1;
  if (socket.inShut) return received(0);
  if (socket.isStream && dst.length === 0) return received(0);
  if (dontWait(socket, flags)) return received(-EAGAIN);
  return waitForData(socket, task);
}

function waitForData(socket: SocketFile, task: Task): Wait {
  return waitOn([socket.readQueue], deadline(socket, task, SO_RCVTIMEO));
}

function available(socket: SocketFile): number {
  return socket.inbox.reduce((sum, message) => sum + message.bytes.length - message.done, 0);
}

/** One datagram or packet: what does not fit is lost. */
function takeMessage(socket: SocketFile, dst: Uint8Array, flags: number): Received {
  const message = socket.inbox[0];
  const n = Math.min(dst.length, message.bytes.length);
  dst.set(message.bytes.subarray(0, n));
  const isCut = n < message.bytes.length;
  const files = takeFiles(socket, message, flags);
  if (!(flags & MSG_PEEK)) dropFirst(socket);
  return {
    result: flags & MSG_TRUNC ? message.bytes.length : n, flags: isCut ? MSG_TRUNC : 0, from: message.from, cred: message.cred, head: message.head, files,
  };
}

/** Bytes of a stream, across messages, stopping before passed files that belong to later bytes. */
function takeStream(socket: SocketFile, dst: Uint8Array, flags: number): Received {
  const first = socket.inbox[0];
  const files = takeFiles(socket, first, flags);
  let done = 0;
  let index = 0;
  // A read stops before the urgent byte, and the next one passes it.
  const end = socket.urgentMark > 0 ? Math.min(dst.length, socket.urgentMark) : dst.length;
  while (done < end && index < socket.inbox.length) {
    const message = socket.inbox[index];
    if (message !== first && (message.files.length > 0 || files.length > 0)) break;
    const n = Math.min(end - done, message.bytes.length - message.done);
    dst.set(message.bytes.subarray(message.done, message.done + n), done);
    done += n;
    if (flags & MSG_PEEK) {
      index++;
      continue;
    }
    message.done += n;
    socket.charge(-n);
    if (message.done === message.bytes.length) dropFirst(socket);
  }
  if (!(flags & MSG_PEEK)) {
    passUrgent(socket, done);
    roomMade(socket);
  }
  return { result: done, flags: 0, from: null, cred: first.cred, head: null, files };
}

/** `count` bytes were read. */
function passUrgent(socket: SocketFile, count: number): void {
  if (socket.urgentMark > 0) socket.urgentMark -= count;
  else if (count > 0 && socket.urgentMark === 0) socket.urgentMark = socket.urgentByte = -1;
}

function takeFiles(socket: SocketFile, message: Message, flags: number): readonly File[] {
  const { files } = message;
  if (flags & MSG_PEEK) return files.map((file) => file.ref());
  message.files = [];
  socket.kernel.ipc.filesInFlight -= files.length;
  return files;
}

function dropFirst(socket: SocketFile): void {
  socket.dropFirst();
  if (!socket.isStream) roomMade(socket);
}

/** Whoever sends here may go on. */
function roomMade(socket: SocketFile): void {
  if (!socket.hasRoom) return;
  if (socket.isDatagram) socket.kernel.waits.wake(socket.writeQueue);
  else if (socket.peer) socket.kernel.waits.wake(socket.peer.writeQueue);
}
