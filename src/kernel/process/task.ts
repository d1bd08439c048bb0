// A task: one guest thread, as Linux's task_struct. Plain fields; the scheduler, signals and system calls act on it.

import type { Context } from '../../platform.ts';
import type { Kernel } from '../kernel.ts';
import type { Wait } from '../wait.ts';
import type { Process } from './process.ts';

export type TaskState = 'runnable' | 'blocked' | 'stopped' | 'dead';

export class Task {
  // identity
  readonly kernel: Kernel;
  readonly tid: number;
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

  // not copied at fork
  state: TaskState = 'runnable';
  /** Set while blocked. */
  wait: Wait | null = null;
  /** Set while a call is dispatched again: the Wait it returned before. */
  rerun: Wait | null = null;
  /** True while a call is dispatched again because its deadline passed. */
  timedOut = false;
  /** Pending thread-directed signals: siginfo by signo is kept by signal/. Bit (signo-1). */
  pending: bigint = 0n;
  /** sigsuspend, ppoll, pselect: the mask to restore after the handler ran; null when none. */
  savedSigmask: bigint | null = null;

  // accounting
  cpuNs = 0;

  constructor(kernel: Kernel, tid: number, process: Process, context: Context, comm: string) {
    this.kernel = kernel;
    this.tid = tid;
    this.process = process;
    this.context = context;
    this.comm = comm;
  }
}
