// System calls that libc has no function for, by number: syscall(2).

import koffi from 'koffi';
import { check } from './libc.ts';

const libc = koffi.load('libc.so.6');
const integers = libc.func('syscall', 'long', ['long', 'long', 'long', 'long']) as (nr: number, a: number, b: number, c: number) => number;
const pointerFirst = libc.func('syscall', 'long', ['long', 'void *', 'long', 'long']) as
  (nr: number, a: Uint8Array | null, b: number, c: number) => number;
const pointersFirst = libc.func('syscall', 'long', ['long', 'void *', 'void *']) as (nr: number, a: Uint8Array, b: Uint8Array) => number;

/** All arguments are integers. Throws HostError named `op`. */
export function syscall(op: string, nr: number, a: number, b: number, c = 0): number {
  return check(op, integers(nr, a, b, c));
}

/** The first argument is a pointer to `a`. Throws HostError named `op`. */
export function syscallPointer(op: string, nr: number, a: Uint8Array | null, b: number, c: number): number {
  return check(op, pointerFirst(nr, a, b, c));
}

/** Both arguments are pointers. Throws HostError named `op`. */
export function syscallPointers(op: string, nr: number, a: Uint8Array, b: Uint8Array): number {
  return check(op, pointersFirst(nr, a, b));
}
