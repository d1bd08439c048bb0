// Watches the host's memory while sandboxes live: when it runs short in spite of admission (limits add up to more than there is),
// the biggest worker is told to end its biggest sandbox, and is ended itself when that does not help.

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { HostMemory } from './hostmemory.ts';
import type { WorkerClient } from './workerclient.ts';

/** Between two looks at most, and how long a worker may take to end a sandbox. */
const PERIOD_MS = 100;
const PERIOD_MIN_MS = 10;
/** What the guests of one processor can write, and the host zero for them, in a millisecond: 4 GB in a second. */
const BYTES_A_MS = 4 << 20;

export class MemoryGuard {
  private readonly memory: HostMemory;
  private readonly workers: () => readonly WorkerClient[];
  private readonly sizeOf: (pid: number) => number;
  private readonly processors = availableParallelism();
  private timer: NodeJS.Timeout | null = null;
  private asked: WorkerClient | null = null;
  private askedMs = 0;
  private readonly now: () => number;

  /** `now`: milliseconds; tests have their own. */
  constructor(memory: HostMemory, workers: () => readonly WorkerClient[], sizeOf = ownBytes, now = (): number => performance.now()) {
    this.memory = memory;
    this.workers = workers;
    this.sizeOf = sizeOf;
    this.now = now;
  }

  start(): void {
    this.timer ??= setTimeout(() => this.turn(), this.pauseMs).unref();
  }

  stop(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    this.asked = null;
  }

  private turn(): void {
    this.timer = null;
    if (this.look()) this.start();
  }

  /** Until memory could be short, if all processors did nothing but fill it from now on. */
  get pauseMs(): number {
    const ms = this.memory.untilShortBytes / (BYTES_A_MS * this.processors);
    return Math.max(PERIOD_MIN_MS, Math.min(PERIOD_MS, ms));
  }

  /**
   * One look, the last when no worker has a sandbox: asks the biggest worker to end one; ends it when it was asked long ago and
   * is still the biggest. False: there is nothing to look after.
   */
  look(): boolean {
    const workers = this.workers();
    if (workers.length === 0) {
      this.stop();
      return false;
    }
    if (!this.memory.isShort) {
      this.asked = null;
      return true;
    }
    let biggest: WorkerClient | null = null;
    let most = -1;
    for (const worker of workers) {
      const bytes = worker.pid === undefined ? 0 : this.sizeOf(worker.pid) + worker.layerBytes;
      if (bytes > most) [biggest, most] = [worker, bytes];
    }
    if (!biggest) return true;
    if (biggest !== this.asked) {
      biggest.post({ type: 'shed' });
      this.asked = biggest;
      this.askedMs = this.now();
    } else if (this.now() - this.askedMs >= PERIOD_MS) biggest.fail("the host's memory ran short");
    return true;
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
