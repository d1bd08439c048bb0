// Shares a worker's one thread among its sandboxes: slices, and back to the event loop in between, so that messages, timers
// and output move while guests run.
//
// Whoever has had the least time goes next, measured against the time each would have had if all had run at once (as Linux's fair
// scheduler does). One that is new or slept is at most a slice behind that: so a short run gets the next slice however many
// others compute, nobody saves up a monopoly, and a stream of short runs does not starve the long ones.

/** What a guest reports after a slice. `wakeAtMs`: performance.now() time of its next timer, Infinity for none. */
export type StepState = { readonly kind: 'more' } | { readonly kind: 'blocked'; readonly wakeAtMs: number } | { readonly kind: 'ended' };

/** Something that runs in slices. */
export interface Runnable {
  /** Runs for about `budgetNs` nanoseconds at most. */
  step(budgetNs: number): StepState;
}

const SLICE_MS = 10;

interface Entry {
  readonly guest: Runnable;
  /** Time it has had, on the scale of `levelMs`. */
  hadMs: number;
  isReady: boolean;
  timer: NodeJS.Timeout | null;
}

export class Scheduler {
  private readonly entries = new Map<Runnable, Entry>();
  /** In the order they became ready. */
  private readonly ready = new Set<Entry>();
  /** What each would have had if all that were ready had run at once. */
  private levelMs = 0;
  private turning = false;

  /** Makes a guest runnable: newly started, or something it waits for has happened. */
  wake(guest: Runnable): void {
    const entry = this.entries.get(guest) ?? { guest, hadMs: 0, isReady: false, timer: null };
    this.entries.set(guest, entry);
    this.stopTimer(entry);
    if (entry.isReady) return;
    entry.isReady = true;
    entry.hadMs = Math.max(entry.hadMs, this.levelMs - SLICE_MS);
    this.ready.add(entry);
    if (this.turning) return;
    this.turning = true;
    setImmediate(() => this.turn());
  }

  /** Somebody wants to run. */
  get isBusy(): boolean {
    return this.turning;
  }

  /** Forgets a guest. */
  remove(guest: Runnable): void {
    const entry = this.entries.get(guest);
    if (!entry) return;
    this.stopTimer(entry);
    this.entries.delete(guest);
    this.ready.delete(entry);
    entry.isReady = false;
  }

  private turn(): void {
    const entry = this.next();
    if (entry) {
      const start = performance.now();
      const state = entry.guest.step(SLICE_MS * 1e6);
      const ranMs = performance.now() - start;
      entry.hadMs += ranMs;
      this.levelMs += ranMs / (this.ready.size + (entry.isReady ? 0 : 1));
      this.settle(entry, state);
    }
    this.turning = this.ready.size > 0;
    if (this.turning) setImmediate(() => this.turn());
  }

  /** Takes the one that has had least; among equals the one that waits longest. */
  private next(): Entry | null {
    let least: Entry | null = null;
    for (const entry of this.ready) if (least === null || entry.hadMs < least.hadMs) least = entry;
    if (least === null) return null;
    this.ready.delete(least);
    least.isReady = false;
    return least;
  }

  private settle(entry: Entry, state: StepState): void {
    if (!this.entries.has(entry.guest)) return;
    if (state.kind === 'ended') return this.remove(entry.guest);
    // Something may have woken it during its own slice.
    if (entry.isReady) return;
    if (state.kind === 'more') {
      entry.isReady = true;
      this.ready.add(entry);
    } else if (state.wakeAtMs !== Infinity) {
      const delay = Math.max(0, state.wakeAtMs - performance.now());
      entry.timer = setTimeout(() => this.wake(entry.guest), Math.min(delay, 2 ** 31 - 1));
    }
  }

  private stopTimer(entry: Entry): void {
    if (entry.timer) clearTimeout(entry.timer);
    entry.timer = null;
  }
}
