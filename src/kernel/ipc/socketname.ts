// Socket addresses: unix(7), ip(7), ipv6(7), netlink(7).
//
// Interface: parseAddress / encodeAddress (struct sockaddr_* bytes ↔ SocketAddress), and what internet addresses mean to each
// other. There is no network: of the internet families only the loopback addresses lead anywhere.

import { EAFNOSUPPORT, EINVAL } from '../../abi/linux/errno.ts';
import { AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, SOCKADDR_UN_SIZE } from '../../abi/linux/socket.ts';
import { bytesOf, textOf } from '../fs/pseudo.ts';

/** `host`: 4 or 16 bytes as a byte string. */
export interface InternetAddress { readonly family: typeof AF_INET | typeof AF_INET6; readonly host: string; readonly port: number }

export type SocketAddress =
  /** `path` '' is unnamed; a first character \0 is an abstract name. Byte string. */
  | { readonly family: typeof AF_UNIX; readonly path: string }
  | InternetAddress
  /** `port` is nl_pid, 0 for the kernel. */
  | { readonly family: typeof AF_NETLINK; readonly port: number; readonly groups: number };

export const UNNAMED: SocketAddress = { family: AF_UNIX, path: '' };
const ANY4 = '\0\0\0\0', ANY6 = '\0'.repeat(16), LOOPBACK6 = `${'\0'.repeat(15)}\x01`;
/** ::ffff:127. */
const MAPPED_PREFIX = `${'\0'.repeat(10)}\xff\xff`;

export function anyAddress(family: number): SocketAddress {
  if (family === AF_INET) return { family: AF_INET, host: ANY4, port: 0 };
  if (family === AF_INET6) return { family: AF_INET6, host: ANY6, port: 0 };
  return family === AF_NETLINK ? { family: AF_NETLINK, port: 0, groups: 0 } : UNNAMED;
}

/** Reads a sockaddr for a socket of `domain`. */
export function parseAddress(bytes: Uint8Array, domain: number): SocketAddress | number {
  if (bytes.length < 2) return -EINVAL;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const family = view.getUint16(0, true);
  if (family !== domain) return domain === AF_UNIX ? -EINVAL : -EAFNOSUPPORT;
  if (family === AF_UNIX) return parseUnix(bytes);
  if (family === AF_INET) {
    if (bytes.length < 16) return -EINVAL;
    return { family, host: textOf(bytes.subarray(4, 8)), port: view.getUint16(2) };
  }
  if (family === AF_INET6) {
    if (bytes.length < 24) return -EINVAL;
    return { family, host: textOf(bytes.subarray(8, 24)), port: view.getUint16(2) };
  }
  if (family === AF_NETLINK) {
    return bytes.length < 12 ? -EINVAL : { family, port: view.getUint32(4, true), groups: view.getUint32(8, true) };
  }
  return -EAFNOSUPPORT;
}

function parseUnix(bytes: Uint8Array): SocketAddress | number {
  if (bytes.length > SOCKADDR_UN_SIZE) return -EINVAL;
  const raw = textOf(bytes.subarray(2));
  if (raw.length === 0 || raw[0] === '\0') return { family: AF_UNIX, path: raw };
  const end = raw.indexOf('\0');
  return { family: AF_UNIX, path: end < 0 ? raw : raw.slice(0, end) };
}

/** The struct sockaddr_* bytes of an address. */
export function encodeAddress(address: SocketAddress): Uint8Array {
  if (address.family === AF_UNIX) {
    const named = address.path !== '' && address.path[0] !== '\0';
    const bytes = new Uint8Array(2 + address.path.length + (named ? 1 : 0));
    bytes[0] = AF_UNIX;
    bytes.set(bytesOf(address.path), 2);
    return bytes;
  }
  if (address.family === AF_NETLINK) return new Uint8Array(Uint32Array.of(AF_NETLINK, address.port, address.groups).buffer);
  const bytes = new Uint8Array(address.family === AF_INET ? 16 : 28);
  bytes[0] = address.family;
  bytes[2] = address.port >> 8;
  bytes[3] = address.port & 0xff;
  bytes.set(bytesOf(address.host), address.family === AF_INET ? 4 : 8);
  return bytes;
}

/** True when packets to it stay inside: 127/8, ::1, and the unspecified address, which connect(2) takes for loopback. */
export function isLoopback(address: SocketAddress): boolean {
  if (address.family === AF_UNIX || address.family === AF_NETLINK) return true;
  const host = v4Of(address.host);
  return host.length === 4 ? host === ANY4 || host.charCodeAt(0) === 127 : host === ANY6 || host === LOOPBACK6;
}

/** An IPv4-mapped IPv6 address as its four bytes. */
function v4Of(host: string): string {
  return host.length === 16 && host.startsWith(MAPPED_PREFIX) ? host.slice(12) : host;
}

/** The loopback address that answers for `address` (an unspecified host becomes 127.0.0.1 or ::1). */
export function concrete<A extends SocketAddress>(address: A): A {
  if (address.family === AF_INET && address.host === ANY4) return { ...address, host: '\x7f\0\0\x01' };
  if (address.family === AF_INET6 && address.host === ANY6) return { ...address, host: LOOPBACK6 };
  return address;
}

/** An internet address as a socket of `domain` sees it: IPv4 ones are mapped for IPv6 sockets, and back. */
export function asFamily(address: SocketAddress, domain: number): SocketAddress {
  if (domain === AF_INET6 && address.family === AF_INET) return { family: AF_INET6, host: MAPPED_PREFIX + address.host, port: address.port };
  if (domain !== AF_INET || address.family !== AF_INET6) return address;
  const host = v4Of(address.host);
  return host.length === 4 ? { family: AF_INET, host, port: address.port } : address;
}

/** Whether a socket bound to `local` answers for `host`. `v6only`: its IPV6_V6ONLY. */
export function covers(local: InternetAddress, v6only: boolean, host: string): boolean {
  const wanted = v4Of(host);
  if (local.host === ANY6) return wanted.length === 16 || !v6only;
  const own = v4Of(local.host);
  return own === wanted || (own === ANY4 && wanted.length === 4);
}

/** True for 0.0.0.0 and ::. */
export function isAny(host: string): boolean {
  return host === ANY4 || host === ANY6;
}
