// The use of quotas, kept over restarts and shared by services on one home: each writes a file of its own and reads those of the others, so
// nobody overwrites what another has counted. A file is of one day (UTC) and is removed when it is over.

import { randomUUID } from 'node:crypto';
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
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
  async others(today: string): Promise<Map<string, DayUse>> {
    const sums = new Map<string, DayUse>();
    for (const name of await this.names()) {
      if (name === this.name || !name.endsWith('.json')) continue;
      const uses = await readUses(join(this.directory, name));
      if (uses.length > 0 && uses.every(([, { day }]) => day < today)) await removeIfThere(join(this.directory, name));
      for (const [tenant, { day, runs, cpuMs }] of uses) {
        const sum = sums.get(tenant) ?? { day: today, runs: 0, cpuMs: 0 };
        if (day === today) sums.set(tenant, { day, runs: sum.runs + runs, cpuMs: sum.cpuMs + cpuMs });
      }
    }
    return sums;
  }

  /** One call at a time. Rejects with a system error. */
  async write(uses: readonly (readonly [string, DayUse])[]): Promise<void> {
    const text = JSON.stringify(uses);
    if (text === this.written || (this.written === '' && uses.length === 0)) return;
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const aside = join(this.directory, `${this.name}.tmp`);
    try {
      await writeFile(aside, text, { mode: 0o600 });
      await rename(aside, join(this.directory, this.name));
      this.written = text;
    } catch (error) {
      await removeIfThere(aside);
      throw error;
    }
  }

  private names(): Promise<string[]> {
    return readdir(this.directory).catch(() => []); // none yet
  }
}

/** Nothing where it is damaged: the day's use of that service begins anew. */
async function readUses(path: string): Promise<[string, DayUse][]> {
  try {
    const uses: unknown = JSON.parse(await readFile(path, 'utf8'));
    return Array.isArray(uses) ? uses as [string, DayUse][] : [];
  } catch {
    return [];
  }
}

/** Another service may do the same, or this one may not. */
async function removeIfThere(path: string): Promise<void> {
  await rm(path, { force: true }).catch(() => {});
}
