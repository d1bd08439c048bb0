// /proc/PID/stat, status, limits, cmdline, environ, auxv, fdinfo as text. Formats of proc(5) and fs/proc/array.c.
//
// Interface: one function per file, each given a process (and the task it is looked at through).

import { sigbit } from '../../../abi/linux/signal.ts';
import { statusLines } from '../../mm/describe.ts';
import { PidFile } from '../../process/pidfd.ts';
import { EpollFile } from '../../ipc/epoll.ts';
import { EventFd } from '../../ipc/eventfd.ts';
import type { Process } from '../../process/process.ts';
import { ttyOf } from '../../tty/jobcontrol.ts';
import type { Task } from '../../process/task.ts';
import type { File } from '../file.ts';
import { ticks } from './system.ts';

const MAX_TEXT = 1 << 20;

/** R, S, T, Z as ps(1) shows them, with the name of status. */
export function stateOf(process: Process, task: Task | undefined): string {
  if (process.exitStatus >= 0 || !task || task.state === 'dead') return 'Z (zombie)';
  if (task.state === 'stopped' || process.stopped) return 'T (stopped)';
  return task.state === 'blocked' ? 'S (sleeping)' : 'R (running)';
}

/** Bits of signals whose action is to be ignored, or a handler. */
function actionMask(process: Process, isWanted: (handler: bigint) => boolean): bigint {
  let mask = 0n;
  for (let signo = 1; signo <= 64; signo++) if (isWanted(process.signals.action(signo).handler)) mask |= sigbit(signo);
  return mask;
}

/** tty_nr and tpgid: the controlling terminal, and who is in its foreground. */
function terminal(process: Process): [number, number] {
  const pty = ttyOf(process);
  return pty ? [136 << 8 | pty.index, pty.pgrp] : [0, -1];
}

/** /proc/PID/stat: 52 fields. */
export function stat(process: Process, task: Task | undefined, id: number): string {
  const isDead = process.exitStatus >= 0;
  const { mm } = process;
  const { layout } = mm;
  const low31 = (mask: bigint): bigint => mask & 0x7fff_ffffn;
  const rlimit = process.rlimits[5]?.soft ?? Infinity; // RLIMIT_RSS
  const start = Math.max(0, task?.startNs || process.startNs);
  const fields: (string | number | bigint)[] = [
    id, `(${task?.comm ?? ''})`, stateOf(process, task)[0], process.ppid, process.pgid, process.sid, ...terminal(process), 0x40_0000, 0, 0, 0, 0,
    ticks(id === process.pid ? process.cpuNs : task?.cpuNs ?? 0), 0, ticks(process.childrenCpuNs), 0, 20 + process.nice, process.nice,
    process.tasks.length, 0, ticks(start), isDead ? 0 : mm.totalPages * 4096, isDead ? 0 : mm.rssPages,
    rlimit === Infinity ? 18446744073709551615n : rlimit,
    isDead ? 0 : layout.startCode, isDead ? 0 : layout.endCode, isDead ? 0 : layout.startStack, 0, 0,
    low31(task?.pending ?? 0n), low31(task?.sigmask ?? 0n), low31(actionMask(process, (h) => h === 1n)),
    low31(actionMask(process, (h) => h > 1n)), 0, 0, 0, process.exitSignal, 0, 0, 0, 0, 0, 0,
    ...(isDead ? [0, 0, 0] : [layout.startData, layout.endData, mm.startBrk]),
    ...(isDead ? [0, 0, 0, 0] : [layout.argStart, layout.argEnd, layout.envStart, layout.envEnd]),
    isDead ? process.exitStatus : 0,
  ];
  return `${fields.join(' ')}\n`;
}

function hex64(mask: bigint): string {
  return mask.toString(16).padStart(16, '0');
}

/** /proc/PID/status. */
export function status(process: Process, task: Task | undefined, id: number): string {
  const { credentials: ids } = process;
  const isDead = process.exitStatus >= 0;
  const caps = ids.euid === 0 ? 0x1ff_ffff_ffffn : 0n;
  const head = [
    `Name:\t${(task?.comm ?? '').replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}`, `Umask:\t${process.fs.umask.toString(8).padStart(4, '0')}`,
    `State:\t${stateOf(process, task)}`, `Tgid:\t${process.pid}`, 'Ngid:\t0', `Pid:\t${id}`, `PPid:\t${process.ppid}`, 'TracerPid:\t0',
    `Uid:\t${ids.ruid}\t${ids.euid}\t${ids.suid}\t${ids.fsuid}`, `Gid:\t${ids.rgid}\t${ids.egid}\t${ids.sgid}\t${ids.fsgid}`,
    `FDSize:\t${fdSize(process)}`, `Groups:\t${ids.groups.map((gid) => `${gid} `).join('')}`, `NStgid:\t${process.pid}`, `NSpid:\t${id}`,
    `NSpgid:\t${process.pgid}`, `NSsid:\t${process.sid}`,
  ];
  const tail = [
    'HugetlbPages:\t       0 kB', 'CoreDumping:\t0', 'THP_enabled:\t0', `Threads:\t${Math.max(1, process.tasks.length)}`,
    `SigQ:\t${process.signals.pendingInfo.length}/1024`, `SigPnd:\t${hex64(task?.pending ?? 0n)}`,
    `ShdPnd:\t${hex64(process.signals.pending)}`,
    `SigBlk:\t${hex64(task?.sigmask ?? 0n)}`, `SigIgn:\t${hex64(actionMask(process, (h) => h === 1n))}`,
    `SigCgt:\t${hex64(actionMask(process, (h) => h > 1n))}`, `CapInh:\t${hex64(0n)}`, `CapPrm:\t${hex64(caps)}`, `CapEff:\t${hex64(caps)}`,
    `CapBnd:\t${hex64(0x1ff_ffff_ffffn)}`, `CapAmb:\t${hex64(0n)}`, `NoNewPrivs:\t${Number(process.noNewPrivs)}`, 'Seccomp:\t0',
    'Seccomp_filters:\t0',
    'Speculation_Store_Bypass:\tunknown', 'SpeculationIndirectBranch:\tunknown', 'Cpus_allowed:\t1', 'Cpus_allowed_list:\t0',
    'Mems_allowed:\t1',
    'Mems_allowed_list:\t0', `voluntary_ctxt_switches:\t${task?.switches ?? 0}`, 'nonvoluntary_ctxt_switches:\t0',
  ];
  return `${head.join('\n')}\n${isDead ? '' : statusLines(process.mm)}${tail.join('\n')}\n`;
}

/** Size of the descriptor table: Linux's grows in powers of two from 64. */
function fdSize(process: Process): number {
  let size = 64;
  if (process.exitStatus < 0) while (size < process.files.count) size *= 2;
  return size;
}

const LIMITS: readonly (readonly [number, string, string])[] = [
  [0, 'Max cpu time', 'seconds'], [1, 'Max file size', 'bytes'], [2, 'Max data size', 'bytes'], [3, 'Max stack size', 'bytes'],
  [4, 'Max core file size', 'bytes'], [5, 'Max resident set', 'bytes'], [6, 'Max processes', 'processes'], [7, 'Max open files', 'files'],
  [8, 'Max locked memory', 'bytes'], [9, 'Max address space', 'bytes'], [10, 'Max file locks', 'locks'],
  [11, 'Max pending signals', 'signals'],
  [12, 'Max msgqueue size', 'bytes'], [13, 'Max nice priority', ''], [14, 'Max realtime priority', ''], [15, 'Max realtime timeout', 'us'],
];

/** /proc/PID/limits. */
export function limits(process: Process): string {
  const shown = (value: number): string => (value === Infinity ? 'unlimited' : String(value)).padEnd(20);
  const row = (name: string, soft: string, hard: string, units: string): string =>
    `${`${name.padEnd(25)} ${soft} ${hard} ${units.padEnd(10)}`}\n`;
  const rows = LIMITS.map(([index, name, units]) => {
    const limit = process.rlimits[index] ?? { soft: Infinity, hard: Infinity };
    return row(name, shown(limit.soft), shown(limit.hard), units);
  });
  return row('Limit', 'Soft Limit'.padEnd(20), 'Hard Limit'.padEnd(20), 'Units') + rows.join('');
}

/** Strings of the process's own memory: what it wrote over its arguments shows, as setproctitle(3) wants. */
function memoryText(process: Process, start: number, end: number, given: readonly string[]): Uint8Array | string {
  if (process.exitStatus >= 0) return '';
  if (end > start && end - start <= MAX_TEXT) {
    const bytes = process.mm.readBytes(start, end - start);
    if (typeof bytes !== 'number') return bytes;
  }
  return given.map((text) => `${text}\0`).join('');
}

/** /proc/PID/cmdline. */
export function cmdline(process: Process): Uint8Array | string {
  const { argStart, argEnd } = process.mm.layout;
  return memoryText(process, argStart, argEnd, process.argv);
}

/** /proc/PID/environ. */
export function environ(process: Process): Uint8Array | string {
  const { envStart, envEnd } = process.mm.layout;
  return memoryText(process, envStart, envEnd, process.envp);
}

/** /proc/PID/auxv: pairs of u64, ended by AT_NULL. */
export function auxv(process: Process): Uint8Array {
  const isEnded = process.auxv.some(([type]) => type === 0);
  const pairs = isEnded ? process.auxv : [...process.auxv, [0, 0] as const];
  const bytes = new Uint8Array(pairs.length * 16);
  const view = new DataView(bytes.buffer);
  pairs.forEach(([type, value], index) => {
    view.setBigUint64(index * 16, BigInt(type), true);
    view.setBigUint64(index * 16 + 8, BigInt(value), true);
  });
  return bytes;
}

/** /proc/PID/fdinfo/FD. */
export function fdinfo(file: File, isCloexec: boolean, mountId: number): string {
  const flags = file.flags | (isCloexec ? 0o2000000 : 0);
  const common = `pos:\t${file.pos}\nflags:\t0${flags.toString(8)}\nmnt_id:\t${mountId}\nino:\t${file.inode.ino}\n`;
  if (file instanceof EpollFile || file instanceof PidFile) return common + file.fdinfo();
  if (!(file instanceof EventFd)) return common;
  return `${common}eventfd-count: ${file.counter.toString(16).padStart(16)}\neventfd-semaphore: ${Number(file.semaphore)}\n`;
}
