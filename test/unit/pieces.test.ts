// Output as it comes: nothing is lost, and small pieces do not cost much more than they hold.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Pieces } from '../../src/engine/pieces.ts';

test('pieces come back whole and in order, as copies; small ones are joined', () => {
  const pieces = new Pieces();
  const all: number[] = [];
  const reused = Buffer.alloc(3);
  for (let i = 0; i < 10_000; i++) {
    const bytes = reused.subarray(0, i % 4);
    bytes.fill(i);
    pieces.push(bytes);
    all.push(...bytes);
  }
  assert.deepEqual(Buffer.concat([...pieces]), Buffer.from(all));
  assert.ok(pieces.count < 300, `${pieces.count} buffers`);
  assert.deepEqual([...new Pieces()], []);
});
