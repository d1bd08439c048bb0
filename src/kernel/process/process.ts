// A process: one thread group and what its threads share (task_struct's mm, files, fs, sighand, signal).

import type { FdTable } from '../fs/fdtable.ts';
import type { FsContext } from '../fs/fscontext.ts';
import type { Kernel } from '../kernel.ts';
import type { Mm } from '../mm/mm.ts';
import type { SignalState } from '../signal/state.ts';
import type { Credentials } from './credentials.ts';
import type { Task } from './task.ts';

export class Process {
  readonly kernel: Kernel;
  readonly pid: number;
  ppid: number;
  pgid: number;
  sid: number;
  readonly tasks: Task[] = [];

  /** Address space; shared with another process after vfork / CLONE_VM. */
  mm: Mm;
  /** Descriptor table; shared under CLONE_FILES. */
  files: FdTable;
  /** Root, working directory, umask. */
  fs: FsContext;
  /** Handlers, process-directed pending signals, itimers. */
  signals: SignalState;
  credentials: Credentials;

  /** What execve was given, for /proc/PID/{exe,cmdline,environ}. Byte strings. */
  exe = '';
  argv: readonly string[] = [];
  envp: readonly string[] = [];
  /** Soft and hard limits by RLIMIT_*. */
  rlimits: { soft: number; hard: number }[] = [];
  /** wait(2) status once dead: (code << 8) or signal number; -1 while alive. */
  exitStatus = -1;

  constructor(
    kernel: Kernel, pid: number, ppid: number,
    parts: { mm: Mm; files: FdTable; fs: FsContext; signals: SignalState; credentials: Credentials },
  ) {
    this.kernel = kernel;
    this.pid = pid;
    this.ppid = ppid;
    this.pgid = pid;
    this.sid = pid;
    this.mm = parts.mm;
    this.files = parts.files;
    this.fs = parts.fs;
    this.signals = parts.signals;
    this.credentials = parts.credentials;
  }
}
