// futex(2): waiting on a word of memory. Mechanism only; the argument layer is syscalls/futex.ts.
//
// A futex is named by what backs the word: address space and address for private memory, the frame for shared mappings.
// Each name has a wait queue while somebody waits; a waiter's Wait carries its bitset in `bits`.

import { EAGAIN, EINVAL, ERESTARTSYS, ERESTART_RESTARTBLOCK, ETIMEDOUT } from '../../abi/linux/errno.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../process/task.ts';
import { waitOn } from '../wait.ts';
import type { Wait } from '../wait.ts';

/** A word to wait on. */
export interface FutexWord { readonly gva: number; readonly expected: number; readonly shared: boolean }

/** futex_waitv's memory: the queue of each of its words. */
interface WaitvMemo { readonly waitv: readonly number[] }

export interface FutexState {
  readonly queues: ReadonlyMap<string, number>;
}

/** The Wait with `target` in the place of the queue `from`. */
function moved(wait: Wait, from: number, target: number): Wait {
  const memo = wait.memo as WaitvMemo | null;
  const put = (queue: number): number => (queue === from ? target : queue);
  return { ...wait, queues: [...new Set(wait.queues.map(put))], memo: memo && { waitv: memo.waitv.map(put) } satisfies WaitvMemo };
}

const MATCH_ANY = 0xffff_ffff;
/** Names kept before unused ones are dropped. */
const PURGE_AT = 1024;

export class Futexes {
  private readonly kernel: Kernel;
  private queues = new Map<string, number>();

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  /** FUTEX_WAIT_BITSET until an absolute CLOCK_MONOTONIC time (Infinity: for ever). */
  wait(task: Task, gva: number, expected: number, bits: number, deadlineNs: number, shared: boolean): number | Wait {
    if (bits === 0) return -EINVAL;
    const key = this.key(task, gva, shared);
    if (typeof key === 'number') return key;
    const value = task.process.mm.readU32(gva);
    if (value < 0) return value;
    if (value !== expected) return -EAGAIN;
    return waitOn([this.queueOf(key)], {
      deadlineNs, bits, onWake: 0, onTimeout: -ETIMEDOUT,
      onSignal: deadlineNs === Infinity ? -ERESTARTSYS : -ERESTART_RESTARTBLOCK,
    });
  }

  /** futex_waitv(2): waits on all words until one is woken, whose index is the result. */
  waitv(task: Task, words: readonly FutexWord[], deadlineNs: number): number | Wait {
    const keys: string[] = [];
    for (const { gva, shared } of words) {
      const key = this.key(task, gva, shared);
      if (typeof key === 'number') return key;
      keys.push(key);
    }
    for (const { gva, expected } of words) {
      const value = task.process.mm.readU32(gva);
      if (value < 0) return value;
      if (value !== expected) return -EAGAIN;
    }
    const queues = keys.map((key) => this.queueOf(key));
    return waitOn([...new Set(queues)], {
      deadlineNs, bits: MATCH_ANY, onTimeout: -ETIMEDOUT, onSignal: -ERESTARTSYS, memo: { waitv: queues } satisfies WaitvMemo,
    });
  }

  /** Wakes up to `count` waiters whose bitset meets `bits`. Returns how many, or -errno. */
  wake(task: Task, gva: number, count: number, bits: number, shared: boolean): number {
    if (bits === 0) return -EINVAL;
    const key = this.key(task, gva, shared);
    if (typeof key === 'number') return key;
    const queue = this.queues.get(key);
    if (queue === undefined) return 0;
    return this.wakeQueue(queue, count, bits);
  }

  private wakeQueue(queue: number, count: number, bits: number): number {
    return this.kernel.waits.wake(queue, count, (wait, task) => {
      if ((wait.bits & bits) === 0) return false;
      const memo = wait.memo as WaitvMemo | null;
      if (memo) task.wait = { ...wait, onWake: memo.waitv.indexOf(queue) };
      return true;
    });
  }

  /** Wakes `wakeCount` waiters of one futex and moves up to `moveCount` of the rest to another. Returns {woken, moved} or -errno. */
  requeue(task: Task, from: number, to: number, wakeCount: number, moveCount: number, shared: boolean): { woken: number; moved: number } | number {
    const fromKey = this.key(task, from, shared);
    if (typeof fromKey === 'number') return fromKey;
    const toKey = this.key(task, to, shared);
    if (typeof toKey === 'number') return toKey;
    const queue = this.queues.get(fromKey);
    if (queue === undefined) return { woken: 0, moved: 0 };
    const { waits } = this.kernel;
    const woken = this.wakeQueue(queue, wakeCount, MATCH_ANY);
    if (fromKey === toKey) return { woken, moved: 0 };
    const movers = waits.tasksOn(queue).slice(0, moveCount);
    const target = this.queueOf(toKey);
    for (const mover of movers) {
      waits.remove(mover);
      mover.wait = moved(mover.wait as Wait, queue, target);
      waits.add(mover);
    }
    return { woken, moved: movers.length };
  }

  /** Where waiters for a futex with an owner queue (pifutex.ts): apart from others, whom FUTEX_WAKE wakes. Or -errno. */
  piQueue(task: Task, gva: number, shared: boolean): number {
    const key = this.key(task, gva, shared);
    return typeof key === 'number' ? key : this.queueOf(`i${key}`);
  }

  /** The futex's name: 0x-prefixed frame for shared memory, "mm:gva" for private. -EINVAL when misaligned, -EFAULT. */
  private key(task: Task, gva: number, shared: boolean): string | number {
    if (gva % 4 !== 0) return -EINVAL;
    const { mm } = task.process;
    if (shared) {
      const gpa = mm.translate(gva, false);
      if (gpa < 0) return gpa;
      if (mm.isSharedAt(gva)) return `s${gpa}`;
    }
    return `p${mm.space.root}:${gva}`;
  }

  private queueOf(key: string): number {
    const known = this.queues.get(key);
    if (known !== undefined) return known;
    if (this.queues.size >= PURGE_AT) this.purge();
    const id = this.kernel.waits.newQueue();
    this.queues.set(key, id);
    return id;
  }

  private purge(): void {
    for (const [key, id] of this.queues) if (this.kernel.waits.tasksOn(id).length === 0) this.queues.delete(key);
  }

  save(): FutexState {
    this.purge();
    return { queues: new Map(this.queues) };
  }

  restore(state: FutexState): void {
    this.queues = new Map(state.queues);
  }
}
