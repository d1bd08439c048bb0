// Making a signal pending and waking whom it is for: kill(2), tgkill(2), faults, timers, SIGCHLD, SIGPIPE.

import { SIGCONT, SIGKILL, SIG_IGN, SI_KERNEL, SI_USER, SIGSTOP, defaultAction, sigbit } from '../../abi/linux/signal.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../process/process.ts';
import type { Task } from '../process/task.ts';
import { DEFAULT_ACTION, UNBLOCKABLE, addPending, dropPending, siginfo } from './state.ts';
import type { SigInfo } from './state.ts';

const STOPS = sigbit(19) | sigbit(20) | sigbit(21) | sigbit(22);
const CONT = sigbit(SIGCONT);

/** Signals that could be delivered to the task now. */
export function deliverable(task: Task): bigint {
  return (task.pending | task.process.signals.pending) & ~task.sigmask;
}

/** Recomputes whether the task has signals to handle: after its mask or its pending set changed. */
export function recalcWork(task: Task): void {
  if (deliverable(task) !== 0n) task.work = true;
}

/** Sets the blocked set (SIGKILL and SIGSTOP stay out). */
export function setSigmask(task: Task, mask: bigint): void {
  task.sigmask = mask & ~UNBLOCKABLE;
  recalcWork(task);
}

function isIgnored(process: Process, signo: number): boolean {
  const action = process.signals.action(signo);
  if (action.handler === SIG_IGN) return signo !== SIGKILL && signo !== SIGSTOP;
  return action.handler === 0n && defaultAction(signo) === 'ign';
}

/** Sends a signal to a process: any thread that does not block it takes it. Returns 0 or -EAGAIN. */
export function signalProcess(process: Process, info: SigInfo): number {
  return send(process, null, info);
}

/** Sends a signal to one thread. Returns 0 or -EAGAIN. */
export function signalTask(task: Task, info: SigInfo): number {
  return send(task.process, task, info);
}

/** A signal of the kernel's own, to a process. */
export function kernelSignal(process: Process, signo: number): void {
  signalProcess(process, siginfo(signo, SI_KERNEL));
}

function send(process: Process, target: Task | null, info: SigInfo): number {
  if (process.exitStatus >= 0) return 0;
  const { signo } = info;
  jobControl(process, signo);
  // An ignored signal still becomes pending while it is blocked: the action may change before it is unblocked.
  const blocked = target ? (target.sigmask & sigbit(signo)) !== 0n : process.tasks.every((task) => (task.sigmask & sigbit(signo)) !== 0n);
  if (!blocked && isIgnored(process, signo)) return 0;
  if (!addPending(target ?? process.signals, info)) return -11;
  if (target) wakeForSignal(target, signo);
  else wakeOne(process, signo);
  if (process.signals.fdQueue !== 0) process.kernel.waits.wake(process.signals.fdQueue);
  return 0;
}

/** SIGCONT and stop signals cancel each other, and SIGCONT and SIGKILL let a stopped process go on whatever its mask. */
function jobControl(process: Process, signo: number): void {
  const drop = signo === SIGCONT ? STOPS : (sigbit(signo) & STOPS) !== 0n ? CONT : 0n;
  if (drop !== 0n) {
    dropPending(process.signals, drop);
    for (const task of process.tasks) dropPending(task, drop);
  }
  if ((signo === SIGCONT || signo === SIGKILL) && process.stopped) process.kernel.continueProcess(process, signo === SIGCONT);
}

function wakeOne(process: Process, signo: number): void {
  const bit = sigbit(signo);
  const takers = process.tasks.filter((task) => (task.sigmask & bit) === 0n);
  const taker = takers.find((task) => task.state !== 'blocked') ?? takers[0];
  if (signo === SIGKILL) for (const task of process.tasks) wakeForSignal(task, signo);
  else if (taker) wakeForSignal(taker, signo);
  else wakeSigwait(process, bit);
}

/** A thread in sigtimedwait(2) takes a blocked signal. */
function wakeSigwait(process: Process, bit: bigint): void {
  for (const task of process.tasks) {
    if (waitsFor(task, bit)) return process.kernel.wakeTask(task);
  }
}

function waitsFor(task: Task, bit: bigint): boolean {
  const memo = task.wait?.memo as { sigwait?: bigint } | null;
  return memo?.sigwait !== undefined && (memo.sigwait & bit) !== 0n;
}

function wakeForSignal(task: Task, signo: number): void {
  const bit = sigbit(signo);
  if ((task.sigmask & bit) !== 0n) {
    if (waitsFor(task, bit)) task.kernel.wakeTask(task);
    return;
  }
  task.work = true;
  if (task.state === 'blocked' && (!task.wait?.uninterruptible || signo === SIGKILL)) task.kernel.interruptTask(task);
}

/** A signal that cannot be ignored or blocked: a fault. With no way to handle it the process dies of it. */
export function forceSignal(task: Task, info: SigInfo): void {
  const bit = sigbit(info.signo);
  const { signals } = task.process;
  if ((task.sigmask & bit) !== 0n || signals.action(info.signo).handler === SIG_IGN) {
    task.sigmask &= ~bit;
    signals.actions[info.signo] = DEFAULT_ACTION;
  }
  addPending(task, info);
  task.work = true;
}

/** kill(2) for a process group; returns how many processes it reached. */
export function signalGroup(kernel: Kernel, pgid: number, info: SigInfo): number {
  let reached = 0;
  for (const process of kernel.processes.values()) {
    if (process.pgid !== pgid || process.exitStatus >= 0) continue;
    signalProcess(process, info);
    reached++;
  }
  return reached;
}

/** A plain signal to one thread, as if it had sent it itself (SIGPIPE, SIGXFSZ). */
export function sendSignalToTask(task: Task, signo: number): void {
  signalTask(task, siginfo(signo, SI_USER, { pid: task.process.pid, uid: task.process.credentials.ruid }));
}
