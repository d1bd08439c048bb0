// Keeps what a worker's sandboxes take of its own memory together (kernel/kernelmemory.ts) far enough below what its heap may grow to: V8
// ends a process that reaches that, with all that runs there. Each is within its own limit; of very many, the one with the most is ended.

import { getHeapStatistics } from 'node:v8';

/** A sandbox. */
export interface HeapUser {
  /** Ending it gives something back. */
  readonly isLive: boolean;
  /** Ends it, with that as the reason. */
  endForHeap(): void;
}

/** Of the heap's limit, its young generation (workerprocess.ts has set that). */
const YOUNG_BYTES = 96 << 20;

/** What the heap of this process has for sandboxes, all in all. */
function roomBytes(): number {
  const { heap_size_limit: limit, used_heap_size: used } = getHeapStatistics();
  return Math.max(limit / 8, limit - YOUNG_BYTES - used);
}

export class HeapGuard {
  private readonly limitBytes: number;
  private readonly bytesOf = new Map<HeapUser, number>();
  private total = 0;

  constructor(limitBytes = roomBytes() / 2) { // figures may be wrong by a factor of two
    this.limitBytes = limitBytes;
  }

  /** A sandbox takes so much now. */
  note(user: HeapUser, bytes: number): void {
    const before = this.bytesOf.get(user) ?? 0;
    if (bytes === before) return;
    this.bytesOf.set(user, bytes);
    this.total += bytes - before;
    if (this.total <= this.limitBytes) return;
    let biggest: HeapUser = user;
    for (const [other, amount] of this.bytesOf) if (other.isLive && amount > (this.bytesOf.get(biggest) ?? 0)) biggest = other;
    this.forget(biggest); // it is as good as gone
    biggest.endForHeap();
  }

  /** It is gone. */
  forget(user: HeapUser): void {
    this.total -= this.bytesOf.get(user) ?? 0;
    this.bytesOf.delete(user);
  }
}
