// Processor time of one tenant in one worker: a share of a processor, as cpu.max of cgroups(7) is. What runs is not ended for it, it
// waits: the scheduler takes no turn while more has been used than time has brought.

/** Time that was not used is kept for later, up to so much of the clock's. */
const KEPT_MS = 100;
/** A slice is no shorter than this part of a whole one: so the thread never sleeps long for one slice. */
const SLICE_MIN = 0.1;

export class CpuShare {
  private share = 1;
  /** Time that may be used; below 0: owed. */
  private leftMs = KEPT_MS;
  private atMs: number;
  private readonly now: () => number;
  private readonly cpuNow: () => number;

  /** `now`: milliseconds; `cpuNow`: those that this thread had of a processor. Tests have their own. */
  constructor(now = (): number => performance.now(), cpuNow = now) {
    this.now = now;
    this.cpuNow = cpuNow;
    this.atMs = now();
  }

  /** From now on: of one processor, above 0; 1 and more: no limit. */
  set(share: number): void {
    this.share = share;
    this.leftMs = Math.min(1, share) * KEPT_MS;
    this.atMs = this.now();
  }

  /** What has been used so far: before something runs and behind it; without a limit nobody needs to know. */
  get usedMs(): number {
    return this.share >= 1 ? 0 : this.cpuNow();
  }

  /** So much has been used. */
  use(ms: number): void {
    if (this.share >= 1) return;
    this.bring();
    this.leftMs -= ms;
  }

  /** Until something may run. */
  get waitMs(): number {
    if (this.share >= 1) return 0;
    this.bring();
    return this.leftMs >= 0 ? 0 : -this.leftMs / this.share;
  }

  private bring(): void {
    const now = this.now();
    this.leftMs = Math.min(this.share * KEPT_MS, this.leftMs + (now - this.atMs) * this.share);
    this.atMs = now;
  }

  /** How much of a slice is given at once. */
  get slice(): number {
    return Math.min(1, Math.max(SLICE_MIN, this.share));
  }
}
