// poll(2), ppoll(2), select(2), pselect6(2).
//
// A call looks at its files; when none is ready it waits on all their queues and is run again. The Wait remembers when the
// call ends, so that reruns do not prolong it.

import { EBADF, EFAULT, EINVAL, ERESTARTNOHAND } from '../../abi/linux/errno.ts';
import { POLLERR, POLLFD_SIZE, POLLHUP, POLLNVAL, SELECT_EX, SELECT_IN, SELECT_OUT } from '../../abi/linux/poll.ts';
import type { File } from '../fs/file.ts';
import type { Task } from '../process/task.ts';
import { RERUN, waitOn } from '../wait.ts';
import type { Wait } from '../wait.ts';
import { ADDR, FULL, INT, OUT_BUF, STRUCT, UINT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';
import { endOf, readTimespec, readTimeval, restoreSigmask, swapSigmask, writeTime } from './timeout.ts';
import type { EndMemo } from './timeout.ts';

const O_PATH = 0o10000000;

/** What looking at a set of files found. */
class Scan {
  ready = 0;
  /** When a file changes by itself. */
  deadlineNs = Infinity;
  readonly queues = new Set<number>();

  /** The events of `file` among `wanted`; remembers where to wait if there are none. */
  look(file: File, wanted: number): number {
    const events = file.poll() & wanted;
    if (events === 0) {
      for (const id of file.pollQueues()) this.queues.add(id);
      this.deadlineNs = Math.min(this.deadlineNs, file.pollDeadlineNs());
    }
    return events;
  }
}

/** The result, or the Wait for what was scanned. */
function settle(task: Task, scan: Scan, endNs: number): number | Wait {
  if (scan.ready > 0 || task.kernel.clock.monotonicNs() >= endNs) return scan.ready;
  if (task.interrupted) return -ERESTARTNOHAND;
  return waitOn([...scan.queues], {
    deadlineNs: Math.min(endNs, scan.deadlineNs), onSignal: RERUN, memo: { endNs } satisfies EndMemo,
  });
}

function pollFds(task: Task, fds: number, count: number, endNs: number): number | Wait {
  const { mm, files } = task.process;
  if (count > files.limit) return -EINVAL;
  const bytes = new Uint8Array(count * POLLFD_SIZE);
  if (mm.copyIn(fds, bytes) < 0) return -EFAULT;
  const view = new DataView(bytes.buffer);
  const scan = new Scan();
  for (let at = 0; at < bytes.length; at += POLLFD_SIZE) {
    const revents = pollOne(task, scan, view.getInt32(at, true), view.getUint16(at + 4, true));
    view.setUint16(at + 6, revents, true);
    if (revents !== 0) scan.ready++;
  }
  const result = settle(task, scan, endNs);
  if (typeof result === 'number' && mm.copyOut(fds, bytes) < 0) return -EFAULT;
  return result;
}

function pollOne(task: Task, scan: Scan, fd: number, events: number): number {
  if (fd < 0) return 0;
  const file = task.process.files.get(fd);
  if (!file || (file.flags & O_PATH) !== 0) return POLLNVAL;
  return scan.look(file, events | POLLERR | POLLHUP);
}

function poll(task: Task, fds: number, count: number, timeoutMs: number): number | Wait {
  return pollFds(task, fds, count, endOf(task, timeoutMs < 0 ? Infinity : timeoutMs * 1e6));
}

function ppoll(task: Task, fds: number, count: number, timeout: number, sigmask: number, sigsetSize: number): number | Wait {
  const timeoutNs = timeout === 0 ? Infinity : task.rerun ? 0 : readTimespec(task, timeout);
  if (timeoutNs < 0) return timeoutNs;
  const swapped = swapSigmask(task, sigmask, sigsetSize);
  if (swapped < 0) return swapped;
  const endNs = endOf(task, timeoutNs);
  return finish(task, pollFds(task, fds, count, endNs), endNs, timeout, 1, !task.rerun && timeoutNs === 0);
}

/** poll_select_finish: writes back what is left of the time and puts the signal mask back. */
function finish(task: Task, result: number | Wait, endNs: number, timeout: number, unitNs: number, isPolling: boolean): number | Wait {
  if (typeof result !== 'number') return result;
  if (result !== -ERESTARTNOHAND) restoreSigmask(task);
  if (timeout !== 0 && !isPolling && endNs !== Infinity) writeTime(task, timeout, endNs - task.kernel.clock.monotonicNs(), unitNs);
  return result;
}

/** One fd_set of the call. */
interface BitSet { readonly gva: number; readonly wanted: number; readonly bits: Uint8Array; readonly out: Uint8Array }

function readSets(task: Task, n: number, pointers: readonly number[]): BitSet[] | number {
  const wanted = [SELECT_IN, SELECT_OUT, SELECT_EX];
  const sizeBytes = Math.ceil(n / 64) * 8;
  const sets: BitSet[] = [];
  for (let i = 0; i < 3; i++) {
    if (pointers[i] === 0) continue;
    const bits = new Uint8Array(sizeBytes);
    if (task.process.mm.copyIn(pointers[i], bits) < 0) return -EFAULT;
    sets.push({ gva: pointers[i], wanted: wanted[i], bits, out: new Uint8Array(sizeBytes) });
  }
  return sets;
}

function scanSets(task: Task, n: number, sets: readonly BitSet[]): Scan | number {
  const scan = new Scan();
  for (let fd = 0; fd < n; fd++) {
    const bit = 1 << (fd & 7);
    for (const set of sets) {
      if ((set.bits[fd >> 3] & bit) === 0) continue;
      const file = task.process.files.get(fd);
      if (!file || (file.flags & O_PATH) !== 0) return -EBADF;
      if (scan.look(file, set.wanted) === 0) continue;
      set.out[fd >> 3] |= bit;
      scan.ready++;
    }
  }
  return scan;
}

function selectFds(task: Task, count: number, pointers: readonly number[], endNs: number): number | Wait {
  if (count < 0) return -EINVAL;
  const n = Math.min(count, task.process.files.limit);
  const sets = readSets(task, n, pointers);
  if (typeof sets === 'number') return sets;
  const scan = scanSets(task, n, sets);
  if (typeof scan === 'number') return scan;
  const result = settle(task, scan, endNs);
  if (typeof result !== 'number' || result < 0) return result;
  for (const set of sets) if (task.process.mm.copyOut(set.gva, set.out) < 0) return -EFAULT;
  return result;
}

function select(task: Task, n: number, readable: number, writable: number, except: number, timeout: number): number | Wait {
  const timeoutNs = timeout === 0 ? Infinity : task.rerun ? 0 : readTimeval(task, timeout);
  if (timeoutNs < 0) return timeoutNs;
  const endNs = endOf(task, timeoutNs);
  const result = selectFds(task, n, [readable, writable, except], endNs);
  return finish(task, result, endNs, timeout, 1000, !task.rerun && timeoutNs === 0);
}

function pselect6(
  task: Task, n: number, readable: number, writable: number, except: number, timeout: number, sigmask: number,
): number | Wait {
  const timeoutNs = timeout === 0 ? Infinity : task.rerun ? 0 : readTimespec(task, timeout);
  if (timeoutNs < 0) return timeoutNs;
  const { mm } = task.process;
  // The sixth argument points at { const sigset_t *mask; size_t size; }.
  const mask = sigmask === 0 ? 0 : mm.readAddr(sigmask);
  const sizeBytes = sigmask === 0 ? 0 : mm.readAddr(sigmask + 8);
  if (mask < 0 || sizeBytes < 0) return -EFAULT;
  const swapped = swapSigmask(task, mask, sizeBytes);
  if (swapped < 0) return swapped;
  const endNs = endOf(task, timeoutNs);
  const result = selectFds(task, n, [readable, writable, except], endNs);
  return finish(task, result, endNs, timeout, 1, !task.rerun && timeoutNs === 0);
}

export const rows: readonly SyscallRow[] = [
  sys(7, 'poll', poll, FULL, [ADDR, UINT, INT]),
  sys(23, 'select', select, FULL, [INT, OUT_BUF, OUT_BUF, OUT_BUF, STRUCT]),
  sys(270, 'pselect6', pselect6, FULL, [INT, OUT_BUF, OUT_BUF, OUT_BUF, STRUCT, STRUCT]),
  sys(271, 'ppoll', ppoll, FULL, [ADDR, UINT, STRUCT, STRUCT, UINT]),
];
