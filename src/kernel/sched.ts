// Which task runs: one run queue, round robin, 10 ms slices when others wait. sched(7)'s SCHED_OTHER on one CPU.

import type { Task } from './process/task.ts';

/** How long a task runs while others are runnable. */
export const TIME_SLICE_NS = 10_000_000;

export class Scheduler {
  /** Runnable tasks; the first one is current. */
  private readonly queue: Task[] = [];
  /** When the current task's slice ends; 0: not started. */
  private sliceEndNs = 0;

  /** Makes a task runnable; a task of a stopped process stays stopped until SIGCONT. */
  enqueue(task: Task): void {
    if (task.state === 'dead') return;
    if (task.process.stopped) {
      task.state = 'stopped';
      return;
    }
    task.state = 'runnable';
    if (!this.queue.includes(task)) this.queue.push(task);
  }

  /** Takes a task off the queue: it blocked, stopped or died. */
  dequeue(task: Task): void {
    const at = this.queue.indexOf(task);
    if (at < 0) return;
    this.queue.splice(at, 1);
    if (at === 0) this.sliceEndNs = 0;
  }

  /** The task to run now, null when none is runnable. Moves on when the current one has used up its slice. */
  pick(nowNs: number): Task | null {
    if (this.queue.length > 1 && this.sliceEndNs !== 0 && nowNs >= this.sliceEndNs) this.yieldCurrent();
    if (this.queue.length === 0) return null;
    if (this.sliceEndNs === 0) this.sliceEndNs = nowNs + TIME_SLICE_NS;
    return this.queue[0];
  }

  /** Puts the current task behind the others: sched_yield(2), or the end of its slice. */
  yieldCurrent(): void {
    const first = this.queue.shift();
    if (first) this.queue.push(first);
    this.sliceEndNs = 0;
  }

  /** When the current task must make room; Infinity while it is alone. */
  get preemptAtNs(): number {
    return this.queue.length > 1 ? this.sliceEndNs : Infinity;
  }

  get runnable(): number {
    return this.queue.length;
  }
}
