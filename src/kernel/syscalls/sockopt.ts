// getsockopt(2) and setsockopt(2): socket(7), tcp(7), ip(7), ipv6(7), unix(7).
//
// Options that only tune a network are stored and read back; those with an effect here are SO_RCVTIMEO, SO_SNDTIMEO,
// SO_PASSCRED. Unknown ones are ENOPROTOOPT and counted.

import { EFAULT, EINVAL, ENOPROTOOPT, EDOM } from '../../abi/linux/errno.ts';
import {
  AF_UNIX, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, SOL_SOCKET, SO_ACCEPTCONN, SO_BROADCAST, SO_DOMAIN, SO_DONTROUTE, SO_ERROR, SO_KEEPALIVE,
  SO_LINGER, SO_OOBINLINE, SO_PASSCRED, SO_PEERCRED, SO_PRIORITY, SO_PROTOCOL, SO_RCVBUF, SO_RCVLOWAT, SO_RCVTIMEO, SO_REUSEADDR,
  SO_REUSEPORT, SO_SNDBUF, SO_SNDTIMEO, SO_TYPE,
} from '../../abi/linux/socket.ts';
import { SOCKET_BUFFER } from '../ipc/message.ts';
import type { SocketFile } from '../ipc/socket.ts';
import type { Task } from '../process/task.ts';
import { FD, INT, OUT_BUF, PARTIAL, STRUCT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';
import { socketOf } from './socket.ts';

/** SOL_SOCKET options that are an int to keep. */
const KEPT = new Set([
  SO_REUSEADDR, SO_DONTROUTE, SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE, SO_PRIORITY, SO_REUSEPORT, SO_PASSCRED, SO_RCVLOWAT,
  14 /* SO_BSDCOMPAT */, 29 /* SO_TIMESTAMP */, 35 /* SO_TIMESTAMPNS */, 43 /* SO_NOFCS */, 45 /* SO_SELECT_ERR_QUEUE */,
  46 /* SO_BUSY_POLL */,
]);
const SNDBUF_MIN = 4608, BUFFER_MAX = 2 * SOCKET_BUFFER;

/** Options of the internet protocols programs set without needing an answer: stored. */
const INTERNET: ReadonlyMap<number, ReadonlySet<number>> = new Map([
  [IPPROTO_TCP, new Set([1, 3, 4, 5, 6, 8, 9, 12, 18, 23])],
  [IPPROTO_IP, new Set([1, 2, 8, 10, 11, 12, 13, 15, 19, 24, 33, 34])],
  [IPPROTO_IPV6, new Set([16, 18, 19, 23, 25, 26, 49, 51, 66, 67])],
]);

function setsockopt(task: Task, fd: number, level: number, name: number, value: number, length: number): number {
  const socket = socketOf(task, fd);
  if (typeof socket === 'number') return socket;
  if (level === SOL_SOCKET && (name === SO_RCVTIMEO || name === SO_SNDTIMEO)) return setTimeoutOption(task, socket, name, value, length);
  if (!isKnown(socket, level, name)) return unknown(task, level, name);
  if (length < 4) return -EINVAL;
  const bits = task.process.mm.readU32(value);
  if (bits < 0) return -EFAULT;
  const number = bits | 0;
  const key = `${level}:${name}`;
  if (level === SOL_SOCKET && (name === SO_SNDBUF || name === SO_RCVBUF)) {
    socket.options.set(key, Math.max(SNDBUF_MIN, Math.min(number * 2, BUFFER_MAX)));
  } else if (level === SOL_SOCKET && name === SO_LINGER) {
    if (length < 8) return -EINVAL;
    const seconds = task.process.mm.readU32(value + 4);
    if (seconds < 0) return -EFAULT;
    socket.options.set(key, number === 0 ? 0 : seconds + 1);
  } else socket.options.set(key, level === SOL_SOCKET && name !== SO_PRIORITY && name !== SO_RCVLOWAT ? Number(number !== 0) : number);
  return 0;
}

function isKnown(socket: SocketFile, level: number, name: number): boolean {
  if (level === SOL_SOCKET) return KEPT.has(name) || name === SO_SNDBUF || name === SO_RCVBUF || name === SO_LINGER;
  return socket.domain !== AF_UNIX && (INTERNET.get(level)?.has(name) ?? false);
}

function unknown(task: Task, level: number, name: number): number {
  task.kernel.count(`sockopt ${level} ${name}`);
  return -ENOPROTOOPT;
}

/** struct timeval; 0 means no timeout. */
function setTimeoutOption(task: Task, socket: SocketFile, name: number, value: number, length: number): number {
  if (length < 16) return -EINVAL;
  const bytes = new Uint8Array(16);
  if (task.process.mm.copyIn(value, bytes) < 0) return -EFAULT;
  const view = new DataView(bytes.buffer);
  const seconds = Number(view.getBigInt64(0, true));
  const us = Number(view.getBigInt64(8, true));
  if (us < 0 || us >= 1_000_000) return -EDOM;
  socket.options.set(`${SOL_SOCKET}:${name}`, seconds < 0 ? 0 : Math.min(seconds * 1e9 + us * 1e3, 2 ** 62));
  return 0;
}

function getsockopt(task: Task, fd: number, level: number, name: number, value: number, lengthAt: number): number {
  const socket = socketOf(task, fd);
  if (typeof socket === 'number') return socket;
  const { mm } = task.process;
  const room = mm.readU32(lengthAt);
  if (room < 0) return -EFAULT;
  if ((room | 0) < 0) return -EINVAL;
  const bytes = optionBytes(socket, level, name);
  if (!bytes) return unknown(task, level, name);
  const part = bytes.subarray(0, Math.min(room, bytes.length));
  if (mm.copyOut(value, part) < 0) return -EFAULT;
  return mm.writeU32(lengthAt, part.length);
}

function optionBytes(socket: SocketFile, level: number, name: number): Uint8Array | null {
  const stored = socket.options.get(`${level}:${name}`) ?? 0;
  if (level === SOL_SOCKET) {
    switch (name) {
      case SO_TYPE: return ints(socket.type);
      case SO_DOMAIN: return ints(socket.domain);
      case SO_PROTOCOL: return ints(socket.protocol);
      case SO_ERROR: return ints(-socket.takeError());
      case SO_ACCEPTCONN: return ints(Number(socket.phase === 'listening'));
      case SO_SNDBUF: case SO_RCVBUF: return ints(stored || SOCKET_BUFFER);
      case SO_RCVLOWAT: return ints(stored || 1);
      case SO_LINGER: return ints(Number(stored > 0), Math.max(0, stored - 1));
      case SO_PEERCRED: return ints(socket.peerCred.pid, socket.peerCred.uid, socket.peerCred.gid);
      case SO_RCVTIMEO: case SO_SNDTIMEO: return longs(Math.floor(stored / 1e9), Math.floor((stored % 1e9) / 1e3));
    }
  }
  return isKnown(socket, level, name) ? ints(stored) : null;
}

function ints(...values: number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(values).buffer);
}

function longs(...values: number[]): Uint8Array {
  return new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer);
}

const NOTE = 'options that tune a network are stored and read back without effect; unknown ones are ENOPROTOOPT and counted';

export const rows: readonly SyscallRow[] = [
  sys(54, 'setsockopt', setsockopt, PARTIAL(NOTE), [FD, INT, INT, STRUCT, INT]),
  sys(55, 'getsockopt', getsockopt, PARTIAL(NOTE), [FD, INT, INT, OUT_BUF, OUT_BUF]),
];
