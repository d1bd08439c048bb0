// Interpreters of a stateful sandbox: the main process has everything imported and stands in fork(2) for good; the engine makes
// children of it when it wants them. Each sees the call return 0, as after any fork(2), has descriptors of its own and pid 1 as parent.
// The process itself never runs again, and belongs to root, so that what the sandbox runs cannot touch it.

import { EAGAIN } from '../../abi/linux/errno.ts';
import type { Kernel } from '../kernel.ts';
import { cloneArgsOf } from '../syscalls/clone.ts';
import { HELD, hasRoom, newProcess, prepareChild } from './clone.ts';
import type { Credentials } from './credentials.ts';
import { credentialsOf } from './credentials.ts';
import { INIT_PID } from './exit.ts';
import type { Process } from './process.ts';
import type { Program } from './programs.ts';

const CONTROL_FD = 3;

/** The main process stops in its next fork(2). Returns whose it was. */
export function holdMain(kernel: Kernel): Credentials {
  kernel.holdsForks = true;
  const { main } = kernel;
  if (!main) return credentialsOf(0, 0);
  const { credentials } = main;
  main.credentials = credentialsOf(0, 0);
  return credentials;
}

/** Whether children can be made. */
export function isHeld(kernel: Kernel): boolean {
  return kernel.main?.leader?.wait?.memo === HELD;
}

/**
 * A child of the main process, which stands in fork(2), for `program`; `hot`: pages that such a child writes first. -errno: no room or
 * no memory for it.
 */
export function forkHeld(kernel: Kernel, program: Program, credentials: Credentials, hot: ReadonlySet<number>): Process | number {
  const task = kernel.main?.leader;
  if (!task || !isHeld(kernel) || !hasRoom(task)) return -EAGAIN;
  const args = cloneArgsOf(task);
  const child = newProcess(task, args, hot);
  if (typeof child === 'number') return child;
  prepareChild(task, child, args);
  const { process } = child;
  process.ppid = INIT_PID;
  process.pgid = process.sid = process.pid;
  process.credentials = credentials;
  kernel.programs.openFiles(program).forEach((file, fd) => process.files.installAt(fd, file, fd === CONTROL_FD));
  kernel.programs.begun(program, process);
  kernel.addTask(child);
  kernel.tracer?.attached(child);
  return process;
}
