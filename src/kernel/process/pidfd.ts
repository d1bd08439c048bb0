// A process as a file: pidfd_open(2), clone(2) with CLONE_PIDFD.
//
// Interface: PidFile (readable when its process has ended), newPidFile, putPidfd. It stands for one process, also when the pid is used again.

import { EFAULT, EINVAL } from '../../abi/linux/errno.ts';
import { POLLHUP, POLLIN, POLLRDNORM } from '../../abi/linux/poll.ts';
import { File } from '../fs/file.ts';
import { AnonInode } from '../fs/pseudo.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from './process.ts';
import type { Task } from './task.ts';

const O_RDWR = 2, O_NONBLOCK = 0o4000;
const NAME = 'anon_inode:[pidfd]';

export interface PidFileState {
  /** -1: waited for. */
  readonly pid: number;
  readonly queue: number;
}

export class PidFile extends File {
  override readonly kind = 'pidfd';
  private readonly kernel: Kernel;
  private readonly queue: number;
  private readonly pid: number;
  /** Found at first use: a restored one is made before its process. */
  private found: Process | null;

  constructor(kernel: Kernel, state: PidFileState, flags: number, process: Process | null = null) {
    super(new AnonInode(NAME, state.queue + 10_000), O_RDWR | (flags & O_NONBLOCK), NAME);
    this.kernel = kernel;
    this.queue = state.queue;
    this.pid = state.pid;
    this.found = process;
  }

  /** The process, dead or alive; null once it has been waited for. */
  get target(): Process | null {
    const { processes } = this.kernel;
    this.found ??= processes.get(this.pid) ?? null;
    return this.found !== null && processes.get(this.found.pid) === this.found ? this.found : null;
  }

  override poll(): number {
    const { target } = this;
    if (!target) return POLLIN | POLLRDNORM | POLLHUP;
    return target.exitStatus >= 0 ? POLLIN | POLLRDNORM : 0;
  }

  override pollQueues(): readonly number[] { return [this.queue]; }
  override read(): number { return -EINVAL; }

  /** Lines of /proc/PID/fdinfo/FD beyond pos, flags, mnt_id and ino. */
  fdinfo(): string {
    const pid = this.target?.pid ?? -1;
    return `Pid:\t${pid}\nNSpid:\t${pid}\n`;
  }

  save(): PidFileState {
    return { pid: this.target?.pid ?? -1, queue: this.queue };
  }
}

/** An open file for `process`. `flags`: O_NONBLOCK (PIDFD_NONBLOCK), for waitid(2). */
export function newPidFile(process: Process, flags: number): PidFile {
  const { kernel } = process;
  if (process.exitQueue === 0) process.exitQueue = kernel.waits.newQueue();
  return new PidFile(kernel, { pid: process.pid, queue: process.exitQueue }, flags, process);
}

/** CLONE_PIDFD: a pidfd of a child that is about to run, its number written to `at`. */
export function putPidfd(task: Task, child: Process, at: number): number {
  const file = newPidFile(child, 0);
  const fd = task.process.files.install(file, 0, true);
  if (fd < 0) {
    file.unref();
    return fd;
  }
  if (task.process.mm.writeU32(at, fd) === 0) return 0;
  task.process.files.close(fd);
  return -EFAULT;
}
