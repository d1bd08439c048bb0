// Making threads and processes: clone(2), fork(2), vfork(2). The argument layer is syscalls/clone.ts.

import { EAGAIN, EEXIST, EINVAL, ENOMEM, EPERM } from '../../abi/linux/errno.ts';
import {
  CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_CLEAR_SIGHAND, CLONE_FILES, CLONE_FS, CLONE_NEWNS, CLONE_NEW_ANY, CLONE_PARENT,
  CLONE_PARENT_SETTID, CLONE_PIDFD, CLONE_SETTLS, CLONE_SIGHAND, CLONE_THREAD, CLONE_VFORK, CLONE_VM, RLIMIT_NPROC,
} from '../../abi/linux/sched.ts';
import { REG } from '../../platform.ts';
import type { Kernel } from '../kernel.ts';
import { setResult } from '../syscalls/args.ts';
import { SNAPSHOT, waitOn } from '../wait.ts';
import type { Wait } from '../wait.ts';
import { putPidfd } from './pidfd.ts';
import { Process } from './process.ts';
import { Task, copyContext } from './task.ts';

/** `memo` of a fork that does not return: heldfork.ts makes its children. */
export const HELD = 'held fork';

/** Areas of all address spaces together beyond which there is no fork. */
const AREAS_MAX = 1 << 19;

export interface CloneArgs {
  /** Low 32 bits of the flags, without CSIGNAL, and CLONE_CLEAR_SIGHAND. */
  readonly flags: number;
  readonly exitSignal: number;
  /** The child's rsp; 0: the parent's. */
  readonly stackTop: bigint;
  readonly parentTid: number;
  readonly childTid: number;
  readonly tls: bigint;
  /** Where CLONE_PIDFD's descriptor goes. */
  readonly pidfd: number;
  /** The pid it shall have; 0: any. */
  readonly pid: number;
}

function has(args: CloneArgs, flag: number): boolean {
  return flag > 0xffff_ffff ? args.flags >= flag : (args.flags & flag) !== 0;
}

function check(task: Task, args: CloneArgs): number {
  const { kernel } = task;
  if (has(args, CLONE_FS) && has(args, CLONE_NEWNS)) return -EINVAL;
  if (has(args, CLONE_NEW_ANY)) {
    kernel.count(`clone flags 0x${(args.flags & CLONE_NEW_ANY).toString(16)}`);
    return -EPERM;
  }
  if (has(args, CLONE_SIGHAND) && !has(args, CLONE_VM)) return -EINVAL;
  if (has(args, CLONE_THREAD) && !has(args, CLONE_SIGHAND)) return -EINVAL;
  if (has(args, CLONE_CLEAR_SIGHAND) && has(args, CLONE_SIGHAND)) return -EINVAL;
  if (has(args, CLONE_PIDFD)) {
    if (has(args, CLONE_THREAD)) {
      kernel.count('clone CLONE_PIDFD of a thread');
      return -EINVAL;
    }
    // clone(2) has one place for the descriptor and the parent's tid word.
    if (args.pidfd === args.parentTid && has(args, CLONE_PARENT_SETTID)) return -EINVAL;
  }
  if (has(args, CLONE_THREAD) && (!has(args, CLONE_FILES) || !has(args, CLONE_FS))) {
    // Threads with descriptors of their own: nobody does this, and here files belong to the process.
    kernel.count('clone CLONE_THREAD without CLONE_FILES or CLONE_FS');
    return -EINVAL;
  }
  return hasRoom(task) ? 0 : -EAGAIN;
}

/** Whether the sandbox may have one more task. */
export function mayAddTask(kernel: Kernel): boolean {
  return kernel.bounds.allow('processes', countTasks(kernel) + 1, kernel.limits.processesMax);
}

/** Whether a task may have one more, of its user too. */
export function hasRoom({ kernel, process }: Task): boolean {
  const { ruid, euid } = process.credentials;
  if (!mayAddTask(kernel)) return false;
  if (euid === 0 || countTasks(kernel, ruid) < process.rlimits[RLIMIT_NPROC].soft) return true;
  kernel.bounds.meet('processes');
  return false;
}

/** Tasks of all processes, or of a user's. The dead count until they are waited for: they hold a pid. */
export function countTasks(kernel: Kernel, ruid: number | null = null): number {
  let count = 0;
  for (const { tasks, credentials } of kernel.processes.values()) if (ruid === null || credentials.ruid === ruid) count += Math.max(1, tasks.length);
  return count;
}

/** Makes the child and returns its tid to the parent; the child sees 0. A vfork parent waits. */
export function clone(task: Task, args: CloneArgs): number | Wait {
  const bad = check(task, args);
  if (bad < 0) return bad;
  if (!has(args, CLONE_VM) && isSnapshotPoint(task)) return SNAPSHOT;
  if (task.kernel.holdsForks && !has(args, CLONE_VM) && task.process === task.kernel.main) return waitOn([], { memo: HELD, uninterruptible: true });
  const child = has(args, CLONE_THREAD) ? newThread(task, args) : newProcess(task, args);
  if (typeof child === 'number') return child;
  prepareChild(task, child, args);
  const failed = has(args, CLONE_PIDFD) ? putPidfd(task, child.process, args.pidfd) : 0;
  if (failed < 0) {
    child.process.mm.release();
    child.process.files.release();
    child.process.fs.release();
    return failed;
  }
  task.kernel.addTask(child);
  task.kernel.tracer?.attached(child);
  if (!has(args, CLONE_VFORK)) return child.tid;
  child.vforkQueue = task.kernel.waits.newQueue();
  return waitOn([child.vforkQueue], { onWake: child.tid, onSignal: child.tid, uninterruptible: true });
}

/** The engine armed a snapshot and this is the main process's fork. With other threads or processes about it fails. */
function isSnapshotPoint(task: Task): boolean {
  const { kernel } = task;
  if (!kernel.snapshotArmed || task.process !== kernel.main) return false;
  kernel.snapshotArmed = false;
  const threads = task.process.tasks.filter((other) => other !== task).map((other) => `${other.comm} (${other.tid})`);
  const others = [...kernel.processes.values()].filter((other) => other !== task.process && other.exitStatus < 0);
  kernel.snapshotFailure = null;
  if (threads.length > 0) kernel.snapshotFailure = `the setup left threads running: ${threads.join(', ')}`;
  else if (others.length > 0) {
    kernel.snapshotFailure = `the setup left processes running: ${others.map((other) => `${other.leader?.comm} (${other.pid})`).join(', ')}`;
  }
  return true;
}

function newThread(task: Task, args: CloneArgs): Task | number {
  if (args.pid !== 0 && task.kernel.isPidUsed(args.pid)) return -EEXIST;
  task.kernel.machine.saveFpu(task.context);
  return new Task(task.kernel, args.pid || task.kernel.allocPid(), task.process, copyContext(task.context), task.comm);
}

/** What areas and hidden pages of all processes take of the worker's memory is bounded: a copy of them costs the guest nothing. */
function hasRoomForAreas({ kernel, process }: Task): boolean {
  let areas = 0;
  for (const { mm, exitStatus } of [process, ...kernel.processes.values()]) {
    if (exitStatus < 0) areas += mm.list.count + mm.pages.hidden.size / 2;
  }
  return areas <= AREAS_MAX;
}

/** `hot`: pages the child will write. */
export function newProcess(task: Task, args: CloneArgs, hot?: ReadonlySet<number>): Task | number {
  const { kernel, process } = task;
  if (args.pid !== 0 && kernel.isPidUsed(args.pid)) return -EEXIST;
  if (!has(args, CLONE_VM) && !hasRoomForAreas(task)) return -ENOMEM;
  const mm = has(args, CLONE_VM) ? process.mm.share() : process.mm.fork(hot);
  if (typeof mm === 'number') return mm;
  const signals = process.signals.fork(has(args, CLONE_SIGHAND));
  if (has(args, CLONE_CLEAR_SIGHAND)) signals.resetHandlers();
  const pid = args.pid || kernel.allocPid();
  const isSibling = has(args, CLONE_PARENT);
  const child = new Process(kernel, pid, isSibling ? process.ppid : process.pid, {
    mm, signals, credentials: process.credentials,
    files: has(args, CLONE_FILES) ? process.files.share() : process.files.clone(),
    fs: has(args, CLONE_FS) ? process.fs.share() : process.fs.clone(),
  });
  inherit(child, process);
  child.exitSignal = isSibling ? process.exitSignal : args.exitSignal;
  child.parentTid = isSibling ? process.parentTid : task.tid;
  kernel.machine.saveFpu(task.context);
  return new Task(kernel, pid, child, copyContext(task.context), task.comm);
}

function inherit(child: Process, from: Process): void {
  child.pgid = from.pgid;
  child.sid = from.sid;
  child.tty = from.tty;
  child.exe = from.exe;
  child.exeInode = from.exeInode;
  child.argv = from.argv;
  child.envp = from.envp;
  child.stringBytes = from.stringBytes;
  child.auxv = from.auxv;
  child.rlimits = from.rlimits.slice();
  child.dumpable = from.dumpable;
  child.noNewPrivs = from.noNewPrivs;
  child.thpDisabled = from.thpDisabled;
  child.timers.rearm(); // the CPU limit is the child's, too
  child.nice = from.nice;
  child.startNs = from.kernel.clock.monotonicNs();
}

export function prepareChild(task: Task, child: Task, args: CloneArgs): void {
  child.sigmask = task.sigmask;
  child.timerSlackNs = task.timerSlackNs;
  child.policy = task.policy;
  if (!has(args, CLONE_VM)) child.rseq = { ...task.rseq };
  if (!has(args, CLONE_VM) || has(args, CLONE_VFORK)) child.altstack = { ...task.altstack };
  if (args.stackTop !== 0n) child.context.regs[REG.rsp] = args.stackTop;
  if (has(args, CLONE_SETTLS)) child.context.fsBase = args.tls;
  setResult(child.context, 0);
  if (has(args, CLONE_CHILD_CLEARTID)) child.clearChildTid = args.childTid;
  // A bad pointer is not an error here, as in Linux.
  if (has(args, CLONE_PARENT_SETTID)) task.process.mm.writeU32(args.parentTid, child.tid);
  if (has(args, CLONE_CHILD_SETTID)) child.process.mm.writeU32(args.childTid, child.tid);
}

/** Linux's fork semantics for the one task that lives on in each sandbox forked from a snapshot: before it is saved. */
export function makeForkChild(task: Task): void {
  const { process, kernel } = task;
  process.mm.wipeOnFork();
  process.timers.destroy();
  process.signals.pending = task.pending = 0n;
  process.signals.pendingInfo = [];
  task.pendingInfo = [];
  // robustList stays: libraries give a child's the same place, and are told at once that it is done (syscalls/facts.ts). The locks that are
  // there now are the parent's, so nothing would come of them.
  task.clearChildTid = 0;
  process.deadCpuNs = process.childrenCpuNs = task.usedNs = 0;
  for (const other of [...kernel.processes.values()]) if (other !== process) kernel.processes.delete(other.pid);
}

/** Ends the fork call of a restored sandbox: it is the child, with a new pid. */
export function finishForkChild(kernel: Kernel, task: Task, pid: number, args: CloneArgs): void {
  const { process } = task;
  kernel.renameProcess(process, pid);
  process.startNs = kernel.clock.monotonicNs();
  process.execed = false;
  if (has(args, CLONE_CHILD_CLEARTID)) task.clearChildTid = args.childTid;
  if (args.stackTop !== 0n) task.context.regs[REG.rsp] = args.stackTop;
  if (has(args, CLONE_SETTLS)) task.context.fsBase = args.tls;
  if (has(args, CLONE_CHILD_SETTID)) process.mm.writeU32(args.childTid, task.tid);
  setResult(task.context, 0);
  task.syscallNr = -1;
  task.work = false;
  task.isForked = true;
}
