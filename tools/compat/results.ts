// Outcomes on disk: one JSON file for each suite, unit and side, so that a run can be resumed and single units run again.
//
// Interface: Results. They live in the home directory (compat/SUITE/SIDE/UNIT.json), outside the project.

import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Outcome } from './job.ts';

export type Side = 'native' | 'sandbox';

export class Results {
  private readonly dir: string;

  constructor(home: string) {
    this.dir = path.join(home, 'compat');
  }

  get(suite: string, side: Side, unit: string): Outcome | null {
    try {
      return JSON.parse(fs.readFileSync(this.path(suite, side, unit), 'utf8')) as Outcome;
    } catch {
      return null;
    }
  }

  put(suite: string, side: Side, unit: string, outcome: Outcome): void {
    const file = this.path(suite, side, unit);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(`${file}.tmp`, JSON.stringify(outcome, null, 1));
    fs.renameSync(`${file}.tmp`, file);
  }

  /** When the oldest and the newest outcome of these units were taken; null: there is none. */
  span(suite: string, units: readonly string[]): { readonly from: Date; readonly to: Date } | null {
    const sides: readonly Side[] = ['native', 'sandbox'];
    const files = units.flatMap((unit) => sides.map((side) => this.path(suite, side, unit)));
    const times = files.flatMap((file) => fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? []);
    return times.length === 0 ? null : { from: new Date(Math.min(...times)), to: new Date(Math.max(...times)) };
  }

  private path(suite: string, side: Side, unit: string): string {
    return path.join(this.dir, suite, side, `${unit.replaceAll('/', '.')}.json`);
  }
}
