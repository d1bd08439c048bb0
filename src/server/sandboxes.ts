// The sandboxes that stay: whose each is, how long it lives, who uses it now. One that is idle too long or has lived its time is closed;
// what is asked of it afterwards says why it is gone.

import { OffshootError } from '../engine/errors.ts';
import type { StatefulSandbox } from '../engine/statefulsandbox.ts';
import { ServiceError } from './errors.ts';

export interface Lifetime {
  idleSeconds: number;
  /** From its creation. */
  lifetimeSeconds: number;
}

export interface Entry extends Lifetime {
  readonly box: StatefulSandbox;
  readonly tenant: string;
  readonly createdMs: number;
  metadata: Record<string, string>;
  usedMs: number;
  /** Requests that use it now. */
  users: number;
  timer: NodeJS.Timeout | null;
}

const GONE_MAX = 10_000;
/** setTimeout cannot wait longer. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export class Sandboxes {
  /** In the order of their creation. */
  private readonly live = new Map<string, Entry>();
  /** Why those that ended did, and whose they were; the last of them. */
  private readonly gone = new Map<string, { readonly tenant: string; readonly why: string }>();
  private readonly pending = new Map<string, number>();

  get size(): number { return this.live.size; }

  /** Room for `count` more of the tenant, to be given back by what is returned. Throws OffshootError 'tenant-limit'. */
  reserve(tenant: string, count: number, most: number): () => void {
    const pending = this.pending.get(tenant) ?? 0;
    if (this.of(tenant).length + pending + count > most) {
      throw new OffshootError('tenant-limit', `This key may have ${most} live sandboxes.`);
    }
    this.pending.set(tenant, pending + count);
    return () => {
      const left = (this.pending.get(tenant) ?? 0) - count;
      if (left > 0) this.pending.set(tenant, left);
      else this.pending.delete(tenant);
    };
  }

  add(box: StatefulSandbox, tenant: string, lifetime: Lifetime, metadata: Record<string, string>): Entry {
    const now = Date.now();
    const entry: Entry = { box, tenant, metadata, createdMs: now, usedMs: now, users: 0, timer: null, ...lifetime };
    this.live.set(box.id, entry);
    void box.ended.then((why) => this.forget(entry, why ?? 'it was closed.'));
    this.schedule(entry);
    return entry;
  }

  of(tenant: string): Entry[] {
    return [...this.live.values()].filter((entry) => entry.tenant === tenant);
  }

  /** Throws ServiceError, which says why it is gone; those of other tenants are not there. */
  get(tenant: string, id: string): Entry {
    const entry = this.live.get(id);
    if (entry?.tenant === tenant) return entry;
    const gone = this.gone.get(id);
    if (gone?.tenant === tenant) throw new OffshootError('sandbox-ended', `This sandbox has ended: ${gone.why}`);
    throw new ServiceError('not-found', 'There is no such sandbox.', { hint: 'GET /v1/sandboxes lists those there are.' });
  }

  /** Does something with it: it is not idle meanwhile. */
  async use<T>(tenant: string, id: string, work: (entry: Entry) => Promise<T>): Promise<T> {
    const entry = this.get(tenant, id);
    entry.users++;
    this.schedule(entry);
    try {
      return await work(entry);
    } catch (error) {
      if (error instanceof OffshootError && (error.code === 'worker-lost' || error.code === 'sandbox-ended')) this.forget(entry, error.message);
      throw error;
    } finally {
      entry.users--;
      entry.usedMs = Date.now();
      this.schedule(entry);
    }
  }

  /** Its lifetime has been changed. */
  schedule(entry: Entry): void {
    if (entry.timer) clearTimeout(entry.timer);
    entry.timer = null;
    if (this.live.get(entry.box.id) !== entry) return;
    const { isIdle, atMs } = endOf(entry);
    const why = isIdle ? `it was not used for ${entry.idleSeconds} seconds.` : `its ${entry.lifetimeSeconds} seconds were over.`;
    const leftMs = atMs - Date.now();
    entry.timer = setTimeout(() => (leftMs > TIMER_MS_MAX ? this.schedule(entry) : this.end(entry, why)), Math.min(TIMER_MS_MAX, Math.max(0, leftMs))).unref();
  }

  end(entry: Entry, why: string): void {
    this.forget(entry, why);
    void entry.box.close();
  }

  /** A tenant's key is not valid any more. */
  endAll(tenant: string): void {
    for (const entry of this.of(tenant)) this.end(entry, 'its key is not valid any more.');
  }

  private forget(entry: Entry, why: string): void {
    if (entry.timer) clearTimeout(entry.timer);
    if (!this.live.delete(entry.box.id)) return;
    this.gone.set(entry.box.id, { tenant: entry.tenant, why: why.replace(/^This sandbox has ended: /, '') });
    for (const oldest of this.gone.keys()) {
      if (this.gone.size <= GONE_MAX) break;
      this.gone.delete(oldest);
    }
  }
}

/** When it ends unless something happens. */
export function endOf({ createdMs, lifetimeSeconds, usedMs, idleSeconds, users }: Entry): { readonly isIdle: boolean; readonly atMs: number } {
  const expiresMs = createdMs + lifetimeSeconds * 1000;
  const idleMs = users > 0 ? Infinity : usedMs + idleSeconds * 1000;
  return idleMs < expiresMs ? { isIdle: true, atMs: idleMs } : { isIdle: false, atMs: expiresMs };
}
