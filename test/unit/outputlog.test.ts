// What is kept of a program's output.

import assert from 'node:assert/strict';
import test from 'node:test';
import { LogBudget, OutputLog, type LogPosition } from '../../src/engine/outputlog.ts';

/** A log that has as much as it wants of its budget. */
function log(bytesMax: number): OutputLog {
  return new OutputLog(bytesMax, new LogBudget(1 << 20));
}

/** Everything behind a position, as a reader sees it. */
function read(log: OutputLog, from: LogPosition = { stdout: 0, stderr: 0 }): string {
  let seen = '';
  let at = { ...from };
  for (let piece = log.after(at); piece; piece = log.after(at)) {
    const before = piece.stream === 1 ? at.stdout : at.stderr;
    seen += `${piece.stream}${piece.at > before ? `-${piece.at - before}-` : ''}:${Buffer.from(piece.bytes)} `;
    at = piece.stream === 1 ? { ...at, stdout: piece.at + piece.bytes.length } : { ...at, stderr: piece.at + piece.bytes.length };
  }
  return seen.trim();
}

function append(log: OutputLog, ...parts: readonly [1 | 2, string][]): void {
  for (const [stream, text] of parts) log.append(stream, Buffer.from(text));
}

test('order, positions, readers that come back', () => {
  const kept = log(1000);
  append(kept, [1, 'ab'], [1, 'cd'], [2, 'E'], [1, 'fg']);
  assert.equal(read(kept), '1:abcd 2:E 1:fg');
  assert.equal(read(kept, { stdout: 3, stderr: 0 }), '1:d 2:E 1:fg');
  assert.equal(read(kept, { stdout: 4, stderr: 1 }), '1:fg');
  assert.equal(read(kept, { stdout: 6, stderr: 1 }), '');
  assert.equal(read(kept, { stdout: 99, stderr: 99 }), '');
  assert.deepEqual(kept.end, { stdout: 6, stderr: 1 });
});

test('the oldest goes, and is counted', () => {
  const kept = log(10);
  append(kept, [2, 'err'], [1, 'abcdefgh']);
  assert.equal(read(kept), '1:abcdefgh');
  append(kept, [1, 'x'.repeat(25)], [2, 'end']);
  assert.equal(read(kept), '2-3-:end');
  append(kept, [1, '0123456789']);
  assert.equal(read(kept, { stdout: 5, stderr: 6 }), '1-28-:0123456789');
  const { pieces, lostBytes } = kept.drain();
  assert.deepEqual([pieces.length, lostBytes], [1, 8 + 25 + 6]);
  assert.deepEqual(kept.drain(), { pieces: [], lostBytes: 0 });
});

test('many small pieces cost what they take; all logs have a budget together', () => {
  const budget = new LogBudget(10_000);
  const [first, second] = [new OutputLog(8000, budget), new OutputLog(8000, budget)];
  for (let i = 0; i < 1000; i++) append(first, [1, 'a'], [2, 'b']);
  assert.ok(read(first).split(' ').length < 70);
  for (let i = 0; i < 1000; i++) append(second, [1, 'a'], [2, 'b']);
  assert.ok(budget.usedBytes <= budget.bytesMax);
  assert.ok(read(second).split(' ').length < 20);
  first.drain();
  second.drain();
  assert.equal(budget.usedBytes, 0);
});

test('a copy goes on by itself, and what was appended is a copy', () => {
  const kept = log(1000);
  const bytes = Buffer.from('ab');
  kept.append(1, bytes);
  bytes.fill(0);
  const copy = kept.copy(new LogBudget(1000));
  append(kept, [1, 'source']);
  append(copy, [1, 'copy']);
  assert.equal(read(kept), '1:absource');
  assert.equal(read(copy), '1:abcopy');
});
