// What one caller may use: requests a minute (a token bucket), runs at a time, runs and processor time a day of UTC.

import { ServiceError } from './errors.ts';
import type { DayUse } from './usagefiles.ts';

/** 0 of a quota: any number. */
export interface AllowanceLimits {
  readonly requestsPerMinute: number;
  readonly concurrency: number;
  readonly runsPerDay: number;
  readonly cpuSecondsPerDay: number;
}

const DAY_MS = 86_400_000;

export class Allowance {
  /** Null: no limits (loopback without keys has those of runs at a time only). */
  limits: AllowanceLimits;
  readonly use: DayUse;
  /** What other services of this home have counted. */
  elsewhere: DayUse = { day: '', runs: 0, cpuMs: 0 };
  private tokens: number;
  private filledMs: number;
  private running = 0;
  private dayNumber = NaN;
  private readonly now: () => number;

  constructor(limits: AllowanceLimits, use: DayUse | undefined, now: () => number = Date.now) {
    this.limits = limits;
    this.now = now;
    this.use = use ?? { day: '', runs: 0, cpuMs: 0 };
    this.tokens = limits.requestsPerMinute;
    this.filledMs = now();
  }

  /** Counts requests: a batch counts what is in it. Throws ServiceError 429. */
  count(requests: number): void {
    const { requestsPerMinute: perMinute } = this.limits;
    const nowMs = this.now();
    this.tokens = Math.min(perMinute, this.tokens + ((nowMs - this.filledMs) / 60_000) * perMinute);
    this.filledMs = nowMs;
    if (requests > perMinute) throw new ServiceError('too-large', `This key may make ${perMinute} requests a minute, fewer than this batch has.`);
    if (this.tokens < requests) {
      const seconds = Math.ceil(((requests - this.tokens) / perMinute) * 60);
      throw new ServiceError('rate-limit', `This key may make ${perMinute} requests a minute.`, { retryAfterSeconds: seconds });
    }
    this.tokens -= requests;
  }

  /** Room for up to `wanted` runs at a time, at least one; how many there is. Throws ServiceError 429. Give it back with `leave`. */
  enter(wanted = 1): number {
    this.checkQuota();
    const free = this.limits.concurrency - this.running;
    if (free < 1) {
      throw new ServiceError('concurrency-limit', `This key may have ${this.limits.concurrency} runs at a time, and has them.`, { retryAfterSeconds: 1 });
    }
    const room = Math.min(free, wanted);
    this.running += room;
    return room;
  }

  leave(room = 1): void {
    this.running -= room;
  }

  /** Counts a run before it begins. Throws ServiceError 429. */
  startRun(): void {
    this.checkQuota();
    this.use.runs++;
  }

  endRun(cpuMs: number): void {
    this.today();
    this.use.cpuMs += cpuMs;
  }

  private checkQuota(): void {
    this.today();
    const { runsPerDay, cpuSecondsPerDay } = this.limits;
    const retryAfterSeconds = Math.ceil((DAY_MS - (this.now() % DAY_MS)) / 1000);
    const { runs, cpuMs } = this.elsewhere.day === this.use.day ? this.elsewhere : { runs: 0, cpuMs: 0 };
    if (runsPerDay > 0 && this.use.runs + runs >= runsPerDay) {
      throw new ServiceError('quota', `This key may make ${runsPerDay} runs a day (UTC), and has made them.`, { retryAfterSeconds });
    }
    if (cpuSecondsPerDay > 0 && this.use.cpuMs + cpuMs >= cpuSecondsPerDay * 1000) {
      throw new ServiceError('quota', `This key may use ${cpuSecondsPerDay} seconds of processor time a day (UTC), and has used them.`, { retryAfterSeconds });
    }
  }

  private today(): void {
    const number = Math.floor(this.now() / DAY_MS);
    if (number === this.dayNumber) return;
    this.dayNumber = number;
    const day = new Date(number * DAY_MS).toISOString().slice(0, 10);
    if (this.use.day !== day) Object.assign(this.use, { day, runs: 0, cpuMs: 0 });
  }
}
