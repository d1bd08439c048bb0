// Starting programs from outside the sandbox: a first process (spawn), or another program in place of one that is parked
// (execInto, for `offshoot exec`).

import type { Dentry } from '../fs/dentry.ts';
import type { File } from '../fs/file.ts';
import { FdTable } from '../fs/fdtable.ts';
import { FsContext } from '../fs/fscontext.ts';
import { lookupAt } from '../fs/path.ts';
import { EAGAIN, ENOTDIR } from '../../abi/linux/errno.ts';
import { RLIMIT_NOFILE } from '../../abi/linux/sched.ts';
import type { Kernel } from '../kernel.ts';
import { Mm } from '../mm/mm.ts';
import { SignalState } from '../signal/state.ts';
import { defaultRlimits } from './rlimits.ts';
import { mayAddTask } from './clone.ts';
import { credentialsOf } from './credentials.ts';
import { exec } from './exec.ts';
import { INIT_PID } from './exit.ts';
import { Process } from './process.ts';
import { Task, newContext } from './task.ts';
import type { Wait } from '../wait.ts';

const AT_FDCWD = -100;

export interface SpawnOptions {
  readonly uid?: number;
  readonly gid?: number;
  /** Absolute path; "/" when absent. */
  readonly cwd?: string;
  /** Descriptors 0, 1, 2, …; the host streams when absent. Their references are taken over. */
  readonly files?: readonly File[];
}

/** Starts a program as a new process, the sandbox's main process if it is the first. -errno when it cannot be executed. */
export function spawn(kernel: Kernel, path: string, argv: readonly string[], envp: readonly string[], options: SpawnOptions = {}): Process | number {
  if (!mayAddTask(kernel)) return -EAGAIN;
  const mm = Mm.create(kernel);
  if (typeof mm === 'number') return mm;
  const rlimits = defaultRlimits(kernel.limits);
  const files = new FdTable(rlimits[RLIMIT_NOFILE].soft, kernel.ipc);
  const stdio = options.files ?? [kernel.streams.openStdin(), kernel.streams.openOutput(1), kernel.streams.openOutput(2)];
  stdio.forEach((file, fd) => files.installAt(fd, file));
  const { root } = kernel.vfs;
  const process = new Process(kernel, kernel.allocPid(), INIT_PID, {
    mm, files, fs: new FsContext(root, root), signals: new SignalState(), credentials: credentialsOf(options.uid ?? 0, options.gid ?? 0),
  });
  process.rlimits = rlimits;
  process.startNs = kernel.clock.monotonicNs();
  const task = new Task(kernel, process.pid, process, newContext(), '');
  const result = setCwd(task, options.cwd ?? '/') || known(exec(task, { dirfd: AT_FDCWD, path, flags: 0, argv, envp }));
  if (result < 0) {
    process.mm.release();
    files.release();
    process.fs.release();
    return result;
  }
  kernel.main ??= process;
  kernel.addTask(task);
  return process;
}

/**
 * execve of a process from outside, whatever its leader is doing. 0 or -errno with nothing changed but the directory; -EAGAIN: a given
 * file is still to come.
 */
export function execInto(process: Process, path: string, argv: readonly string[], envp: readonly string[], cwd: string): number {
  const task = process.leader;
  if (!task) return -3;
  const failed = setCwd(task, cwd);
  if (failed < 0) return failed;
  const result = known(exec(task, { dirfd: AT_FDCWD, path, flags: 0, argv, envp }));
  if (result < 0) return result;
  // What the parked program ignored (Python ignores SIGPIPE) is nothing to the one that takes its place.
  process.signals.actions.length = 0;
  task.sigmask = 0n;
  process.kernel.abandonCall(task);
  return 0;
}

/** Nobody can wait here. */
function known(result: number | Wait): number {
  return typeof result === 'number' ? result : -EAGAIN;
}

/** Whether a process could have `path` as its working directory: 0 or -errno. */
export function checkCwd({ leader }: Process, path: string): number {
  if (!leader) return 0;
  const dentry = directoryAt(leader, path);
  return typeof dentry === 'number' ? dentry : 0;
}

function directoryAt(task: Task, path: string): Dentry | number {
  const dentry = lookupAt(task, AT_FDCWD, path, 0);
  return typeof dentry === 'number' || dentry.inode.isDirectory() ? dentry : -ENOTDIR;
}

function setCwd(task: Task, path: string): number {
  const dentry = directoryAt(task, path);
  if (typeof dentry === 'number') return dentry;
  task.process.fs.setCwd(dentry);
  return 0;
}
