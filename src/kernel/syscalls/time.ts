// Clocks, sleeping and timers: clock_gettime(2), clock_nanosleep(2), setitimer(2), timer_create(2) and their kin.

import { EFAULT, EINTR, EINVAL, EOPNOTSUPP, EPERM, ERESTART_RESTARTBLOCK, EAGAIN } from '../../abi/linux/errno.ts';
import { SIGALRM, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID } from '../../abi/linux/signal.ts';
import {
  CLK_TCK, CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_RAW, CLOCK_PROCESS_CPUTIME_ID,
  CLOCK_REALTIME, CLOCK_REALTIME_ALARM, CLOCK_REALTIME_COARSE, CLOCK_TAI, CLOCK_THREAD_CPUTIME_ID, ITIMER_REAL, TIMER_ABSTIME,
} from '../../abi/linux/time.ts';
import type { Task } from '../process/task.ts';
import { waitOn } from '../wait.ts';
import type { Wait } from '../wait.ts';
import { putTimespec, putTimeval } from './rusage.ts';
import { readTimespec, readTimeval, writeTimespec } from './timespec.ts';
import { ADDR, CLOCK, FULL, INT, PARTIAL, STRUCT, UINT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const COARSE_NS = 4_000_000n;
const TIMERS_FULL = -1;

/** The value of a clock in nanoseconds, or -EINVAL. */
function clockNow(task: Task, id: number): bigint | number {
  const { clock } = task.kernel;
  switch (id) {
    case CLOCK_REALTIME: case CLOCK_REALTIME_ALARM: case CLOCK_TAI: return clock.realtimeNs();
    case CLOCK_REALTIME_COARSE: return clock.realtimeNs() / COARSE_NS * COARSE_NS;
    case CLOCK_MONOTONIC: case CLOCK_MONOTONIC_RAW: case CLOCK_BOOTTIME: case CLOCK_BOOTTIME_ALARM:
      return BigInt(Math.floor(clock.monotonicNs()));
    case CLOCK_MONOTONIC_COARSE: return BigInt(Math.floor(clock.monotonicNs())) / COARSE_NS * COARSE_NS;
    default: return cpuClock(task, id);
  }
}

/** CPU-time clocks: the two fixed ids, and clock_getcpuclockid's (~pid << 3 | kind, bit 2: a thread). */
function cpuClock(task: Task, id: number): bigint | number {
  if (id === CLOCK_PROCESS_CPUTIME_ID) return BigInt(Math.floor(task.process.cpuNs));
  if (id === CLOCK_THREAD_CPUTIME_ID) return BigInt(Math.floor(task.cpuNs));
  if (id >= 0 || (id & 3) === 3) return -EINVAL;
  const pid = ~(id >> 3);
  if (id & 4) {
    const thread = pid === 0 ? task : task.kernel.tasks.get(pid);
    return thread && thread.process === task.process ? BigInt(Math.floor(thread.cpuNs)) : -EINVAL;
  }
  const process = pid === 0 ? task.process : task.kernel.processes.get(pid);
  return process ? BigInt(Math.floor(process.cpuNs)) : -EINVAL;
}

function clockGettime(task: Task, id: number, gva: number): number {
  const now = clockNow(task, id);
  return typeof now === 'number' ? now : writeTimespec(task, gva, now);
}

function clockGetres(task: Task, id: number, gva: number): number {
  const now = clockNow(task, id);
  if (typeof now === 'number') return now;
  if (gva === 0) return 0;
  return writeTimespec(task, gva, id === CLOCK_REALTIME_COARSE || id === CLOCK_MONOTONIC_COARSE ? COARSE_NS : 1n);
}

function clockSettime(task: Task, id: number, gva: number): number {
  if (id !== CLOCK_REALTIME) return -EINVAL;
  const ns = readTimespec(task, gva);
  return typeof ns === 'number' ? ns : -EPERM;
}

function gettimeofday(task: Task, tvGva: number, tzGva: number): number {
  const { mm } = task.process;
  if (tvGva !== 0) {
    const ns = task.kernel.clock.realtimeNs();
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setBigInt64(0, ns / 1_000_000_000n, true);
    view.setBigInt64(8, ns % 1_000_000_000n / 1000n, true);
    if (mm.copyOut(tvGva, bytes) < 0) return -EFAULT;
  }
  return tzGva !== 0 && mm.copyOut(tzGva, new Uint8Array(8)) < 0 ? -EFAULT : 0;
}

function settimeofday(): number {
  return -EPERM;
}

function time(task: Task, gva: number): number {
  const seconds = task.kernel.clock.realtimeNs() / 1_000_000_000n;
  return gva !== 0 && task.process.mm.writeU64(gva, seconds) < 0 ? -EFAULT : Number(seconds);
}

/** Sleeps until `deadlineNs`; when interrupted, writes what was left to `remainGva` (0: nowhere, as for absolute sleeps). */
function sleepUntil(task: Task, deadlineNs: number, remainGva: number, isAbsolute: boolean): number | Wait {
  if (task.timedOut) return 0;
  const now = task.kernel.clock.monotonicNs();
  if (task.interrupted) {
    if (isAbsolute) return -514;
    const left = BigInt(Math.max(0, Math.ceil(deadlineNs - now)));
    if (remainGva !== 0 && writeTimespec(task, remainGva, left) < 0) return -EFAULT;
    task.restartBlock = { call: 'nanosleep', deadlineNs, args: [remainGva] };
    return -ERESTART_RESTARTBLOCK;
  }
  if (deadlineNs <= now) return 0;
  return waitOn([], { deadlineNs, onSignal: -100_000 });
}

function nanosleep(task: Task, requestGva: number, remainGva: number): number | Wait {
  if (task.rerun) return sleepUntil(task, task.rerun.deadlineNs, remainGva, false);
  const ns = readTimespec(task, requestGva);
  if (typeof ns === 'number') return ns;
  return sleepUntil(task, task.kernel.clock.monotonicNs() + Number(ns), remainGva, false);
}

function clockNanosleep(task: Task, id: number, flags: number, requestGva: number, remainGva: number): number | Wait {
  const isAbsolute = (flags & TIMER_ABSTIME) !== 0;
  if (task.rerun) return sleepUntil(task, task.rerun.deadlineNs, remainGva, isAbsolute);
  const base = clockNow(task, id);
  if (typeof base === 'number') return base;
  if (id === CLOCK_THREAD_CPUTIME_ID) return -EINVAL;
  if (id === CLOCK_MONOTONIC_RAW || id === CLOCK_REALTIME_COARSE || id === CLOCK_MONOTONIC_COARSE) return -EOPNOTSUPP;
  const ns = readTimespec(task, requestGva);
  if (typeof ns === 'number') return ns;
  const now = task.kernel.clock.monotonicNs();
  return sleepUntil(task, now + Number(isAbsolute ? ns - base : ns), remainGva, isAbsolute);
}

function times(task: Task, gva: number): number {
  const ticks = (ns: number): bigint => BigInt(Math.floor(ns / (1e9 / CLK_TCK)));
  const { process, kernel } = task;
  if (gva !== 0) {
    const bytes = new Uint8Array(32);
    const view = new DataView(bytes.buffer);
    view.setBigInt64(0, ticks(process.cpuNs), true);
    view.setBigInt64(16, ticks(process.childrenCpuNs), true);
    if (process.mm.copyOut(gva, bytes) < 0) return -EFAULT;
  }
  return Number(ticks(kernel.clock.monotonicNs()));
}

function adjtimex(task: Task, gva: number): number {
  const modes = task.process.mm.readU32(gva);
  if (modes < 0) return modes;
  if (modes !== 0) return -EPERM;
  const bytes = new Uint8Array(TIMEX.size);
  const view = new DataView(bytes.buffer);
  for (const at of [TIMEX.maxerror, TIMEX.esterror]) view.setBigInt64(at, ERROR_MAX_US, true);
  view.setInt32(TIMEX.status, STA_UNSYNC, true);
  view.setBigInt64(TIMEX.constant, 2n, true);
  view.setBigInt64(TIMEX.precision, 1n, true);
  view.setBigInt64(TIMEX.tolerance, 32_768_000n, true);
  putTimeval(view, TIMEX.time, Number(task.kernel.clock.realtimeNs()));
  view.setBigInt64(TIMEX.tick, 10_000n, true);
  const copied = task.process.mm.copyOut(gva, bytes);
  return copied < 0 ? copied : TIME_ERROR;
}

/** struct timex: a clock that nobody adjusts, as the host does not tell how well its own is. */
const TIMEX = { size: 208, maxerror: 24, esterror: 32, status: 40, constant: 48, precision: 56, tolerance: 64, time: 72, tick: 88 } as const;
const STA_UNSYNC = 64, TIME_ERROR = 5, ERROR_MAX_US = 16_000_000n;

function clockAdjtime(task: Task, clock: number, gva: number): number {
  if (clock !== CLOCK_REALTIME) return clock >= 0 && clock <= CLOCK_TAI ? -EOPNOTSUPP : -EINVAL;
  return adjtimex(task, gva);
}

// interval timers

function encodeItimer(left: { leftNs: number; intervalNs: number }): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  putTimeval(view, 0, left.intervalNs);
  putTimeval(view, 16, left.leftNs);
  return bytes;
}

function getitimer(task: Task, which: number, gva: number): number {
  if (which < 0 || which > 2) return -EINVAL;
  return task.process.mm.copyOut(gva, encodeItimer(task.process.timers.getItimer(which)));
}

function setitimer(task: Task, which: number, newGva: number, oldGva: number): number {
  if (which < 0 || which > 2) return -EINVAL;
  const { timers, mm } = task.process;
  let interval: bigint | number = 0n, value: bigint | number = 0n;
  if (newGva !== 0) {
    interval = readTimeval(task, newGva);
    if (typeof interval === 'number') return interval;
    value = readTimeval(task, newGva + 16);
    if (typeof value === 'number') return value;
  }
  const before = timers.setItimer(which, Number(value), Number(interval));
  return oldGva !== 0 ? mm.copyOut(oldGva, encodeItimer(before)) : 0;
}

function alarm(task: Task, seconds: number): number {
  const before = task.process.timers.setItimer(ITIMER_REAL, seconds * 1e9, 0);
  return before.leftNs === 0 ? 0 : Math.max(1, Math.round(before.leftNs / 1e9));
}

// POSIX timers

function timerCreate(task: Task, clock: number, eventGva: number, idGva: number): number {
  const now = clockNow(task, clock);
  if (typeof now === 'number') return now;
  let spec = { clock, notify: SIGEV_SIGNAL as number, signo: SIGALRM as number, value: null as bigint | null, tid: 0 };
  if (eventGva !== 0) {
    const bytes = task.process.mm.readBytes(eventGva, 64);
    if (typeof bytes === 'number') return bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset, 64);
    spec = {
      clock, value: view.getBigUint64(0, true), signo: view.getInt32(8, true), notify: view.getInt32(12, true), tid: view.getInt32(16, true),
    };
    if (![SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, SIGEV_THREAD_ID].includes(spec.notify)) return -EINVAL;
    if (spec.notify !== SIGEV_NONE && (spec.signo < 1 || spec.signo > 64)) return -EINVAL;
    if (spec.notify === SIGEV_THREAD_ID && !task.process.tasks.some((other) => other.tid === spec.tid)) return -EINVAL;
  }
  const id = task.process.timers.create(spec);
  if (id === TIMERS_FULL) return -EAGAIN;
  if (task.process.mm.writeU32(idGva, id) < 0) {
    task.process.timers.remove(id);
    return -EFAULT;
  }
  return 0;
}

function encodeItimerspec(leftNs: number, intervalNs: number): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  putTimespec(view, 0, BigInt(Math.floor(intervalNs)));
  putTimespec(view, 16, BigInt(Math.floor(leftNs)));
  return bytes;
}

function timerLeft(task: Task, id: number): Uint8Array | null {
  const { timers } = task.process;
  const timer = timers.timer(id);
  if (!timer) return null;
  const left = timer.atNs === Infinity ? 0 : Math.max(1, timer.atNs - timers.clockNow(timer.clock));
  return encodeItimerspec(left, timer.intervalNs);
}

function timerSettime(task: Task, id: number, flags: number, newGva: number, oldGva: number): number {
  const { timers, mm } = task.process;
  const before = timerLeft(task, id);
  const timer = timers.timer(id);
  if (!before || !timer || newGva === 0) return -EINVAL;
  const interval = readTimespec(task, newGva);
  if (typeof interval === 'number') return interval;
  const value = readTimespec(task, newGva + 16);
  if (typeof value === 'number') return value;
  let atNs = Infinity;
  if (value !== 0n) {
    const base = clockNow(task, timer.clock);
    if (typeof base === 'number') return base;
    atNs = timers.clockNow(timer.clock) + Number(flags & TIMER_ABSTIME ? value - base : value);
  }
  timers.set(id, atNs, Number(interval));
  return oldGva !== 0 ? mm.copyOut(oldGva, before) : 0;
}

function timerGettime(task: Task, id: number, gva: number): number {
  const left = timerLeft(task, id);
  return left ? task.process.mm.copyOut(gva, left) : -EINVAL;
}

function timerGetoverrun(task: Task, id: number): number {
  return task.process.timers.timer(id)?.overrun ?? -EINVAL;
}

function timerDelete(task: Task, id: number): number {
  if (!task.process.timers.timer(id)) return -EINVAL;
  task.process.timers.remove(id);
  return 0;
}

/** restart_syscall(2): what was interrupted by a stop or a signal without handler goes on. */
function restartSyscall(task: Task): number | Wait {
  const block = task.restartBlock;
  if (!block) return -EINTR;
  if (block.call === 'nanosleep') return sleepUntil(task, block.deadlineNs, block.args[0], false);
  if (block.call === 'futex') {
    const [gva, value, bits, shared] = block.args;
    return task.kernel.futexes.wait(task, gva, value, bits, block.deadlineNs, shared === 1);
  }
  return -EINTR;
}

export const rows: SyscallRow[] = [
  sys(35, 'nanosleep', nanosleep, FULL, [STRUCT, STRUCT]),
  sys(36, 'getitimer', getitimer, FULL, [INT, STRUCT]),
  sys(37, 'alarm', alarm, FULL, [UINT]),
  sys(38, 'setitimer', setitimer, FULL, [INT, STRUCT, STRUCT]),
  sys(96, 'gettimeofday', gettimeofday, FULL, [STRUCT, STRUCT]),
  sys(100, 'times', times, FULL, [STRUCT]),
  sys(159, 'adjtimex', adjtimex, PARTIAL('the clock is not synchronized and cannot be set: EPERM'), [STRUCT]),
  sys(164, 'settimeofday', settimeofday, PARTIAL('always EPERM'), [STRUCT, STRUCT]),
  sys(201, 'time', time, FULL, [ADDR]),
  sys(219, 'restart_syscall', restartSyscall, FULL, []),
  sys(222, 'timer_create', timerCreate, FULL, [CLOCK, STRUCT, STRUCT]),
  sys(223, 'timer_settime', timerSettime, FULL, [INT, 'FLAGS', STRUCT, STRUCT]),
  sys(224, 'timer_gettime', timerGettime, FULL, [INT, STRUCT]),
  sys(225, 'timer_getoverrun', timerGetoverrun, FULL, [INT]),
  sys(226, 'timer_delete', timerDelete, FULL, [INT]),
  sys(227, 'clock_settime', clockSettime, PARTIAL('always EPERM'), [CLOCK, STRUCT]),
  sys(228, 'clock_gettime', clockGettime, FULL, [CLOCK, STRUCT]),
  sys(229, 'clock_getres', clockGetres, FULL, [CLOCK, STRUCT]),
  sys(230, 'clock_nanosleep', clockNanosleep, FULL, [CLOCK, 'FLAGS', STRUCT, STRUCT]),
  sys(305, 'clock_adjtime', clockAdjtime, PARTIAL('the clock is not synchronized and cannot be set: EPERM'), [CLOCK, STRUCT]),
];
