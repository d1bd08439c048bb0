// npm run compat: other people's test suites, natively and in sandboxes on the same image (docs/compat.md says what came out).
//
//   npm run compat -- SUITE [UNIT…] [--side native|sandbox] [--again] [--limit SECONDS] [--match PATTERN] [--details]
//   npm run compat -- report
//
// SUITE: cpython, numpy, stress. Without units all of them; what has been run already is not run again unless --again says so (natively
// only with --side native too), so a run that was interrupted goes on.
// Each side of each unit is a process with a time limit; outcomes are kept in the home directory. `report` writes docs/compat.md.

import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { KvmHost } from '../../src/engine/kvmhost.ts';
import { offshootHome } from '../../src/image/home.ts';
import { findImage } from '../../src/image/store.ts';
import { compare } from './compare.ts';
import { nativeRoot } from '../sides/image.ts';
import type { Program } from '../sides/program.ts';
import { compatImage, NAME } from './image.ts';
import type { Outcome } from './job.ts';
import { compatPage } from './report.ts';
import { Results, type Side } from './results.ts';
import { runSide, type Place } from './run.ts';
import { SUITES, suiteOf, type Suite } from './suites.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    side: { type: 'string' }, again: { type: 'boolean' }, limit: { type: 'string' }, details: { type: 'boolean' },
    match: { type: 'string', multiple: true, default: [] },
  },
});

/** A sandbox may be this much slower before it is too slow. */
const SLOWER_MAX = 8;
const LEAST_MS = 120_000;

const PAGE = resolve(import.meta.dirname, '../../docs/compat.md');

class Runner {
  private readonly results: Results;
  private readonly place: Place;

  constructor(place: Place) {
    this.place = place;
    this.results = new Results(place.home);
  }

  async unit(suite: Suite, unit: string): Promise<void> {
    const native = values.side === 'sandbox' ? this.results.get(suite.name, 'native', unit) : await this.side(suite, 'native', unit, suite.nativeLimitMs);
    if (values.side === 'native' || native === null) return;
    const here = await this.side(suite, 'sandbox', unit, Math.max(LEAST_MS, SLOWER_MAX * native.timeMs));
    print(unit, native, here);
  }

  private async side(suite: Suite, side: Side, unit: string, limitMs: number): Promise<Outcome> {
    const isPart = values.match.length > 0;
    const known = this.results.get(suite.name, side, unit);
    const isWanted = values.again && (side === 'sandbox' || values.side === 'native');
    if (known && !isWanted && !isPart) return known;
    const timeoutMs = values.limit === undefined ? limitMs : Number(values.limit) * 1000;
    const program: Program = {
      argv: suite.argv(unit, Math.max(timeoutMs / 1000 - 10, 5), values.match), timeoutMs, memoryBytes: suite.memoryBytes,
    };
    const outcome = await runSide(side, this.place, program);
    if (!isPart) this.results.put(suite.name, side, unit, outcome);
    return outcome;
  }

}

function print(unit: string, native: Outcome, here: Outcome): void {
  const { standing, ok, nativeOk, wrong } = compare(native, here);
  const seconds = (ms: number): string => (ms / 1000).toFixed(1);
  process.stdout.write(`${standing.padEnd(6)} ${unit}  ${ok}/${nativeOk}  ${seconds(here.timeMs)} s (${seconds(native.timeMs)} s)`
    + `${here.reason === null ? '' : `  ${here.reason.split('\n')[0]}`}\n`);
  if (values.details) {
    for (const name of wrong) process.stdout.write(`--- ${name} ${here.tests[name] ?? 'not reached'}\n${here.details[name] ?? ''}\n`);
    process.stdout.write(`--- tail\n${here.tail}\n${here.reason ?? ''}\n${JSON.stringify(here.unimplemented)}\n`);
  }
}

async function main(): Promise<void> {
  const suite = suiteOf(positionals[0] ?? '');
  if (!suite && positionals[0] !== 'report') {
    process.stderr.write(`compat: name a suite: ${SUITES.map(({ name }) => name).join(', ')}; or report.\n`);
    process.exitCode = 2;
    return;
  }
  const home = offshootHome();
  const host = KvmHost.open(home);
  const image = await compatImage(host);
  const root = nativeRoot(home, NAME, image);
  if (!suite) {
    writeFileSync(PAGE, compatPage(SUITES, root, new Results(home), findImage(home, NAME)?.packages ?? []));
    return;
  }
  const known = suite.units(root);
  const units = positionals.length > 1 ? positionals.slice(1) : known;
  const strange = units.find((unit) => !known.includes(unit));
  if (strange !== undefined) {
    process.stderr.write(`compat: ${suite.name} has no ${JSON.stringify(strange)}.\n`);
    process.exitCode = 2;
    return;
  }
  const runner = new Runner({ home, imageId: image.id, root });
  for (const unit of units) await runner.unit(suite, unit);
}

await main();
