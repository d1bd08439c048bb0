// Somebody who looks at a sandbox's files from outside, with the rights of a user inside: a task that is in no table and never runs.
// The functions of fs/ take it like any other.

import { bug } from '../bug.ts';
import { FdTable } from '../fs/fdtable.ts';
import { FsContext } from '../fs/fscontext.ts';
import { lookupAt } from '../fs/path.ts';
import { AT_FDCWD } from '../../abi/linux/fcntl.ts';
import type { Kernel } from '../kernel.ts';
import { SignalState } from '../signal/state.ts';
import type { Credentials } from './credentials.ts';
import { Process } from './process.ts';
import { Task, newContext } from './task.ts';

/** `filesMax`: descriptors it may have; relative paths start at `cwd`, or at the root when that is not there. */
export function makeVisitor(kernel: Kernel, credentials: Credentials, cwd: string, filesMax: number): Task {
  const { root } = kernel.vfs;
  const process = new Process(kernel, 0, 0, {
    // No function that is given paths and bytes looks at its memory.
    mm: kernel.main?.mm ?? bug('visitor: no main process'), files: new FdTable(filesMax, kernel.ipc), fs: new FsContext(root, root),
    signals: new SignalState(), credentials,
  });
  const task = new Task(kernel, 0, process, newContext(), 'visitor');
  const home = lookupAt(task, AT_FDCWD, cwd, 0);
  if (typeof home !== 'number' && home.inode.isDirectory()) process.fs.setCwd(home);
  return task;
}
