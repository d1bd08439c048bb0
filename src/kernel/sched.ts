// Which task runs: one CPU shared in proportion to nice values, as SCHED_OTHER of sched(7). Each task has a virtual run time,
// its CPU time weighted by its nice value; the one with the least runs. A task that slept starts a little behind the others,
// so that it runs soon, but cannot catch up on what it never wanted. Nothing of this is saved: restored tasks start equal.
//
// Interface: enqueue, dequeue, pick, charge, yieldCurrent.

import type { Task } from './process/task.ts';

/** In this time every runnable task gets a turn … */
const ROUND_NS = 10_000_000;
/** … unless there are so many that turns would be shorter than this. */
const TURN_MIN_NS = 1_000_000;
/** How far behind the least virtual run time a woken task starts. */
const WAKE_CREDIT_NS = 3_000_000;
/** How much behind the current task a woken one must be to take its place at once. */
const PREEMPT_NS = 1_000_000;
/** What one step of nice changes a task's share by. */
const NICE_STEP = 1.25;

export class Scheduler {
  /** Runnable tasks, the longest waiting first among equals. */
  private readonly ready: Task[] = [];
  private current: Task | null = null;
  /** When the current task's turn ends; 0: choose again. */
  private turnEndNs = 0;
  /** The current task let others go first. */
  private hasYielded = false;
  /** Least virtual run time of the runnable tasks so far; never goes back. */
  private floorNs = 0;

  /** Makes a task runnable; a task of a stopped process stays stopped until SIGCONT. */
  enqueue(task: Task): void {
    if (task.state === 'dead') return;
    if (task.process.stopped) {
      task.state = 'stopped';
      return;
    }
    task.state = 'runnable';
    if (this.ready.includes(task)) return;
    this.raiseFloor();
    task.vruntimeNs = task.vruntimeNs < 0 ? this.floorNs : Math.max(task.vruntimeNs, this.floorNs - WAKE_CREDIT_NS);
    this.ready.push(task);
    if (this.current && task.vruntimeNs + PREEMPT_NS < this.current.vruntimeNs) this.turnEndNs = 0;
  }

  /** Takes a task off the queue: it blocked, stopped or died. */
  dequeue(task: Task): void {
    const at = this.ready.indexOf(task);
    if (at < 0) return;
    this.raiseFloor();
    this.ready.splice(at, 1);
    if (task === this.current) this.current = null;
  }

  /** The task to run now, null when none is runnable. */
  pick(nowNs: number): Task | null {
    const { ready, current } = this;
    if (ready.length === 0) return null;
    if (ready.length === 1) this.hasYielded = false;
    if (current && !this.hasYielded && (ready.length === 1 || nowNs < this.turnEndNs)) return current;
    let best: Task | null = null;
    for (const task of ready) {
      if (task === current && this.hasYielded && ready.length > 1) continue;
      if (!best || task.vruntimeNs < best.vruntimeNs) best = task;
    }
    this.hasYielded = false;
    this.current = best;
    this.turnEndNs = nowNs + Math.max(TURN_MIN_NS, ROUND_NS / ready.length);
    return best;
  }

  /** Accounts CPU time the task has used. */
  charge(task: Task, ns: number): void {
    const { nice } = task.process;
    task.vruntimeNs += nice === 0 ? ns : ns * NICE_STEP ** nice;
  }

  /** sched_yield(2): another runnable task goes first. */
  yieldCurrent(): void {
    this.hasYielded = true;
  }

  /** When the current task must make room; Infinity while it is alone. */
  get preemptAtNs(): number {
    return this.ready.length > 1 ? this.turnEndNs : Infinity;
  }

  get runnable(): number {
    return this.ready.length;
  }

  private raiseFloor(): void {
    let least = Infinity;
    for (const task of this.ready) if (task.vruntimeNs < least) least = task.vruntimeNs;
    if (least !== Infinity && least > this.floorNs) this.floorNs = least;
  }
}
