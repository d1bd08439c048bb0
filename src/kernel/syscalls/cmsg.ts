// Control messages of sendmsg(2) and recvmsg(2): cmsg(3). SCM_RIGHTS and SCM_CREDENTIALS of unix(7); hop limit, traffic class and
// their IPv4 counterparts of ip(7), ipv6(7) and RFC 3542.
//
// Interface: readControl (what a sender attaches), writeControl (what a receiver asked for, as far as there is room).

import { EBADF, EFAULT, EINVAL, ENOBUFS, EPERM, ETOOMANYREFS } from '../../abi/linux/errno.ts';
import {
  AF_INET, AF_UNIX, CMSGHDR_SIZE, IPPROTO_IP, IPPROTO_IPV6, IPV6_HOPLIMIT, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS, IPV6_TCLASS,
  IPV6_UNICAST_HOPS, IP_RECVTOS, IP_RECVTTL, IP_TOS, IP_TTL, MSG_CMSG_CLOEXEC, MSG_CTRUNC, SCM_CREDENTIALS, SCM_MAX_FD, SCM_RIGHTS,
  SOL_SOCKET, SO_PASSCRED,
} from '../../abi/linux/socket.ts';
import type { File } from '../fs/file.ts';
import { HOPS_DEFAULT } from '../ipc/message.ts';
import type { PacketHead, Ucred } from '../ipc/message.ts';
import type { SocketFile } from '../ipc/socket.ts';
import type { Received } from '../ipc/socketio.ts';
import type { Task } from '../process/task.ts';

const CONTROL_MAX = 20480;

/** Where a message's control data lies. */
export interface ControlBuffer { readonly control: number; readonly controlLength: number }

/** What a sender attached. */
export interface Attached { readonly files: readonly File[]; readonly head: PacketHead | null }

/** The header fields of packets this socket sends: what its options say. */
function ownHead(socket: SocketFile): PacketHead | null {
  if (socket.domain === AF_UNIX || !socket.isDatagram) return null;
  const option = (level: number, name: number): number => socket.options.get(`${level}:${name}`) ?? -1;
  const isV4 = socket.domain === AF_INET;
  const hops = isV4 ? option(IPPROTO_IP, IP_TTL) : option(IPPROTO_IPV6, IPV6_UNICAST_HOPS);
  const tclass = isV4 ? option(IPPROTO_IP, IP_TOS) : option(IPPROTO_IPV6, IPV6_TCLASS);
  return { hops: hops < 0 ? HOPS_DEFAULT : hops, tclass: Math.max(tclass, 0) };
}

/** Reads the control data of a message to send; -errno when it is malformed or not allowed. */
export function readControl(task: Task, socket: SocketFile, buffer: ControlBuffer): Attached | number {
  const found: { files: File[]; head: PacketHead | null } = { files: [], head: ownHead(socket) };
  if (buffer.control === 0 || buffer.controlLength === 0) return found;
  if (buffer.controlLength > CONTROL_MAX) return -ENOBUFS;
  const bytes = task.process.mm.readBytes(buffer.control, buffer.controlLength);
  if (typeof bytes === 'number') return -EFAULT;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + CMSGHDR_SIZE <= bytes.length;) {
    const length = Number(view.getBigUint64(at, true));
    if (length < CMSGHDR_SIZE || at + length > bytes.length) return -EINVAL;
    const level = view.getInt32(at + 8, true);
    const error = level === SOL_SOCKET ? readSocketItem(task, socket, view, at, length, found.files) : readPacketItem(level, view, at, length, found);
    if (error < 0) return error;
    at += Math.ceil(length / 8) * 8;
  }
  return found;
}

function readSocketItem(task: Task, socket: SocketFile, view: DataView, at: number, length: number, files: File[]): number {
  const kind = view.getInt32(at + 12, true);
  if (socket.domain !== AF_UNIX) return -EINVAL;
  if (kind === SCM_CREDENTIALS) return length < CMSGHDR_SIZE + 12 ? -EINVAL : ownCredentials(task, view, at + CMSGHDR_SIZE);
  if (kind !== SCM_RIGHTS) return -EINVAL;
  const count = (length - CMSGHDR_SIZE) >> 2;
  if (files.length + count > SCM_MAX_FD) return -EINVAL;
  for (let i = 0; i < count; i++) {
    const file = task.process.files.get(view.getInt32(at + CMSGHDR_SIZE + 4 * i, true));
    if (!file) return -EBADF;
    // A socket inside its own queue could keep itself alive for ever (Linux collects such rings; we forbid them).
    if (file === socket.peer || file === socket) return -ETOOMANYREFS;
    files.push(file);
  }
  return 0;
}

function ownCredentials(task: Task, view: DataView, at: number): number {
  const { ruid, euid, suid, rgid, egid, sgid } = task.process.credentials;
  const uid = view.getUint32(at + 4, true);
  const gid = view.getUint32(at + 8, true);
  const isOwn = view.getInt32(at, true) === task.process.pid && [ruid, euid, suid].includes(uid) && [rgid, egid, sgid].includes(gid);
  return isOwn || euid === 0 ? 0 : -EPERM;
}

/** ip_cmsg_send and ip6_datagram_send_ctl: values for this one packet. -1 stands for the default. */
function readPacketItem(level: number, view: DataView, at: number, length: number, found: { head: PacketHead | null }): number {
  const { head } = found;
  if (!head || (level !== IPPROTO_IP && level !== IPPROTO_IPV6)) return 0;
  const kind = view.getInt32(at + 12, true);
  const isHops = kind === (level === IPPROTO_IP ? IP_TTL : IPV6_HOPLIMIT);
  const isClass = kind === (level === IPPROTO_IP ? IP_TOS : IPV6_TCLASS);
  if (!isHops && !isClass) return -EINVAL;
  const isByte = level === IPPROTO_IP && isClass && length === CMSGHDR_SIZE + 1;
  if (!isByte && length !== CMSGHDR_SIZE + 4) return -EINVAL;
  const value = isByte ? view.getUint8(at + CMSGHDR_SIZE) : view.getInt32(at + CMSGHDR_SIZE, true);
  if (value < -1 || value > 255 || (level === IPPROTO_IP && isHops && value < 1)) return -EINVAL;
  if (isHops) found.head = { ...head, hops: value < 0 ? HOPS_DEFAULT : value };
  else found.head = { ...head, tclass: Math.max(value, 0) };
  return 0;
}

/** A receiver's buffer as put_cmsg of the Linux kernel fills it. */
class ControlWriter {
  readonly bytes: Uint8Array;
  used = 0;
  flags = 0;

  constructor(room: number) {
    this.bytes = new Uint8Array(room);
  }

  get room(): number { return this.bytes.length - this.used; }

  /** An item, cut to the room there is (MSG_CTRUNC); nothing when not even its header fits. */
  put(level: number, kind: number, data: Uint8Array): void {
    if (this.room < CMSGHDR_SIZE) {
      this.flags |= MSG_CTRUNC;
      return;
    }
    const length = Math.min(CMSGHDR_SIZE + data.length, this.room);
    if (length < CMSGHDR_SIZE + data.length) this.flags |= MSG_CTRUNC;
    const view = new DataView(this.bytes.buffer, this.used);
    view.setBigUint64(0, BigInt(length), true);
    view.setInt32(8, level, true);
    view.setInt32(12, kind, true);
    this.bytes.set(data.subarray(0, length - CMSGHDR_SIZE), this.used + CMSGHDR_SIZE);
    this.used += Math.min(CMSGHDR_SIZE + Math.ceil(data.length / 8) * 8, this.room);
  }
}

/** Writes what the receiver asked for and the passed files; files without room are closed (MSG_CTRUNC). */
export function writeControl(task: Task, socket: SocketFile, buffer: ControlBuffer, got: Received, flags: number): { used: number; flags: number } {
  const writer = new ControlWriter(buffer.control === 0 ? 0 : Math.min(buffer.controlLength, CONTROL_MAX));
  if (got.cred && socket.options.get(`${SOL_SOCKET}:${SO_PASSCRED}`)) putCredentials(writer, got.cred);
  if (got.head) putHead(writer, socket, got.head);
  if (got.files.length > 0) putFiles(task, writer, got.files, (flags & MSG_CMSG_CLOEXEC) !== 0);
  if (writer.used > 0) task.process.mm.copyOut(buffer.control, writer.bytes.subarray(0, writer.used));
  return { used: writer.used, flags: writer.flags };
}

function ints(...values: number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(values).buffer);
}

function putCredentials(writer: ControlWriter, cred: Ucred): void {
  writer.put(SOL_SOCKET, SCM_CREDENTIALS, ints(cred.pid, cred.uid, cred.gid));
}

function putHead(writer: ControlWriter, socket: SocketFile, { hops, tclass }: PacketHead): void {
  const wants = (level: number, name: number): boolean => (socket.options.get(`${level}:${name}`) ?? 0) !== 0;
  if (wants(IPPROTO_IP, IP_RECVTTL)) writer.put(IPPROTO_IP, IP_TTL, ints(hops));
  if (wants(IPPROTO_IP, IP_RECVTOS)) writer.put(IPPROTO_IP, IP_TOS, Uint8Array.of(tclass));
  if (wants(IPPROTO_IPV6, IPV6_RECVHOPLIMIT)) writer.put(IPPROTO_IPV6, IPV6_HOPLIMIT, ints(hops));
  if (wants(IPPROTO_IPV6, IPV6_RECVTCLASS)) writer.put(IPPROTO_IPV6, IPV6_TCLASS, ints(tclass));
}

/** scm_detach_fds: whole descriptors only. */
function putFiles(task: Task, writer: ControlWriter, files: readonly File[], cloexec: boolean): void {
  const max = Math.max(0, Math.floor((writer.room - CMSGHDR_SIZE) / 4));
  const fds: number[] = [];
  for (const file of files) {
    const fd = fds.length < max ? task.process.files.install(file, 0, cloexec) : -1;
    if (fd < 0) file.unref();
    else fds.push(fd);
  }
  if (fds.length > 0) writer.put(SOL_SOCKET, SCM_RIGHTS, ints(...fds));
  if (fds.length < files.length) writer.flags |= MSG_CTRUNC;
}
