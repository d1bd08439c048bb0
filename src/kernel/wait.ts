// Blocking as data. A system call that must wait returns a Wait: plain data that can be copied by a fork and written to
// disk. Nothing of a blocked task lives in a Promise, a generator or a closure.
//
// Interface: waitOn() builds a Wait; WaitQueues keeps who waits where and finds whom to wake. A woken task either gets
// `onWake` as the result of its call, or, when that is RERUN, its call is dispatched again with the same arguments
// and `task.rerun` holding the Wait (so a handler finds the deadline it set the first time).

import type { Task } from './process/task.ts';

/** `onWake` value: dispatch the call again. No system call returns it (it is not an errno and below -4095). */
export const RERUN = -100_000;

/** The handler has arranged the registers itself (execve, rt_sigreturn) or the task is gone (exit). */
export const NO_RESULT = -100_001;
/** The sandbox stops here for a snapshot: the call stays under way. */
export const SNAPSHOT = -100_002;

export interface Wait {
  readonly kind: 'wait';
  /** Wait queues (ids from `WaitQueues.newQueue`) any of which may wake the task. */
  readonly queues: readonly number[];
  /** Absolute time of the sandbox's CLOCK_MONOTONIC in nanoseconds; Infinity for none. */
  readonly deadlineNs: number;
  /** Result after a wake-up, or RERUN. */
  readonly onWake: number;
  /** Result when the deadline passes, or RERUN (then `task.timedOut` is true during the call). */
  readonly onTimeout: number;
  /**
   * Result when a signal arrives: -ERESTARTSYS, -ERESTARTNOHAND, -ERESTART_RESTARTBLOCK, -EINTR or a count, or RERUN (then
   * `task.interrupted` is true during the call, which must not wait again).
   */
  readonly onSignal: number;
  /** Waker's filter: a futex bitset, or whatever the queue's owner defines. */
  readonly bits: number;
  /** Signals do not end it, apart from SIGKILL (vfork). */
  readonly uninterruptible: boolean;
  /** What the call needs to remember across reruns: plain data only. */
  readonly memo: unknown;
}

/** A Wait with defaults: no deadline, rerun on wake and timeout, restart after a signal handler with SA_RESTART. */
export function waitOn(queues: readonly number[], change: Partial<Wait> = {}): Wait {
  return {
    kind: 'wait', queues, deadlineNs: Infinity, onWake: RERUN, onTimeout: RERUN, onSignal: -512, bits: 0, memo: null,
    uninterruptible: false,
    ...change,
  };
}

/** Told of every wake of a queue it watches, whether or not a task waits there (epoll's ready list). Must not wake that queue again. */
export interface QueueWatcher {
  queueWoken(id: number): void;
}

/** Who waits on what, in order of arrival. Queue ids are never reused within a sandbox. */
export class WaitQueues {
  private next = 1;
  private arrivals = 0;
  private readonly waiters = new Map<number, Task[]>();
  private readonly watchers = new Map<number, QueueWatcher[]>();
  /** How many watches there are: whoever lets a guest add some bounds them. */
  watchCount = 0;
  /** Called for each task woken, with its Wait still in `task.wait`. Set by the scheduler. */
  onWake: (task: Task) => void = () => {};

  /** Queues that somebody waits on, and that somebody watches. */
  get queueCount(): number {
    return this.waiters.size + this.watchers.size;
  }

  newQueue(): number {
    return this.next++;
  }

  /** Files the task under the queues of its `task.wait`. */
  add(task: Task): void {
    task.arrival = ++this.arrivals;
    for (const id of task.wait?.queues ?? []) {
      const list = this.waiters.get(id);
      if (list) list.push(task);
      else this.waiters.set(id, [task]);
    }
  }

  /** Takes the task out of all queues of its `task.wait`. */
  remove(task: Task): void {
    for (const id of task.wait?.queues ?? []) {
      const list = this.waiters.get(id);
      if (!list) continue;
      const at = list.indexOf(task);
      if (at >= 0) list.splice(at, 1);
      if (list.length === 0) this.waiters.delete(id);
    }
  }

  /** Wakes up to `count` tasks of the queue whose Wait passes `accept`, oldest first. Returns how many. */
  wake(id: number, count = Infinity, accept?: (wait: Wait, task: Task) => boolean): number {
    const watchers = this.watchers.get(id);
    if (watchers) for (const watcher of [...watchers]) watcher.queueWoken(id);
    const list = this.waiters.get(id);
    if (!list) return 0;
    let woken = 0;
    for (const task of [...list]) {
      if (woken >= count) break;
      if (accept && !accept(task.wait as Wait, task)) continue;
      this.onWake(task);
      woken++;
    }
    return woken;
  }

  /** The tasks that wait on a queue, oldest first (futex requeue moves them). */
  tasksOn(id: number): readonly Task[] {
    return this.waiters.get(id) ?? [];
  }

  /** Watchers are not saved: who watches registers again when it is restored. */
  watch(id: number, watcher: QueueWatcher): void {
    this.watchCount++;
    const list = this.watchers.get(id);
    if (list) list.push(watcher);
    else this.watchers.set(id, [watcher]);
  }

  unwatch(id: number, watcher: QueueWatcher): void {
    const list = this.watchers.get(id);
    const at = list?.indexOf(watcher) ?? -1;
    if (!list || at < 0) return;
    this.watchCount--;
    list.splice(at, 1);
    if (list.length === 0) this.watchers.delete(id);
  }

  save(): number {
    return this.next;
  }

  /** Queues themselves are rebuilt from the restored tasks' Waits by `add`. */
  restore(next: number): void {
    this.next = next;
  }
}
