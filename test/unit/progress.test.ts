// The line that a terminal shows while something is built.

import assert from 'node:assert/strict';
import test from 'node:test';
import { barLine, progressPrinter } from '../../src/cli/progress.ts';

const step = (phase: string, message: string, done = 0, total = 0) => ({ phase, message, done, total });

test('a bar, its share, what is done; never as wide as the terminal', () => {
  assert.equal(barLine(step('unpack', 'unpacking bash', 1, 4), 80), 'offshoot: [######..................]  25% unpacking bash');
  assert.equal(barLine(step('download', 'x', 9, 3), 80), `offshoot: [${'#'.repeat(24)}] 100% x`);
  assert.equal(barLine(step('compile', 'byte-compiling'), 80), 'offshoot: byte-compiling');
  assert.equal(barLine(step('unpack', 'a\x1b[2Jb\nc', 0, 0), 80), 'offshoot: a [2Jb c');
  for (const columns of [0, 1, 20, 40]) assert.ok(barLine(step('unpack', 'long '.repeat(50), 1, 2), columns).length < Math.max(1, columns));
});

/** What is written to a stream. */
function written(isTTY: boolean, ...steps: readonly ReturnType<typeof step>[]): string {
  let text = '';
  const write = (piece: string): void => void (text += piece);
  const print = progressPrinter({ isTTY, columns: 80, write } as unknown as NodeJS.WriteStream);
  for (const each of steps) print(each);
  return text;
}

test('not a terminal: what is going to be built, and that it is there; no line twice', () => {
  const lists = [step('lists', 'file 1', 0, 3), step('lists', 'file 1', 1, 3)];
  const steps = [step('plan', 'will be built'), ...lists, step('template', 'building'), step('done', 'ready')];
  assert.equal(written(false, ...steps), 'offshoot: will be built\noffshoot: ready\n');
  const again = [step('stale', 'is built again: another version'), step('template', 'building'), step('done', 'ready')];
  assert.equal(written(false, ...again), 'offshoot: is built again: another version\noffshoot: ready\n');
});
