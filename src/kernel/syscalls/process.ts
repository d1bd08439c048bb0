// Process ids, groups and sessions: getpid(2), getppid(2), gettid(2), setpgid(2), setsid(2).

import { EACCES, EINVAL, EPERM, ESRCH } from '../../abi/linux/errno.ts';
import type { Process } from '../process/process.ts';
import type { Task } from '../process/task.ts';
import { FULL, PID, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

function getpid(task: Task): number { return task.process.pid; }
function gettid(task: Task): number { return task.tid; }

/** The parent's pid; 1 once it has ended, and in a forked sandbox, whose parent is the kernel. */
function getppid(task: Task): number { return task.process.ppid; }

function find(task: Task, pid: number): Process | undefined {
  return pid === 0 ? task.process : task.kernel.processes.get(pid);
}

function setpgid(task: Task, pid: number, pgid: number): number {
  if (pgid < 0) return -EINVAL;
  const target = find(task, pid);
  if (!target || (target !== task.process && target.ppid !== task.process.pid)) return -ESRCH;
  if (target !== task.process && target.sid !== task.process.sid) return -EPERM;
  if (target !== task.process && target.execed) return -EACCES;
  if (target.sid === target.pid) return -EPERM;
  const wanted = pgid === 0 ? target.pid : pgid;
  if (wanted !== target.pid) {
    const exists = [...task.kernel.processes.values()].some((other) => other.pgid === wanted && other.sid === task.process.sid);
    if (!exists) return -EPERM;
  }
  target.pgid = wanted;
  return 0;
}

function getpgid(task: Task, pid: number): number {
  return find(task, pid)?.pgid ?? -ESRCH;
}

function getpgrp(task: Task): number { return task.process.pgid; }

function getsid(task: Task, pid: number): number {
  return find(task, pid)?.sid ?? -ESRCH;
}

function setsid(task: Task): number {
  const { process, kernel } = task;
  for (const other of kernel.processes.values()) if (other.pgid === process.pid) return -EPERM;
  process.tty = -1;
  process.sid = process.pid;
  process.pgid = process.pid;
  return process.pid;
}

export const rows: SyscallRow[] = [
  sys(39, 'getpid', getpid, FULL, []),
  sys(109, 'setpgid', setpgid, FULL, [PID, PID]),
  sys(110, 'getppid', getppid, FULL, []),
  sys(111, 'getpgrp', getpgrp, FULL, []),
  sys(112, 'setsid', setsid, FULL, []),
  sys(121, 'getpgid', getpgid, FULL, [PID]),
  sys(124, 'getsid', getsid, FULL, [PID]),
  sys(186, 'gettid', gettid, FULL, []),
];
