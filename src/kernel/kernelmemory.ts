// Our own memory for a sandbox: what its processes, mappings, open files, queues and names take of the heap that it shares with the other
// sandboxes of its worker. Linux's memcg counts as much (kmem); there each allocation is charged, here what there is of each kind is
// multiplied by what one costs, now and then: nothing can be forgotten to be given back, and a short run pays nothing.
//
// Interface: KernelMemory, one per kernel: `isTooMuch` between slices; kernelMemory, the estimate itself. What one costs is in costs.ts. Things
// that several share count for each of them; what a template's files take is shared by all its forks, and counts for none.

import { COST } from './costs.ts';
import type { Kernel } from './kernel.ts';
import type { Process } from './process/process.ts';
import type { Task } from './process/task.ts';

/** What it is for; behind it, who has that. */
export const FOR_KEPT = 'for what is open, mapped, queued and named';

/** Calls after which it is looked at again, though the slice was not used up, and processor time. */
const CALLS = 100, CPU_NS = 5e6;

function ofTask({ pendingInfo, wait }: Task): number {
  return COST.task + pendingInfo.length * COST.signal + (wait ? wait.queues.length * COST.wait : 0);
}

function ofProcess(process: Process): number {
  const { mm, signals, timers, stringBytes, fileSlots } = process;
  const { count, totals } = mm.list;
  const addressSpace = count * COST.area + totals.pathChars + mm.pages.hidden.size * COST.hiddenPage;
  return COST.process + stringBytes + fileSlots * COST.fileSlot + addressSpace / Math.max(1, mm.users)
    + signals.pendingInfo.length * COST.signal + timers.posixCount * COST.posixTimer;
}

function ofFiles({ vfsIfMade: vfs }: Kernel): number {
  if (vfs === null) return 0;
  const { shared, budget: { metaBytes, inodes: made } } = vfs;
  // Those that were made here are in metaBytes; of the image, those that somebody looked for.
  let others = shared.made - made - shared.saved;
  let sum = Math.max(0, metaBytes - shared.metaBytes) + vfs.locks.held.locks * COST.lock;
  for (const fs of [...Object.values(vfs.memory), ...vfs.given.fileSystems]) {
    const { inodes, gone } = fs.counts;
    others += inodes;
    sum += gone * COST.goneInode;
  }
  return sum + Math.max(0, others) * COST.inode;
}

/** Bytes of our own memory that the sandbox takes now, about. Some microseconds, and one for ten processes. */
export function kernelMemory(kernel: Kernel): number {
  const { ipc, waits, timers, frames } = kernel;
  let sum = ofFiles(kernel) + frames.indexBytes + timers.size * COST.timer + waits.watchCount * COST.watch + waits.queueCount * COST.queue;
  for (const task of kernel.tasks.values()) sum += ofTask(task) + kernel.cpu.xsaveBytes;
  for (const process of kernel.processes.values()) sum += ofProcess(process);
  return sum + ipc.fileBytes + ipc.sockets * COST.socket + ipc.pipeBytes + ipc.messageBytes + ipc.messages * COST.message
    + ipc.inotifyWatches * COST.inotifyWatch + ipc.inotifyEvents * COST.inotifyEvent + kernel.ownMemory.logs.usedBytes;
}

export class KernelMemory {
  private readonly kernel: Kernel;
  /** What the engine keeps of its programs' output. */
  logs: { readonly usedBytes: number } = { usedBytes: 0 };
  /** As far as it was looked at. */
  bytes = 0;
  private calls = 0;
  private cpuNs = 0;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  /** Looks, if much may have changed or `isDue`: true when it is more than the sandbox may have. */
  isTooMuch(isDue: boolean): boolean {
    const { syscallCount, cpuNs, limits } = this.kernel;
    if (!isDue && syscallCount - this.calls < CALLS && cpuNs - this.cpuNs < CPU_NS) return false;
    this.calls = syscallCount;
    this.cpuNs = cpuNs;
    this.bytes = kernelMemory(this.kernel);
    return this.bytes > limits.kernelMemoryMax;
  }

  get limitText(): string {
    return `${this.kernel.limits.kernelMemoryMax / 2 ** 20} MB of the host's memory ${FOR_KEPT} in it`;
  }
}
