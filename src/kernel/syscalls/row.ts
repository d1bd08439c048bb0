// One row per system call: number, name, handler, how complete it is, and what its arguments are. Dispatch, strace, the
// generated docs/syscalls.md and the coverage check all read the same rows.

import type { Task } from '../process/task.ts';
import type { Wait } from '../wait.ts';

/**
 * How a 64-bit argument register becomes a JavaScript number, and how strace prints it.
 * - 32 bits, signed (int): INT FD DIRFD. Unsigned: UINT MODE FLAGS.
 * - 64 bits, unsigned as a double: ADDR SIZE and all pointers (PATH STR IN_BUF OUT_BUF STRUCT IOVEC); inexact beyond 2^53,
 *   which no valid address or size reaches: compare before using.
 * - 64 bits, signed as a double: OFF LONG.
 */
export type ArgKind =
  | 'INT' | 'FD' | 'DIRFD' | 'UINT' | 'MODE' | 'FLAGS'
  | 'ADDR' | 'SIZE' | 'PATH' | 'STR' | 'IN_BUF' | 'OUT_BUF' | 'STRUCT' | 'IOVEC'
  | 'OFF' | 'LONG' | 'SIGNAL' | 'PROT' | 'MAP' | 'OPEN' | 'ATFLAGS' | 'CLOCK' | 'PID';

export const INT = 'INT', FD = 'FD', DIRFD = 'DIRFD', UINT = 'UINT', MODE = 'MODE', FLAGS = 'FLAGS';
export const ADDR = 'ADDR', SIZE = 'SIZE', PATH = 'PATH', STR = 'STR', IN_BUF = 'IN_BUF', OUT_BUF = 'OUT_BUF';
export const STRUCT = 'STRUCT', IOVEC = 'IOVEC', OFF = 'OFF', LONG = 'LONG', SIGNAL = 'SIGNAL', PROT = 'PROT', MAP = 'MAP';
export const OPEN = 'OPEN', ATFLAGS = 'ATFLAGS', CLOCK = 'CLOCK', PID = 'PID';

/** A handler returns the result (or -errno), or a Wait when the task must block. Never throws, never awaits. */
export type Handler = (task: Task, ...args: number[]) => number | Wait;

export type Support =
  | { readonly level: 'full' }
  | { readonly level: 'partial'; readonly note: string }
  | { readonly level: 'enosys'; readonly note: string };

export const FULL: Support = { level: 'full' };
export function PARTIAL(note: string): Support {
  return { level: 'partial', note };
}

export interface SyscallRow {
  readonly nr: number;
  readonly name: string;
  readonly handler: Handler | null;
  readonly support: Support;
  readonly args: readonly ArgKind[];
}

/** A row of an implemented call. */
export function sys(nr: number, name: string, handler: Handler, support: Support, args: readonly ArgKind[]): SyscallRow {
  return { nr, name, handler, support, args };
}

/** A row of a call that deliberately does not exist: programs get `-ENOSYS`, it is counted, and `why` is in the docs. */
export function ENOSYS(nr: number, name: string, why: string): SyscallRow {
  return { nr, name, handler: null, support: { level: 'enosys', note: why }, args: [] };
}
