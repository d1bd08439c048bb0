// pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2).

import { EBADF, EINVAL, ENOENT, EPERM, ESRCH } from '../../abi/linux/errno.ts';
import { SI_TKILL, SI_USER } from '../../abi/linux/signal.ts';
import { O_PATH } from '../../abi/linux/fcntl.ts';
import { PidDir } from '../fs/proc/pid.ts';
import { PidFile, newPidFile } from '../process/pidfd.ts';
import type { Process } from '../process/process.ts';
import type { Task } from '../process/task.ts';
import { signalProcess } from '../signal/send.ts';
import { siginfo } from '../signal/state.ts';
import { FD, FLAGS, FULL, INT, PARTIAL, PID, STRUCT, UINT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';
import { mayKill, readSiginfo } from './signal.ts';

const PIDFD_NONBLOCK = 0o4000, PIDFD_THREAD = 0o200;
/** PIDFD_SIGNAL_THREAD_GROUP: what a pidfd of a process does anyway. */
const SIGNAL_THREAD_GROUP = 2;

function pidfdOpen(task: Task, pid: number, flags: number): number {
  if ((flags & ~PIDFD_NONBLOCK) !== 0) {
    if (flags & PIDFD_THREAD) task.kernel.count('pidfd_open PIDFD_THREAD');
    return -EINVAL;
  }
  if (pid <= 0) return -EINVAL;
  const process = task.kernel.processes.get(pid);
  if (!process) return task.kernel.tasks.has(pid) ? -ENOENT : -ESRCH;
  const file = newPidFile(process, flags);
  const fd = task.process.files.install(file, 0, true);
  if (fd < 0) file.unref();
  return fd;
}

/** The process behind a pidfd, or -EBADF, -ESRCH. */
function targetOf(task: Task, fd: number): Process | number {
  const file = task.process.files.get(fd);
  return file instanceof PidFile ? file.target ?? -ESRCH : -EBADF;
}

/** The same for who may also say it by a descriptor of /proc/PID. */
function signalTarget(task: Task, fd: number): Process | number {
  const file = task.process.files.get(fd);
  if (!file || !(file.inode instanceof PidDir) || file.inode.isThread || (file.flags & O_PATH) !== 0) return targetOf(task, fd);
  return task.kernel.processes.get(file.inode.pid) ?? -ESRCH;
}

function pidfdSendSignal(task: Task, fd: number, signo: number, infoGva: number, flags: number): number {
  if (flags !== 0 && flags !== SIGNAL_THREAD_GROUP) return -EINVAL;
  const target = signalTarget(task, fd);
  if (target === -EBADF) return -EBADF;
  let info = siginfo(signo, SI_USER, { pid: task.process.pid, uid: task.process.credentials.ruid });
  if (infoGva !== 0) {
    const given = readSiginfo(task, infoGva, signo);
    if (typeof given === 'number') return given;
    if (task.process.mm.readU32(infoGva) !== signo) return -EINVAL;
    if (target !== task.process && (given.code >= 0 || given.code === SI_TKILL)) return -EPERM;
    info = given;
  }
  if (signo < 0 || signo > 64) return -EINVAL;
  if (typeof target === 'number') return target;
  if (!mayKill(task, target, signo)) return -EPERM;
  if (signo !== 0) signalProcess(target, info);
  return 0;
}

/** ptrace(2)'s access check, PTRACE_MODE_ATTACH_REALCREDS: the same ids, and dumpable. */
function mayAttach(task: Task, target: Process): boolean {
  const { ruid, rgid, euid } = task.process.credentials;
  if (target === task.process || euid === 0) return true;
  const to = target.credentials;
  return target.dumpable === 1 && [to.ruid, to.euid, to.suid].every((uid) => uid === ruid) && [to.rgid, to.egid, to.sgid].every((gid) => gid === rgid);
}

function pidfdGetfd(task: Task, pidfd: number, fd: number, flags: number): number {
  if (flags !== 0) return -EINVAL;
  const target = targetOf(task, pidfd);
  if (typeof target === 'number') return target;
  if (target.exitStatus >= 0) return -ESRCH;
  if (!mayAttach(task, target)) return -EPERM;
  const file = target.files.get(fd);
  if (!file) return -EBADF;
  file.ref();
  const made = task.process.files.install(file, 0, true);
  if (made < 0) file.unref();
  return made;
}

export const rows: readonly SyscallRow[] = [
  sys(434, 'pidfd_open', pidfdOpen, PARTIAL('of processes, not of threads'), [PID, FLAGS]),
  sys(424, 'pidfd_send_signal', pidfdSendSignal, FULL, [FD, INT, STRUCT, UINT]),
  sys(438, 'pidfd_getfd', pidfdGetfd, FULL, [FD, FD, UINT]),
];
