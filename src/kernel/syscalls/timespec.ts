// Reading and writing the time structs of user memory, with Linux's checks.

import { EFAULT, EINVAL } from '../../abi/linux/errno.ts';
import type { Task } from '../process/task.ts';
import { putTimespec } from './rusage.ts';

const NS_PER_SEC = 1_000_000_000n;
/** Longer times are as good as for ever; keeps arithmetic in doubles exact enough. */
const SECONDS_MAX = 1n << 33n;

/** A struct timespec as nanoseconds: bigint, or -EFAULT / -EINVAL (negative or nanoseconds out of range). */
export function readTimespec(task: Task, gva: number): bigint | number {
  const pair = readPair(task, gva);
  if (!pair) return -EFAULT;
  const [seconds, ns] = pair;
  if (seconds < 0n || ns < 0n || ns >= NS_PER_SEC) return -EINVAL;
  return (seconds > SECONDS_MAX ? SECONDS_MAX : seconds) * NS_PER_SEC + ns;
}

/** A struct timeval as nanoseconds. */
export function readTimeval(task: Task, gva: number): bigint | number {
  const pair = readPair(task, gva);
  if (!pair) return -EFAULT;
  const [seconds, us] = pair;
  if (seconds < 0n || us < 0n || us >= 1_000_000n) return -EINVAL;
  return (seconds > SECONDS_MAX ? SECONDS_MAX : seconds) * NS_PER_SEC + us * 1000n;
}

/** 0 or -EFAULT. */
export function writeTimespec(task: Task, gva: number, ns: bigint): number {
  const bytes = new Uint8Array(16);
  putTimespec(new DataView(bytes.buffer), 0, ns);
  return task.process.mm.copyOut(gva, bytes);
}

function readPair(task: Task, gva: number): readonly [bigint, bigint] | null {
  const bytes = new Uint8Array(16);
  if (task.process.mm.copyIn(gva, bytes) < 0) return null;
  const view = new DataView(bytes.buffer);
  return [view.getBigInt64(0, true), view.getBigInt64(8, true)];
}
