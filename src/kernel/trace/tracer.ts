// Who watches a kernel's calls: an interface, so that tracing costs one test when it is off.

import type { Process } from '../process/process.ts';
import type { Task } from '../process/task.ts';

export interface Tracer {
  /** A call that takes its arguments away (execve, exit) begins; the others are only seen by `call`. */
  enter(task: Task): void;
  /** A call of `task` ended with `result`; its registers still hold the arguments. */
  call(task: Task, result: number): void;
  /** The call of `task` has to wait. */
  blocked(task: Task): void;
  /** Nobody can run: what waits is worth showing. */
  idle(): void;
  /** A task was made by clone. */
  attached(task: Task): void;
  /** A signal is delivered: a line of strace's `---` kind. */
  event(task: Task, text: string): void;
  exit(process: Process, status: number): void;
}
