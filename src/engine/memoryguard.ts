// Watches the host's memory while sandboxes live: when it runs short in spite of admission (limits add up to more than there is),
// the biggest worker is told to end its biggest sandbox, and is ended itself when that does not help.

import { readFileSync } from 'node:fs';
import type { HostMemory } from './hostmemory.ts';
import type { WorkerClient } from './workerclient.ts';

const PERIOD_MS = 100;

export class MemoryGuard {
  private readonly memory: HostMemory;
  private readonly workers: () => readonly WorkerClient[];
  private readonly sizeOf: (pid: number) => number;
  private timer: NodeJS.Timeout | null = null;
  private asked: WorkerClient | null = null;

  constructor(memory: HostMemory, workers: () => readonly WorkerClient[], sizeOf = ownBytes) {
    this.memory = memory;
    this.workers = workers;
    this.sizeOf = sizeOf;
  }

  start(): void {
    this.timer ??= setInterval(() => this.look(), PERIOD_MS).unref();
  }

  stop(): void {
    if (this.timer) clearInterval(this.timer);
    this.timer = null;
    this.asked = null;
  }

  /**
   * One look, the last when no worker has a sandbox: asks the biggest worker to end one; ends it when it was asked a period ago and
   * is still the biggest.
   */
  look(): void {
    const workers = this.workers();
    if (workers.length === 0) return this.stop();
    if (!this.memory.isShort) {
      this.asked = null;
      return;
    }
    let biggest: WorkerClient | null = null;
    let most = -1;
    for (const worker of workers) {
      const bytes = worker.pid === undefined ? 0 : this.sizeOf(worker.pid) + worker.layerBytes;
      if (bytes > most) [biggest, most] = [worker, bytes];
    }
    if (biggest && biggest === this.asked) biggest.fail("the host's memory ran short");
    else biggest?.post({ type: 'shed' });
    this.asked = biggest;
  }
}

/** Memory that a process shares with nobody's file, its layers (vmm/layers.ts) left out: what ending it gives back. */
export function ownBytes(pid: number): number {
  try {
    const [, resident, shared] = readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ').map(Number);
    return (resident - shared) * 4096;
  } catch {
    return 0;
  }
}
