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

/** A call that waits: its text, and whether it was shown as unfinished. */
interface Waiting { readonly name: string; readonly text: string; shown: boolean }

export class Strace implements Tracer {
  private readonly print: (text: string) => void;
  /** Its lines have no pid. */
  private firstTid = 0;
  /** Calls under way whose arguments will be gone: their text. */
  private readonly entered = new Map<Task, string>();
  private readonly waiting = new Map<Task, Waiting>();

  constructor(print: (text: string) => void) {
    this.print = print;
  }

  enter(task: Task): void {
    const row = rowOf(task.syscallNr);
    if (!row) return;
    const text = formatCall(task, row, 0);
    if (EXITS.has(row.name)) this.line(task, `${text.padEnd(39)} = ?`);
    else this.entered.set(task, text);
  }

  call(task: Task, result: number): void {
    const row = rowOf(task.syscallNr);
    if (row && EXITS.has(row.name)) return;
    const waited = this.waiting.get(task);
    this.waiting.delete(task);
    let text = this.entered.get(task) ?? (row ? formatCall(task, row, result) : `syscall_${task.syscallNr}(...)`);
    if (waited?.shown) text = `<... ${waited.name} resumed>)`;
    this.entered.delete(task);
    this.line(task, `${text.padEnd(39)} = ${formatResult(row, result)}`);
  }

  blocked(task: Task): void {
    const row = rowOf(task.syscallNr);
    if (row && !this.waiting.has(task)) this.waiting.set(task, { name: row.name, text: formatCall(task, row, -1), shown: false });
  }

  idle(): void {
    this.showWaiting(null);
  }

  attached(task: Task): void {
    this.print(`strace: Process ${task.tid} attached\n`);
  }

  event(task: Task, text: string): void {
    this.line(task, text);
  }

  exit(process: Process, status: number): void {
    for (const task of this.waiting.keys()) if (task.process === process) this.waiting.delete(task);
    const signo = status & 0x7f;
    this.put(process.pid, signo === 0 ? `+++ exited with ${status >> 8} +++` : `+++ killed by ${signalName(signo)} +++`);
  }

  private line(task: Task, text: string): void {
    this.showWaiting(task);
    this.put(task.tid, text);
  }

  /** As strace: a waiting call is printed unfinished as soon as something of another task is printed. */
  private showWaiting(except: Task | null): void {
    for (const [task, call] of this.waiting) {
      if (call.shown || task === except) continue;
      call.shown = true;
      this.put(task.tid, `${call.text.slice(0, -1)} <unfinished ...>`);
    }
  }

  private put(tid: number, text: string): void {
    if (this.firstTid === 0) this.firstTid = tid;
    this.print(tid === this.firstTid ? `${text}\n` : `[pid ${tid}] ${text}\n`);
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
