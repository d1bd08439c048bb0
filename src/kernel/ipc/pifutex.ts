// Futexes that know their owner: FUTEX_LOCK_PI, FUTEX_TRYLOCK_PI, FUTEX_UNLOCK_PI of futex(2). The word holds the owner's tid; the kernel
// hands the lock from one to the next, in order of arrival: there are no priorities here to inherit.
//
// Interface: lockPi, unlockPi, exitPi (a thread ends). A waiter's Wait remembers the owner and the word.

import { EAGAIN, EDEADLK, EPERM, ERESTARTNOINTR, ESRCH, ETIMEDOUT } from '../../abi/linux/errno.ts';
import { FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS } from '../../abi/linux/sched.ts';
import type { Task } from '../process/task.ts';
import { waitOn } from '../wait.ts';
import type { Wait } from '../wait.ts';

interface PiMemo { readonly pi: { readonly owner: number; readonly gva: number } }

function memoOf(task: Task): PiMemo['pi'] | null {
  return (task.wait?.memo as Partial<PiMemo> | null | undefined)?.pi ?? null;
}

/** Takes the lock or waits for it until a time of CLOCK_MONOTONIC; `deadlineNs` 0: only tries. */
export function lockPi(task: Task, gva: number, deadlineNs: number, shared: boolean): number | Wait {
  const queue = task.kernel.futexes.piQueue(task, gva, shared);
  if (queue < 0) return queue;
  const { mm } = task.process;
  const word = mm.readU32(gva);
  if (word < 0) return word;
  const owner = word & FUTEX_TID_MASK;
  if (owner === task.tid) return -EDEADLK;
  if (owner === 0) return mm.writeU32(gva, (task.tid | (word & (FUTEX_OWNER_DIED | FUTEX_WAITERS))) >>> 0);
  if (deadlineNs === 0) return -EAGAIN;
  if (!task.kernel.tasks.has(owner)) return -ESRCH;
  const bad = mm.writeU32(gva, (word | FUTEX_WAITERS) >>> 0);
  if (bad < 0) return bad;
  return waitOn([queue], {
    deadlineNs, onWake: 0, onTimeout: -ETIMEDOUT, onSignal: -ERESTARTNOINTR, memo: { pi: { owner, gva } } satisfies PiMemo,
  });
}

/** Gives the lock to who has waited longest. */
export function unlockPi(task: Task, gva: number, shared: boolean): number {
  const { mm } = task.process;
  const word = mm.readU32(gva);
  if (word < 0) return word;
  if ((word & FUTEX_TID_MASK) !== task.tid) return -EPERM;
  const queue = task.kernel.futexes.piQueue(task, gva, shared);
  if (queue < 0) return queue;
  return task.kernel.waits.tasksOn(queue).length > 0 ? handOver(task, queue, 0) : mm.writeU32(gva, 0);
}

function handOver({ kernel }: Task, queue: number, flags: number): number {
  const [next, ...others] = kernel.waits.tasksOn(queue);
  const { gva } = memoOf(next) as PiMemo['pi'];
  for (const other of others) {
    const memo = memoOf(other);
    if (memo) other.wait = { ...(other.wait as Wait), memo: { pi: { ...memo, owner: next.tid } } satisfies PiMemo };
  }
  const bad = next.process.mm.writeU32(gva, (next.tid | FUTEX_WAITERS | flags) >>> 0);
  kernel.waits.wake(queue, 1);
  return bad;
}

/** A thread ends that others wait for: the next ones get its locks, and are told how. After its robust list was walked. */
export function exitPi(task: Task): void {
  const queues = new Set<number>();
  for (const other of task.kernel.tasks.values()) if (memoOf(other)?.owner === task.tid) queues.add((other.wait as Wait).queues[0]);
  for (const queue of queues) handOver(task, queue, FUTEX_OWNER_DIED);
}
