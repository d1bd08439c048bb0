// The use of quotas, kept over restarts and shared by services on one home: each writes a file of its own and reads those of the others, so
// nobody overwrites what another has counted. A file is of one day (UTC) and is removed when it is over.

import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What one tenant used on a day. */
export interface DayUse { day: string; runs: number; cpuMs: number }

export class UsageFiles {
  private readonly directory: string;
  private readonly name = `${randomUUID()}.json`;
  private written = '';

  constructor(directory: string) {
    this.directory = directory;
  }

  /** What the other services count today, those that have ended included, by tenant. */
  others(today: string): Map<string, DayUse> {
    const sums = new Map<string, DayUse>();
    for (const name of this.names()) {
      if (name === this.name || !name.endsWith('.json')) continue;
      const uses = readUses(join(this.directory, name));
      if (uses.length > 0 && uses.every(([, { day }]) => day < today)) rmSync(join(this.directory, name), { force: true });
      for (const [tenant, { day, runs, cpuMs }] of uses) {
        const sum = sums.get(tenant) ?? { day: today, runs: 0, cpuMs: 0 };
        if (day === today) sums.set(tenant, { day, runs: sum.runs + runs, cpuMs: sum.cpuMs + cpuMs });
      }
    }
    return sums;
  }

  /** Throws a system error. */
  write(uses: readonly (readonly [string, DayUse])[]): void {
    const text = JSON.stringify(uses);
    if (text === this.written || (this.written === '' && uses.length === 0)) return;
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const aside = join(this.directory, `${this.name}.tmp`);
    try {
      writeFileSync(aside, text, { mode: 0o600 });
      renameSync(aside, join(this.directory, this.name));
      this.written = text;
    } catch (error) {
      rmSync(aside, { force: true });
      throw error;
    }
  }

  private names(): string[] {
    try {
      return readdirSync(this.directory);
    } catch {
      return []; // none yet
    }
  }
}

/** Nothing where it is damaged: the day's use of that service begins anew. */
function readUses(path: string): [string, DayUse][] {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as [string, DayUse][];
  } catch {
    return [];
  }
}
