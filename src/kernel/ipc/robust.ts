// Robust futexes: what a dying thread owes those who wait for its locks. Documentation/locking/robust-futexes,
// get_robust_list(2). The list is the guest's memory: bounded, and any bad pointer ends the walk.

import { FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS } from '../../abi/linux/sched.ts';
import type { Task } from '../process/task.ts';

const ROBUST_LIST_LIMIT = 2048;
/** struct robust_list_head: list.next, futex_offset, list_op_pending. */
const HEAD_BYTES = 24;

/** Marks every lock on the task's list that it holds, and wakes a waiter of each. */
export function exitRobustList(task: Task): void {
  const head = task.robustList;
  if (head === 0) return;
  task.robustList = 0;
  const { mm } = task.process;
  const bytes = mm.readBytes(head, HEAD_BYTES);
  if (typeof bytes === 'number') return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEAD_BYTES);
  const offset = Number(view.getBigInt64(8, true));
  const pending = entryAddress(Number(view.getBigUint64(16, true)));
  let entry = entryAddress(Number(view.getBigUint64(0, true)));
  for (let i = 0; i < ROBUST_LIST_LIMIT && entry !== head; i++) {
    const next = mm.readAddr(entry);
    if (entry !== pending && !ownerDied(task, entry + offset)) return;
    if (next < 0) return;
    entry = entryAddress(next);
  }
  if (pending !== 0) ownerDied(task, pending + offset);
}

/** The lowest bit of a list pointer marks a PI futex. */
function entryAddress(pointer: number): number {
  return pointer % 2 === 1 ? pointer - 1 : pointer;
}

/** False: the word is not readable. */
function ownerDied(task: Task, gva: number): boolean {
  if (gva < 0 || gva % 4 !== 0) return false;
  const { mm } = task.process;
  const value = mm.readU32(gva);
  if (value < 0) return false;
  if ((value & FUTEX_TID_MASK) !== task.tid) return true;
  if (mm.writeU32(gva, ((value & FUTEX_WAITERS) | FUTEX_OWNER_DIED) >>> 0) < 0) return false;
  if (value & FUTEX_WAITERS) task.kernel.futexes.wake(task, gva, 1, 0xffff_ffff, true);
  return true;
}
