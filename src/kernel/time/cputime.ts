// The processor time of tasks. Each way through the run loop charges its task what the clock has brought; but on a busy host the thread that
// runs the machine is not always on a processor. So what was charged is settled by the thread's own processor time: when a slice is over and
// before anybody reads a figure, each task gets its share of what the thread really had. Figures only rise, as on Linux.
//
// A reading of the thread's time costs nine of the clock's: hence not at each trap.

import type { Kernel } from '../kernel.ts';
import type { Task } from '../process/task.ts';

export class CpuTime {
  private readonly kernel: Kernel;
  /** Whose time it is; null: no slice is under way, or nobody has been picked in it. */
  private current: Task | null = null;
  /** CLOCK_MONOTONIC of the sandbox up to which somebody was charged. */
  private sinceNs = 0;
  /** The thread's processor time when the last settling was done. */
  private threadNs = 0;
  /** Those with unsettled time, and what they have together. */
  private readonly charged: Task[] = [];
  unsettledNs = 0;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  /** A slice begins, at `nowNs` of the sandbox's CLOCK_MONOTONIC. */
  begin(nowNs: number): void {
    this.sinceNs = nowNs;
    this.threadNs = this.kernel.host.clock.threadCpuNs();
  }

  /** What follows is `task`'s time. */
  run(task: Task): void {
    this.current = task;
  }

  /** What has passed until `nowNs` was `task`'s. */
  charge(task: Task, nowNs: number): void {
    const ns = nowNs - this.sinceNs;
    this.sinceNs = nowNs;
    if (task.unsettledNs === 0) this.charged.push(task);
    task.unsettledNs += ns;
    this.unsettledNs += ns;
  }

  /** All figures are right now, that of who runs included. */
  settle(): void {
    if (!this.current) return;
    const { kernel, charged } = this;
    this.charge(this.current, kernel.clock.monotonicNs());
    const threadNs = kernel.host.clock.threadCpuNs();
    const share = this.unsettledNs === 0 ? 0 : Math.min(1, (threadNs - this.threadNs) / this.unsettledNs);
    for (const task of charged) {
      const ns = Math.floor(task.unsettledNs * share);
      task.usedNs += ns;
      kernel.cpuNs += ns;
      task.unsettledNs = 0;
    }
    this.threadNs = threadNs;
    this.unsettledNs = charged.length = 0;
  }

  /** The slice is over. */
  end(): void {
    this.settle();
    this.current = null;
  }
}
