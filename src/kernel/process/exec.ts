// execve(2): finding the program (and the interpreters of scripts and ELF files), loading it into a new address space, and
// making the process a new program: execve(2), "Effect on process attributes". Everything that can fail is done before
// the old program is given up.
//
// Interface: exec, for a task of a running process and for a first process alike. Set-ID bits count, but for file
// systems mounted nosuid and processes with no_new_privs.

import { E2BIG, EACCES, ELIBBAD, ELOOP, ENOENT, ENOEXEC } from '../../abi/linux/errno.ts';
import { RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK, RLIMIT_STACK } from '../../abi/linux/sched.ts';
import { S_ISGID, S_ISUID, S_IXGRP } from '../../abi/linux/stat.ts';
import { REG } from '../../platform.ts';
import { pathOf } from '../fs/dentry.ts';
import type { Dentry } from '../fs/dentry.ts';
import type { Inode } from '../fs/inode.ts';
import { mayExecute } from '../fs/open.ts';
import { lookupAt } from '../fs/path.ts';
import { MAY_READ, permission } from '../fs/perm.ts';
import { Mm } from '../mm/mm.ts';
import type { MmLimits } from '../mm/mm.ts';
import { isSecure } from './credentials.ts';
import type { Credentials } from './credentials.ts';
import { latin1, parseElf } from './elf.ts';
import { exitTask, releaseUserState } from './exit.ts';
import { loadProgram } from './load.ts';
import type { LoadRequest, Loaded, Program } from './load.ts';
import type { Process } from './process.ts';
import { argumentBytes } from './stack.ts';
import type { Task } from './task.ts';
import type { Wait } from '../wait.ts';

const AT_FDCWD = -100;
/** Script interpreters of script interpreters: Linux allows four. */
const SCRIPT_DEPTH_MAX = 4;
/** What Linux reads of a file to tell its kind. */
const BINPRM_BUF_SIZE = 256;
/** Strings of argv and envp together, if the stack limit is not the tighter bound. */
const ARGUMENT_BYTES_MAX = 6 << 20;
/** What a Process remembers of argv and of envp. */
const KEPT_BYTES_MAX = 16 << 10;

export interface ExecRequest {
  readonly dirfd: number;
  readonly path: string;
  /** AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW. */
  readonly flags: number;
  readonly argv: readonly string[];
  readonly envp: readonly string[];
}

/** Replaces the task's program. 0; or with nothing changed -errno, or a Wait for a file that is not there yet. */
export function exec(task: Task, request: ExecRequest): number | Wait {
  if (argumentBytes(request.argv, request.envp) > argumentLimit(task.process)) return -E2BIG;
  const found = findProgram(task, request);
  if (typeof found === 'number' || 'kind' in found) return found;
  const mm = newMm(task.process);
  if (typeof mm === 'number') return mm;
  const loaded = loadProgram(task.kernel, mm, found);
  if (typeof loaded === 'number') {
    mm.release();
    return loaded;
  }
  becomeProgram(task, mm, found, loaded);
  return 0;
}

function argumentLimit(process: Process): number {
  const stack = process.rlimits[RLIMIT_STACK]?.soft ?? 8 << 20;
  return Math.min(ARGUMENT_BYTES_MAX, Math.max(stack / 4, 128 << 10));
}

/** An empty address space with the process's limits. */
export function newMm(process: Process): Mm | number {
  const random = new Uint32Array(1);
  process.kernel.host.random(new Uint8Array(random.buffer));
  return Mm.create(process.kernel, random[0], mmLimits(process));
}

/** What mm needs of the process's rlimits. */
export function mmLimits(process: Process): MmLimits {
  const soft = (which: number): number => process.rlimits[which]?.soft ?? Infinity;
  return {
    asBytes: soft(RLIMIT_AS), dataBytes: soft(RLIMIT_DATA), stackBytes: soft(RLIMIT_STACK),
    memlockBytes: process.credentials.euid === 0 ? Infinity : soft(RLIMIT_MEMLOCK),
  };
}

/** Resolves scripts and ELF interpreters down to what is to be loaded. */
function findProgram(task: Task, request: ExecRequest): LoadRequest | number | Wait {
  let dentry = lookupAt(task, request.dirfd, request.path, request.flags);
  let { argv } = request;
  // execveat(fd, "", AT_EMPTY_PATH) names the program by its descriptor, also to a script's interpreter.
  const execfn = request.path !== '' ? request.path : `/dev/fd/${request.dirfd}`;
  let script = execfn;
  for (let depth = 0; ; depth++) {
    if (typeof dentry === 'number') return dentry;
    if (dentry.inode.isSymlink()) return -ELOOP; // AT_SYMLINK_NOFOLLOW
    if (depth > SCRIPT_DEPTH_MAX) return -ELOOP;
    const denied = mayExecute(task, dentry) || dentry.inode.pending();
    if (denied) return denied;
    const line = scriptLine(dentry);
    if (line === null) break;
    if (typeof line === 'number') return line;
    argv = [...line, script, ...argv.slice(1)];
    script = line[0];
    dentry = lookupAt(task, AT_FDCWD, line[0], 0);
  }
  const program = openProgram(dentry);
  if (typeof program === 'number') return program;
  const interpreter = findInterpreter(task, program);
  if (typeof interpreter === 'number' || (interpreter && 'kind' in interpreter)) return interpreter;
  const credentials = credentialsFor(task.process, program.inode);
  return { program, interpreter, argv: argv.length === 0 ? [''] : argv, envp: request.envp, execfn, credentials };
}

/** The ids a program runs with: its file's owner's and group's when its set-ID bits say so. The saved ids are the effective ones. */
function credentialsFor(process: Process, inode: Inode): Credentials {
  const { credentials: old, kernel } = process;
  const isIgnored = process.noNewPrivs || kernel.vfs.mountOf(inode)?.options.split(',').includes('nosuid') === true;
  const euid = !isIgnored && (inode.mode & S_ISUID) !== 0 ? inode.uid : old.euid;
  const egid = !isIgnored && (inode.mode & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP) ? inode.gid : old.egid;
  return { ...old, euid, egid, suid: euid, sgid: egid, fsuid: euid, fsgid: egid };
}

function openProgram(dentry: Dentry): Program | number {
  const elf = parseElf(dentry.inode);
  return typeof elf === 'number' ? elf : { inode: dentry.inode, path: pathOf(dentry), elf };
}

function findInterpreter(task: Task, program: Program): Program | null | number | Wait {
  if (program.elf.interp === null) return null;
  const dentry = lookupAt(task, AT_FDCWD, program.elf.interp, 0);
  if (typeof dentry === 'number') return dentry;
  const denied = mayExecute(task, dentry) || dentry.inode.pending();
  if (denied) return denied;
  const found = openProgram(dentry);
  return found === -ENOEXEC ? -ELIBBAD : found;
}

/** "#! interpreter [argument]" as [interpreter, argument?]; null: not a script. */
function scriptLine(dentry: Dentry): readonly string[] | null | number {
  const bytes = new Uint8Array(BINPRM_BUF_SIZE);
  const length = dentry.inode.read(0, bytes);
  if (length < 0) return length === -ENOENT ? -EACCES : length;
  const text = latin1(bytes.subarray(0, length));
  if (!text.startsWith('#!')) return null;
  const newline = text.indexOf('\n');
  const line = (newline < 0 ? text : text.slice(0, newline)).slice(2).replace(/\0[^]*$/, '').replace(/^[ \t]+|[ \t]+$/g, '');
  // A path cut off by the end of the buffer must not be run.
  if (line === '' || (newline < 0 && length === BINPRM_BUF_SIZE && !/[ \t]/.test(line))) return -ENOEXEC;
  const space = line.search(/[ \t]/);
  return space < 0 ? [line] : [line.slice(0, space), line.slice(space).replace(/^[ \t]+/, '')];
}

/** The point of no return. */
function becomeProgram(task: Task, mm: Mm, request: LoadRequest, loaded: Loaded): void {
  const { kernel, process } = task;
  for (const other of [...process.tasks]) if (other !== task) exitTask(other, 0);
  takeLeader(task);
  releaseUserState(task);
  process.mm.release();
  process.mm = mm;
  if (process.files.refs > 1) {
    const own = process.files.clone();
    process.files.release();
    process.files = own;
  }
  process.files.closeOnExec();
  process.signals.resetHandlers();
  process.timers.deletePosix();
  process.exe = request.program.path;
  process.exeInode = request.program.inode;
  process.argv = kept(request.argv);
  process.envp = kept(request.envp);
  process.stringBytes = 1.5 * argumentBytes(process.argv, process.envp) + process.exe.length;
  process.auxv = loaded.stack.auxv;
  process.execed = true;
  const { credentials } = request;
  const isReadable = permission(process.exeInode, MAY_READ, credentials) === 0;
  process.dumpable = isReadable && credentials.euid === credentials.ruid && credentials.egid === credentials.rgid ? 1 : 0;
  if (isSecure(process.credentials, credentials)) process.pdeathsig = 0;
  process.credentials = credentials;
  process.keepCaps = 0;
  process.exitSignal = 17;
  task.comm = commOf(request.execfn);
  resetTask(task);
  const { context } = task;
  context.regs.fill(0n);
  context.regs[REG.rip] = BigInt(loaded.entry);
  context.regs[REG.rsp] = BigInt(loaded.stack.sp);
  context.regs[REG.rflags] = 0x202n;
  context.fsBase = 0n;
  context.gsBase = 0n;
  context.fpu = null;
  kernel.machine.fpuChanged(context);
}

/** Long lists are only in the program's own memory, where /proc reads them: they must not fill the worker's. */
function kept(strings: readonly string[]): readonly string[] {
  return argumentBytes(strings, []) <= KEPT_BYTES_MAX ? strings : [];
}

/** A thread that execs becomes the process's leader, whichever it was. */
function takeLeader(task: Task): void {
  if (task.tid === task.process.pid) return;
  task.kernel.tasks.delete(task.tid);
  task.tid = task.process.pid;
  task.kernel.tasks.set(task.tid, task);
}

function resetTask(task: Task): void {
  task.altstack = { sp: 0, flags: 2, size: 0 };
  task.robustList = 0;
  task.clearChildTid = 0;
  task.rseq = { address: 0, size: 0, signature: 0 };
  task.restart = 0;
  task.restartBlock = null;
  task.savedSigmask = null;
}

/** comm: the last component of the path, 15 bytes of it. */
export function commOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1).slice(0, 15);
}
