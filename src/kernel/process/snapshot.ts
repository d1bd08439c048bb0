// The fork protocol of a template (ARCHITECTURE.md): the main process stops inside fork(2); what is saved is its child, and
// every sandbox restored from it sees the call return 0 under a new pid.

import type { Kernel } from '../kernel.ts';
import { cloneArgsOf } from '../syscalls/clone.ts';
import { bug } from '../bug.ts';
import { finishForkChild, makeForkChild } from './clone.ts';
import { INIT_PID } from './exit.ts';
import type { Task } from './task.ts';

const PID_MIN = 300, PID_MAX = 32767;

function parkedTask(kernel: Kernel): Task {
  return kernel.main?.leader ?? bug('snapshot: no main process');
}

/** Makes the parked parent its own child, as fork(2) does: once, before the state is saved. */
export function prepareForkChild(kernel: Kernel): void {
  makeForkChild(parkedTask(kernel));
  // What was freed is neither stored nor handed to sandboxes, and they need not zero it again.
  kernel.frames.zeroFreeFrames();
  kernel.snapshotArmed = false;
  kernel.syscallCount = 0;
  kernel.cpuNs = 0;
  kernel.unimplemented.clear();
  kernel.streams.outputBytes = 0;
}

/** In a restored sandbox: the fork call returns 0 in the child, which gets a pid of its own. */
export function completeForkChild(kernel: Kernel): void {
  const task = parkedTask(kernel);
  task.process.ppid = INIT_PID;
  finishForkChild(kernel, task, newPid(kernel), cloneArgsOf(task));
}

/** The last pid given to a fork in this worker; 0: none yet. */
let lastPid = 0;

/** Starts anywhere and counts on, so that a worker's forks have pids of their own until all have been used. */
function newPid(kernel: Kernel): number {
  if (lastPid === 0) {
    const random = new Uint16Array(1);
    kernel.host.random(new Uint8Array(random.buffer));
    lastPid = PID_MIN + (random[0] % (PID_MAX - PID_MIN));
  }
  lastPid = lastPid < PID_MAX ? lastPid + 1 : PID_MIN;
  return lastPid;
}
