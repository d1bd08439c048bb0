// Processes and tasks as plain data. Fields are copied by name; objects that are only ever replaced are shared.

import type { FdTable } from '../fs/fdtable.ts';
import type { FsContext } from '../fs/fscontext.ts';
import type { Inode } from '../fs/inode.ts';
import type { Kernel } from '../kernel.ts';
import type { Late } from '../late.ts';
import type { Mm } from '../mm/mm.ts';
import { SignalState } from '../signal/state.ts';
import type { SigAction, SigInfo, SignalStateData } from '../signal/state.ts';
import type { ProcessTimersState } from '../time/itimer.ts';
import { Process } from './process.ts';
import { Task, copyContext } from './task.ts';

const PROCESS_FIELDS = [
  'parentTid', 'pgid', 'sid', 'credentials', 'exe', 'argv', 'envp', 'stringBytes', 'auxv', 'exitStatus', 'groupExit', 'exitSignal', 'childQueue',
  'exitQueue', 'stopped', 'jobStatus', 'execed', 'dumpable', 'noNewPrivs', 'keepCaps', 'thpDisabled', 'pdeathsig', 'childSubreaper', 'tty', 'nice',
  'deadCpuNs', 'childrenCpuNs', 'startNs',
] as const;

const TASK_FIELDS = [
  'sigmask', 'altstack', 'robustList', 'clearChildTid', 'rseq', 'timerSlackNs', 'policy', 'state', 'wait', 'arrival', 'rerun', 'timedOut', 'interrupted',
  'syscallNr', 'restart', 'restartBlock', 'work', 'fault', 'pending', 'savedSigmask', 'vforkQueue', 'usedNs', 'startNs', 'switches',
] as const;

type ProcessFields = Pick<Process, (typeof PROCESS_FIELDS)[number]>;
type TaskFields = Pick<Task, (typeof TASK_FIELDS)[number]>;

export interface TaskSaved {
  readonly fields: Readonly<TaskFields>;
  readonly tid: number;
  readonly comm: string;
  readonly context: { readonly regs: BigUint64Array; readonly fsBase: bigint; readonly gsBase: bigint; readonly fpu: Uint8Array | null };
  readonly pendingInfo: readonly SigInfo[];
}

export interface ProcessState {
  readonly fields: Readonly<ProcessFields>;
  readonly pid: number;
  readonly ppid: number;
  /** Number of its address space; -1 for a zombie. */
  readonly mm: number;
  readonly exeInode: number;
  readonly rlimits: readonly { readonly soft: number; readonly hard: number }[];
  readonly signals: SignalStateData;
  readonly timers: ProcessTimersState;
  readonly tasks: readonly TaskSaved[];
}

function pick<T extends object, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> {
  const into = {} as Pick<T, K>;
  for (const key of keys) into[key] = from[key];
  return into;
}

/** Numbers of what processes may share. */
export interface ProcessIds {
  /** Address space; -1 for a zombie. */
  readonly mm: number;
  /** Table of signal handlers. */
  readonly actions: number;
  readonly inodeId: (inode: Inode) => number;
}

export function saveProcess(process: Process, ids: ProcessIds): ProcessState {
  return {
    fields: pick(process, PROCESS_FIELDS), pid: process.pid, ppid: process.ppid, mm: ids.mm,
    exeInode: process.exeInode ? ids.inodeId(process.exeInode) : -1, rlimits: process.rlimits.slice(),
    signals: process.signals.save(ids.actions), timers: process.timers.save(), tasks: process.tasks.map(saveTask),
  };
}

function saveTask(task: Task): TaskSaved {
  task.kernel.machine.saveFpu(task.context);
  const { regs, fsBase, gsBase, fpu } = copyContext(task.context);
  return {
    fields: { ...pick(task, TASK_FIELDS), altstack: { ...task.altstack }, rseq: { ...task.rseq } }, tid: task.tid, comm: task.comm,
    context: { regs, fsBase, gsBase, fpu }, pendingInfo: task.pendingInfo.slice(),
  };
}

/** Makes the process and its tasks again and enters them into the kernel. */
export function restoreProcess(
  kernel: Kernel, state: ProcessState,
  parts: { mm: Mm; files: Late<FdTable>; fs: Late<FsContext>; exe: Late<Inode> | null; actions: (SigAction | undefined)[] },
): Process {
  const { mm, files, fs } = parts;
  const signals = SignalState.restore(state.signals, parts.actions);
  const process = new Process(kernel, state.pid, state.ppid, { mm, files, fs, signals, credentials: state.fields.credentials });
  Object.assign(process, state.fields);
  process.exeInode = parts.exe;
  process.rlimits = state.rlimits.slice();
  kernel.processes.set(process.pid, process);
  for (const saved of state.tasks) restoreTask(kernel, process, saved);
  process.timers.restore(state.timers);
  return process;
}

function restoreTask(kernel: Kernel, process: Process, saved: TaskSaved): void {
  const task = new Task(kernel, saved.tid, process, copyContext(saved.context), saved.comm);
  Object.assign(task, saved.fields);
  task.altstack = { ...task.altstack };
  task.rseq = { ...task.rseq };
  task.pendingInfo = saved.pendingInfo.slice();
  process.tasks.push(task);
  kernel.tasks.set(task.tid, task);
  if (task.state === 'runnable') kernel.sched.enqueue(task);
}

/** Files the blocked tasks of all processes under the queues they wait on, in the order they came. */
export function restoreWaits(kernel: Kernel): void {
  const blocked = [...kernel.tasks.values()].filter((task) => task.state === 'blocked' && task.wait !== null);
  for (const task of blocked.sort((a, b) => a.arrival - b.arrival)) {
    kernel.waits.add(task);
    if (task.wait && task.wait.deadlineNs !== Infinity) kernel.timers.arm(task, task.wait.deadlineNs);
  }
}
