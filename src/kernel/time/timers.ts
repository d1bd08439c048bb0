// Everything that happens at a point of CLOCK_MONOTONIC: deadlines of blocked tasks, interval timers, timerfds.
//
// Interface: an owner arms one expiry at a time; `expire` calls owners whose time has come. Not saved: owners hold their
// own times as data and arm again when they are restored.

export interface TimerOwner {
  /** Its time has come; it is no longer armed and may arm itself again. */
  expire(nowNs: number): void;
}

export class Timers {
  private readonly armed = new Map<TimerOwner, number>();
  private next = Infinity;

  /** Sets (or moves) the owner's expiry; Infinity disarms. */
  arm(owner: TimerOwner, atNs: number): void {
    if (atNs === Infinity) return this.disarm(owner);
    const before = this.armed.get(owner);
    this.armed.set(owner, atNs);
    if (atNs <= this.next) this.next = atNs;
    else if (before === this.next) this.recompute();
  }

  disarm(owner: TimerOwner): void {
    const before = this.armed.get(owner);
    if (before === undefined) return;
    this.armed.delete(owner);
    if (before === this.next) this.recompute();
  }

  /** The next expiry, Infinity when nothing is armed. */
  get nextNs(): number {
    return this.next;
  }

  /** Calls every owner whose time is ≤ nowNs, earliest first. */
  expire(nowNs: number): void {
    if (nowNs < this.next) return;
    const due = [...this.armed].filter(([, at]) => at <= nowNs).sort((a, b) => a[1] - b[1]);
    for (const [owner] of due) this.armed.delete(owner);
    this.recompute();
    for (const [owner] of due) owner.expire(nowNs);
  }

  private recompute(): void {
    this.next = Infinity;
    for (const at of this.armed.values()) if (at < this.next) this.next = at;
  }
}
