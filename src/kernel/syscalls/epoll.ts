// epoll_create1(2), epoll_ctl(2), epoll_wait(2) and their variants: epoll(7).

import { EBADF, EFAULT, EINTR, EINVAL } from '../../abi/linux/errno.ts';
import { EPOLL_CLOEXEC, EPOLL_CTL_DEL, EPOLL_EVENT_SIZE, EP_MAX_EVENTS } from '../../abi/linux/epoll.ts';
import { EpollFile, epollOf } from '../ipc/epoll.ts';
import type { EpollEvent } from '../ipc/epoll.ts';
import type { Task } from '../process/task.ts';
import { RERUN, waitOn } from '../wait.ts';
import type { Wait } from '../wait.ts';
import { FD, FLAGS, FULL, INT, OUT_BUF, STRUCT, UINT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';
import { endOf, readTimespec, restoreSigmask, swapSigmask } from './timeout.ts';
import type { EndMemo } from './timeout.ts';

const O_PATH = 0o10000000;

function epollCreate1(task: Task, flags: number): number {
  if ((flags & ~EPOLL_CLOEXEC) !== 0) return -EINVAL;
  const { kernel } = task;
  const file = new EpollFile(kernel.waits, { monotonicNs: () => kernel.clock.monotonicNs() });
  const fd = task.process.files.install(file, 0, (flags & EPOLL_CLOEXEC) !== 0);
  if (fd < 0) file.unref();
  return fd;
}

function epollCreate(task: Task, size: number): number {
  return size <= 0 ? -EINVAL : epollCreate1(task, 0);
}

function epollCtl(task: Task, epfd: number, op: number, fd: number, event: number): number {
  const { files, mm } = task.process;
  let events = 0;
  let data = 0n;
  if (op !== EPOLL_CTL_DEL) {
    const bytes = new Uint8Array(EPOLL_EVENT_SIZE);
    if (mm.copyIn(event, bytes) < 0) return -EFAULT;
    const view = new DataView(bytes.buffer);
    events = view.getUint32(0, true);
    data = view.getBigUint64(4, true);
  }
  const epollFile = files.get(epfd);
  const file = files.get(fd);
  if (!epollFile || !file || (file.flags & O_PATH) !== 0) return -EBADF;
  if (file.pollQueues().length === 0) return -1; // EPERM: it has no poll
  const epoll = epollOf(epollFile);
  return typeof epoll === 'number' ? epoll : epoll.control(op, fd, file, events, data);
}

/** Events of `epfd` for a call that ends at `endNs`: how many were written at `events`, or a Wait. */
function waitFor(task: Task, epfd: number, events: number, max: number, endNs: number): number | Wait {
  if (max <= 0 || max > EP_MAX_EVENTS) return -EINVAL;
  const epoll = epollOf(task.process.files.get(epfd));
  if (typeof epoll === 'number') return epoll;
  if (task.process.mm.translate(events, true) < 0) return -EFAULT;
  const found = epoll.collect(Math.min(max, 4096));
  if (found.length > 0) return writeEvents(task, events, found);
  if (task.kernel.clock.monotonicNs() >= endNs) return 0;
  if (task.interrupted) return -EINTR;
  return waitOn([epoll.queue], {
    deadlineNs: Math.min(endNs, epoll.pollDeadlineNs()), onSignal: RERUN, memo: { endNs } satisfies EndMemo,
  });
}

function writeEvents(task: Task, gva: number, found: readonly EpollEvent[]): number {
  const bytes = new Uint8Array(found.length * EPOLL_EVENT_SIZE);
  const view = new DataView(bytes.buffer);
  found.forEach((event, index) => {
    view.setUint32(index * EPOLL_EVENT_SIZE, event.events, true);
    view.setBigUint64(index * EPOLL_EVENT_SIZE + 4, event.data, true);
  });
  return task.process.mm.copyOut(gva, bytes) < 0 ? -EFAULT : found.length;
}

function epollWait(task: Task, epfd: number, events: number, max: number, timeoutMs: number): number | Wait {
  return waitFor(task, epfd, events, max, endOf(task, timeoutMs < 0 ? Infinity : timeoutMs * 1e6));
}

function withMask(
  task: Task, epfd: number, events: number, max: number, timeoutNs: number, sigmask: number, sigsetSize: number,
): number | Wait {
  const swapped = swapSigmask(task, sigmask, sigsetSize);
  if (swapped < 0) return swapped;
  const result = waitFor(task, epfd, events, max, endOf(task, timeoutNs));
  if (typeof result === 'number' && result !== -EINTR) restoreSigmask(task);
  return result;
}

function epollPwait(
  task: Task, epfd: number, events: number, max: number, timeoutMs: number, sigmask: number, sigsetSize: number,
): number | Wait {
  return withMask(task, epfd, events, max, timeoutMs < 0 ? Infinity : timeoutMs * 1e6, sigmask, sigsetSize);
}

function epollPwait2(
  task: Task, epfd: number, events: number, max: number, timeout: number, sigmask: number, sigsetSize: number,
): number | Wait {
  const timeoutNs = timeout === 0 ? Infinity : task.rerun ? 0 : readTimespec(task, timeout);
  return timeoutNs < 0 ? timeoutNs : withMask(task, epfd, events, max, timeoutNs, sigmask, sigsetSize);
}

export const rows: readonly SyscallRow[] = [
  sys(213, 'epoll_create', epollCreate, FULL, [INT]),
  sys(291, 'epoll_create1', epollCreate1, FULL, [FLAGS]),
  sys(233, 'epoll_ctl', epollCtl, FULL, [FD, INT, FD, STRUCT]),
  sys(232, 'epoll_wait', epollWait, FULL, [FD, OUT_BUF, INT, INT]),
  sys(281, 'epoll_pwait', epollPwait, FULL, [FD, OUT_BUF, INT, INT, STRUCT, UINT]),
  sys(441, 'epoll_pwait2', epollPwait2, FULL, [FD, OUT_BUF, INT, STRUCT, STRUCT, UINT]),
];
