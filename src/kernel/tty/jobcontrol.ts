// What ties terminals to sessions: the controlling terminal, its foreground group, who may use it. credentials(7), setsid(2),
// tty_ioctl(4) "Controlling terminal", drivers/tty/tty_jobctrl.c.
//
// Interface: attach, detach, mayChange, mayRead, hangUp, leaderExits, isOrphaned. A process's `tty` is its controlling terminal's number.

import { EIO, EPERM, ERESTARTSYS } from '../../abi/linux/errno.ts';
import { SIGCONT, SIGHUP, SIGTTIN, SIGTTOU, SIG_IGN, SI_KERNEL, sigbit } from '../../abi/linux/signal.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../process/process.ts';
import type { Task } from '../process/task.ts';
import { signalGroup } from '../signal/send.ts';
import { siginfo } from '../signal/state.ts';
import type { Pty } from './pty.ts';

/** `Process.tty` without a controlling terminal. */
export const NO_TTY = -1;

/** The pseudo-terminal that controls the process's session. */
export function ttyOf(process: Process): Pty | null {
  return process.tty === NO_TTY ? null : process.kernel.ptys.get(process.tty) ?? null;
}

function controls(pty: Pty, process: Process): boolean {
  return ttyOf(process) === pty && pty.session === process.sid;
}

/** Makes it the controlling terminal of a session leader: TIOCSCTTY, and open(2) without O_NOCTTY. 0 or -EPERM. */
export function attach(pty: Pty, process: Process, steal: boolean): number {
  if (process.sid === process.pid && controls(pty, process)) return 0;
  if (process.sid !== process.pid || ttyOf(process)) return -EPERM;
  if (pty.session !== 0) {
    if (!steal || process.credentials.euid !== 0) return -EPERM;
    for (const other of process.kernel.processes.values()) if (other.tty === pty.index) other.tty = NO_TTY;
  }
  pty.session = process.sid;
  pty.pgrp = process.pgid;
  process.tty = pty.index;
  return 0;
}

/** TIOCNOTTY: a process gives its terminal up; the session's leader does for all. */
export function detach(process: Process): void {
  const pty = ttyOf(process);
  if (pty && process.sid === process.pid) giveUp(process, pty);
  process.tty = NO_TTY;
}

function giveUp(leader: Process, pty: Pty): void {
  const { kernel } = leader;
  const pgrp = pty.pgrp;
  pty.session = pty.pgrp = 0;
  if (pgrp !== 0) for (const signo of [SIGHUP, SIGCONT]) signalGroup(kernel, pgrp, siginfo(signo, SI_KERNEL));
  for (const other of kernel.processes.values()) if (other.sid === leader.sid) other.tty = NO_TTY;
}

/** A session's leader ends: its terminal is hung up. */
export function leaderExits(process: Process): void {
  const pty = process.sid === process.pid ? ttyOf(process) : null;
  if (pty) giveUp(process, pty);
}

/** The master is closed: the session is told, and nobody has the terminal any more. */
export function hangUp(kernel: Kernel, pty: Pty): void {
  const leader = kernel.processes.get(pty.session);
  pty.hungUp = true;
  kernel.ptys.remove(pty);
  for (const process of kernel.processes.values()) if (process.tty === pty.index) process.tty = NO_TTY;
  if (leader && leader.exitStatus < 0) for (const signo of [SIGHUP, SIGCONT]) signalGroup(kernel, leader.pgid, siginfo(signo, SI_KERNEL));
  if (pty.pgrp !== 0 && pty.pgrp !== leader?.pgid) for (const signo of [SIGHUP, SIGCONT]) signalGroup(kernel, pty.pgrp, siginfo(signo, SI_KERNEL));
  pty.session = pty.pgrp = 0;
}

/** A process group none of whose members has a parent in another group of the session: nobody would continue it. */
export function isOrphaned(kernel: Kernel, pgid: number): boolean {
  for (const process of kernel.processes.values()) {
    if (process.pgid !== pgid || process.exitStatus >= 0) continue;
    const parent = kernel.processes.get(process.ppid);
    if (parent && parent.exitStatus < 0 && parent.pgid !== pgid && parent.sid === process.sid) return false;
  }
  return true;
}

/** Groups that may lose the one who would continue them when `process` ends: while somebody is stopped. */
export function groupsAtRisk(process: Process): number[] {
  const { kernel } = process;
  const all = [...kernel.processes.values()];
  if (!all.some((other) => other.stopped)) return [];
  const groups = new Set([process.pgid, ...all.filter((other) => other.ppid === process.pid && other.sid === process.sid).map(({ pgid }) => pgid)]);
  return [...groups].filter((pgid) => !isOrphaned(kernel, pgid));
}

/** Those of the groups that have lost him and have stopped members are told and continued. */
export function hangUpOrphans(kernel: Kernel, groups: readonly number[]): void {
  for (const pgid of groups) {
    const isStopped = [...kernel.processes.values()].some((process) => process.pgid === pgid && process.stopped && process.exitStatus < 0);
    if (isStopped && isOrphaned(kernel, pgid)) for (const signo of [SIGHUP, SIGCONT]) signalGroup(kernel, pgid, siginfo(signo, SI_KERNEL));
  }
}

function isBackground(task: Task, pty: Pty): boolean {
  return controls(pty, task.process) && pty.pgrp !== 0 && pty.pgrp !== task.process.pgid;
}

function isDeaf(task: Task, signo: number): boolean {
  return (task.sigmask & sigbit(signo)) !== 0n || task.process.signals.action(signo).handler === SIG_IGN;
}

/** Whether a program may change the terminal or write to it with TOSTOP: 0, -EIO, or -ERESTARTSYS with SIGTTOU on its way. */
export function mayChange(task: Task, pty: Pty): number {
  if (!isBackground(task, pty) || isDeaf(task, SIGTTOU)) return 0;
  return stopGroup(task, SIGTTOU);
}

/** Whether a program may read: 0, -EIO, or -ERESTARTSYS with SIGTTIN on its way. */
export function mayRead(task: Task, pty: Pty): number {
  if (!isBackground(task, pty)) return 0;
  return isDeaf(task, SIGTTIN) ? -EIO : stopGroup(task, SIGTTIN);
}

function stopGroup({ kernel, process }: Task, signo: number): number {
  if (isOrphaned(kernel, process.pgid)) return -EIO;
  signalGroup(kernel, process.pgid, siginfo(signo, SI_KERNEL));
  return -ERESTARTSYS;
}
