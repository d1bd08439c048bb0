// How threads and processes end: exit(2), exit_group(2), fatal signals, reaping. What a process leaves behind until it is
// waited for is its Process object with `exitStatus` set.
//
// Orphans go to the nearest child subreaper, else to pid 1: the kernel itself, which reaps them at once.

import {
  CLD_CONTINUED, CLD_DUMPED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, SA_NOCLDSTOP, SA_NOCLDWAIT, SIGCHLD, SIGCONT, SIG_IGN,
} from '../../abi/linux/signal.ts';
import { exitPi } from '../ipc/pifutex.ts';
import { exitRobustList } from '../ipc/robust.ts';
import type { Kernel } from '../kernel.ts';
import { signalProcess } from '../signal/send.ts';
import { siginfo } from '../signal/state.ts';
import { groupsAtRisk, hangUpOrphans, leaderExits } from '../tty/jobcontrol.ts';
import type { Process } from './process.ts';
import type { Task } from './task.ts';

/** _NSIG. */
const SIGNAL_MAX = 64;

/** The kernel's own place in the process tree. */
export const INIT_PID = 1;

/** Ends one thread. `status` (wait(2)) counts if it is the last one and the process was not ended as a whole. */
export function exitTask(task: Task, status: number): void {
  if (task.state === 'dead') return;
  const { kernel, process } = task;
  releaseUserState(task);
  kernel.dropTask(task);
  process.tasks.splice(process.tasks.indexOf(task), 1);
  process.deadCpuNs += task.cpuNs;
  // A signal for the process may have been meant for this thread: let another one see it.
  if (process.signals.pending !== 0n && process.groupExit < 0) for (const other of process.tasks) kernel.noticeSignals(other);
  if (process.tasks.length === 0) endProcess(process, process.groupExit >= 0 ? process.groupExit : status);
}

/** Ends a process with all its threads; the first status given counts. */
export function exitGroup(process: Process, status: number): void {
  if (process.groupExit < 0) process.groupExit = status;
  for (const task of [...process.tasks].reverse()) exitTask(task, process.groupExit);
}

/** What a thread leaves in memory when it ends or execs: robust mutexes, the tid word that joiners wait on. */
export function releaseUserState(task: Task): void {
  const { kernel, process } = task;
  exitRobustList(task);
  exitPi(task);
  if (task.clearChildTid !== 0 && (process.tasks.length > 1 || kernel.isMmShared(process.mm, process))) {
    if (process.mm.writeU32(task.clearChildTid, 0) === 0) kernel.futexes.wake(task, task.clearChildTid, 1, 0xffff_ffff, true);
  }
  task.clearChildTid = 0;
  wakeVfork(task);
}

/** The address space is given up: a parent in vfork(2) goes on. */
export function wakeVfork(task: Task): void {
  if (task.vforkQueue === 0) return;
  task.kernel.waits.wake(task.vforkQueue);
  task.vforkQueue = 0;
}

function endProcess(process: Process, status: number): void {
  const { kernel } = process;
  const groups = groupsAtRisk(process);
  process.exitStatus = status;
  process.timers.destroy();
  kernel.tracerExit(process, status);
  if (process === kernel.main) {
    // The sandbox ends with it, and its memory as a whole: taking its pages apart first took a fifth of a short run.
    kernel.endMain(status);
    return;
  }
  leaderExits(process);
  process.mm.release();
  process.files.release();
  process.fs.release();
  for (const child of [...kernel.processes.values()]) if (child.ppid === process.pid) reparent(kernel, process, child);
  hangUpOrphans(kernel, groups);
  if (process.exitQueue !== 0) kernel.waits.wake(process.exitQueue);
  notifyParent(process);
  kernel.programs.ended(process, status);
}

function reparent(kernel: Kernel, from: Process, child: Process): void {
  child.ppid = newParent(kernel, from);
  child.exitSignal = SIGCHLD; // another parent did not ask for another
  if (child.pdeathsig !== 0 && child.exitStatus < 0) signalProcess(child, siginfo(child.pdeathsig, 0, { pid: from.pid }));
  if (child.exitStatus >= 0) notifyParent(child);
}

function newParent(kernel: Kernel, from: Process): number {
  let at: Process | undefined = kernel.processes.get(from.ppid);
  for (let depth = 0; at && depth < 1000; depth++) {
    if (at.childSubreaper && at.exitStatus < 0) return at.pid;
    at = kernel.processes.get(at.ppid);
  }
  return INIT_PID;
}

function notifyParent(process: Process): void {
  const { kernel } = process;
  const parent = kernel.processes.get(process.ppid);
  if (!parent || parent.exitStatus >= 0) return reap(process, null);
  const action = parent.signals.action(SIGCHLD);
  const unwanted = process.exitSignal === SIGCHLD && (action.handler === SIG_IGN || (action.flags & SA_NOCLDWAIT) !== 0);
  // Woken first: a parent in wait4 gets the child before the signal's handler runs, not EINTR.
  kernel.waits.wake(parent.childQueue);
  // clone(2) takes any byte for the exit signal; what is none is not sent.
  if (process.exitSignal >= 1 && process.exitSignal <= SIGNAL_MAX) signalProcess(parent, childInfo(process, process.exitSignal));
  if (unwanted) reap(process, parent);
}

/** Forgets a dead process; its times go to the parent that waited for it. */
export function reap(process: Process, parent: Process | null): void {
  process.kernel.processes.delete(process.pid);
  if (parent) parent.childrenCpuNs += process.deadCpuNs + process.childrenCpuNs;
}

/** siginfo of SIGCHLD and waitid(2) for a dead process. */
export function childInfo(process: Process, signo: number): ReturnType<typeof siginfo> {
  const status = process.exitStatus;
  const signal = status & 0x7f;
  const code = signal === 0 ? CLD_EXITED : status & 0x80 ? CLD_DUMPED : CLD_KILLED;
  return siginfo(signo, code, {
    pid: process.pid, uid: process.credentials.ruid, status: signal === 0 ? status >> 8 : signal,
  });
}

/** A stop signal without a handler: no thread of the process runs until SIGCONT. */
export function stopProcess(process: Process, signo: number): void {
  const { kernel } = process;
  process.stopped = true;
  process.jobStatus = signo << 8 | 0x7f;
  for (const task of process.tasks) {
    if (task.state !== 'runnable') continue;
    kernel.sched.dequeue(task);
    task.state = 'stopped';
  }
  notifyJob(process, CLD_STOPPED, signo);
}

/** SIGCONT for a stopped process. SIGKILL only lets it run so that it can die: `report` false. */
export function continueProcess(process: Process, report: boolean): void {
  process.stopped = false;
  for (const task of process.tasks) if (task.state === 'stopped') process.kernel.sched.enqueue(task);
  if (!report) return;
  process.jobStatus = 0xffff;
  notifyJob(process, CLD_CONTINUED, SIGCONT);
}

function notifyJob(process: Process, code: number, status: number): void {
  const parent = process.kernel.processes.get(process.ppid);
  if (!parent) return;
  process.kernel.waits.wake(parent.childQueue);
  if ((parent.signals.action(SIGCHLD).flags & SA_NOCLDSTOP) === 0) {
    signalProcess(parent, siginfo(SIGCHLD, code, { pid: process.pid, uid: process.credentials.ruid, status }));
  }
}

