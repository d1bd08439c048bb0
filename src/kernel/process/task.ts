// A task: one guest thread, as Linux's task_struct. Plain fields; the scheduler, signals and system calls act on it.

import type { Context } from '../../platform.ts';
import { REG_COUNT } from '../../platform.ts';
import type { Kernel } from '../kernel.ts';
import type { SigInfo } from '../signal/state.ts';
import type { TimerOwner } from '../time/timers.ts';
import type { Wait } from '../wait.ts';
import type { Process } from './process.ts';

export type TaskState = 'runnable' | 'blocked' | 'stopped' | 'dead';

/** What restart_syscall(2) goes on with: a sleep's absolute end. */
export interface RestartBlock {
  readonly call: 'nanosleep' | 'poll' | 'futex';
  readonly deadlineNs: number;
  /** The arguments the first call had (its registers are gone by then). */
  readonly args: readonly number[];
}

export class Task implements TimerOwner {
  // identity
  readonly kernel: Kernel;
  /** Changed only when a forked sandbox gets a new pid, and by execve of a thread that is not the leader. */
  tid: number;
  process: Process;
  /** comm, ≤ 15 bytes: prctl(PR_SET_NAME). */
  comm: string;

  // copied at fork
  readonly context: Context;
  /** Blocked signals, bit (signo-1). */
  sigmask: bigint = 0n;
  altstack = { sp: 0, flags: 2 /* SS_DISABLE */, size: 0 };
  robustList = 0;
  clearChildTid = 0;
  rseq = { address: 0, size: 0, signature: 0 };
  /** prctl(PR_SET_TIMERSLACK). */
  timerSlackNs = 50_000;
  /** SCHED_OTHER, SCHED_BATCH or SCHED_IDLE: remembered, all are scheduled alike. */
  policy = 0;

  // not copied at fork
  state: TaskState = 'runnable';
  /** Set while blocked. */
  wait: Wait | null = null;
  /** When it was filed under the queues of its wait, in order among all tasks: who came first is woken first. */
  arrival = 0;
  /** Set while a call is dispatched again: the Wait it returned before. */
  rerun: Wait | null = null;
  /** True while a call is dispatched again because its deadline passed. */
  timedOut = false;
  /** True while a call is dispatched again because a signal arrived (its Wait had onSignal RERUN): it must not block again. */
  interrupted = false;
  /** The call under way, as orig_rax; -1 outside of calls. While it waits the registers still hold its arguments. */
  syscallNr = -1;
  /** The number of its last call, and the file that it was about (syscalls/facts.ts). -1: none that counts. */
  askedBy = -1;
  /** It has just come out of the template's fork. */
  isForked = false;
  askedFd = -1;
  /** ERESTART* (positive) when the call under way was interrupted: the next return to ring 3 settles it. 0: none. */
  restart = 0;
  restartBlock: RestartBlock | null = null;
  /** Something must be done before ring 3 runs: signals, a restart, a mask to restore (TIF_SIGPENDING and friends). */
  work = false;
  /** The last exception of ring 3: err, trapno and cr2 of a signal frame. */
  fault = { vector: 0, errorCode: 0, address: 0 };
  /** Pending thread-directed signals. Bit (signo-1). */
  pending: bigint = 0n;
  pendingInfo: SigInfo[] = [];
  /** sigsuspend, ppoll, pselect: the mask to restore after the handler ran; null when none. */
  savedSigmask: bigint | null = null;
  /** The parent waits in vfork(2) for this task to exec or end: the parent's wait queue, 0 when none. */
  vforkQueue = 0;

  // accounting
  /** CPU time had, and what is not settled of the time since (time/cputime.ts), which is not saved: between two slices there is none. */
  usedNs = 0;
  unsettledNs = 0;
  /** The scheduler's measure of CPU time had; -1 before it first runs. Not saved. */
  vruntimeNs = -1;
  startNs = 0;
  switches = 0;

  constructor(kernel: Kernel, tid: number, process: Process, context: Context, comm: string) {
    this.kernel = kernel;
    this.tid = tid;
    this.process = process;
    this.context = context;
    this.comm = comm;
  }

  /** CPU time, nanoseconds. */
  get cpuNs(): number {
    this.kernel.cpuTime.settle();
    return this.usedNs;
  }

  /** The deadline of its Wait has passed. */
  expire(): void {
    this.kernel.timeoutTask(this);
  }
}

/** A context with all registers 0 and the processor's initial FPU state. */
export function newContext(): Context {
  const regs = new BigUint64Array(REG_COUNT);
  return { regs, regs32: new Uint32Array(regs.buffer), fsBase: 0n, gsBase: 0n, fpu: null };
}

/** A copy that shares nothing. The caller has called `machine.saveFpu` if the source may be loaded. */
export function copyContext(from: Omit<Context, 'regs32'>): Context {
  const regs = from.regs.slice();
  return {
    regs, regs32: new Uint32Array(regs.buffer), fsBase: from.fsBase, gsBase: from.gsBase, fpu: from.fpu ? from.fpu.slice() : null,
  };
}
