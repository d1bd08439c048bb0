// What tools/soak.ts calls growth: memory that is held, and not the room that V8 makes for new objects.

import assert from 'node:assert/strict';
import test from 'node:test';
import { growth, sample, type Sample } from '../../tools/soaksamples.ts';

const SAMPLES = 16, RUNS = 1000;

/** Few objects at a time, each of which outlives a collection or two: V8 makes more and more room for new ones. */
function churn(): void {
  let kept: object[] = [];
  for (let i = 0; i < 3_000_000; i++) {
    kept.push({ i, list: [i] });
    if (kept.length > 4_000) kept = [];
  }
}

function samples(work: (number: number) => void): Sample[] {
  return Array.from({ length: SAMPLES }, (_, number) => {
    work(number);
    return sample(number * RUNS);
  });
}

test('room for new objects is no growth of this process, and is told', () => {
  const seen = samples((number) => number > SAMPLES / 2 && churn());
  const young = seen.map(({ youngMb }) => youngMb);
  assert.ok(Math.max(...young) > young[0] + 12, `V8 made no room: ${young.join(' ')}`);
  assert.deepEqual(growth(seen), []);
});

test('memory that is kept is growth, inside the heap and outside of it', () => {
  const kept: unknown[] = [];
  assert.match(String(growth(samples(() => void kept.push(Buffer.alloc(4 << 20, 1))))), /ownHeapMb grew .*ownMb grew/s);
  assert.equal(kept.length, SAMPLES);
});
