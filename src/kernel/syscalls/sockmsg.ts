// Sending and receiving on sockets: sendto(2), recvfrom(2), sendmsg(2), recvmsg(2), sendmmsg(2), recvmmsg(2).
// Control messages are in cmsg.ts.

import { EFAULT, EINVAL, EMSGSIZE, EOPNOTSUPP, EPROTOTYPE } from '../../abi/linux/errno.ts';
import { AF_UNIX, MMSGHDR_SIZE, MSGHDR_SIZE, MSG_DONTWAIT, UIO_MAXIOV } from '../../abi/linux/socket.ts';
import { writtenBefore } from '../ipc/pipe.ts';
import type { SocketFile } from '../ipc/socket.ts';
import { receiveInto, sendBytes } from '../ipc/socketio.ts';
import type { Received, SendOptions } from '../ipc/socketio.ts';
import type { SocketAddress } from '../ipc/socketname.ts';
import type { Task } from '../process/task.ts';
import type { Wait } from '../wait.ts';
import { readControl, writeControl } from './cmsg.ts';
import { readTimespec } from './timeout.ts';
import { FD, FLAGS, FULL, IN_BUF, INT, OUT_BUF, PARTIAL, SIZE, STRUCT, UINT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';
import { autobind, readAddress, socketOf, targetOf, writeAddress } from './socket.ts';

/** Bytes one call moves at a time: more than fits a socket buffer. A longer send to a stream goes on when it is run again. */
const CALL_BYTES_MAX = 1 << 20;

/** struct msghdr. */
interface MsgHeader {
  readonly name: number; readonly nameLength: number; readonly iov: readonly { gva: number; length: number }[];
  readonly totalBytes: number; readonly control: number; readonly controlLength: number;
}

function readHeader(task: Task, gva: number): MsgHeader | number {
  const { mm } = task.process;
  const bytes = new Uint8Array(MSGHDR_SIZE);
  if (mm.copyIn(gva, bytes) < 0) return -EFAULT;
  const view = new DataView(bytes.buffer);
  const count = Number(view.getBigUint64(24, true));
  if (count > UIO_MAXIOV) return -EMSGSIZE;
  const vectors = new Uint8Array(count * 16);
  if (mm.copyIn(Number(view.getBigUint64(16, true)), vectors) < 0) return -EFAULT;
  const iovView = new DataView(vectors.buffer);
  const iov: { gva: number; length: number }[] = [];
  let totalBytes = 0;
  for (let at = 0; at < vectors.length; at += 16) {
    const length = Number(iovView.getBigInt64(at + 8, true));
    if (length < 0) return -EINVAL;
    iov.push({ gva: Number(iovView.getBigUint64(at, true)), length });
    totalBytes += length;
  }
  const nameLength = view.getInt32(8, true);
  if (nameLength < 0) return -EINVAL;
  return {
    name: Number(view.getBigUint64(0, true)), nameLength, iov, totalBytes: Math.min(totalBytes, 0x7fff_f000),
    control: Number(view.getBigUint64(32, true)), controlLength: Number(view.getBigUint64(40, true)),
  };
}

/** Gathers the bytes to send from `skip` on, at most CALL_BYTES_MAX. */
function gather(task: Task, header: MsgHeader, skip: number): Uint8Array | number {
  const bytes = new Uint8Array(Math.min(header.totalBytes - skip, CALL_BYTES_MAX));
  let done = 0;
  let left = skip;
  for (const { gva, length } of header.iov) {
    const from = Math.min(left, length);
    left -= from;
    const part = bytes.subarray(done, done + Math.min(length - from, bytes.length - done));
    if (part.length > 0 && task.process.mm.copyIn(gva + from, part) < 0) return -EFAULT;
    done += part.length;
  }
  return bytes;
}

/** The destination of a message as sendBytes takes it. */
function destination(task: Task, socket: SocketFile, name: number, nameLength: number): Pick<SendOptions, 'to' | 'nobody'> | number {
  // inet_send_prepare: a send gives an unbound socket a port, whatever becomes of it.
  if (socket.isDatagram && socket.domain !== AF_UNIX && socket.key === '') autobind(task, socket);
  if (name === 0 || nameLength === 0) return { to: null };
  const address = readAddress(task, name, nameLength, socket.domain);
  if (typeof address === 'number') return address;
  if (!socket.isDatagram) return { to: socket };
  const target = targetOf(task, address, socket);
  if (typeof target === 'number') return target;
  if (target && target.type !== socket.type) return -EPROTOTYPE;
  return target ? { to: target } : { to: null, nobody: true };
}

function sendAll(task: Task, socket: SocketFile, header: MsgHeader, flags: number): number | Wait {
  const to = destination(task, socket, header.name, header.nameLength);
  if (typeof to === 'number') return to;
  if (!socket.isStream && header.totalBytes > CALL_BYTES_MAX) return -EMSGSIZE;
  const sent = socket.isStream ? writtenBefore(task) : 0;
  const bytes = gather(task, header, sent);
  if (typeof bytes === 'number') return bytes;
  const attached = readControl(task, socket, header);
  if (typeof attached === 'number') return attached;
  return sendBytes(socket, task, bytes, { flags, ...to, ...attached, stream: { sent, total: header.totalBytes } });
}

/** Receives into the vectors; the result with what recvmsg adds. */
function receiveAll(task: Task, socket: SocketFile, header: MsgHeader, flags: number): Received | Wait {
  const dst = new Uint8Array(Math.min(header.totalBytes, CALL_BYTES_MAX));
  const got = receiveInto(socket, task, dst, flags);
  if ('kind' in got || got.result < 0) return got;
  let done = 0;
  const n = Math.min(got.result, dst.length);
  for (const { gva, length } of header.iov) {
    const part = dst.subarray(done, Math.min(n, done + length));
    if (part.length > 0 && task.process.mm.copyOut(gva, part) < 0) return { ...drop(got), result: -EFAULT };
    done += part.length;
  }
  return got;
}

function drop(got: Received): Received {
  for (const file of got.files) file.unref();
  return { ...got, files: [] };
}

/** The address a receive reports: none of a stream, nor of an unnamed sender. */
function senderOf(socket: SocketFile, from: SocketAddress | null): SocketAddress | null {
  return !socket.isDatagram || (from?.family === AF_UNIX && from.path === '') ? null : from;
}

function recvOne(task: Task, socket: SocketFile, gva: number, flags: number): number | Wait {
  const header = readHeader(task, gva);
  if (typeof header === 'number') return header;
  const got = receiveAll(task, socket, header, flags);
  if ('kind' in got) return got;
  if (got.result < 0) return got.result;
  const { mm } = task.process;
  const control = writeControl(task, socket, header, got, flags);
  const nameWritten = header.name === 0 ? 0 : writeAddress(task, header.name, gva + 8, senderOf(socket, got.from));
  const outFlags = got.flags | control.flags;
  const ok = nameWritten === 0 && mm.writeU64(gva + 40, BigInt(control.used)) === 0 && mm.writeU32(gva + 48, outFlags) === 0;
  return ok ? got.result : -EFAULT;
}

function sendmsg(task: Task, fd: number, gva: number, flags: number): number | Wait {
  const socket = socketOf(task, fd);
  if (typeof socket === 'number') return socket;
  const header = readHeader(task, gva);
  return typeof header === 'number' ? header : sendAll(task, socket, header, flags);
}

function recvmsg(task: Task, fd: number, gva: number, flags: number): number | Wait {
  const socket = socketOf(task, fd);
  return typeof socket === 'number' ? socket : recvOne(task, socket, gva, flags);
}

function oneVector(gva: number, length: number, name = 0, nameLength = 0): MsgHeader {
  const capped = Math.min(length, 0x7fff_f000);
  return { name, nameLength, iov: [{ gva, length: capped }], totalBytes: capped, control: 0, controlLength: 0 };
}

function sendto(task: Task, fd: number, buffer: number, length: number, flags: number, name: number, nameLength: number): number | Wait {
  const socket = socketOf(task, fd);
  return typeof socket === 'number' ? socket : sendAll(task, socket, oneVector(buffer, length, name, nameLength), flags);
}

function recvfrom(
  task: Task, fd: number, buffer: number, length: number, flags: number, name: number, nameLengthAt: number,
): number | Wait {
  const socket = socketOf(task, fd);
  if (typeof socket === 'number') return socket;
  const got = receiveAll(task, socket, oneVector(buffer, length), flags);
  if ('kind' in got) return got;
  const { result, from } = drop(got);
  if (result < 0 || name === 0) return result;
  const written = writeAddress(task, name, nameLengthAt, senderOf(socket, from));
  return written < 0 ? written : result;
}

/** sendmmsg: as many as go without blocking after the first. */
function sendmmsg(task: Task, fd: number, vector: number, count: number, flags: number): number | Wait {
  for (let i = 0; i < Math.min(count, UIO_MAXIOV); i++) {
    const at = vector + i * MMSGHDR_SIZE;
    const result = sendmsg(task, fd, at, i === 0 ? flags : flags | MSG_DONTWAIT);
    if (typeof result !== 'number') return result;
    if (result < 0) return i > 0 ? i : result;
    if (task.process.mm.writeU32(at + MSGHDR_SIZE, result) < 0) return -EFAULT;
  }
  return Math.min(count, UIO_MAXIOV);
}

function recvmmsg(task: Task, fd: number, vector: number, count: number, flags: number, timeout: number): number | Wait {
  if (timeout !== 0) {
    const ns = readTimespec(task, timeout);
    if (ns < 0) return ns;
    task.kernel.count('recvmmsg timeout');
    return -EOPNOTSUPP;
  }
  for (let i = 0; i < Math.min(count, UIO_MAXIOV); i++) {
    const at = vector + i * MMSGHDR_SIZE;
    const result = recvmsg(task, fd, at, i === 0 ? flags : flags | MSG_DONTWAIT);
    if (typeof result !== 'number') return result;
    if (result < 0) return i > 0 ? i : result;
    if (task.process.mm.writeU32(at + MSGHDR_SIZE, result) < 0) return -EFAULT;
  }
  return Math.min(count, UIO_MAXIOV);
}

const BATCH = 'does not block for more than the first message; no timeout';

export const rows: readonly SyscallRow[] = [
  sys(44, 'sendto', sendto, FULL, [FD, IN_BUF, SIZE, FLAGS, STRUCT, INT]),
  sys(45, 'recvfrom', recvfrom, FULL, [FD, OUT_BUF, SIZE, FLAGS, OUT_BUF, OUT_BUF]),
  sys(46, 'sendmsg', sendmsg, FULL, [FD, STRUCT, FLAGS]),
  sys(47, 'recvmsg', recvmsg, FULL, [FD, STRUCT, FLAGS]),
  sys(307, 'sendmmsg', sendmmsg, PARTIAL(BATCH), [FD, STRUCT, UINT, FLAGS]),
  sys(299, 'recvmmsg', recvmmsg, PARTIAL(BATCH), [FD, STRUCT, UINT, FLAGS, STRUCT]),
];
