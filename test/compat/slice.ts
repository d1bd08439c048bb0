// Slices of other people's test suites as tests (tools/compat runs the whole of them): natively where that is possible, and in
// sandboxes on the same image. What passes natively must pass here.
//
// Interface: testSlice.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { before, describe, test } from 'node:test';
import { KvmHost } from '../../src/engine/kvmhost.ts';
import { offshootHome } from '../../src/image/home.ts';
import { compare, passed } from '../../tools/compat/compare.ts';
import { compatImage, NAME } from '../../tools/compat/image.ts';
import type { Outcome } from '../../tools/compat/job.ts';
import { runSide, type Place } from '../../tools/compat/run.ts';
import { suiteOf } from '../../tools/compat/suites.ts';
import { nativeRoot } from '../../tools/sides/image.ts';
import type { Program } from '../../tools/sides/program.ts';

const LIMIT_MS = 240_000;

/** Natively needs root and the namespaces of a container. */
const HAS_NATIVE = process.getuid?.() === 0 && spawnSync('unshare', ['-m', '-p', '-f', '-n', '-u', '-i', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;

let place: Place = { home: '', imageId: '', root: '' };

async function prepare(): Promise<void> {
  const home = offshootHome();
  const image = await compatImage(KvmHost.open(home));
  place = { home, imageId: image.id, root: HAS_NATIVE ? nativeRoot(home, NAME, image) : '' };
}

/** Without a native run everything is expected to pass that ran. */
async function expectation(program: Program, here: Outcome): Promise<Outcome> {
  if (HAS_NATIVE) return await runSide('native', place, program);
  const ran = Object.keys(here.tests).filter((name) => here.tests[name] !== 'skip');
  return { ...here, file: 'good', exitCode: 0, tests: Object.fromEntries(ran.map((name) => [name, 'ok' as const])) };
}

/** One test for each of the suite's units. */
export function testSlice(name: string, units: readonly string[]): void {
  describe(name, () => {
    before(prepare);
    for (const unit of units) test(unit, () => compareSides(name, unit));
  });
}

async function compareSides(name: string, unit: string): Promise<void> {
  const suite = suiteOf(name);
  assert.ok(suite);
  const program: Program = { argv: suite.argv(unit, LIMIT_MS / 1000 - 10, []), timeoutMs: LIMIT_MS, memoryBytes: suite.memoryBytes };
  const here = await runSide('sandbox', place, program);
  const native = await expectation(program, here);
  assert.ok(passed(native), `natively: ${native.tail}`);
  const { standing, wrong } = compare(native, here);
  assert.deepEqual(wrong.map((one) => `${one} ${here.tests[one] ?? 'not run'}: ${here.details[one] ?? ''}`), []);
  assert.equal(standing, 'pass', `${here.reason ?? ''}\n${here.tail}`);
}
