// The one network interface, `lo`, as programs ask for it: rtnetlink(7) dumps over a NETLINK_ROUTE socket and the ioctls of
// netdevice(7).
//
// Interface: answerNetlink (a request's replies), deviceIoctl. Nothing can be changed: requests to do so are EPERM or EOPNOTSUPP.

import { EFAULT, EINVAL, ENODEV, ENOTTY, ENXIO, EOPNOTSUPP, EPERM } from '../../abi/linux/errno.ts';
import {
  ARPHRD_LOOPBACK, IFADDRMSG_SIZE, IFA_ADDRESS, IFA_FLAGS, IFA_F_PERMANENT, IFA_LABEL, IFA_LOCAL, IFF_LOOPBACK, IFF_LOWER_UP, IFF_RUNNING,
  IFF_UP, IFINFOMSG_SIZE, IFLA_ADDRESS, IFLA_BROADCAST, IFLA_IFNAME, IFLA_MTU, IFLA_OPERSTATE, IFLA_QDISC, IFLA_TXQLEN, IFNAMSIZ, IFREQ_SIZE,
  NLMSGHDR_SIZE, NLMSG_DONE, NLMSG_ERROR, NLM_F_ACK, NLM_F_DUMP, NLM_F_MULTI, NLM_F_REQUEST, RTATTR_SIZE, RTM_BASE, RTM_GETADDR, RTM_GETLINK,
  RTM_MAX, RTM_NEWADDR, RTM_NEWLINK, RT_SCOPE_HOST, SIOCGIFADDR, SIOCGIFBRDADDR, SIOCGIFCONF, SIOCGIFFLAGS, SIOCGIFHWADDR, SIOCGIFINDEX,
  SIOCGIFMETRIC, SIOCGIFMTU, SIOCGIFNAME, SIOCGIFNETMASK, SIOCGIFTXQLEN,
} from '../../abi/linux/netlink.ts';
import { AF_INET, AF_INET6 } from '../../abi/linux/socket.ts';
import { bytesOf, textOf } from '../fs/pseudo.ts';
import type { Task } from '../process/task.ts';

const LO_INDEX = 1, LO_MTU = 65536, LO_TXQLEN = 1000;
const FLAGS = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
const LOOPBACK4 = Uint8Array.of(127, 0, 0, 1), LOOPBACK6 = Uint8Array.of(...new Array<number>(15).fill(0), 1);
/** Requests answered in one send: a hostile sender may pack many small ones. */
const REQUESTS_MAX = 64;

/** The replies to what was sent to the kernel over a NETLINK_ROUTE socket whose own address is `port`. */
export function answerNetlink(task: Task, bytes: Uint8Array, port: number): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const replies: Uint8Array[] = [];
  for (let at = 0, count = 0; at + NLMSGHDR_SIZE <= bytes.length && count < REQUESTS_MAX; count++) {
    const length = view.getUint32(at, true);
    if (length < NLMSGHDR_SIZE || at + length > bytes.length) break;
    replies.push(...answerOne(task, bytes.subarray(at, at + length), port));
    at += (length + 3) & ~3;
  }
  return replies;
}

function answerOne(task: Task, request: Uint8Array, port: number): Uint8Array[] {
  const view = new DataView(request.buffer, request.byteOffset, request.length);
  const type = view.getUint16(4, true), flags = view.getUint16(6, true), sequence = view.getUint32(8, true);
  if (!(flags & NLM_F_REQUEST) || type < RTM_BASE) return flags & NLM_F_ACK ? [failure(request, sequence, port, 0)] : [];
  const isDump = (flags & NLM_F_DUMP) !== 0;
  const family = request[NLMSGHDR_SIZE] ?? 0;
  const message = (kind: number, body: Uint8Array): Uint8Array => framed(kind, isDump ? NLM_F_MULTI : 0, sequence, port, body);
  if (type === RTM_GETLINK) {
    const link = message(RTM_NEWLINK, linkInfo());
    return isDump ? [joined([link]), done(sequence, port)] : namesOther(request) ? [failure(request, sequence, port, ENODEV)] : [link];
  }
  if (type === RTM_GETADDR && isDump) {
    const found = [AF_INET, AF_INET6].filter((one) => family === 0 || family === one);
    const addresses = found.map((one) => message(RTM_NEWADDR, addressInfo(one)));
    return [...(addresses.length > 0 ? [joined(addresses)] : []), done(sequence, port)];
  }
  // Types come in fours: new, delete, get, set; only the third changes nothing.
  const isGet = (type & 3) === 2;
  if (isGet && isDump && type <= RTM_MAX) return [done(sequence, port)];
  if (!isGet && task.process.credentials.euid !== 0) return [failure(request, sequence, port, EPERM)];
  task.kernel.count(`rtnetlink ${type}`);
  return [failure(request, sequence, port, EOPNOTSUPP)];
}

/** Whether an RTM_GETLINK without NLM_F_DUMP asks for an index that is not ours. */
function namesOther(request: Uint8Array): boolean {
  if (request.length < NLMSGHDR_SIZE + IFINFOMSG_SIZE) return true;
  const index = new DataView(request.buffer, request.byteOffset).getInt32(NLMSGHDR_SIZE + 4, true);
  return index !== LO_INDEX && index !== 0;
}

function framed(type: number, flags: number, sequence: number, port: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(NLMSGHDR_SIZE + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, sequence, true);
  view.setUint32(12, port, true);
  bytes.set(body, NLMSGHDR_SIZE);
  return bytes;
}

function done(sequence: number, port: number): Uint8Array {
  return framed(NLMSG_DONE, NLM_F_MULTI, sequence, port, new Uint8Array(4));
}

/** struct nlmsgerr: -errno and the request's header. */
function failure(request: Uint8Array, sequence: number, port: number, errno: number): Uint8Array {
  const body = new Uint8Array(4 + (errno === 0 ? NLMSGHDR_SIZE : request.length));
  new DataView(body.buffer).setInt32(0, -errno, true);
  body.set(request.subarray(0, body.length - 4), 4);
  return framed(NLMSG_ERROR, 0, sequence, port, body);
}

/** Parts one after the other, each starting at a multiple of four. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + ((part.length + 3) & ~3), 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += (part.length + 3) & ~3;
  }
  return bytes;
}

function attribute(type: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(RTATTR_SIZE + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, bytes.length, true);
  view.setUint16(2, type, true);
  bytes.set(data, RTATTR_SIZE);
  return bytes;
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function linkInfo(): Uint8Array {
  const head = new Uint8Array(IFINFOMSG_SIZE);
  const view = new DataView(head.buffer);
  view.setUint16(2, ARPHRD_LOOPBACK, true);
  view.setInt32(4, LO_INDEX, true);
  view.setUint32(8, FLAGS | IFF_LOWER_UP, true);
  return joined([head, attribute(IFLA_IFNAME, bytesOf('lo\0')), attribute(IFLA_TXQLEN, u32(LO_TXQLEN)),
    attribute(IFLA_OPERSTATE, new Uint8Array(1)), attribute(IFLA_MTU, u32(LO_MTU)), attribute(IFLA_QDISC, bytesOf('noqueue\0')),
    attribute(IFLA_ADDRESS, new Uint8Array(6)), attribute(IFLA_BROADCAST, new Uint8Array(6))]);
}

function addressInfo(family: number): Uint8Array {
  const head = new Uint8Array(IFADDRMSG_SIZE);
  head.set([family, family === AF_INET ? 8 : 128, IFA_F_PERMANENT, RT_SCOPE_HOST]);
  new DataView(head.buffer).setUint32(4, LO_INDEX, true);
  const address = family === AF_INET ? LOOPBACK4 : LOOPBACK6;
  const local = family === AF_INET ? [attribute(IFA_LOCAL, address), attribute(IFA_LABEL, bytesOf('lo\0'))] : [];
  return joined([head, attribute(IFA_ADDRESS, address), ...local, attribute(IFA_FLAGS, u32(IFA_F_PERMANENT))]);
}

/** netdevice(7): a struct ifreq or ifconf at `gva`. -ENOTTY: not one of these commands. */
export function deviceIoctl(task: Task, command: number, gva: number): number {
  const { mm } = task.process;
  if (command === SIOCGIFCONF) return listInterfaces(task, gva);
  const put = PUTS.get(command);
  if (!put) return -ENOTTY;
  const request = mm.readBytes(gva, IFREQ_SIZE);
  if (typeof request === 'number') return -EFAULT;
  const bytes = request.slice();
  const view = new DataView(bytes.buffer);
  const name = textOf(bytes.subarray(0, IFNAMSIZ)).split('\0', 1)[0];
  if (command === SIOCGIFNAME ? view.getInt32(IFNAMSIZ, true) !== LO_INDEX : name !== 'lo') return command === SIOCGIFNAME ? -ENXIO : -ENODEV;
  put(view, bytes);
  return mm.copyOut(gva, bytes) < 0 ? -EFAULT : 0;
}

/** What each command writes after the name; SIOCGIFNAME writes the name. */
const PUTS: ReadonlyMap<number, (view: DataView, bytes: Uint8Array) => void> = new Map([
  [SIOCGIFNAME, (_view: DataView, bytes: Uint8Array) => void bytes.fill(0, 0, IFNAMSIZ).set(bytesOf('lo'))],
  [SIOCGIFINDEX, (view: DataView) => void view.setInt32(IFNAMSIZ, LO_INDEX, true)],
  [SIOCGIFFLAGS, (view: DataView) => void view.setInt16(IFNAMSIZ, FLAGS, true)],
  [SIOCGIFMTU, (view: DataView) => void view.setInt32(IFNAMSIZ, LO_MTU, true)],
  [SIOCGIFMETRIC, (view: DataView) => void view.setInt32(IFNAMSIZ, 0, true)],
  [SIOCGIFTXQLEN, (view: DataView) => void view.setInt32(IFNAMSIZ, LO_TXQLEN, true)],
  [SIOCGIFHWADDR, (view: DataView, bytes: Uint8Array) => putAddress(view, bytes, ARPHRD_LOOPBACK, new Uint8Array(4))],
  [SIOCGIFADDR, (view: DataView, bytes: Uint8Array) => putAddress(view, bytes, AF_INET, LOOPBACK4)],
  [SIOCGIFBRDADDR, (view: DataView, bytes: Uint8Array) => putAddress(view, bytes, AF_INET, new Uint8Array(4))],
  [SIOCGIFNETMASK, (view: DataView, bytes: Uint8Array) => putAddress(view, bytes, AF_INET, Uint8Array.of(255, 0, 0, 0))],
]);

/** A struct sockaddr after the name. */
function putAddress(view: DataView, bytes: Uint8Array, family: number, host: Uint8Array): void {
  bytes.fill(0, IFNAMSIZ, IFNAMSIZ + 16).set(host, IFNAMSIZ + 4);
  view.setUint16(IFNAMSIZ, family, true);
}

/** struct ifconf: a length and a pointer to room for that many bytes of struct ifreq (null: only the length is wanted). */
function listInterfaces(task: Task, gva: number): number {
  const { mm } = task.process;
  const head = mm.readBytes(gva, 16);
  if (typeof head === 'number') return -EFAULT;
  const view = new DataView(head.buffer, head.byteOffset, 16);
  const room = view.getInt32(0, true);
  const buffer = Number(view.getBigUint64(8, true));
  if (buffer === 0) return mm.writeU32(gva, IFREQ_SIZE);
  if (room < 0) return -EINVAL;
  if (room < IFREQ_SIZE) return mm.writeU32(gva, 0);
  const entry = new Uint8Array(IFREQ_SIZE);
  entry.set(bytesOf('lo'));
  putAddress(new DataView(entry.buffer), entry, AF_INET, LOOPBACK4);
  return mm.copyOut(buffer, entry) < 0 ? -EFAULT : mm.writeU32(gva, IFREQ_SIZE);
}
