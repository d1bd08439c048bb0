// futex(2), set_robust_list(2), get_robust_list(2), rseq(2): arguments only; ipc/futex.ts does the work.

import { EAGAIN, EINVAL, ENOSYS as E_NOSYS, EPERM, ESRCH } from '../../abi/linux/errno.ts';
import {
  FUTEX_CLOCK_REALTIME, FUTEX_CMP_REQUEUE, FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_PRIVATE_FLAG, FUTEX_REQUEUE, FUTEX_TRYLOCK_PI,
  FUTEX_UNLOCK_PI, FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_WAKE,
  FUTEX_WAKE_BITSET, FUTEX_WAKE_OP, FutexWaitv,
} from '../../abi/linux/sched.ts';
import { CLOCK_MONOTONIC, CLOCK_REALTIME } from '../../abi/linux/time.ts';
import { lockPi, unlockPi } from '../ipc/pifutex.ts';
import { registerRseq, unregisterRseq } from '../process/rseq.ts';
import type { Task } from '../process/task.ts';
import type { Wait } from '../wait.ts';
import { readTimespec } from './timespec.ts';
import { ADDR, ENOSYS, FULL, INT, PARTIAL, PID, SIZE, STRUCT, UINT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const MATCH_ANY = 0xffff_ffff;
const ROBUST_HEAD_BYTES = 24;

function futex(task: Task, gva: number, operation: number, value: number, timeout: number, gva2: number, value3: number): number | Wait {
  const shared = (operation & FUTEX_PRIVATE_FLAG) === 0;
  const command = operation & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
  const { futexes } = task.kernel;
  const count = value | 0;
  if ((operation & FUTEX_CLOCK_REALTIME) !== 0 && command !== FUTEX_WAIT_BITSET && command !== FUTEX_LOCK_PI2) return -E_NOSYS;
  switch (command) {
    case FUTEX_WAIT: return futexWait(task, gva, operation, value, timeout, MATCH_ANY);
    case FUTEX_WAIT_BITSET: return futexWait(task, gva, operation, value, timeout, value3);
    case FUTEX_WAKE: return futexes.wake(task, gva, Math.max(1, count), MATCH_ANY, shared);
    case FUTEX_WAKE_BITSET: return futexes.wake(task, gva, Math.max(1, count), value3, shared);
    case FUTEX_REQUEUE: return requeue(task, gva, gva2, count, timeout | 0, shared);
    case FUTEX_CMP_REQUEUE: {
      const now = task.process.mm.readU32(gva);
      if (now < 0) return now;
      if (now !== value3) return -EAGAIN;
      return requeue(task, gva, gva2, count, timeout | 0, shared);
    }
    case FUTEX_WAKE_OP: return wakeOp(task, gva, gva2, count, timeout | 0, value3, shared);
    case FUTEX_LOCK_PI: case FUTEX_LOCK_PI2: {
      const deadlineNs = timeout === 0 ? Infinity : absoluteTime(task, timeout, command === FUTEX_LOCK_PI || (operation & FUTEX_CLOCK_REALTIME) !== 0);
      return deadlineNs < 0 ? deadlineNs : lockPi(task, gva, Math.max(1, deadlineNs), shared);
    }
    case FUTEX_TRYLOCK_PI: return lockPi(task, gva, 0, shared);
    case FUTEX_UNLOCK_PI: return unlockPi(task, gva, shared);
    default:
      task.kernel.count(`futex operation ${command}`);
      return -E_NOSYS;
  }
}

function futexWait(task: Task, gva: number, operation: number, value: number, timeout: number, bits: number): number | Wait {
  const shared = (operation & FUTEX_PRIVATE_FLAG) === 0;
  const command = operation & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
  let deadlineNs = Infinity;
  if (timeout !== 0) {
    const ns = readTimespec(task, timeout);
    if (typeof ns === 'number') return ns;
    const { clock } = task.kernel;
    if (command === FUTEX_WAIT) deadlineNs = clock.monotonicNs() + Number(ns);
    else if (operation & FUTEX_CLOCK_REALTIME) deadlineNs = clock.monotonicNs() + Number(ns - clock.realtimeNs());
    else deadlineNs = Number(ns);
  }
  const result = task.kernel.futexes.wait(task, gva, value, bits, deadlineNs, shared);
  if (typeof result === 'object' && deadlineNs !== Infinity) {
    task.restartBlock = { call: 'futex', deadlineNs, args: [gva, value, bits, shared ? 1 : 0] };
  }
  return result;
}

/** A struct timespec of CLOCK_REALTIME or CLOCK_MONOTONIC as nanoseconds of CLOCK_MONOTONIC, at least 0; or -errno. */
function absoluteTime(task: Task, gva: number, isReal: boolean): number {
  const ns = readTimespec(task, gva);
  if (typeof ns === 'number') return ns;
  const { clock } = task.kernel;
  return Math.max(0, isReal ? clock.monotonicNs() + Number(ns - clock.realtimeNs()) : Number(ns));
}

function requeue(task: Task, from: number, to: number, wake: number, move: number, shared: boolean): number {
  if (wake < 0 || move < 0) return -EINVAL;
  const result = task.kernel.futexes.requeue(task, from, to, wake, move, shared);
  return typeof result === 'number' ? result : result.woken + result.moved;
}

/** FUTEX_WAKE_OP: *gva2 = old OP arg; wake gva; if old CMP arg, wake gva2. */
function wakeOp(task: Task, gva: number, gva2: number, wake: number, wake2: number, encoded: number, shared: boolean): number {
  const { mm } = task.process;
  const kind = encoded >>> 28 & 7, compare = encoded >>> 24 & 15;
  let argument = encoded << 8 >> 20;
  const compareTo = encoded << 20 >> 20;
  if (encoded >>> 31) argument = 1 << (argument & 31);
  if (gva2 % 4 !== 0) return -EINVAL;
  const word = mm.readU32(gva2);
  if (word < 0) return word;
  const old = word | 0;
  const next = [argument, old + argument, old | argument, old & ~argument, old ^ argument][kind];
  if (next === undefined) return -E_NOSYS;
  const bad = mm.writeU32(gva2, next >>> 0);
  if (bad < 0) return bad;
  const isTrue = [old === compareTo, old !== compareTo, old < compareTo, old <= compareTo, old > compareTo, old >= compareTo][compare];
  if (isTrue === undefined) return -E_NOSYS;
  const woken = task.kernel.futexes.wake(task, gva, Math.max(1, wake), MATCH_ANY, shared);
  if (woken < 0 || !isTrue) return woken;
  const more = task.kernel.futexes.wake(task, gva2, Math.max(1, wake2), MATCH_ANY, shared);
  return more < 0 ? more : woken + more;
}

const FUTEX_WAITV_MAX = 128, FUTEX_32 = 2;

function futexWaitv(task: Task, waiters: number, count: number, flags: number, timeout: number, clock: number): number | Wait {
  if (flags !== 0 || count === 0 || count > FUTEX_WAITV_MAX || waiters === 0) return -EINVAL;
  let deadlineNs = Infinity;
  if (timeout !== 0) {
    if (clock !== CLOCK_MONOTONIC && clock !== CLOCK_REALTIME) return -EINVAL;
    deadlineNs = absoluteTime(task, timeout, clock === CLOCK_REALTIME);
    if (deadlineNs < 0) return deadlineNs;
  }
  const bytes = task.process.mm.readBytes(waiters, count * FutexWaitv.size);
  if (typeof bytes === 'number') return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const words = [];
  for (let at = 0; at < bytes.length; at += FutexWaitv.size) {
    const { val, uaddr, flags: kind, reserved } = FutexWaitv.read(view, at);
    if ((kind & ~FUTEX_PRIVATE_FLAG) !== FUTEX_32 || reserved !== 0 || val > 0xffff_ffff) return -EINVAL;
    words.push({ gva: uaddr, expected: val, shared: (kind & FUTEX_PRIVATE_FLAG) === 0 });
  }
  return task.kernel.futexes.waitv(task, words, deadlineNs);
}

function setRobustList(task: Task, head: number, size: number): number {
  if (size !== ROBUST_HEAD_BYTES) return -EINVAL;
  task.robustList = head;
  return 0;
}

function getRobustList(task: Task, tid: number, headGva: number, sizeGva: number): number {
  const other = tid === 0 ? task : task.kernel.tasks.get(tid);
  if (!other) return -ESRCH;
  if (other.process !== task.process && task.process.credentials.euid !== 0) return -EPERM;
  const { mm } = task.process;
  return mm.writeU64(sizeGva, BigInt(ROBUST_HEAD_BYTES)) || mm.writeU64(headGva, BigInt(other.robustList));
}

const RSEQ_FLAG_UNREGISTER = 1;

function rseq(task: Task, address: number, size: number, flags: number, signature: number): number {
  if (flags === RSEQ_FLAG_UNREGISTER) return unregisterRseq(task, address, size, signature);
  return flags === 0 ? registerRseq(task, address, size, signature) : -EINVAL;
}

export const rows: SyscallRow[] = [
  sys(202, 'futex', futex, PARTIAL('no priorities to inherit; FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI are ENOSYS'), [
    ADDR, UINT, UINT, ADDR, ADDR, UINT]),
  sys(273, 'set_robust_list', setRobustList, FULL, [ADDR, SIZE]),
  sys(274, 'get_robust_list', getRobustList, FULL, [PID, ADDR, ADDR]),
  sys(334, 'rseq', rseq, FULL, [ADDR, UINT, 'FLAGS', UINT]),
  sys(449, 'futex_waitv', futexWaitv, FULL, [STRUCT, UINT, 'FLAGS', STRUCT, INT]),
  ENOSYS(454, 'futex_wake', 'futex2 calls are newer than the emulated kernel'),
  ENOSYS(455, 'futex_wait', 'futex2 calls are newer than the emulated kernel'),
  ENOSYS(456, 'futex_requeue', 'futex2 calls are newer than the emulated kernel'),
];
