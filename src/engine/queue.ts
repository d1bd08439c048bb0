// Requests that wait for a worker: first come, first served within a tenant, and tenants in turn.

import { OffshootError } from './errors.ts';

/** What a queue may hold. */
export interface QueueLimits {
  readonly requests: number;
  readonly requestsPerTenant: number;
  /** Code, arguments and environment of all that wait. */
  readonly bytes: number;
}

/** What waits. */
export interface Waiting {
  readonly tenant: string;
  readonly sizeBytes: number;
}

export class FairQueue<T extends Waiting> {
  private readonly limits: QueueLimits;
  /** Tenants with something waiting, in the order in which they are served. */
  private readonly lines = new Map<string, Set<T>>();
  private requests = 0;
  private bytes = 0;

  constructor(limits: QueueLimits) {
    this.limits = limits;
  }

  get size(): number { return this.requests; }

  /** Throws OffshootError 'busy' when it is full: nothing has been changed then. */
  push(item: T): void {
    const line = this.lines.get(item.tenant);
    if (this.requests >= this.limits.requests || this.bytes + item.sizeBytes > this.limits.bytes) {
      throw new OffshootError('busy', `Too many runs are waiting (${this.requests}): try again when some have ended.`);
    }
    if ((line?.size ?? 0) >= this.limits.requestsPerTenant) {
      throw new OffshootError('busy', `Too many runs of this tenant are waiting (${line?.size}): try again when some have ended.`);
    }
    if (line) line.add(item);
    else this.lines.set(item.tenant, new Set([item]));
    this.requests++;
    this.bytes += item.sizeBytes;
  }

  hasTenant(tenant: string): boolean {
    return this.lines.has(tenant);
  }

  /** The first of each tenant that waits; who was served longest ago comes first. */
  heads(): T[] {
    return [...this.lines.values()].map((line) => line.values().next().value as T);
  }

  /** Takes out what is served now: its tenant goes to the end of the turn. False when it is not there any more. */
  take(item: T): boolean {
    const line = this.lines.get(item.tenant);
    if (!line?.delete(item)) return false;
    this.requests--;
    this.bytes -= item.sizeBytes;
    this.lines.delete(item.tenant);
    if (line.size > 0) this.lines.set(item.tenant, line);
    return true;
  }

  /** Takes out what nobody wants any more; the turns stay. False when it is not there. */
  drop(item: T): boolean {
    const line = this.lines.get(item.tenant);
    if (!line?.delete(item)) return false;
    this.requests--;
    this.bytes -= item.sizeBytes;
    if (line.size === 0) this.lines.delete(item.tenant);
    return true;
  }

  /** Empties it. */
  drain(): T[] {
    const all = [...this.lines.values()].flatMap((line) => [...line]);
    this.lines.clear();
    this.requests = this.bytes = 0;
    return all;
  }
}
