// Random system calls from processes and threads (test/kvm/hostile/fuzz.c): seeds that once found something, then new ones for
// OFFSHOOT_FUZZ_SECONDS (default 40). A failure names its seed; OFFSHOOT_FUZZ_SEED=n repeats it.

import assert from 'node:assert/strict';
import test from 'node:test';
import { SLOW } from './enginehelp.ts';
import { cannotBuild } from './hostilebuild.ts';
import { attack } from './hostilehelp.ts';

const SECONDS = Number(process.env['OFFSHOOT_FUZZ_SECONDS'] ?? 40);
const CHILDREN = 24, CALLS = 250;
/** Kept for what they found, or for their age. */
const KEPT = [1, 7, 4242, 877246438];
const own = process.env['OFFSHOOT_FUZZ_SEED'];

async function fuzz(seed: number): Promise<void> {
  const result = await attack('fuzz', [String(seed), String(CHILDREN), String(CALLS)], 90_000);
  const what = `OFFSHOOT_FUZZ_SEED=${seed}: ${result.limit ?? ''} ${result.reason ?? ''} ${result.stderr.toString()}`;
  assert.match(result.stdout.toString(), new RegExp(`^children ${CHILDREN}: `), what);
}

for (const seed of own === undefined ? KEPT : [Number(own)]) test(`seed ${seed}`, { skip: cannotBuild }, () => fuzz(seed));

test('new seeds', { skip: own === undefined ? cannotBuild : 'one seed was asked for', timeout: (SECONDS + 120 * SLOW) * 1000 }, async () => {
  const endMs = performance.now() + SECONDS * 1000;
  let rounds = 0;
  for (; performance.now() < endMs; rounds++) {
    const seed = Math.floor(Math.random() * 2 ** 31);
    try {
      await fuzz(seed);
    } catch (error) {
      if (error instanceof Error) error.message = `OFFSHOOT_FUZZ_SEED=${seed}: ${error.message}`;
      throw error;
    }
  }
  process.stdout.write(`fuzzed ${rounds} seeds\n`);
});
