// clone(2), clone3, fork(2), vfork(2), set_tid_address(2): arguments only; process/clone.ts does the work.

import { E2BIG, EBADF, EINVAL, EPERM } from '../../abi/linux/errno.ts';
import {
  CLONE_ARGS, CLONE_CLEAR_SIGHAND, CLONE_DETACHED, CLONE_FILES, CLONE_FS, CLONE_INTO_CGROUP, CLONE_NEW_ANY, CLONE_PARENT, CLONE_PARENT_SETTID,
  CLONE_PIDFD, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_THREAD, CLONE_VFORK, CLONE_VM, CSIGNAL,
} from '../../abi/linux/sched.ts';
import { SIGCHLD } from '../../abi/linux/signal.ts';
import { PID_MAX } from '../limits.ts';
import { clone } from '../process/clone.ts';
import type { CloneArgs } from '../process/clone.ts';
import type { Task } from '../process/task.ts';
import type { Wait } from '../wait.ts';
import { readArg, readArg64 } from './args.ts';
import { ADDR, FULL, PARTIAL, SIZE, STRUCT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const PARTIAL_NOTE = PARTIAL('no namespaces or CLONE_PTRACE; threads share descriptors and fs');
const NR_CLONE = 56, NR_CLONE3 = 435;
/** One thread has these to itself anyway. */
const UNSHARE_OF_ALL = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
const FORK: CloneArgs = { flags: 0, exitSignal: SIGCHLD, stackTop: 0n, parentTid: 0, childTid: 0, tls: 0n, pidfd: 0, pid: 0 };

/** x86-64 order: flags, stack, parent_tid, child_tid, tls. */
function cloneArgs(task: Task): CloneArgs {
  const { context } = task;
  const flags = readArg(context, 0, 1);
  return {
    flags: (flags & ~CSIGNAL) >>> 0, exitSignal: flags & CSIGNAL, stackTop: readArg64(context, 1),
    parentTid: readArg(context, 2, 2), childTid: readArg(context, 3, 2), tls: readArg64(context, 4), pidfd: readArg(context, 2, 2),
    pid: 0,
  };
}

function sysClone(task: Task): number | Wait {
  const args = cloneArgs(task);
  // The old call has one pointer for both.
  if (args.flags & CLONE_PIDFD && args.flags & (CLONE_PARENT_SETTID | CLONE_DETACHED)) return -EINVAL;
  return clone(task, args);
}

function clone3Args(task: Task, gva: number, size: number): CloneArgs | number {
  if (size > 4096) return -E2BIG;
  if (size < CLONE_ARGS.sizeVer0) return -EINVAL;
  const bytes = task.process.mm.readBytes(gva, size);
  if (typeof bytes === 'number') return bytes;
  if (bytes.subarray(CLONE_ARGS.sizeMax).some((byte) => byte !== 0)) return -E2BIG;
  const padded = new Uint8Array(CLONE_ARGS.sizeMax);
  padded.set(bytes.subarray(0, CLONE_ARGS.sizeMax));
  const view = new DataView(padded.buffer);
  const u64 = (at: number): bigint => view.getBigUint64(at, true);
  const flags = Number(u64(CLONE_ARGS.flags));
  const exitSignal = Number(u64(CLONE_ARGS.exitSignal));
  const stack = u64(CLONE_ARGS.stack), stackSize = u64(CLONE_ARGS.stackSize);
  if (flags >= 2 * CLONE_INTO_CGROUP || flags % 256 !== 0 || (flags % 2 ** 32 & CLONE_DETACHED) !== 0 || exitSignal > 64) return -EINVAL;
  if ((stack === 0n) !== (stackSize === 0n) || stack + stackSize > 0x7fff_ffff_f000n) return -EINVAL;
  if ((flags % 2 ** 32 & (CLONE_THREAD | CLONE_PARENT)) !== 0 && exitSignal !== 0) return -EINVAL;
  const pid = wantedPid(task, Number(u64(CLONE_ARGS.setTid)), u64(CLONE_ARGS.setTidSize));
  if (pid < 0) return pid;
  if (flags >= CLONE_INTO_CGROUP) {
    // No descriptor is a cgroup's directory.
    task.kernel.count('clone3 CLONE_INTO_CGROUP');
    return u64(CLONE_ARGS.cgroup) > 0x7fff_ffffn ? -EINVAL : -EBADF;
  }
  return {
    flags: flags >= CLONE_CLEAR_SIGHAND ? flags : flags >>> 0, exitSignal, stackTop: stack + stackSize,
    parentTid: Number(u64(CLONE_ARGS.parentTid)), childTid: Number(u64(CLONE_ARGS.childTid)), tls: u64(CLONE_ARGS.tls),
    pidfd: Number(u64(CLONE_ARGS.pidfd)), pid,
  };
}

/** clone3's set_tid: the pid that root asks for; 0 for any, or -errno. There is one pid namespace. */
function wantedPid(task: Task, gva: number, count: bigint): number {
  if (gva === 0 && count === 0n) return 0;
  if (gva === 0 || count !== 1n) return -EINVAL;
  const pid = task.process.mm.readU32(gva);
  if (pid < 0) return pid;
  if (pid < 1 || pid >= PID_MAX) return -EINVAL;
  return task.process.credentials.euid === 0 ? pid : -EPERM;
}

function sysClone3(task: Task, gva: number, size: number): number | Wait {
  const args = clone3Args(task, gva, size);
  return typeof args === 'number' ? args : clone(task, args);
}

function fork(task: Task): number | Wait {
  return clone(task, FORK);
}

function vfork(task: Task): number | Wait {
  return clone(task, { ...FORK, flags: CLONE_VM | CLONE_VFORK });
}

function setTidAddress(task: Task, gva: number): number {
  task.clearChildTid = gva;
  return task.tid;
}

/** The arguments of the fork, vfork, clone or clone3 a task stands in: for the fork protocol. */
export function cloneArgsOf(task: Task): CloneArgs {
  let args: CloneArgs | number = FORK;
  if (task.syscallNr === NR_CLONE) args = cloneArgs(task);
  if (task.syscallNr === NR_CLONE3) args = clone3Args(task, readArg(task.context, 0, 2), readArg(task.context, 1, 2));
  return typeof args === 'number' ? FORK : args;
}

/** unshare(2): descriptors and file system context of a process; what threads share cannot be parted. */
function unshare(task: Task, flags: number): number {
  const { kernel, process } = task;
  if ((flags & ~(UNSHARE_OF_ALL | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_NEW_ANY)) !== 0) return -EINVAL;
  if ((flags & UNSHARE_OF_ALL) !== 0 && process.tasks.length > 1) return -EINVAL;
  if ((flags & CLONE_NEW_ANY) !== 0) {
    kernel.count(`unshare 0x${(flags & CLONE_NEW_ANY).toString(16)}`);
    return -EPERM;
  }
  if ((flags & (CLONE_FS | CLONE_FILES)) !== 0 && process.tasks.length > 1) {
    kernel.count('unshare CLONE_FILES or CLONE_FS of a thread');
    return -EINVAL;
  }
  if ((flags & CLONE_FILES) !== 0) {
    const shared = process.files;
    process.files = shared.clone();
    shared.release();
  }
  if ((flags & CLONE_FS) !== 0) {
    const shared = process.fs;
    process.fs = shared.clone();
    shared.release();
  }
  return 0;
}

export const rows: SyscallRow[] = [
  sys(56, 'clone', sysClone, PARTIAL_NOTE, ['FLAGS', ADDR, ADDR, ADDR, ADDR]),
  sys(57, 'fork', fork, FULL, []),
  sys(58, 'vfork', vfork, FULL, []),
  sys(218, 'set_tid_address', setTidAddress, FULL, [ADDR]),
  sys(272, 'unshare', unshare, PARTIAL('no namespaces; nothing of a thread among others'), ['FLAGS']),
  sys(435, 'clone3', sysClone3, PARTIAL_NOTE, [STRUCT, SIZE]),
];
