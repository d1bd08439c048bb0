// Who this process is and what it may use: credentials(7), capabilities(7), setrlimit(2).

import koffi from 'koffi';
import { LINUX_CAPABILITY_VERSION_3 } from '../abi/linux/confine.ts';
import { SYS_capset } from '../abi/linux/hostcalls.ts';
import { buffer, u64, struct } from '../abi/struct.ts';
import { check } from './libc.ts';
import { syscallPointers } from './syscall.ts';

const libc = koffi.load('libc.so.6');
const setgroups = libc.func('int setgroups(size_t, void *)') as (count: number, groups: null) => number;
const setresgid = libc.func('int setresgid(uint32, uint32, uint32)') as (real: number, effective: number, saved: number) => number;
const setresuid = libc.func('int setresuid(uint32, uint32, uint32)') as (real: number, effective: number, saved: number) => number;
const getrlimit = libc.func('int getrlimit(int, void *)') as (resource: number, limit: Uint8Array) => number;
const setrlimit = libc.func('int setrlimit(int, void *)') as (resource: number, limit: Uint8Array) => number;

const Rlimit = struct('rlimit', 16, { rlim_cur: u64, rlim_max: u64 });

/** Makes all threads run as user and group `id`, without other groups (libc tells every thread). Throws HostError. */
export function becomeUser(id: number): void {
  check('setgroups', setgroups(0, null));
  check('setresgid', setresgid(id, id, id));
  check('setresuid', setresuid(id, id, id));
}

/** Gives up all capabilities of the calling thread. Throws HostError. */
export function dropCapabilities(): void {
  const header = buffer(8);
  header.view.setUint32(0, LINUX_CAPABILITY_VERSION_3, true);
  syscallPointers('capset', SYS_capset, header.u8, new Uint8Array(24));
}

/** Lowers both limits of a resource to `limit`; never raises one. Throws HostError. */
export function lowerLimit(resource: number, limit: bigint): void {
  const both = buffer(Rlimit.size);
  check('getrlimit', getrlimit(resource, both.u8));
  const max = Rlimit.get.rlim_max(both.view, 0);
  const lower = limit < max ? limit : max;
  Rlimit.write(both.view, 0, { rlim_cur: lower, rlim_max: lower });
  check('setrlimit', setrlimit(resource, both.u8));
}
