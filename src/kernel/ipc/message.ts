// What travels between local sockets, and how much may be under way: socket(7), unix(7).

import type { File } from '../fs/file.ts';
import type { SocketAddress } from './socketname.ts';

export const O_NONBLOCK = 0o4000;
/** Default of SO_SNDBUF and SO_RCVBUF (net.core.wmem_default). */
export const SOCKET_BUFFER = 212992;
/** net.unix.max_dgram_qlen: a receiver that keeps more datagrams takes no further one. */
export const DATAGRAMS_MAX = 10;
/** Charged for each message besides its bytes, so that empty ones fill a buffer too. */
export const MESSAGE_OVERHEAD = 256;

/** struct ucred. */
export interface Ucred { readonly pid: number; readonly uid: number; readonly gid: number }

/** Fields of an IP header a receiver may ask for: hop limit (TTL) and traffic class (TOS). */
export interface PacketHead { readonly hops: number; readonly tclass: number }
/** net.ipv4.ip_default_ttl and net.ipv6.conf.all.hop_limit. */
export const HOPS_DEFAULT = 64;

/** What lies in a receive queue. */
export interface Message {
  readonly bytes: Uint8Array;
  /** Bytes of it already read (streams). */
  done: number;
  /** Files under way (SCM_RIGHTS), each held by one reference; taken by the first read. */
  files: readonly File[];
  readonly cred: Ucred;
  readonly from: SocketAddress;
  /** Internet datagrams only. */
  readonly head: PacketHead | null;
}
