// What is kept of a program's output.

import assert from 'node:assert/strict';
import test from 'node:test';
import { OutputLog, type LogPosition } from '../../src/engine/outputlog.ts';

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
  const log = new OutputLog(100);
  append(log, [1, 'ab'], [1, 'cd'], [2, 'E'], [1, 'fg']);
  assert.equal(read(log), '1:abcd 2:E 1:fg');
  assert.equal(read(log, { stdout: 3, stderr: 0 }), '1:d 2:E 1:fg');
  assert.equal(read(log, { stdout: 4, stderr: 1 }), '1:fg');
  assert.equal(read(log, { stdout: 6, stderr: 1 }), '');
  assert.equal(read(log, { stdout: 99, stderr: 99 }), '');
  assert.deepEqual(log.end, { stdout: 6, stderr: 1 });
});

test('the oldest goes, and is counted', () => {
  const log = new OutputLog(10);
  append(log, [2, 'err'], [1, 'abcdefgh']);
  assert.equal(read(log), '1:abcdefgh');
  append(log, [1, 'x'.repeat(25)], [2, 'end']);
  assert.equal(read(log), '2-3-:end');
  append(log, [1, '0123456789']);
  assert.equal(read(log, { stdout: 5, stderr: 6 }), '1-28-:0123456789');
  const { pieces, lostBytes } = log.drain();
  assert.deepEqual([pieces.length, lostBytes], [1, 8 + 25 + 6]);
  assert.deepEqual(log.drain(), { pieces: [], lostBytes: 0 });
});

test('a copy goes on by itself, and what was appended is a copy', () => {
  const log = new OutputLog(100);
  const bytes = Buffer.from('ab');
  log.append(1, bytes);
  bytes.fill(0);
  const copy = log.copy();
  append(log, [1, 'source']);
  append(copy, [1, 'copy']);
  assert.equal(read(log), '1:absource');
  assert.equal(read(copy), '1:abcopy');
});
