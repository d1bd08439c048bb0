// prctl(2), arch_prctl(2).

import { EFAULT, EINVAL, ENODEV, EPERM } from '../../abi/linux/errno.ts';
import {
  ARCH_GET_CPUID, ARCH_GET_FS, ARCH_GET_GS, ARCH_SET_CPUID, ARCH_SET_FS, ARCH_SET_GS, PR_CAPBSET_DROP, PR_CAPBSET_READ, PR_CAP_AMBIENT,
  PR_GET_CHILD_SUBREAPER, PR_GET_DUMPABLE, PR_GET_KEEPCAPS, PR_GET_NAME, PR_GET_NO_NEW_PRIVS, PR_GET_PDEATHSIG, PR_GET_SECCOMP,
  PR_GET_SECUREBITS, PR_GET_TSC, PR_GET_THP_DISABLE, PR_GET_TID_ADDRESS, PR_GET_TIMERSLACK, PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE,
  PR_SET_KEEPCAPS, PR_SET_NAME, PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG, PR_SET_PTRACER, PR_SET_SECCOMP, PR_SET_THP_DISABLE,
  PR_SET_TIMERSLACK, PR_SET_VMA,
} from '../../abi/linux/sched.ts';
import type { Task } from '../process/task.ts';
import { readArg64 } from './args.ts';
import { ADDR, INT, PARTIAL, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const TASK_COMM_LEN = 16;
const CAP_LAST = 40;
/** End of what may be a segment base: TASK_SIZE_MAX. */
const BASE_END = 0x7fff_ffff_f000n;

function prctl(task: Task, option: number, a: number, b: number, c: number, d: number): number {
  const { process } = task;
  switch (option) {
    case PR_SET_NAME: return setName(task, a);
    case PR_GET_NAME: return getName(task, a);
    case PR_SET_PDEATHSIG:
      if (a > 64) return -EINVAL;
      process.pdeathsig = a;
      return 0;
    case PR_GET_PDEATHSIG: return process.mm.writeU32(a, process.pdeathsig);
    case PR_GET_DUMPABLE: return process.dumpable;
    case PR_SET_DUMPABLE:
      if (a > 1) return -EINVAL;
      process.dumpable = a;
      return 0;
    case PR_SET_NO_NEW_PRIVS:
      if (a !== 1 || b !== 0 || c !== 0 || d !== 0) return -EINVAL;
      process.noNewPrivs = true;
      return 0;
    case PR_GET_NO_NEW_PRIVS: return a === 0 && b === 0 && c === 0 && d === 0 ? Number(process.noNewPrivs) : -EINVAL;
    case PR_SET_CHILD_SUBREAPER:
      process.childSubreaper = a !== 0;
      return 0;
    case PR_GET_CHILD_SUBREAPER: return process.mm.writeU32(a, Number(process.childSubreaper));
    case PR_SET_TIMERSLACK:
      task.timerSlackNs = a === 0 ? 50_000 : a;
      return 0;
    case PR_GET_TIMERSLACK: return Math.min(task.timerSlackNs, 2 ** 52);
    case PR_GET_TID_ADDRESS: return process.mm.writeU64(a, BigInt(task.clearChildTid));
    default: return rest(task, option, a);
  }
}

/** Options about privileges and kernel features that a sandbox has in one fixed state. */
function rest(task: Task, option: number, a: number): number {
  const { process } = task;
  const isRoot = process.credentials.euid === 0;
  switch (option) {
    case PR_SET_VMA: return 0; // names of anonymous areas: accepted, not shown
    case PR_SET_PTRACER: return 0;
    case PR_GET_SECCOMP: return 0;
    case PR_SET_SECCOMP: break;
    case PR_GET_KEEPCAPS: return process.keepCaps;
    case PR_GET_SECUREBITS: return process.keepCaps * SECBIT_KEEP_CAPS;
    case PR_SET_KEEPCAPS:
      if (a > 1) return -EINVAL;
      process.keepCaps = a;
      return 0;
    case PR_GET_THP_DISABLE: return Number(process.thpDisabled);
    case PR_SET_THP_DISABLE:
      process.thpDisabled = a !== 0;
      return 0;
    case PR_GET_TSC: return process.mm.writeU32(a, PR_TSC_ENABLE);
    case PR_CAPBSET_READ: return a > CAP_LAST ? -EINVAL : Number(isRoot);
    case PR_CAPBSET_DROP:
      if (!isRoot) return -EPERM;
      return a > CAP_LAST ? -EINVAL : 0;
    case PR_CAP_AMBIENT: return a === 1 || a === 4 ? 0 : -EINVAL;
  }
  task.kernel.count(`prctl ${option}`);
  return -EINVAL;
}

const SECBIT_KEEP_CAPS = 16, PR_TSC_ENABLE = 1;

function setName(task: Task, gva: number): number {
  const bytes = new Uint8Array(TASK_COMM_LEN - 1);
  const copied = task.process.mm.copyInPartial(gva, bytes);
  const end = bytes.subarray(0, copied).indexOf(0);
  if (end < 0 && copied < bytes.length) return -EFAULT;
  task.comm = String.fromCharCode(...bytes.subarray(0, end < 0 ? bytes.length : end));
  return 0;
}

function getName(task: Task, gva: number): number {
  const bytes = new Uint8Array(TASK_COMM_LEN);
  for (let i = 0; i < task.comm.length; i++) bytes[i] = task.comm.charCodeAt(i);
  return task.process.mm.copyOut(gva, bytes);
}

function archPrctl(task: Task, option: number, address: number): number {
  const { context } = task;
  switch (option) {
    case ARCH_SET_FS:
    case ARCH_SET_GS: {
      const base = readArg64(context, 1);
      if (base >= BASE_END) return -EPERM;
      if (option === ARCH_SET_FS) context.fsBase = base;
      else context.gsBase = base;
      return 0;
    }
    case ARCH_GET_FS: return task.process.mm.writeU64(address, context.fsBase);
    case ARCH_GET_GS: return task.process.mm.writeU64(address, context.gsBase);
    case ARCH_GET_CPUID: return 1;
    case ARCH_SET_CPUID: return -ENODEV;
    default: // CET, XSTATE permissions and what else comes: as a processor without them answers
      task.kernel.count(`arch_prctl 0x${option.toString(16)}`);
      return -EINVAL;
  }
}

export const rows: SyscallRow[] = [
  sys(157, 'prctl', prctl, PARTIAL('names, death signal, dumpable, no_new_privs, subreaper, timer slack; others EINVAL'), [INT, ADDR, ADDR, ADDR, ADDR]),
  sys(158, 'arch_prctl', archPrctl, PARTIAL('FS, GS and CPUID only'), [INT, ADDR]),
];
