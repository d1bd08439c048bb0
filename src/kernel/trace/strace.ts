// strace(1)'s view of a sandbox: every finished system call as `strace -f` prints it.

import type { Process } from '../process/process.ts';
import type { Task } from '../process/task.ts';

export interface Tracer {
  /** A call of `task` ended with `result`; its registers still hold the arguments. */
  call(task: Task, result: number): void;
  /** A signal is delivered, a process ends: a line of strace's `---` / `+++` kind. */
  event(task: Task, text: string): void;
  exit(process: Process, status: number): void;
}
