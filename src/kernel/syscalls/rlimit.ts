// getrlimit(2), setrlimit(2), prlimit64(2), getrusage(2).

import { EFAULT, EINVAL, EPERM, ESRCH } from '../../abi/linux/errno.ts';
import { RLIMIT_CPU, RLIMIT_NOFILE, RLIM_NLIMITS } from '../../abi/linux/sched.ts';
import { mmLimits } from '../process/exec.ts';
import type { Process, Rlimit } from '../process/process.ts';
import type { Task } from '../process/task.ts';
import { encodeRusage } from './rusage.ts';
import { FULL, INT, PID, STRUCT, UINT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn;
const RUSAGE_CHILDREN = -1, RUSAGE_SELF = 0, RUSAGE_THREAD = 1;

function fromRaw(value: bigint): number {
  return value > 0x7fff_ffff_ffff_ffffn ? Infinity : Number(value);
}

function toRaw(value: number): bigint {
  return value === Infinity ? RLIM_INFINITY : BigInt(value);
}

function writeLimit(task: Task, gva: number, limit: Rlimit): number {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, toRaw(limit.soft), true);
  view.setBigUint64(8, toRaw(limit.hard), true);
  return task.process.mm.copyOut(gva, bytes);
}

function readLimit(task: Task, gva: number): Rlimit | number {
  const bytes = task.process.mm.readBytes(gva, 16);
  if (typeof bytes === 'number') return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  return { soft: fromRaw(view.getBigUint64(0, true)), hard: fromRaw(view.getBigUint64(8, true)) };
}

function setLimit(task: Task, target: Process, which: number, limit: Rlimit): number {
  if (limit.soft > limit.hard) return -EINVAL;
  if (limit.hard > target.rlimits[which].hard && (task.process.credentials.euid !== 0 || which === RLIMIT_NOFILE)) return -EPERM;
  target.rlimits[which] = limit;
  target.mm.limits = mmLimits(target);
  if (which === RLIMIT_NOFILE) target.files.limit = limit.soft;
  if (which === RLIMIT_CPU) target.timers.rearm();
  return 0;
}

function getrlimit(task: Task, which: number, gva: number): number {
  if (which >= RLIM_NLIMITS) return -EINVAL;
  return writeLimit(task, gva, task.process.rlimits[which]);
}

function setrlimit(task: Task, which: number, gva: number): number {
  if (which >= RLIM_NLIMITS) return -EINVAL;
  const limit = readLimit(task, gva);
  return typeof limit === 'number' ? limit : setLimit(task, task.process, which, limit);
}

function prlimit64(task: Task, pid: number, which: number, newGva: number, oldGva: number): number {
  if (which >= RLIM_NLIMITS) return -EINVAL;
  const target = pid === 0 ? task.process : task.kernel.tasks.get(pid)?.process ?? task.kernel.processes.get(pid);
  if (!target || target.exitStatus >= 0) return -ESRCH;
  const { euid, ruid } = task.process.credentials;
  if (target !== task.process && euid !== 0 && ruid !== target.credentials.ruid) return -EPERM;
  const before = { ...target.rlimits[which] };
  if (newGva !== 0) {
    const limit = readLimit(task, newGva);
    if (typeof limit === 'number') return limit;
    const bad = setLimit(task, target, which, limit);
    if (bad < 0) return bad;
  }
  return oldGva !== 0 ? writeLimit(task, oldGva, before) : 0;
}

function getrusage(task: Task, who: number, gva: number): number {
  const { process } = task;
  const maxRssKb = Math.max(process.mm.peakRss, process.mm.rssPages) * 4;
  let cpuNs: number;
  if (who === RUSAGE_SELF) cpuNs = process.cpuNs;
  else if (who === RUSAGE_CHILDREN) cpuNs = process.childrenCpuNs;
  else if (who === RUSAGE_THREAD) cpuNs = task.cpuNs;
  else return -EINVAL;
  return process.mm.copyOut(gva, encodeRusage(cpuNs, who === RUSAGE_CHILDREN ? 0 : maxRssKb)) < 0 ? -EFAULT : 0;
}

export const rows: SyscallRow[] = [
  sys(97, 'getrlimit', getrlimit, FULL, [UINT, STRUCT]),
  sys(98, 'getrusage', getrusage, FULL, [INT, STRUCT]),
  sys(160, 'setrlimit', setrlimit, FULL, [UINT, STRUCT]),
  sys(302, 'prlimit64', prlimit64, FULL, [PID, UINT, STRUCT, STRUCT]),
];
