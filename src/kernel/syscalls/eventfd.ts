// eventfd(2), timerfd_create(2), and the event sources that do not exist here.

import { EBADF, EFAULT, EINVAL } from '../../abi/linux/errno.ts';
import { CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM } from '../../abi/linux/time.ts';
import { EventFd } from '../ipc/eventfd.ts';
import { TimerFd } from '../ipc/timerfd.ts';
import type { File } from '../fs/file.ts';
import type { Task } from '../process/task.ts';
import { CLOCK, ENOSYS, FD, FLAGS, FULL, PARTIAL, STRUCT, UINT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';
import { readTimespec, writeTime } from './timeout.ts';

const EFD_SEMAPHORE = 1, O_NONBLOCK = 0o4000, O_CLOEXEC = 0o2000000;
const TFD_TIMER_ABSTIME = 1, TFD_TIMER_CANCEL_ON_SET = 2;
const NS_MAX = 2 ** 62;

function install(task: Task, file: File, flags: number): number {
  const fd = task.process.files.install(file, 0, (flags & O_CLOEXEC) !== 0);
  if (fd < 0) file.unref();
  return fd;
}

function eventfd2(task: Task, initial: number, flags: number): number {
  if ((flags & ~(EFD_SEMAPHORE | O_NONBLOCK | O_CLOEXEC)) !== 0) return -EINVAL;
  return install(task, EventFd.make(task.kernel.waits, BigInt(initial), (flags & EFD_SEMAPHORE) !== 0, flags), flags);
}

function eventfd(task: Task, initial: number): number {
  return eventfd2(task, initial, 0);
}

function timerfdCreate(task: Task, clockId: number, flags: number): number {
  const known = [CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM].includes(clockId);
  if (!known || (flags & ~(O_NONBLOCK | O_CLOEXEC)) !== 0) return -EINVAL;
  // The ALARM clocks want CAP_WAKE_ALARM.
  if (clockId === CLOCK_REALTIME_ALARM || clockId === CLOCK_BOOTTIME_ALARM) return -1;
  const { kernel } = task;
  return install(task, TimerFd.make(kernel.waits, { monotonicNs: () => kernel.clock.monotonicNs() }, clockId, flags), flags);
}

function timerOf(task: Task, fd: number): TimerFd | number {
  const file = task.process.files.get(fd);
  if (!file) return -EBADF;
  return file instanceof TimerFd ? file : -EINVAL;
}

function timerfdSettime(task: Task, fd: number, flags: number, value: number, old: number): number {
  if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) !== 0) return -EINVAL;
  const intervalNs = readTimespec(task, value);
  const valueNs = readTimespec(task, value + 16);
  if (intervalNs < 0 || valueNs < 0) return Math.min(intervalNs, valueNs) === -EINVAL ? -EINVAL : -EFAULT;
  const timer = timerOf(task, fd);
  if (typeof timer === 'number') return timer;
  const before = timer.get();
  timer.set(valueNs === 0 ? 0 : firstExpiry(task, timer, valueNs, (flags & TFD_TIMER_ABSTIME) !== 0), Math.min(intervalNs, NS_MAX));
  return old === 0 ? 0 : writeSetting(task, old, before);
}

/** When a timer set to `valueNs` expires first, on the sandbox's CLOCK_MONOTONIC; never 0, which means disarmed. */
function firstExpiry(task: Task, timer: TimerFd, valueNs: number, isAbsolute: boolean): number {
  const { clock } = task.kernel;
  const now = clock.monotonicNs();
  if (!isAbsolute) return Math.min(now + valueNs, NS_MAX);
  if (timer.clockId !== CLOCK_REALTIME) return Math.min(Math.max(valueNs, 1), NS_MAX);
  return Math.min(Math.max(now + valueNs - Number(clock.realtimeNs()), 1), NS_MAX);
}

function writeSetting(task: Task, gva: number, setting: { valueNs: number; intervalNs: number }): number {
  if (writeTime(task, gva, setting.intervalNs, 1) < 0) return -EFAULT;
  return writeTime(task, gva + 16, setting.valueNs, 1);
}

function timerfdGettime(task: Task, fd: number, value: number): number {
  const timer = timerOf(task, fd);
  return typeof timer === 'number' ? timer : writeSetting(task, value, timer.get());
}

const NO_AIO = 'asynchronous I/O interfaces of the kernel are not implemented; programs fall back to threads';

export const rows: readonly SyscallRow[] = [
  sys(284, 'eventfd', eventfd, FULL, [UINT]),
  sys(290, 'eventfd2', eventfd2, FULL, [UINT, FLAGS]),
  sys(283, 'timerfd_create', timerfdCreate, FULL, [CLOCK, FLAGS]),
  sys(286, 'timerfd_settime', timerfdSettime, PARTIAL('the clock is never set, so TFD_TIMER_CANCEL_ON_SET never cancels'),
    [FD, FLAGS, STRUCT, STRUCT]),
  sys(287, 'timerfd_gettime', timerfdGettime, FULL, [FD, STRUCT]),
  ENOSYS(206, 'io_setup', NO_AIO),
  ENOSYS(207, 'io_destroy', NO_AIO),
  ENOSYS(208, 'io_getevents', NO_AIO),
  ENOSYS(209, 'io_submit', NO_AIO),
  ENOSYS(210, 'io_cancel', NO_AIO),
  ENOSYS(333, 'io_pgetevents', NO_AIO),
  ENOSYS(425, 'io_uring_setup', NO_AIO),
  ENOSYS(426, 'io_uring_enter', NO_AIO),
  ENOSYS(427, 'io_uring_register', NO_AIO),
];
