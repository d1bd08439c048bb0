// exit(2), exit_group(2), wait4(2), waitid(2).

import { EAGAIN, EBADF, ECHILD, EINVAL } from '../../abi/linux/errno.ts';
import {
  P_ALL, P_PGID, P_PID, P_PIDFD, WCONTINUED, WEXITED, WNOHANG, WNOWAIT, WSTOPPED, WUNTRACED, __WALL, __WCLONE, __WNOTHREAD,
} from '../../abi/linux/sched.ts';
import { CLD_CONTINUED, CLD_DUMPED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, SIGCHLD, SIGCONT } from '../../abi/linux/signal.ts';
import { exitGroup, exitTask } from '../process/exit.ts';
import { PidFile } from '../process/pidfd.ts';
import type { Task } from '../process/task.ts';
import { takeChange } from '../process/wait.ts';
import type { Change, Selector } from '../process/wait.ts';
import { encodeSiginfo } from '../signal/frame.ts';
import { siginfo } from '../signal/state.ts';
import { NO_RESULT } from '../wait.ts';
import type { Wait } from '../wait.ts';
import { encodeRusage } from './rusage.ts';
import { FULL, INT, PID, STRUCT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const O_NONBLOCK = 0o4000;

function exit(task: Task, code: number): number {
  exitTask(task, (code & 0xff) << 8);
  return NO_RESULT;
}

function exitGroupCall(task: Task, code: number): number {
  exitGroup(task.process, (code & 0xff) << 8);
  return NO_RESULT;
}

function wait4(task: Task, pid: number, statusGva: number, options: number, rusageGva: number): number | Wait {
  if ((options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)) !== 0) return -EINVAL;
  if (pid === -0x8000_0000) return -3;
  const selector: Selector = pid === -1 ? { kind: 'all' }
    : pid > 0 ? { kind: 'pid', id: pid } : { kind: 'pgid', id: pid === 0 ? task.process.pgid : -pid };
  const change = takeChange(task, selector, (options & ~WSTOPPED) | WEXITED | (options & WUNTRACED));
  if (change === null) return 0;
  if (typeof change === 'number' || 'kind' in change) return change;
  const { mm } = task.process;
  if (statusGva !== 0 && mm.writeU32(statusGva, change.status) < 0) return -14;
  if (rusageGva !== 0 && mm.copyOut(rusageGva, encodeRusage(change.cpuNs, 0)) < 0) return -14;
  return change.child.pid;
}

function selectorOf(task: Task, which: number, id: number): Selector | number {
  switch (which) {
    case P_ALL: return { kind: 'all' };
    case P_PID: return id > 0 ? { kind: 'pid', id } : -EINVAL;
    case P_PGID: return id >= 0 ? { kind: 'pgid', id: id === 0 ? task.process.pgid : id } : -EINVAL;
    case P_PIDFD: return pidfdSelector(task, id);
    default: return -EINVAL;
  }
}

function pidfdSelector(task: Task, fd: number): Selector | number {
  if (fd < 0) return -EINVAL;
  const file = task.process.files.get(fd);
  if (!(file instanceof PidFile)) return -EBADF;
  const { target } = file;
  return target ? { kind: 'pid', id: target.pid, nonblock: (file.flags & O_NONBLOCK) !== 0 } : -ECHILD;
}

function waitid(task: Task, which: number, id: number, infoGva: number, options: number, rusageGva: number): number | Wait {
  if ((options & ~(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)) !== 0) return -EINVAL;
  if ((options & (WEXITED | WSTOPPED | WCONTINUED)) === 0) return -EINVAL;
  const selector = selectorOf(task, which, id);
  if (typeof selector === 'number') return selector;
  const isNonblock = selector.kind === 'pid' && selector.nonblock === true && (options & WNOHANG) === 0;
  const change = takeChange(task, selector, isNonblock ? options | WNOHANG : options);
  if (change === null && isNonblock) return -EAGAIN;
  if (typeof change === 'number') return change;
  if (change !== null && 'kind' in change) return change;
  const { mm } = task.process;
  if (infoGva !== 0) {
    const bytes = change ? encodeSiginfo(changeInfo(change)) : new Uint8Array(128);
    if (mm.copyOut(infoGva, bytes) < 0) return -14;
  }
  if (rusageGva !== 0 && change && mm.copyOut(rusageGva, encodeRusage(change.cpuNs, 0)) < 0) return -14;
  return 0;
}

function changeInfo(change: Change) {
  const { status, child } = change;
  const base = { pid: child.pid, uid: child.credentials.ruid };
  if (status === 0xffff) return siginfo(SIGCHLD, CLD_CONTINUED, { ...base, status: SIGCONT });
  if ((status & 0xff) === 0x7f) return siginfo(SIGCHLD, CLD_STOPPED, { ...base, status: status >> 8 });
  if ((status & 0x7f) === 0) return siginfo(SIGCHLD, CLD_EXITED, { ...base, status: status >> 8 });
  return siginfo(SIGCHLD, status & 0x80 ? CLD_DUMPED : CLD_KILLED, { ...base, status: status & 0x7f });
}

export const rows: SyscallRow[] = [
  sys(60, 'exit', exit, FULL, [INT]),
  sys(61, 'wait4', wait4, FULL, [PID, STRUCT, 'FLAGS', STRUCT]),
  sys(231, 'exit_group', exitGroupCall, FULL, [INT]),
  sys(247, 'waitid', waitid, FULL, [INT, PID, STRUCT, 'FLAGS', STRUCT]),
];
