// prctl(2): what this process says about itself to the kernel. Except for the death signal and dumpable these hold for the calling
// thread and those it makes; no_new_privs reaches the others together with a seccomp filter.

import koffi from 'koffi';
import * as P from '../abi/linux/confine.ts';
import { check } from './libc.ts';

const call = koffi.load('libc.so.6').func('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong']) as
  (option: number, a: number, b: number, c: number, d: number) => number;

/** `signal` comes when the thread that started this process ends. Forgotten when the process changes its user. Throws HostError. */
export function setParentDeathSignal(signal: number): void {
  check('prctl PR_SET_PDEATHSIG', call(P.PR_SET_PDEATHSIG, signal, 0, 0, 0));
}

/** No execve gives privileges any more. Throws HostError. */
export function setNoNewPrivileges(): void {
  check('prctl PR_SET_NO_NEW_PRIVS', call(P.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/** No core dumps; other processes of the same user can neither trace this one nor look into its /proc. Throws HostError. */
export function setUndumpable(): void {
  check('prctl PR_SET_DUMPABLE', call(P.PR_SET_DUMPABLE, 0, 0, 0, 0));
}

/** No program run by this thread gets capabilities any more: the bounding and the ambient set are emptied, if that is permitted. */
export function dropBoundingSet(): void {
  for (let capability = 0; call(P.PR_CAPBSET_DROP, capability, 0, 0, 0) === 0;) capability++; // EINVAL after the last one
  call(P.PR_CAP_AMBIENT, P.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}
