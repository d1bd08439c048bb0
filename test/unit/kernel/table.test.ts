// The table of system calls: complete, without duplicates, consistent.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { argCode } from '../../../src/kernel/syscalls/args.ts';
import { ROWS } from '../../../src/kernel/syscalls/table.ts';

const HEADER = '/usr/include/x86_64-linux-gnu/asm/unistd_64.h';

test('no number and no name twice', () => {
  const numbers = ROWS.map((row) => row.nr), names = ROWS.map((row) => row.name);
  assert.deepEqual(numbers.filter((nr, i) => numbers.indexOf(nr) !== i), []);
  assert.deepEqual(names.filter((name, i) => names.indexOf(name) !== i), []);
});

test('a row for every number of the kernel that is emulated', () => {
  const numbers = new Set(ROWS.map((row) => row.nr));
  const missing: number[] = [];
  for (let nr = 0; nr <= 450; nr++) if (!numbers.has(nr) && (nr <= 334 || nr >= 424)) missing.push(nr);
  assert.deepEqual(missing, []);
});

test('numbers and names are those of the C header', { skip: !existsSync(HEADER) }, () => {
  const names = new Map(ROWS.map((row) => [row.nr, row.name]));
  for (const [, name, nr] of readFileSync(HEADER, 'utf8').matchAll(/#define __NR_(\w+) (\d+)/g)) assert.equal(names.get(Number(nr)), name);
});

test('rows are consistent', () => {
  for (const row of ROWS) {
    assert.ok(row.args.length <= 6, row.name);
    for (const kind of row.args) assert.ok(argCode(kind) >= 0, row.name);
    assert.equal(row.handler === null, row.support.level === 'enosys', row.name);
    if (row.support.level !== 'full') assert.ok(row.support.note.length > 3, `${row.name} needs a note`);
    if (row.handler) assert.ok(row.handler.length <= row.args.length + 1, `${row.name}: more parameters than arguments`);
  }
});
