// Finding children that changed state: the mechanism of wait4(2) and waitid(2).

import { WCONTINUED, WEXITED, WNOHANG, WNOWAIT, WSTOPPED, __WALL, __WCLONE, __WNOTHREAD } from '../../abi/linux/sched.ts';
import { ECHILD } from '../../abi/linux/errno.ts';
import { SIGCHLD } from '../../abi/linux/signal.ts';
import type { Task } from '../process/task.ts';
import { waitOn } from '../wait.ts';
import type { Wait } from '../wait.ts';
import { reap } from './exit.ts';
import type { Process } from './process.ts';

/** Which children: all, one pid, or a process group. `nonblock`: named by a pidfd that does not wait. */
export type Selector =
  | { readonly kind: 'all' }
  | { readonly kind: 'pid'; readonly id: number; readonly nonblock?: boolean }
  | { readonly kind: 'pgid'; readonly id: number };

/** A child's change. `status` as wait(2)'s macros take it. */
export interface Change {
  readonly child: Process;
  readonly status: number;
  readonly cpuNs: number;
}

function selects(selector: Selector, child: Process): boolean {
  switch (selector.kind) {
    case 'all': return true;
    case 'pid': return child.pid === selector.id;
    case 'pgid': return child.pgid === selector.id;
  }
}

function isEligible(task: Task, child: Process, options: number): boolean {
  // A thread's children pass to another thread when it ends.
  const hasMaker = task.process.tasks.some(({ tid }) => tid === child.parentTid);
  if ((options & __WNOTHREAD) !== 0 && child.parentTid !== task.tid && (hasMaker || task.process.leader !== task)) return false;
  if ((options & __WALL) !== 0) return true;
  return (child.exitSignal !== SIGCHLD) === ((options & __WCLONE) !== 0);
}

/** The first matching change (taken, unless WNOWAIT); null with WNOHANG and none yet; -ECHILD; or a Wait. */
export function takeChange(task: Task, selector: Selector, options: number): Change | null | number | Wait {
  const { kernel, process } = task;
  let hasChildren = false;
  for (const child of kernel.processes.values()) {
    if (child.ppid !== process.pid || !selects(selector, child) || !isEligible(task, child, options)) continue;
    // One that is dead and not asked for is no reason to wait.
    if (child.exitStatus < 0 || (options & WEXITED) !== 0) hasChildren = true;
    const change = changeOf(child, options);
    if (!change) continue;
    if ((options & WNOWAIT) === 0) {
      if (child.exitStatus >= 0) reap(child, process);
      else child.jobStatus = -1;
    }
    return change;
  }
  if (!hasChildren) return -ECHILD;
  if (options & WNOHANG || task.interrupted) return null;
  return waitOn([process.childQueue]);
}

function changeOf(child: Process, options: number): Change | null {
  const cpuNs = child.cpuNs + child.childrenCpuNs;
  if (child.exitStatus >= 0) return (options & WEXITED) !== 0 ? { child, status: child.exitStatus, cpuNs } : null;
  const { jobStatus } = child;
  if (jobStatus === 0xffff && (options & WCONTINUED) !== 0) return { child, status: jobStatus, cpuNs };
  if (jobStatus >= 0 && jobStatus !== 0xffff && (options & WSTOPPED) !== 0) return { child, status: jobStatus, cpuNs };
  return null;
}
