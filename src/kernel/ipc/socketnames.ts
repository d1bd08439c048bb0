// Who is bound to which name: unix(7) paths and abstract names, ports of ip(7) and ipv6(7).
//
// Interface: SocketNames. Ports of one protocol and number may belong to several sockets: bound to different addresses, or sharing
// one by SO_REUSEADDR and SO_REUSEPORT as socket(7) says. Not saved: restored sockets enter themselves.

import { EADDRINUSE } from '../../abi/linux/errno.ts';
import {
  AF_INET, AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SOL_SOCKET, SO_REUSEADDR, SO_REUSEPORT,
} from '../../abi/linux/socket.ts';
import type { SocketFile } from './socket.ts';
import { asFamily, covers, isAny } from './socketname.ts';
import type { InternetAddress, SocketAddress } from './socketname.ts';

const EPHEMERAL_FIRST = 32768, EPHEMERAL_LAST = 60999;

function has(socket: SocketFile, level: number, name: number): boolean {
  return (socket.options.get(`${level}:${name}`) ?? 0) !== 0;
}

function isInternet(address: SocketAddress): address is InternetAddress {
  return address.family === AF_INET || address.family === AF_INET6;
}

/** Whether two sockets may not have the same port (inet_csk_bind_conflict). */
function conflict(a: SocketFile, aLocal: SocketAddress, b: SocketFile): boolean {
  if (!isInternet(aLocal) || !isInternet(b.local)) return true;
  const aOnly = has(a, IPPROTO_IPV6, IPV6_V6ONLY), bOnly = has(b, IPPROTO_IPV6, IPV6_V6ONLY);
  const overlap = covers(aLocal, aOnly, b.local.host) || covers(b.local, bOnly, aLocal.host);
  if (!overlap) return false;
  if (has(a, SOL_SOCKET, SO_REUSEPORT) && has(b, SOL_SOCKET, SO_REUSEPORT)) return false;
  const reuse = has(a, SOL_SOCKET, SO_REUSEADDR) && has(b, SOL_SOCKET, SO_REUSEADDR);
  return !reuse || b.phase === 'listening';
}

/** How well `socket` fits a packet from `from` to `to`; -1 when it is not meant (udp4_lib_lookup's score). */
function score(socket: SocketFile, to: InternetAddress, from: SocketAddress): number {
  const { local, remote } = socket;
  if (!isInternet(local) || !covers(local, has(socket, IPPROTO_IPV6, IPV6_V6ONLY), to.host)) return -1;
  const exact = isAny(local.host) ? 0 : 1;
  if (!socket.isDatagram) return socket.phase === 'listening' ? exact : -1;
  if (!remote || !isInternet(remote) || !isInternet(from)) return exact;
  const sender = asFamily(from, socket.domain) as InternetAddress;
  return remote.port === sender.port && (remote.host === sender.host || isAny(sender.host)) ? exact + 2 : -1;
}

/** The sandbox's bound sockets. */
export class SocketNames {
  private readonly byKey = new Map<string, SocketFile[]>();

  /** Key of a path-bound unix socket: its inode. */
  static inodeKey(dev: number, ino: number): string {
    return `inode:${dev}:${ino}`;
  }

  static abstractKey(path: string): string {
    return `abstract:${path}`;
  }

  /** Internet sockets by transport and port, both families. */
  static portKey(protocol: number, port: number): string {
    return `port:${protocol}:${port}`;
  }

  find(key: string): SocketFile | null {
    return this.byKey.get(key)?.[0] ?? null;
  }

  /** The internet socket that something sent from `from` to `to` reaches. */
  findPort(protocol: number, to: InternetAddress, from: SocketAddress): SocketFile | null {
    let best: SocketFile | null = null;
    let bestScore = -1;
    for (const socket of this.byKey.get(SocketNames.portKey(protocol, to.port)) ?? []) {
      const points = score(socket, to, from);
      if (points > bestScore) [best, bestScore] = [socket, points];
    }
    return best;
  }

  /** Whether `socket` may have this name at `local` beside those that have it: 0 or -EADDRINUSE. */
  check(key: string, socket: SocketFile, local: SocketAddress): number {
    const others = (this.byKey.get(key) ?? []).filter((other) => other !== socket);
    return others.some((other) => conflict(socket, local, other)) ? -EADDRINUSE : 0;
  }

  /** Gives `socket` a name it may have. */
  enter(key: string, socket: SocketFile): void {
    const known = this.byKey.get(key);
    if (known) known.push(socket);
    else this.byKey.set(key, [socket]);
  }

  leave(key: string, socket: SocketFile): void {
    const left = (this.byKey.get(key) ?? []).filter((other) => other !== socket);
    if (left.length > 0) this.byKey.set(key, left);
    else this.byKey.delete(key);
  }

  /** A free ephemeral port, starting at `seed` (random, so that forks differ); 0 when all are taken. */
  freePort(protocol: number, seed: number): number {
    const count = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1;
    for (let i = 0; i < count; i++) {
      const port = EPHEMERAL_FIRST + ((seed + i) % count);
      if (!this.byKey.has(SocketNames.portKey(protocol, port))) return port;
    }
    return 0;
  }
}
