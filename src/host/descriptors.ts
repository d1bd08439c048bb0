// Passing open files to another process: SCM_RIGHTS over a Unix socket (unix(7), cmsg(3)). This is how a worker that may open
// nothing gets the templates and images it is to use.

import koffi from 'koffi';
import { MSG_CMSG_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL, SCM_RIGHTS, SOL_SOCKET } from '../abi/linux/host.ts';
import { EPROTO } from '../abi/linux/errno.ts';
import { buffer, i32, size, struct } from '../abi/struct.ts';
import { HostError } from './errors.ts';
import { check } from './libc.ts';

interface Message {
  readonly msg_name: null;
  readonly msg_namelen: number;
  readonly msg_iov: readonly { readonly iov_base: Uint8Array; readonly iov_len: number }[];
  readonly msg_iovlen: number;
  readonly msg_control: Uint8Array;
  readonly msg_controllen: number;
  readonly msg_flags: number;
}

koffi.struct('iovec', { iov_base: 'void *', iov_len: 'size_t' });
koffi.struct('msghdr', {
  msg_name: 'void *', msg_namelen: 'uint32', msg_iov: 'iovec *', msg_iovlen: 'size_t', msg_control: 'void *', msg_controllen: 'size_t', msg_flags: 'int',
});
const libc = koffi.load('libc.so.6');
const sendmsg = libc.func('int64_t sendmsg(int, msghdr *, int)') as (fd: number, message: Message, flags: number) => number;
const recvmsg = libc.func('int64_t recvmsg(int, msghdr *, int)') as (fd: number, message: Message, flags: number) => number;

const CmsgHdr = struct('cmsghdr', 16, { cmsg_len: size, cmsg_level: i32, cmsg_type: i32 });
/** Most descriptors in one message (SCM_MAX_FD is 253). */
const DESCRIPTORS_MAX = 16;

/** A message of one byte (a stream socket carries no descriptors without data) and room for `count` descriptors. */
function message(count: number): { readonly parts: Message; readonly control: DataView } {
  const control = buffer(CmsgHdr.size + Math.ceil(count / 2) * 8);
  const iov = [{ iov_base: new Uint8Array(1), iov_len: 1 }];
  const parts = {
    msg_name: null, msg_namelen: 0, msg_iov: iov, msg_iovlen: 1, msg_control: control.u8, msg_controllen: control.u8.length, msg_flags: 0,
  };
  return { parts, control: control.view };
}

/** Sends copies of `fds` (1 to 16) over the socket; the caller may close its own afterwards. Throws HostError, EPIPE when nobody is there. */
export function sendDescriptors(socket: number, fds: readonly number[]): void {
  if (fds.length < 1 || fds.length > DESCRIPTORS_MAX) throw new RangeError(`${fds.length} descriptors`);
  const { parts, control } = message(fds.length);
  CmsgHdr.write(control, 0, { cmsg_len: CmsgHdr.size + fds.length * 4, cmsg_level: SOL_SOCKET, cmsg_type: SCM_RIGHTS });
  fds.forEach((fd, i) => control.setInt32(CmsgHdr.size + i * 4, fd, true));
  check('sendmsg', sendmsg(socket, parts, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/** Takes the `count` descriptors that one sendDescriptors sent; they are closed on exec. Never waits. Throws HostError, EAGAIN when none came. */
export function receiveDescriptors(socket: number, count: number): number[] {
  const { parts, control } = message(count);
  check('recvmsg', recvmsg(socket, parts, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
  const came = Math.max(0, (CmsgHdr.get.cmsg_len(control, 0) - CmsgHdr.size) / 4);
  const fds = Array.from({ length: came }, (_, i) => control.getInt32(CmsgHdr.size + i * 4, true));
  if (came !== count) throw new HostError(`recvmsg: ${came} descriptors instead of ${count}`, EPROTO);
  return fds;
}

