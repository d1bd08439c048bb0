// Scheduling as one CPU and one policy give it: sched_yield(2), sched_getaffinity(2), sched_setscheduler(2), nice values.
// Policies are remembered without effect; real-time policies are EPERM as for any user.

import { E2BIG, EACCES, EFAULT, EINVAL, EPERM, ESRCH } from '../../abi/linux/errno.ts';
import { SCHED_BATCH, SCHED_FIFO, SCHED_IDLE, SCHED_OTHER, SCHED_RR } from '../../abi/linux/sched.ts';
import { INIT_PID } from '../process/exit.ts';
import type { Process } from '../process/process.ts';
import type { Task } from '../process/task.ts';
import { FULL, INT, PARTIAL, PID, SIZE, STRUCT, UINT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const ONE_POLICY = PARTIAL('SCHED_OTHER, BATCH and IDLE are scheduled alike; real-time policies are EPERM');
const SCHED_ATTR_BYTES = 56;
const PRIO_PROCESS = 0, PRIO_PGRP = 1, PRIO_USER = 2;

function exists(task: Task, pid: number): boolean {
  return pid === 0 || pid === INIT_PID || task.kernel.tasks.has(pid);
}

function schedYield(task: Task): number {
  task.kernel.sched.yieldCurrent();
  return 0;
}

function getaffinity(task: Task, pid: number, size: number, gva: number): number {
  if (size < 8 || size % 8 !== 0) return -EINVAL;
  if (!exists(task, pid)) return -ESRCH;
  return task.process.mm.writeU64(gva, 1n) < 0 ? -EFAULT : 8;
}

function setaffinity(task: Task, pid: number, size: number, gva: number): number {
  if (!exists(task, pid)) return -ESRCH;
  const bytes = new Uint8Array(Math.min(size, 128));
  if (task.process.mm.copyIn(gva, bytes) < 0) return -EFAULT;
  return (bytes[0] & 1) !== 0 ? 0 : -EINVAL;
}

function getscheduler(task: Task, pid: number): number {
  if (pid < 0) return -EINVAL;
  return exists(task, pid) ? threadOf(task, pid)?.policy ?? SCHED_OTHER : -ESRCH;
}

function checkPolicy(policy: number, priority: number): number {
  if (policy === SCHED_FIFO || policy === SCHED_RR) return priority < 1 || priority > 99 ? -EINVAL : -EPERM;
  if (policy !== SCHED_OTHER && policy !== SCHED_BATCH && policy !== SCHED_IDLE) return -EINVAL;
  return priority === 0 ? 0 : -EINVAL;
}

function setscheduler(task: Task, pid: number, policy: number, gva: number): number {
  if (pid < 0 || gva === 0) return -EINVAL;
  const priority = task.process.mm.readU32(gva);
  if (priority < 0) return priority;
  const thread = threadOf(task, pid);
  if (thread) return setPolicy(thread, policy & ~RESET_ON_FORK, priority | 0);
  return exists(task, pid) ? checkPolicy(policy & ~RESET_ON_FORK, priority | 0) || -EPERM : -ESRCH;
}

const RESET_ON_FORK = 0x4000_0000;

function threadOf(task: Task, pid: number): Task | null {
  return pid === 0 ? task : task.kernel.tasks.get(pid) ?? null;
}

function setPolicy(thread: Task, policy: number, priority: number): number {
  const bad = checkPolicy(policy, priority);
  if (bad === 0) thread.policy = policy;
  return bad;
}

function getparam(task: Task, pid: number, gva: number): number {
  if (pid < 0 || gva === 0) return -EINVAL;
  return exists(task, pid) ? task.process.mm.writeU32(gva, 0) : -ESRCH;
}

function setparam(task: Task, pid: number, gva: number): number {
  const thread = pid < 0 ? null : threadOf(task, pid);
  return setscheduler(task, pid, thread?.policy ?? SCHED_OTHER, gva);
}

function priorityMax(_task: Task, policy: number): number {
  if (policy === SCHED_FIFO || policy === SCHED_RR) return 99;
  return [SCHED_OTHER, SCHED_BATCH, SCHED_IDLE].includes(policy) ? 0 : -EINVAL;
}

function priorityMin(task: Task, policy: number): number {
  const max = priorityMax(task, policy);
  return max === 99 ? 1 : max;
}

function rrInterval(task: Task, pid: number, gva: number): number {
  if (pid < 0) return -EINVAL;
  if (!exists(task, pid)) return -ESRCH;
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setBigInt64(8, 10_000_000n, true);
  return task.process.mm.copyOut(gva, bytes);
}

function getattr(task: Task, pid: number, gva: number, size: number, flags: number): number {
  if (gva === 0 || flags !== 0 || size < 48 || size > 4096) return -EINVAL;
  if (!exists(task, pid)) return -ESRCH;
  const bytes = new Uint8Array(Math.min(size, SCHED_ATTR_BYTES));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint32(4, threadOf(task, pid)?.policy ?? SCHED_OTHER, true);
  view.setInt32(16, task.process.nice, true);
  return task.process.mm.copyOut(gva, bytes);
}

function setattr(task: Task, pid: number, gva: number, flags: number): number {
  if (gva === 0 || flags !== 0) return -EINVAL;
  const bytes = task.process.mm.readBytes(gva, 48);
  if (typeof bytes === 'number') return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 48);
  if (view.getUint32(0, true) > 4096) return -E2BIG;
  const thread = threadOf(task, pid);
  return thread ? setPolicy(thread, view.getUint32(4, true), view.getUint32(20, true)) : -ESRCH;
}

function prioTargets(task: Task, which: number, who: number): Process[] | number {
  const { kernel, process } = task;
  const all = [...kernel.processes.values()].filter((other) => other.exitStatus < 0);
  let found: Process[];
  if (which === PRIO_PROCESS) found = all.filter((other) => (who === 0 ? other === process : other.tasks.some((thread) => thread.tid === who)));
  else if (which === PRIO_PGRP) found = all.filter((other) => other.pgid === (who === 0 ? process.pgid : who));
  else if (which === PRIO_USER) found = all.filter((other) => other.credentials.ruid === (who === 0 ? process.credentials.ruid : who));
  else return -EINVAL;
  return found.length === 0 ? -ESRCH : found;
}

function getpriority(task: Task, which: number, who: number): number {
  const found = prioTargets(task, which, who);
  return typeof found === 'number' ? found : 20 - Math.min(...found.map((process) => process.nice));
}

function setpriority(task: Task, which: number, who: number, nice: number): number {
  const found = prioTargets(task, which, who);
  if (typeof found === 'number') return found;
  const wanted = Math.max(-20, Math.min(19, nice));
  const { euid } = task.process.credentials;
  const isRoot = euid === 0;
  for (const process of found) {
    const { ruid: theirs, euid: effective } = process.credentials;
    if (!isRoot && theirs !== euid && effective !== euid) return -EPERM;
    if (wanted < process.nice && !isRoot) return -EACCES;
    process.nice = wanted;
  }
  return 0;
}

function getcpu(task: Task, cpuGva: number, nodeGva: number): number {
  const { mm } = task.process;
  if (cpuGva !== 0 && mm.writeU32(cpuGva, 0) < 0) return -EFAULT;
  return nodeGva !== 0 && mm.writeU32(nodeGva, 0) < 0 ? -EFAULT : 0;
}

/** ioprio_get: best effort, the default. */
function ioprioGet(): number { return 4; }
function ioprioSet(): number { return 0; }

export const rows: SyscallRow[] = [
  sys(24, 'sched_yield', schedYield, FULL, []),
  sys(140, 'getpriority', getpriority, FULL, [INT, INT]),
  sys(141, 'setpriority', setpriority, FULL, [INT, INT, INT]),
  sys(142, 'sched_setparam', setparam, ONE_POLICY, [PID, STRUCT]),
  sys(143, 'sched_getparam', getparam, ONE_POLICY, [PID, STRUCT]),
  sys(144, 'sched_setscheduler', setscheduler, ONE_POLICY, [PID, INT, STRUCT]),
  sys(145, 'sched_getscheduler', getscheduler, ONE_POLICY, [PID]),
  sys(146, 'sched_get_priority_max', priorityMax, FULL, [INT]),
  sys(147, 'sched_get_priority_min', priorityMin, FULL, [INT]),
  sys(148, 'sched_rr_get_interval', rrInterval, FULL, [PID, STRUCT]),
  sys(203, 'sched_setaffinity', setaffinity, PARTIAL('there is one CPU'), [PID, SIZE, STRUCT]),
  sys(204, 'sched_getaffinity', getaffinity, PARTIAL('there is one CPU'), [PID, SIZE, STRUCT]),
  sys(251, 'ioprio_set', ioprioSet, PARTIAL('accepted and ignored'), [INT, INT, INT]),
  sys(252, 'ioprio_get', ioprioGet, PARTIAL('always best effort, 4'), [INT, INT]),
  sys(309, 'getcpu', getcpu, FULL, [STRUCT, STRUCT, STRUCT]),
  sys(314, 'sched_setattr', setattr, ONE_POLICY, [PID, STRUCT, 'FLAGS']),
  sys(315, 'sched_getattr', getattr, ONE_POLICY, [PID, STRUCT, UINT, 'FLAGS']),
];
