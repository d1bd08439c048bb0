// One sandbox's Linux: what all its parts share, who runs, and how it ends.
//
// Interface: `new Kernel(options)`, `spawn` the first process, then `runSlice` until it returns 'exited'. Outside events
// (input, control messages) wake waiters through `waits`; call `runSlice` again afterwards.
// `kernel.end()` ends the sandbox; nothing runs afterwards.

import type { GuestMemory, Host, Machine } from '../platform.ts';
import type { EndReason } from './end.ts';
import { ErrnoLimits } from './errnolimits.ts';
import { ControlChannel } from './fs/control.ts';
import { HostStreams } from './fs/hoststream.ts';
import type { Vfs } from './fs/vfs.ts';
import { IpcBudget } from './ipc/budget.ts';
import { Futexes } from './ipc/futex.ts';
import { SocketNames } from './ipc/socketnames.ts';
import { KernelMemory } from './kernelmemory.ts';
import { made } from './late.ts';
import type { Late } from './late.ts';
import { DEFAULT_LIMITS, PID_MAX } from './limits.ts';
import type { Limits } from './limits.ts';
import { Frames } from './mm/frames.ts';
import type { Mm } from './mm/mm.ts';
import { continueProcess, exitGroup, stopProcess } from './process/exit.ts';
import { describeFault } from './process/fault.ts';
import type { Process } from './process/process.ts';
import { Programs } from './process/programs.ts';
import { spawn } from './process/spawn.ts';
import type { SpawnOptions } from './process/spawn.ts';
import type { Task } from './process/task.ts';
import { runSlice } from './run.ts';
import type { RunState } from './run.ts';
import type { KernelState } from './save.ts';
import { Scheduler } from './sched.ts';
import type { SigInfo } from './signal/state.ts';
import { finish } from './syscalls/dispatch.ts';
import { Ptys } from './tty/pty.ts';
import { KernelClock } from './time/clock.ts';
import { CpuTime } from './time/cputime.ts';
import { Vdso } from './time/vdso.ts';
import { Timers } from './time/timers.ts';
import { CallRing } from './trace/ring.ts';
import { PathFacts } from './syscalls/pathfacts.ts';
import { Strace } from './trace/strace.ts';
import type { Tracer } from './trace/tracer.ts';
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
  /** The `flags` of /proc/cpuinfo. */
  readonly flags: readonly string[];
}

/** FXSAVE only: what unit tests get. */
export const MINIMAL_CPU: CpuInfo = {
  hwcap: 0x0789_fbff, hwcap2: 0, xsaveBytes: 576, xfeatures: 3n,
  flags: ['fpu', 'tsc', 'cx8', 'cmov', 'mmx', 'fxsr', 'sse', 'sse2', 'syscall', 'lm'],
};

/** The vDSO image and where the kernel writes its words. */
export interface VdsoSource {
  readonly image: Uint8Array;
  /** Offset of the i64 added to CLOCK_MONOTONIC. */
  readonly monotonicOffsetAt: number;
  /** Offset of the u64 that holds the time page's gva, and that gva. */
  readonly vvarAddressAt: number;
  readonly vvarGva: number;
}

export interface KernelOptions {
  readonly machine: Machine;
  readonly host: Host;
  readonly limits?: Partial<Limits>;
  readonly cpu?: CpuInfo;
  /** Calls of other programs than the first see this: uname's nodename. */
  readonly hostname?: string;
  readonly vdso?: VdsoSource;
}

/** What the constructor takes from a saved state; save.ts does the rest. */
type RestoredParts = Pick<
  KernelState, 'frames' | 'clock' | 'waitsNext' | 'streams' | 'control' | 'futexes' | 'hostname' | 'nextPid' | 'programs' | 'holdsForks'
>;

export class Kernel {
  readonly machine: Machine;
  readonly memory: GuestMemory;
  readonly host: Host;
  readonly cpu: CpuInfo;
  limits: Limits;
  hostname: string;
  clock: KernelClock;
  frames: Frames;
  /** The vDSO's pages; null when programs go without. */
  vdso: Vdso | null = null;
  /** stdin, stdout, stderr of the host. */
  readonly streams: HostStreams;
  /** Messages between the engine and the agent inside. */
  readonly control: ControlChannel;
  /** Programs the engine started beside the first. */
  readonly programs: Programs;
  readonly waits = new WaitQueues();
  readonly timers = new Timers();
  readonly sched = new Scheduler();
  readonly cpuTime = new CpuTime(this);
  readonly ownMemory = new KernelMemory(this);
  readonly futexes: Futexes;
  /** Bound sockets; restored sockets enter themselves. */
  readonly sockets = new SocketNames();
  /** Pseudo-terminals; restored ones enter themselves. */
  readonly ptys = new Ptys();
  readonly bounds = new ErrnoLimits();
  readonly ipc = new IpcBudget(this.bounds);
  /** What the machine knows of paths. Not saved. */
  readonly pathFacts: PathFacts;
  readonly processes = new Map<number, Process>();
  readonly tasks = new Map<number, Task>();
  /** The process whose end is the sandbox's end. */
  main: Process | null = null;
  nextPid = 1;

  endReason: EndReason | null = null;
  tracer: Tracer | null = null;
  /** Calls and sub-commands that are not implemented, with how often they were asked for. */
  readonly unimplemented = new Map<string, number>();
  syscallCount = 0;
  /** The run loop's slice ends once so many calls were made. Infinity: never for that. */
  stopAtCall = Infinity;
  /** The last calls, for crash reports: `lastCalls(kernel.ring)`. */
  readonly ring = new CallRing();
  /** The signal that ended the last process that died of one. */
  killedBy: SigInfo | null = null;
  /** The task that was last in ring 3. */
  lastRun: Task | null = null;
  /** CPU time of all tasks so far, nanoseconds; in the midst of a slice what is settled of it. */
  cpuNs = 0;
  /** Forks of the main process do not return: process/heldfork.ts. */
  holdsForks = false;
  /** Called when memory is used up: true when it made room; false, or null: the sandbox ends. Not saved. */
  onMemoryOut: (() => boolean) | null = null;
  /** The next fork of the main process is the snapshot point. */
  snapshotArmed = false;
  /** Set when a snapshot was asked for but cannot be: the run loop reports it. */
  snapshotFailure: string | null = null;
  /** Set right after construction by boot or restore. */
  #vfs!: Late<Vfs>;

  constructor(options: KernelOptions, state: RestoredParts | null = null) {
    this.machine = options.machine;
    this.pathFacts = new PathFacts(options.machine.paths);
    this.memory = options.machine.memory;
    this.host = options.host;
    this.cpu = options.cpu ?? MINIMAL_CPU;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.hostname = state?.hostname ?? options.hostname ?? 'sandbox';
    this.clock = state ? KernelClock.restore(state.clock, options.host.clock) : KernelClock.start(options.host.clock);
    this.frames = state ? Frames.restore(state.frames, this.memory) : new Frames(this.memory);
    this.futexes = new Futexes(this);
    if (state) {
      this.waits.restore(state.waitsNext);
      this.futexes.restore(state.futexes);
      this.nextPid = state.nextPid;
      this.holdsForks = state.holdsForks;
    }
    this.streams = new HostStreams(this, state?.streams ?? null);
    this.control = new ControlChannel(this.waits, state?.control ?? null);
    this.programs = new Programs(this, state?.programs ?? null);
    // Not assigned at once: V8 would make it in its old generation, where it holds this kernel through all young collections.
    const wake = (task: Task): void => this.wakeTask(task);
    this.waits.onWake = wake;
  }

  get vfs(): Vfs {
    return (this.#vfs = made(this.#vfs));
  }

  /** Null until somebody looked for a file. */
  get vfsIfMade(): Vfs | null {
    return typeof this.#vfs === 'function' ? null : this.#vfs;
  }

  set vfs(vfs: Late<Vfs>) {
    this.#vfs = vfs;
  }

  /** File systems that are not made yet will see them. */
  setLimits(limits: Limits): void {
    this.limits = limits;
    this.vfsIfMade?.budget.setLimits(limits);
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

  /** A free process id; wraps at PID_MAX. */
  allocPid(): number {
    do {
      this.nextPid = this.nextPid >= PID_MAX - 1 ? 300 : this.nextPid + 1;
    } while (this.isPidUsed(this.nextPid));
    return this.nextPid;
  }

  /** Whether a task, a process (dead ones that nobody waited for too), a group or a session has this id. */
  isPidUsed(pid: number): boolean {
    if (this.tasks.has(pid) || this.processes.has(pid)) return true;
    for (const { pgid, sid } of this.processes.values()) if (pgid === pid || sid === pid) return true;
    return false;
  }

  /** Runs the sandbox: see run.ts. */
  runSlice(budgetNs: number): RunState {
    return runSlice(this, budgetNs);
  }

  /** The task's call is given up without a result: its program was replaced from outside. */
  abandonCall(task: Task): void {
    this.unblock(task);
    task.rerun = null;
    task.timedOut = false;
    task.interrupted = false;
    task.syscallNr = -1;
    task.restart = 0;
  }

  /** Prints every system call as strace does; null stops it. */
  traceTo(print: ((text: string) => void) | null): void {
    this.tracer = print ? new Strace(print) : null;
  }

  stopProcess(process: Process, signo: number): void {
    stopProcess(process, signo);
  }

  continueProcess(process: Process, report: boolean): void {
    continueProcess(process, report);
  }

  exitGroup(process: Process, status: number): void {
    exitGroup(process, status);
  }

  /** The main process has ended: so does the sandbox. */
  endMain(status: number): void {
    const signo = status & 0x7f;
    if (signo === 0) this.end({ kind: 'exit', code: status >> 8 });
    else this.end({ kind: 'signal', signo, detail: this.killedBy ? describeFault(this.killedBy) : '' });
  }

  tracerExit(process: Process, status: number): void {
    this.tracer?.exit(process, status);
  }

  /** A first process: see process/spawn.ts. */
  spawn(path: string, argv: readonly string[], envp: readonly string[], options: SpawnOptions = {}): Process | number {
    return spawn(this, path, argv, envp, options);
  }

  /** Whether another process uses the address space too (vfork, CLONE_VM). */
  isMmShared(mm: Mm, process: Process): boolean {
    for (const other of this.processes.values()) if (other !== process && other.mm === mm && other.exitStatus < 0) return true;
    return false;
  }

  /** Puts a new task (and its process) into the tables and makes it runnable. */
  addTask(task: Task): void {
    task.startNs = this.clock.monotonicNs();
    task.process.tasks.push(task);
    this.tasks.set(task.tid, task);
    this.processes.set(task.process.pid, task.process);
    this.sched.enqueue(task);
  }

  /** Takes a dying task out of everything it may be in. */
  dropTask(task: Task): void {
    this.waits.remove(task);
    this.timers.disarm(task);
    task.wait = null;
    task.rerun = null;
    this.sched.dequeue(task);
    task.state = 'dead';
    this.tasks.delete(task.tid);
    this.machine.unload(task.context);
  }

  /** Gives a process with one task another pid: a forked sandbox, after it was restored. */
  renameProcess(process: Process, pid: number): void {
    const task = process.tasks[0];
    this.processes.delete(process.pid);
    this.tasks.delete(task.tid);
    if (process.pgid === process.pid) process.pgid = pid;
    if (process.sid === process.pid) process.sid = pid;
    process.pid = pid;
    task.tid = pid;
    this.processes.set(pid, process);
    this.tasks.set(pid, task);
    this.nextPid = Math.max(this.nextPid, pid);
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

  /** Marks (and wakes) a task that has signals it does not block. */
  noticeSignals(task: Task): void {
    if (((task.pending | task.process.signals.pending) & ~task.sigmask) === 0n) return;
    task.work = true;
    if (task.state === 'blocked') this.interruptIfSignalled(task);
  }

  private interruptIfSignalled(task: Task): void {
    const pending = (task.pending | task.process.signals.pending) & ~task.sigmask;
    if (pending !== 0n && !task.wait?.uninterruptible) this.interruptTask(task);
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
