// Everything that happens at a point of CLOCK_MONOTONIC: deadlines of blocked tasks, interval timers, timerfds.
//
// Interface: an owner arms one expiry at a time; `expire` calls owners whose time has come. Not saved: owners hold their
// own times as data and arm again when they are restored.
// A guest may arm tens of thousands of timers: a binary heap, from which entries that were moved or disarmed are dropped when
// they come to the top, or all together when they are more than half of it.

export interface TimerOwner {
  /** Its time has come; it is no longer armed and may arm itself again. */
  expire(nowNs: number): void;
}

interface Entry { readonly owner: TimerOwner; readonly atNs: number }

/** Stale entries kept in any case. */
const STALE_MIN = 64;

export class Timers {
  /** Who is armed, with the one entry of the heap that counts. */
  private readonly armed = new Map<TimerOwner, Entry>();
  private heap: Entry[] = [];

  /** Sets (or moves) the owner's expiry; Infinity disarms. */
  arm(owner: TimerOwner, atNs: number): void {
    if (atNs === Infinity) return this.disarm(owner);
    if (this.armed.get(owner)?.atNs === atNs) return;
    const entry = { owner, atNs };
    this.armed.set(owner, entry);
    this.heap.push(entry);
    this.rise(this.heap.length - 1);
    this.tidy();
  }

  disarm(owner: TimerOwner): void {
    if (this.armed.delete(owner)) this.tidy();
  }

  /** Entries, those that do not count any more included. */
  get size(): number {
    return this.heap.length;
  }

  /** The next expiry, Infinity when nothing is armed. */
  get nextNs(): number {
    return this.heap.length > 0 ? this.heap[0].atNs : Infinity;
  }

  /** Calls every owner whose time is ≤ nowNs, earliest first. */
  expire(nowNs: number): void {
    const due: Entry[] = [];
    while (this.nextNs <= nowNs) {
      due.push(this.heap[0]);
      this.armed.delete(this.heap[0].owner);
      this.takeFirst();
      this.dropStale();
    }
    for (const { owner } of due) owner.expire(nowNs);
  }

  /** Keeps the first entry one that counts, and the others mostly. */
  private tidy(): void {
    if (this.heap.length > 2 * this.armed.size + STALE_MIN) {
      this.heap = [...this.armed.values()].sort((a, b) => a.atNs - b.atNs);
    }
    this.dropStale();
  }

  private dropStale(): void {
    while (this.heap.length > 0 && this.armed.get(this.heap[0].owner) !== this.heap[0]) this.takeFirst();
  }

  private takeFirst(): void {
    const last = this.heap.pop();
    if (!last || this.heap.length === 0) return;
    this.heap[0] = last;
    this.sink();
  }

  private rise(from: number): void {
    const { heap } = this;
    const entry = heap[from];
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (heap[above].atNs <= entry.atNs) break;
      heap[at] = heap[above];
      at = above;
    }
    heap[at] = entry;
  }

  private sink(): void {
    const { heap } = this;
    const entry = heap[0];
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && heap[below + 1].atNs < heap[below].atNs) below++;
      if (heap[below].atNs >= entry.atNs) break;
      heap[at] = heap[below];
      at = below;
    }
    heap[at] = entry;
  }
}
