// Shares a worker's one thread among its sandboxes: a slice each, round robin, and back to the event loop in between, so
// that messages, timers and output move while guests run.

/** What a guest reports after a slice. `wakeAtMs`: performance.now() time of its next timer, Infinity for none. */
export type StepState = { readonly kind: 'more' } | { readonly kind: 'blocked'; readonly wakeAtMs: number } | { readonly kind: 'ended' };

/** Something that runs in slices. */
export interface Runnable {
  /** Runs for about `budgetNs` nanoseconds at most. */
  step(budgetNs: number): StepState;
}

const SLICE_NS = 10_000_000;

export class Scheduler {
  private readonly ready: Runnable[] = [];
  private readonly timers = new Map<Runnable, NodeJS.Timeout>();
  private readonly live = new Set<Runnable>();
  private turning = false;

  /** Makes a guest runnable: newly started, or something it waits for has happened. */
  wake(guest: Runnable): void {
    this.live.add(guest);
    const timer = this.timers.get(guest);
    if (timer) {
      clearTimeout(timer);
      this.timers.delete(guest);
    }
    if (this.ready.includes(guest)) return;
    this.ready.push(guest);
    if (!this.turning) {
      this.turning = true;
      setImmediate(() => this.turn());
    }
  }

  /** Somebody wants to run. */
  get isBusy(): boolean {
    return this.turning;
  }

  /** Forgets a guest. */
  remove(guest: Runnable): void {
    this.live.delete(guest);
    const timer = this.timers.get(guest);
    if (timer) clearTimeout(timer);
    this.timers.delete(guest);
    const at = this.ready.indexOf(guest);
    if (at >= 0) this.ready.splice(at, 1);
  }

  private turn(): void {
    const guest = this.ready.shift();
    if (guest) this.settle(guest, guest.step(SLICE_NS));
    this.turning = this.ready.length > 0;
    if (this.turning) setImmediate(() => this.turn());
  }

  private settle(guest: Runnable, state: StepState): void {
    if (!this.live.has(guest)) return;
    if (state.kind === 'more') this.ready.push(guest);
    else if (state.kind === 'ended') this.remove(guest);
    else if (state.wakeAtMs !== Infinity) {
      const delay = Math.max(0, state.wakeAtMs - performance.now());
      this.timers.set(guest, setTimeout(() => this.wake(guest), Math.min(delay, 2 ** 31 - 1)));
    }
  }
}
