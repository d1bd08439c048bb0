// One sandbox's Linux: what all its parts share, who runs, and how it ends.
//
// Interface: `new Kernel(options)`, `spawn` the first process, then `runSlice` until it returns 'exited'. Outside events
// (input, control messages) wake waiters through `waits`; call `runSlice` again afterwards.
// `kernel.end()` ends the sandbox; nothing runs afterwards.

import type { GuestMemory, Host, Machine } from '../platform.ts';
import type { EndReason } from './end.ts';
import type { Vfs } from './fs/vfs.ts';
import { Futexes } from './ipc/futex.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import type { Limits } from './limits.ts';
import { Frames } from './mm/frames.ts';
import type { Process } from './process/process.ts';
import type { Task } from './process/task.ts';
import { runSlice } from './run.ts';
import type { RunState } from './run.ts';
import { Scheduler } from './sched.ts';
import { finish } from './syscalls/dispatch.ts';
import { KernelClock } from './time/clock.ts';
import { Timers } from './time/timers.ts';
import type { Tracer } from './trace/strace.ts';
import { RERUN, WaitQueues } from './wait.ts';
import type { Wait } from './wait.ts';

/** What programs are told about the processor; the machine knows. */
export interface CpuInfo {
  /** CPUID leaf 1 EDX: AT_HWCAP. */
  readonly hwcap: number;
  readonly hwcap2: number;
  /** Bytes of the XSAVE area in standard format (CPUID leaf 0xd EBX) and its features (XCR0). */
  readonly xsaveBytes: number;
  readonly xfeatures: bigint;
}

/** FXSAVE only: what unit tests get. */
export const MINIMAL_CPU: CpuInfo = { hwcap: 0x0789_fbff, hwcap2: 0, xsaveBytes: 576, xfeatures: 3n };

export interface KernelOptions {
  readonly machine: Machine;
  readonly host: Host;
  readonly limits?: Partial<Limits>;
  readonly cpu?: CpuInfo;
  /** Calls of other programs than the first see this: uname's nodename. */
  readonly hostname?: string;
}

export class Kernel {
  readonly machine: Machine;
  readonly memory: GuestMemory;
  readonly host: Host;
  readonly cpu: CpuInfo;
  limits: Limits;
  hostname: string;
  clock: KernelClock;
  frames: Frames;
  /** Set right after construction by boot or restore. */
  vfs!: Vfs;
  readonly waits = new WaitQueues();
  readonly timers = new Timers();
  readonly sched = new Scheduler();
  readonly futexes: Futexes;
  readonly processes = new Map<number, Process>();
  readonly tasks = new Map<number, Task>();
  /** The process whose end is the sandbox's end. */
  main: Process | null = null;
  nextPid = 2;

  endReason: EndReason | null = null;
  tracer: Tracer | null = null;
  /** Calls and sub-commands that are not implemented, with how often they were asked for. */
  readonly unimplemented = new Map<string, number>();
  syscallCount = 0;
  /** CPU time of all tasks so far, nanoseconds. */
  cpuNs = 0;
  /** The next fork of the main process is the snapshot point. */
  snapshotArmed = false;
  /** Set when a snapshot was asked for but cannot be: the run loop reports it. */
  snapshotFailure: string | null = null;

  constructor(options: KernelOptions) {
    this.machine = options.machine;
    this.memory = options.machine.memory;
    this.host = options.host;
    this.cpu = options.cpu ?? MINIMAL_CPU;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.hostname = options.hostname ?? 'offshoot';
    this.clock = KernelClock.start(options.host.clock);
    this.frames = new Frames(this.memory);
    this.futexes = new Futexes(this);
    this.waits.onWake = (task) => this.wakeTask(task);
  }

  /** Counts something a program asked for and did not get: "ioctl 0x5401", "prctl 53", "/proc/xyz". */
  count(name: string): void {
    if (this.unimplemented.size < 1000 || this.unimplemented.has(name)) {
      this.unimplemented.set(name, (this.unimplemented.get(name) ?? 0) + 1);
    }
  }

  /** Ends the sandbox; the first reason stays. */
  end(reason: EndReason): void {
    this.endReason ??= reason;
  }

  /** A free process id; wraps at 32768 as Linux's default pid_max. */
  allocPid(): number {
    do {
      this.nextPid = this.nextPid >= 32767 ? 300 : this.nextPid + 1;
    } while (this.tasks.has(this.nextPid) || this.processes.has(this.nextPid));
    return this.nextPid;
  }

  /** Runs the sandbox: see run.ts. */
  runSlice(budgetNs: number): RunState {
    return runSlice(this, budgetNs);
  }

  /** SIGCONT (or SIGKILL) for a stopped process: its tasks may run again. */
  continueProcess(process: Process, report: boolean): void {
    process.stopped = false;
    if (report) process.jobStatus = 0xffff;
    for (const task of process.tasks) if (task.state === 'stopped') this.sched.enqueue(task);
  }

  /** Blocks a task on a Wait its call returned. */
  block(task: Task, wait: Wait): void {
    task.wait = wait;
    task.state = 'blocked';
    this.sched.dequeue(task);
    this.waits.add(task);
    if (wait.deadlineNs !== Infinity) this.timers.arm(task, wait.deadlineNs);
    // A signal that came before the call blocked must end the wait at once.
    if (task.work) this.interruptIfSignalled(task);
  }

  /** Ends a task's wait: its call gets `onWake`, or runs again. */
  wakeTask(task: Task): void {
    const wait = this.unblock(task);
    if (wait) this.resume(task, wait, wait.onWake);
  }

  /** The deadline of a task's wait has passed. */
  timeoutTask(task: Task): void {
    const wait = this.unblock(task);
    if (!wait) return;
    task.timedOut = wait.onTimeout === RERUN;
    this.resume(task, wait, wait.onTimeout);
  }

  /** A signal ends a task's wait. */
  interruptTask(task: Task): void {
    const wait = this.unblock(task);
    if (!wait) return;
    task.interrupted = wait.onSignal === RERUN;
    this.resume(task, wait, wait.onSignal);
  }

  private interruptIfSignalled(task: Task): void {
    const pending = (task.pending | task.process.signals.pending) & ~task.sigmask;
    if (pending !== 0n) this.interruptTask(task);
  }

  private unblock(task: Task): Wait | null {
    const wait = task.wait;
    if (!wait) return null;
    this.waits.remove(task);
    this.timers.disarm(task);
    task.wait = null;
    this.sched.enqueue(task);
    return wait;
  }

  private resume(task: Task, wait: Wait, result: number): void {
    if (result === RERUN) task.rerun = wait;
    else finish(task, result);
  }
}
