// signalfd(2): arguments only; ipc/signalfd.ts does the work.

import { EBADF, EFAULT, EINVAL } from '../../abi/linux/errno.ts';
import { SignalFd } from '../ipc/signalfd.ts';
import type { Task } from '../process/task.ts';
import { UNBLOCKABLE } from '../signal/state.ts';
import { FD, FLAGS, PARTIAL, SIZE, STRUCT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const O_NONBLOCK = 0o4000, O_CLOEXEC = 0o2000000;
const SIGSET_BYTES = 8;
const NOTE = PARTIAL('poll and epoll show the signals of the process that made it, not of whoever asks');

function signalfd4(task: Task, fd: number, maskGva: number, size: number, flags: number): number {
  if (size !== SIGSET_BYTES || (flags & ~(O_NONBLOCK | O_CLOEXEC)) !== 0) return -EINVAL;
  const { process, kernel } = task;
  const set = process.mm.readU64(maskGva);
  if (set < 0n) return -EFAULT;
  const mask = set & ~UNBLOCKABLE;
  if (fd !== -1) {
    const file = process.files.get(fd);
    if (!file) return -EBADF;
    if (!(file instanceof SignalFd)) return -EINVAL;
    file.mask = mask;
    kernel.waits.wake(process.signals.fdQueue);
    return fd;
  }
  if (process.signals.fdQueue === 0) process.signals.fdQueue = kernel.waits.newQueue();
  const file = new SignalFd(kernel, { pid: process.pid, queue: process.signals.fdQueue, mask }, flags);
  const installed = process.files.install(file, 0, (flags & O_CLOEXEC) !== 0);
  if (installed < 0) file.unref();
  return installed;
}

function signalfd(task: Task, fd: number, maskGva: number, size: number): number {
  return signalfd4(task, fd, maskGva, size, 0);
}

export const rows: readonly SyscallRow[] = [
  sys(282, 'signalfd', signalfd, NOTE, [FD, STRUCT, SIZE]),
  sys(289, 'signalfd4', signalfd4, NOTE, [FD, STRUCT, SIZE, FLAGS]),
];
