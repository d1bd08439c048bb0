// strace(1)'s view of a sandbox: every finished system call as `strace -f` prints it.
//
// Interface: Strace, given to Kernel.tracer by traceTo(). Arguments are printed by their ArgKind in the call's row; buffers and
// strings are read from guest memory without faulting for the guest's account (a bad pointer prints as a number).

import { RESTART_NAMES, errnoName, errnoText } from './errnotext.ts';
import { flagNames } from './flags.ts';
import type { Process } from '../process/process.ts';
import type { Task } from '../process/task.ts';
import { argCode, readArg } from '../syscalls/args.ts';
import { rowOf } from '../syscalls/dispatch.ts';
import type { ArgKind, SyscallRow } from '../syscalls/row.ts';
import { NO_RESULT } from '../wait.ts';
import { signalName } from '../../abi/linux/signal.ts';
import type { Tracer } from './tracer.ts';

/** Bytes of a string or buffer shown: strace's default. */
const SHOWN_MAX = 32;
const PATH_SHOWN_MAX = 4096;
/** Calls whose result is an address. */
const ADDRESS_RESULTS = new Set(['mmap', 'brk', 'mremap', 'shmat']);
const EXITS = new Set(['exit', 'exit_group']);

export class Strace implements Tracer {
  private readonly print: (text: string) => void;
  private readonly firstTid = { tid: 0 };
  /** Calls under way whose arguments will be gone: their text. */
  private readonly entered = new Map<Task, string>();

  constructor(print: (text: string) => void) {
    this.print = print;
  }

  enter(task: Task): void {
    const row = rowOf(task.syscallNr);
    if (!row) return;
    const text = formatCall(task, row, 0);
    if (EXITS.has(row.name)) this.line(task.tid, `${text.padEnd(39)} = ?`);
    else this.entered.set(task, text);
  }

  call(task: Task, result: number): void {
    const row = rowOf(task.syscallNr);
    if (row && EXITS.has(row.name)) return;
    const text = this.entered.get(task) ?? (row ? formatCall(task, row, result) : `syscall_${task.syscallNr}(...)`);
    this.entered.delete(task);
    this.line(task.tid, `${text.padEnd(39)} = ${formatResult(row, result)}`);
  }

  event(task: Task, text: string): void {
    this.line(task.tid, text);
  }

  exit(process: Process, status: number): void {
    const signo = status & 0x7f;
    this.line(process.pid, signo === 0 ? `+++ exited with ${status >> 8} +++` : `+++ killed by ${signalName(signo)} +++`);
  }

  /** The first task's lines have no pid, as long as there is no other. */
  private line(tid: number, text: string): void {
    if (this.firstTid.tid === 0) this.firstTid.tid = tid;
    this.print(tid === this.firstTid.tid ? `${text}\n` : `[pid ${tid}] ${text}\n`);
  }
}

/** `name(args)` of the call in the task's registers. */
export function formatCall(task: Task, row: SyscallRow, result: number): string {
  const values = row.args.map((kind, i) => readArg(task.context, i, argCode(kind)));
  const args = row.args.map((kind, i) => formatArg(task, kind, values[i], { values, index: i, result }));
  return `${row.name}(${args.join(', ')})`;
}

export function formatResult(row: SyscallRow | undefined, result: number): string {
  if (result === NO_RESULT) return row?.name === 'execve' || row?.name === 'execveat' ? '0' : '?';
  if (result <= -512 && result >= -516) return `? ${RESTART_NAMES[-result]} (To be restarted)`;
  if (result < 0) return `-1 ${errnoName(-result)} (${errnoText(-result)})`;
  return row && ADDRESS_RESULTS.has(row.name) ? `0x${result.toString(16)}` : String(result);
}

interface ArgContext { readonly values: readonly number[]; readonly index: number; readonly result: number }

function formatArg(task: Task, kind: ArgKind, value: number, context: ArgContext): string {
  switch (kind) {
    case 'PATH': return quotedString(task, value, PATH_SHOWN_MAX);
    case 'STR': return quotedString(task, value, SHOWN_MAX);
    case 'IN_BUF': return quotedBytes(task, value, context.values[context.index + 1] ?? 0);
    case 'OUT_BUF': return context.result >= 0 ? quotedBytes(task, value, context.result) : pointer(value);
    case 'DIRFD': return value === -100 ? 'AT_FDCWD' : String(value);
    case 'MODE': return value === 0 ? '0' : `0${value.toString(8)}`;
    case 'SIGNAL': return value === 0 ? '0' : signalName(value);
    case 'ADDR': case 'STRUCT': case 'IOVEC': return pointer(value);
    case 'PROT': case 'MAP': case 'OPEN': case 'ATFLAGS': case 'CLOCK': case 'FLAGS': return flagNames(kind, value);
    default: return String(value);
  }
}

function pointer(value: number): string {
  return value === 0 ? 'NULL' : `0x${value.toString(16)}`;
}

function quotedString(task: Task, gva: number, max: number): string {
  if (gva === 0) return 'NULL';
  const text = task.process.mm.readCString(gva, 4096);
  if (typeof text === 'number') return pointer(gva);
  return text.length > max ? `${quote(text.slice(0, max))}...` : quote(text);
}

function quotedBytes(task: Task, gva: number, length: number): string {
  if (gva === 0) return 'NULL';
  const bytes = new Uint8Array(Math.min(length, SHOWN_MAX));
  if (task.process.mm.copyIn(gva, bytes) < 0) return pointer(gva);
  const text = quote(String.fromCharCode(...bytes));
  return length > SHOWN_MAX ? `${text}...` : text;
}

const ESCAPES: Record<string, string> = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\t': '\\t', '\r': '\\r', '\v': '\\v', '\f': '\\f' };

/** A byte string as a C literal: octal for what does not print. */
export function quote(text: string): string {
  const body = text.replace(/["\\\x00-\x1f\x7f-\xff]/g, (char, at: number) => {
    const escape = ESCAPES[char];
    if (escape) return escape;
    const isBeforeDigit = /[0-7]/.test(text[at + 1] ?? '');
    return `\\${char.charCodeAt(0).toString(8).padStart(isBeforeDigit ? 3 : 1, '0')}`;
  });
  return `"${body}"`;
}
