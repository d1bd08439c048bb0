// Time limits of blocking calls, as the calls that wait for descriptors take them: struct timespec and struct timeval.
//
// Interface: readTimespec / readTimeval (a relative time as nanoseconds), writeRemaining (what select(2) leaves of it),
// swapSigmask / restoreSigmask (ppoll's temporary signal mask), endOf (the absolute end, remembered across reruns).

import { EFAULT, EINVAL } from '../../abi/linux/errno.ts';
import type { Task } from '../process/task.ts';
import { setSigmask } from '../signal/send.ts';

const NS = 1_000_000_000;
/** Times beyond it never come (292 years): also what a sum may not pass to stay exact enough. */
const FAR_NS = 2 ** 63;

/** Nanoseconds of the struct timespec at gva, -EFAULT or -EINVAL. Infinity when longer than 292 years. */
export function readTimespec(task: Task, gva: number): number {
  return readTime(task, gva, 1, NS);
}

/** Nanoseconds of the struct timeval at gva. As select(2) does, more than a second of microseconds is carried over. */
export function readTimeval(task: Task, gva: number): number {
  return readTime(task, gva, 1000, Infinity);
}

function readTime(task: Task, gva: number, unitNs: number, unitsMax: number): number {
  const bytes = new Uint8Array(16);
  if (task.process.mm.copyIn(gva, bytes) < 0) return -EFAULT;
  const view = new DataView(bytes.buffer);
  const seconds = Number(view.getBigInt64(0, true));
  const units = Number(view.getBigInt64(8, true));
  if (seconds < 0 || units < 0 || units >= unitsMax) return -EINVAL;
  const ns = seconds * NS + units * unitNs;
  return ns >= FAR_NS ? Infinity : ns;
}

/** Writes `ns` as a struct timespec (unitNs 1) or struct timeval (1000). 0 or -EFAULT. */
export function writeTime(task: Task, gva: number, ns: number, unitNs: number): number {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  const whole = Math.max(0, Math.floor(ns));
  view.setBigInt64(0, BigInt(Math.floor(whole / NS)), true);
  view.setBigInt64(8, BigInt(Math.floor((whole % NS) / unitNs)), true);
  return task.process.mm.copyOut(gva, bytes);
}

/** What a waiting call remembers: its absolute end on the sandbox's CLOCK_MONOTONIC. */
export interface EndMemo { readonly endNs: number }

/** The absolute end of a call that may wait `timeoutNs`: from its Wait when it runs again. */
export function endOf(task: Task, timeoutNs: number): number {
  const memo = task.rerun?.memo as Partial<EndMemo> | null | undefined;
  if (typeof memo?.endNs === 'number') return memo.endNs;
  return timeoutNs === Infinity ? Infinity : task.kernel.clock.monotonicNs() + timeoutNs;
}

/** Installs the signal mask at gva for the length of the call (gva 0: none). Not again when the call is run again. */
export function swapSigmask(task: Task, gva: number, sizeBytes: number): number {
  if (gva === 0 || task.rerun) return 0;
  if (sizeBytes !== 8) return -EINVAL;
  const mask = task.process.mm.readU64(gva);
  if (mask < 0n) return -EFAULT;
  task.savedSigmask = task.sigmask;
  setSigmask(task, mask);
  return 0;
}

/** The call is over and was not interrupted: the mask from before. After an interruption the handler's return restores it. */
export function restoreSigmask(task: Task): void {
  if (task.savedSigmask === null) return;
  const mask = task.savedSigmask;
  task.savedSigmask = null;
  setSigmask(task, mask);
}
