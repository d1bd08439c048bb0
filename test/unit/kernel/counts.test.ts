// Counts that start as a saved state's: against a plain array, and the state stays as it was.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counts } from '../../../src/kernel/mm/counts.ts';

test('counts: what was set is read, the rest is as saved, and what is saved again is both', () => {
  const base = Uint32Array.from({ length: 2500 }, (_value, i) => i * 7);
  const before = base.slice();
  const counts = new Counts(base);
  const model = new Map<number, number>();
  for (const [index, value] of [[0, 9], [1023, 1], [1024, 0x8000_0001], [2499, 5], [2500, 6], [9000, 7], [1024, 2]] as const) {
    counts.set(index, value);
    model.set(index, value);
  }
  const expected = (index: number): number => model.get(index) ?? before[index] ?? 0;
  for (let index = 0; index < 10_000; index++) assert.equal(counts.get(index), expected(index), `index ${index}`);
  assert.deepEqual(base, before);
  for (const length of [1, 1024, 2500, 9001]) {
    assert.deepEqual([...new Counts(counts.save(length)).save(length)], Array.from({ length }, (_value, i) => expected(i)));
  }
});
