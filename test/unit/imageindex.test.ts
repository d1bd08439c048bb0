// The image index: what is written is read back, and nothing damaged passes.

import assert from 'node:assert';
import test from 'node:test';
import {
  completeImageIndex, encodeImageIndex, imageLookup, ImageIndexError, imagePath, parseImageIndex,
} from '../../src/kernel/fs/imageindex.ts';
import type { ImageColumns } from '../../src/kernel/fs/imageindex.ts';

const DIR = 0o040755;
const FILE = 0o100644;
const LINK = 0o120777;

interface More { size?: number; offset?: number; inode?: number; target?: string; rdev?: number }
type Row = [name: string, parent: number, mode: number, more?: More];

/** Bytes above ASCII, one of them in the range where windows-1252 and latin1 differ. */
const ODD_NAME = 'z\x80\xff\xe9';

/**
 * /         0
 * ├ bin  →  1   usr/bin
 * ├ dev     2
 * │ └ null  4   character device 1:3
 * └ usr     3
 *   ├ a     5   hard links of one
 *   ├ b     6   file
 *   └ z…    7   empty file
 */
function columns(change: (rows: Row[]) => void = () => {}): ImageColumns {
  const rows: Row[] = [
    ['', 0, DIR], ['bin', 0, LINK, { target: 'usr/bin', size: 7 }], ['dev', 0, DIR], ['usr', 0, DIR],
    ['null', 2, 0o020666, { rdev: 0x103 }], ['a', 3, FILE, { size: 5000, offset: 4096, inode: 6 }],
    ['b', 3, FILE, { size: 5000, offset: 4096, inode: 6 }], [ODD_NAME, 3, FILE],
  ];
  change(rows);
  const u32 = (value: (row: Row, i: number) => number) => Uint32Array.from(rows, value);
  return {
    blobSha256: 'ab'.repeat(32), blobSizeBytes: 12288,
    name: rows.map((row) => row[0]), target: rows.map((row) => row[3]?.target ?? ''),
    parent: u32((row) => row[1]), mode: u32((row) => row[2]), uid: u32(() => 1000), gid: u32((_, i) => i),
    rdev: u32((row) => row[3]?.rdev ?? 0),
    inode: u32((row, i) => row[3]?.inode ?? i + 1), mtimeNsec: u32(() => 5),
    sizeBytes: Float64Array.from(rows, (row) => row[3]?.size ?? 0), offset: Float64Array.from(rows, (row) => row[3]?.offset ?? 0),
    mtimeSec: Float64Array.from(rows, (_, i) => (i === 1 ? -86400 : 1.7e9)),
  };
}

test('hard links of one file have equal attributes', () => {
  const both = columns();
  both.gid[6] = 5;
  assert.ok(completeImageIndex(both));
  both.gid[6] = 6;
  assert.throws(() => completeImageIndex(both), /hard link 6/);
});

function sample() {
  const valid = columns();
  valid.gid[6] = 5;
  return completeImageIndex(valid);
}

test('an index is read back as it was written', () => {
  const index = sample();
  const bytes = encodeImageIndex(index);
  assert.deepStrictEqual(parseImageIndex(bytes), index);
  assert.deepStrictEqual(parseImageIndex(bytes, true), index);
  assert.deepStrictEqual(encodeImageIndex(parseImageIndex(bytes)), bytes);
});

test('an index is read from bytes at any alignment', () => {
  const bytes = encodeImageIndex(sample());
  const shifted = new Uint8Array(bytes.length + 3).subarray(3);
  shifted.set(bytes);
  assert.deepStrictEqual(parseImageIndex(shifted), sample());
});

test('link counts, child ranges, lookup and paths', () => {
  const index = sample();
  assert.deepStrictEqual([...index.nlink], [4, 1, 2, 2, 1, 2, 2, 1]);
  assert.deepStrictEqual([...index.childCount], [3, 0, 1, 3, 0, 0, 0, 0]);
  assert.strictEqual(imageLookup(index, 3, ODD_NAME), 7);
  assert.strictEqual(imageLookup(index, 0, 'usr'), 3);
  assert.strictEqual(imageLookup(index, 0, 'us'), -1);
  assert.strictEqual(imageLookup(index, 5, 'usr'), -1);
  assert.strictEqual(imagePath(index, 4), '/dev/null');
  assert.strictEqual(imagePath(index, 0), '/');
});

test('trees and attributes that cannot be are refused', () => {
  const cases: [RegExp, (rows: Row[]) => void][] = [
    [/root directory/, (rows) => { rows[0][2] = FILE; }],
    [/parent of entry 4/, (rows) => { rows[4][1] = 4; }],
    [/parent of entry 5/, (rows) => { rows[5][1] = 0; }],
    [/not a directory/, (rows) => { rows[4][1] = 1; }],
    [/name of entry 1/, (rows) => { rows[1][0] = '..'; }],
    [/name of entry 1/, (rows) => { rows[1][0] = 'a/b'; }],
    [/name of entry 1/, (rows) => { rows[1][0] = ''; }],
    [/name of entry 1/, (rows) => { rows[1][0] = 'b\0'; }],
    [/order of entry 2/, (rows) => { rows[2][0] = 'bin'; }],
    [/order of entry 3/, (rows) => { rows[3][0] = 'aaa'; }],
    [/mode of entry 4/, (rows) => { rows[4][2] = 0o030644; }],
    [/mode of entry 4/, (rows) => { rows[4][2] = 0o1100644; }],
    [/content of entry 5/, (rows) => { rows[5][3] = { size: 5000, offset: 8192 }; }],
    [/content of entry 5/, (rows) => { rows[5][3] = { size: 50, offset: 100 }; }],
    [/content of entry 5/, (rows) => { rows[5][3] = { size: 50, offset: NaN }; }],
    [/size of entry 5/, (rows) => { rows[5][3] = { size: -1, offset: 0 }; }],
    [/size of entry 5/, (rows) => { rows[5][3] = { size: Infinity, offset: 0 }; }],
    [/size of entry 2/, (rows) => { rows[2][3] = { size: 1 }; }],
    [/target of entry 1/, (rows) => { rows[1][3] = { size: 0 }; }],
    [/target of entry 7/, (rows) => { rows[7][3] = { target: 'x' }; }],
    [/inode number of entry 7/, (rows) => { rows[7][3] = { inode: 9 }; }],
    [/hard link 7/, (rows) => { rows[7][3] = { inode: 4 }; }],
  ];
  for (const [message, change] of cases) {
    const bad = columns(change);
    bad.gid[6] = 5;
    const right = (error: Error) => error instanceof ImageIndexError && message.test(error.message);
    assert.throws(() => completeImageIndex(bad), right, String(message));
  }
});

test('a truncated or lengthened file is refused', () => {
  const bytes = encodeImageIndex(sample());
  for (let length = 0; length < bytes.length; length += 7) {
    for (const trusted of [false, true]) assert.throws(() => parseImageIndex(bytes.slice(0, length), trusted), ImageIndexError);
  }
  assert.throws(() => parseImageIndex(new Uint8Array([...bytes, 0])), ImageIndexError);
  assert.throws(() => parseImageIndex(new Uint8Array(100)), /not an image index/);
});

test('another version is refused by name', () => {
  const bytes = encodeImageIndex(sample());
  bytes[8] = 9;
  assert.throws(() => parseImageIndex(bytes), /version 9, expected 1/);
});

test('any changed byte gives an error of the right kind or an index that is still consistent', () => {
  const bytes = encodeImageIndex(sample());
  for (let at = 0; at < bytes.length; at++) {
    for (const bit of [0x01, 0x80, 0xff]) {
      const damaged = bytes.slice();
      damaged[at] ^= bit;
      try {
        completeImageIndex(parseImageIndex(damaged));
      } catch (error) {
        assert.ok(error instanceof ImageIndexError, `byte ${at}: ${error}`);
      }
    }
  }
});
