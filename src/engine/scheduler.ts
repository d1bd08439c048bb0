// Shares a worker's one thread among its sandboxes: slices, and back to the event loop in between, so that messages, timers
// and output move while guests run.
//
// Who is new or has just been woken goes before those that used up their last slice; but when such short turns have had a slice's
// time together, one of the others gets a slice. So a short run waits for two slices at most, however many others compute, and a
// stream of short ones leaves the long ones half of the time.

import { CpuShare } from './cpushare.ts';

/** What a guest reports after a slice. `wakeAtMs`: performance.now() time of its next timer, Infinity for none. */
export type StepState = { readonly kind: 'more' } | { readonly kind: 'blocked'; readonly wakeAtMs: number } | { readonly kind: 'ended' };

/** Something that runs in slices. */
export interface Runnable {
  /** Runs for about `budgetNs` nanoseconds at most. */
  step(budgetNs: number): StepState;
  /** Its next step only ends it. */
  readonly isEnding?: boolean;
}

/** Hears who runs. */
export interface RunObserver<G> {
  /** It runs, or is about to. */
  runs(guest: G): void;
  /** It has nothing to run now, or is over. */
  waits(guest: G): void;
}

const NOBODY: RunObserver<unknown> = { runs: () => {}, waits: () => {} };

const SLICE_MS = 10;
/** While nothing may run, those that are to end are looked for so often. */
const LOOK_MS = 20;

interface Entry<G> {
  readonly guest: G;
  isReady: boolean;
  /** It has the slice of one that used up its last. */
  isSpent: boolean;
  timer: NodeJS.Timeout | null;
}

export class Scheduler<G extends Runnable = Runnable> {
  private readonly entries = new Map<G, Entry<G>>();
  /** New or just woken, in the order they came. */
  private readonly woken = new Set<Entry<G>>();
  /** Those that used up their slice, in turn. */
  private readonly spent = new Set<Entry<G>>();
  /** Time that woken ones have had since a spent one had a slice. */
  private wokenMs = 0;
  private turning = false;
  private readonly observer: RunObserver<G>;
  private readonly now: () => number;
  private readonly share: CpuShare;

  /** `share`: what they may use together. `now`: milliseconds; tests have their own. */
  constructor(observer: RunObserver<G> = NOBODY, now = (): number => performance.now(), share = new CpuShare(now)) {
    this.observer = observer;
    this.now = now;
    this.share = share;
  }

  /** Makes a guest runnable: newly started, or something it waits for has happened. */
  wake(guest: G): void {
    const entry = this.entries.get(guest) ?? { guest, isReady: false, isSpent: false, timer: null };
    this.entries.set(guest, entry);
    this.stopTimer(entry);
    if (entry.isReady) return;
    entry.isReady = true;
    this.observer.runs(guest);
    this.woken.add(entry);
    if (this.turning) return;
    this.turning = true;
    process.nextTick(() => this.turn());
  }

  /** Somebody wants to run. */
  get isBusy(): boolean {
    return this.turning;
  }

  /** Forgets a guest. */
  remove(guest: G): void {
    const entry = this.entries.get(guest);
    if (!entry) return;
    this.stopTimer(entry);
    this.entries.delete(guest);
    this.woken.delete(entry);
    this.spent.delete(entry);
    entry.isReady = false;
  }

  private turn(): void {
    const { waitMs } = this.share;
    if (waitMs > 0) {
      this.endThose();
      return void setTimeout(() => this.turn(), Math.min(Math.ceil(waitMs), LOOK_MS));
    }
    const entry = this.next();
    if (entry) {
      const start = this.now();
      const usedMs = this.share.usedMs;
      const state = entry.guest.step(SLICE_MS * 1e6 * this.share.slice);
      this.share.use(this.share.usedMs - usedMs);
      if (!entry.isSpent) this.wokenMs += this.now() - start;
      this.settle(entry, state);
    }
    this.turning = this.woken.size + this.spent.size > 0;
    if (this.turning) setImmediate(() => this.turn());
  }

  /** Who was cancelled, or has no time left, need not wait for a turn. */
  private endThose(): void {
    for (const entry of [...this.woken, ...this.spent]) {
      if (!entry.guest.isEnding) continue;
      this.woken.delete(entry);
      this.spent.delete(entry);
      entry.isReady = false;
      this.settle(entry, entry.guest.step(0));
    }
  }

  private next(): Entry<G> | undefined {
    const isTurnOfSpent = this.spent.size > 0 && (this.woken.size === 0 || this.wokenMs >= SLICE_MS);
    const from = isTurnOfSpent ? this.spent : this.woken;
    const [entry] = from;
    if (!entry) return undefined;
    from.delete(entry);
    entry.isReady = false;
    entry.isSpent = isTurnOfSpent;
    if (isTurnOfSpent || this.spent.size === 0) this.wokenMs = 0;
    return entry;
  }

  private settle(entry: Entry<G>, state: StepState): void {
    if (!this.entries.has(entry.guest)) return;
    if (state.kind === 'ended') {
      this.remove(entry.guest);
      return this.observer.waits(entry.guest);
    }
    // Something may have woken it during its own slice.
    if (entry.isReady) return;
    if (state.kind === 'more') {
      entry.isReady = true;
      this.spent.add(entry);
      return;
    }
    this.observer.waits(entry.guest);
    if (state.wakeAtMs !== Infinity) {
      const delay = Math.ceil(Math.max(0, state.wakeAtMs - performance.now())); // a timer's fraction is cut off
      entry.timer = setTimeout(() => this.wake(entry.guest), Math.min(delay, 2 ** 31 - 1));
    }
  }

  private stopTimer(entry: Entry<G>): void {
    if (entry.timer) clearTimeout(entry.timer);
    entry.timer = null;
  }
}
