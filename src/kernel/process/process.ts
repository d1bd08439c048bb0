// A process: one thread group and what its threads share (task_struct's mm, files, fs, sighand, signal).

import type { FdTable } from '../fs/fdtable.ts';
import type { FsContext } from '../fs/fscontext.ts';
import type { Inode } from '../fs/inode.ts';
import type { Kernel } from '../kernel.ts';
import { made } from '../late.ts';
import type { Late } from '../late.ts';
import type { Mm } from '../mm/mm.ts';
import type { SignalState } from '../signal/state.ts';
import { ProcessTimers } from '../time/itimer.ts';
import type { Credentials } from './credentials.ts';
import type { Task } from './task.ts';

export interface Rlimit { readonly soft: number; readonly hard: number }

export class Process {
  readonly kernel: Kernel;
  /** Changed only when a forked sandbox gets a new pid. */
  pid: number;
  ppid: number;
  /** The parent's thread that made it (wait4's __WNOTHREAD). */
  parentTid = 0;
  pgid: number;
  sid: number;
  /** Live threads, the leader first while it lives. */
  readonly tasks: Task[] = [];

  /** Address space; shared with another process after vfork / CLONE_VM. */
  mm: Mm;
  /** Handlers, process-directed pending signals, itimers. */
  signals: SignalState;
  credentials: Credentials;
  /** setitimer, timer_create. */
  readonly timers: ProcessTimers;

  /** What execve was given, for /proc/PID/{exe,cmdline,environ}. Byte strings. */
  exe = '';
  argv: readonly string[] = [];
  envp: readonly string[] = [];
  /** What these strings take of our memory. */
  stringBytes = 0;
  /** Auxiliary vector as pairs, for /proc/PID/auxv. */
  auxv: readonly (readonly [number, number])[] = [];
  /** Soft and hard limits by RLIMIT_*; Infinity is RLIM_INFINITY. */
  rlimits: Rlimit[] = [];
  /** wait(2) status once dead: (code << 8) or signal number (| 0x80 core); -1 while alive. */
  exitStatus = -1;
  /** Set by exit_group or a fatal signal: the status all its threads end with; -1 before. */
  groupExit = -1;
  /** The signal its parent gets when it ends: SIGCHLD, or what clone asked for, 0 for none. */
  exitSignal = 17;
  /** Woken when a child of this process changes state. */
  childQueue: number;
  /** Woken when it ends, for its pidfds; 0: it has none. */
  exitQueue = 0;
  /** Stopped by a signal (job control); its tasks do not run. */
  stopped = false;
  /** wait4(WUNTRACED / WCONTINUED) has not reported it yet: wait status, or -1. */
  jobStatus = -1;
  /** It has called execve since it was forked (setpgid's EACCES). */
  execed = false;
  dumpable = 1;
  noNewPrivs = false;
  /** prctl(PR_SET_KEEPCAPS), PR_SET_THP_DISABLE: remembered, without effect. */
  keepCaps = 0;
  thpDisabled = false;
  pdeathsig = 0;
  childSubreaper = false;
  /** Number of the pseudo-terminal that controls its session; -1: none. */
  tty = -1;
  nice = 0;

  /** CPU time of threads that have ended, and of waited-for children. Nanoseconds. */
  deadCpuNs = 0;
  childrenCpuNs = 0;
  startNs = 0;

  #files: Late<FdTable>;
  #fs: Late<FsContext>;
  #exeInode: Late<Inode> | null = null;

  constructor(
    kernel: Kernel, pid: number, ppid: number,
    parts: { mm: Mm; files: Late<FdTable>; fs: Late<FsContext>; signals: SignalState; credentials: Credentials },
  ) {
    this.kernel = kernel;
    this.pid = pid;
    this.ppid = ppid;
    this.pgid = pid;
    this.sid = pid;
    this.mm = parts.mm;
    this.#files = parts.files;
    this.#fs = parts.fs;
    this.signals = parts.signals;
    this.credentials = parts.credentials;
    this.timers = new ProcessTimers(this);
    this.childQueue = kernel.waits.newQueue();
  }

  /** Descriptor table; shared under CLONE_FILES. */
  get files(): FdTable {
    return (this.#files = made(this.#files));
  }

  set files(table: FdTable) {
    this.#files = table;
  }

  /** Places in it for descriptors, when it is made. */
  get fileSlots(): number {
    return typeof this.#files === 'function' ? 0 : this.#files.size / Math.max(1, this.#files.refs);
  }

  /** Root, working directory, umask. */
  get fs(): FsContext {
    return (this.#fs = made(this.#fs));
  }

  set fs(context: FsContext) {
    this.#fs = context;
  }

  /** The program itself, for /proc/PID/exe. */
  get exeInode(): Inode | null {
    return this.#exeInode && (this.#exeInode = made(this.#exeInode));
  }

  set exeInode(inode: Late<Inode> | null) {
    this.#exeInode = inode;
  }

  /** The thread that stands for the process (signals, /proc); undefined once all have ended. */
  get leader(): Task | undefined {
    return this.tasks[0];
  }

  /** CPU time of all its threads, nanoseconds. */
  get cpuNs(): number {
    this.kernel.cpuTime.settle();
    return this.cpuNsAtMost;
  }

  /** No less than `cpuNs`, and at once to be had. */
  get cpuNsAtMost(): number {
    let sum = this.deadCpuNs;
    for (const task of this.tasks) sum += task.usedNs + task.unsettledNs;
    return sum;
  }
}
