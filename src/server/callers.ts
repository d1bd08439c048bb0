// Who calls: a key of the key file, or anybody on this machine where there is no key file. Keeps what each may use, hears of changes
// of the file within a second, and keeps the use of quotas over restarts.

import { statSync } from 'node:fs';
import { Allowance, type AllowanceLimits } from './allowance.ts';
import { ServiceError } from './errors.ts';
import { isUsable, matchKey, readKeys, type KeyEntry } from './keyfile.ts';
import type { Settings } from './settings.ts';
import { UsageFiles, type DayUse } from './usagefiles.ts';

/** Who a request comes from. */
export interface Caller {
  /** The tenant of the engine. */
  readonly tenant: string;
  readonly name: string;
  readonly isAdmin: boolean;
  readonly sandboxesMax: number;
  readonly allowance: Allowance;
}

export interface CallersInit {
  readonly settings: Settings;
  /** Null: no keys; everybody who reaches the service is one caller with all rights. */
  readonly keyFile: string | null;
  /** Where the use of quotas is kept. */
  readonly usageDirectory: string;
  readonly warn: (problem: string) => void;
}

const LOOK_MS = 1000;
const SAVE_MS = 10_000;
/** Without keys. */
const LOCAL = 'local';

export class Callers {
  private readonly init: CallersInit;
  private keys = new Map<string, KeyEntry>();
  private callers = new Map<string, Caller>();
  private readonly uses = new Map<string, DayUse>();
  private readonly files: UsageFiles;
  private elsewhere = new Map<string, DayUse>();
  private saving: Promise<void> | null = null;
  private readonly timers: NodeJS.Timeout[] = [];
  private stamp = '';
  /** A tenant's key is no longer valid. */
  onGone: (tenant: string) => void = () => {};

  private constructor(init: CallersInit) {
    this.init = init;
    this.files = new UsageFiles(init.usageDirectory);
    if (init.keyFile !== null) {
      this.load(init.keyFile);
      this.timers.push(setInterval(() => this.look(init.keyFile as string), LOOK_MS).unref());
    }
    this.timers.push(setInterval(() => void this.save(), SAVE_MS).unref());
  }

  /** Rejects with KeyFileError. */
  static async open(init: CallersInit): Promise<Callers> {
    const callers = new Callers(init);
    await callers.hear();
    return callers;
  }

  get hasKeys(): boolean { return this.init.keyFile !== null; }

  /** Who sends this Authorization header. Throws ServiceError 401. */
  identify(authorization: string | undefined): Caller {
    if (this.init.keyFile === null) return this.callerOf(LOCAL, () => ({ name: LOCAL, admin: true, limits: {} }));
    const [, key = ''] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? [];
    const entry = matchKey(this.keys, key);
    if (!entry) throw new ServiceError('unauthorized', authorization === undefined ? 'A key is needed.' : 'This key is not valid.');
    return this.callerOf(entry.id, () => entry);
  }

  /** Resolves when all use is kept. */
  async close(): Promise<void> {
    this.timers.forEach(clearInterval);
    await this.saving;
    await this.save();
  }

  private callerOf(tenant: string, entryOf: () => Pick<KeyEntry, 'name' | 'admin' | 'limits'>): Caller {
    const known = this.callers.get(tenant);
    if (known) return known;
    const { name, admin, limits } = entryOf();
    const { settings } = this.init;
    const all: AllowanceLimits = {
      requestsPerMinute: limits.requests_per_minute ?? (tenant === LOCAL ? 2 ** 31 : settings.requests_per_minute),
      concurrency: limits.concurrency ?? (tenant === LOCAL ? 4096 : settings.concurrency),
      runsPerDay: limits.runs_per_day ?? settings.runs_per_day, cpuSecondsPerDay: limits.cpu_seconds_per_day ?? settings.cpu_seconds_per_day,
    };
    const allowance = new Allowance(all, this.uses.get(tenant));
    this.uses.set(tenant, allowance.use);
    allowance.elsewhere = this.elsewhere.get(tenant) ?? allowance.elsewhere;
    const caller = { tenant, name, isAdmin: admin, sandboxesMax: limits.sandboxes ?? settings.sandboxes, allowance };
    this.callers.set(tenant, caller);
    return caller;
  }

  /** A file that is gone or damaged changes nothing: nobody gets in who could not before. */
  private look(path: string): void {
    try {
      if (stampOf(path) !== this.stamp) this.load(path);
    } catch (error) {
      this.init.warn(`${(error as Error).message} The keys read before stay in force.`);
    }
    for (const [id, entry] of this.keys) if (this.callers.has(id) && !isUsable(entry)) this.forget(id);
  }

  private load(path: string): void {
    const stamp = stampOf(path);
    const entries = readKeys(path);
    this.stamp = stamp;
    if (!entries) throw new Error(`The key file ${path} is gone.`);
    const before = this.keys;
    this.keys = new Map(entries.map((entry) => [entry.id, entry]));
    for (const [id, old] of before) {
      const now = this.keys.get(id);
      if (!now || !isUsable(now)) this.forget(id);
      else this.update(id, old, now);
    }
  }

  /** Other limits hold from now on; what runs is counted on. */
  private update(id: string, old: KeyEntry, now: KeyEntry): void {
    const caller = this.callers.get(id);
    if (!caller || JSON.stringify(old) === JSON.stringify(now)) return;
    this.callers.delete(id);
    const next = this.callerOf(id, () => now);
    caller.allowance.limits = next.allowance.limits;
    this.callers.set(id, { ...next, allowance: caller.allowance });
  }

  private forget(id: string): void {
    if (this.callers.delete(id)) this.init.warn(`Key ${id} is no longer valid.`);
    this.onGone(id);
  }

  /** Requests that come meanwhile do not wait for the disk. */
  private save(): Promise<void> {
    this.saving ??= this.keepAndHear().finally(() => (this.saving = null));
    return this.saving;
  }

  private async keepAndHear(): Promise<void> {
    try {
      await this.files.write([...this.uses].filter(([, { day }]) => day !== ''));
    } catch (error) {
      this.init.warn(`The use of quotas cannot be kept (${(error as NodeJS.ErrnoException).code}).`);
    }
    await this.hear();
  }

  /** What other services have counted. */
  private async hear(): Promise<void> {
    this.elsewhere = await this.files.others(today());
    for (const [tenant, { allowance }] of this.callers) allowance.elsewhere = this.elsewhere.get(tenant) ?? allowance.elsewhere;
  }
}

function today(): string {
  return new Date().toISOString().slice(0, 10);
}

function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true });
  return stat ? `${stat.ino} ${stat.size} ${stat.mtimeNs}` : '';
}
