// The documentation that can be compared with the code: docs/syscalls.md and its rows, docs/errors.md.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import test from 'node:test';
import { ROWS } from '../../src/kernel/syscalls/table.ts';
import { SYSCALLS_PAGE, syscallsPage } from '../../tools/docs.ts';

const ROOT = resolve(import.meta.dirname, '../..');
/** Highest number of the x86-64 table that we know of; the x32 calls from 512 on do not exist here. */
const NR_MAX = 511;

function duplicates<T>(list: readonly T[]): T[] {
  return list.filter((item, index) => list.indexOf(item) !== index);
}

test('docs/syscalls.md is current (npm run docs)', () => {
  assert.equal(readFileSync(SYSCALLS_PAGE, 'utf8'), syscallsPage());
});

test('rows: each number and each name once', () => {
  assert.deepEqual(duplicates(ROWS.map((row) => row.nr)), []);
  assert.deepEqual(duplicates(ROWS.map((row) => row.name)), []);
});

test('rows: numbers are x86-64 numbers, at most six arguments', () => {
  assert.deepEqual(ROWS.filter((row) => !(Number.isInteger(row.nr) && row.nr >= 0 && row.nr <= NR_MAX) || row.args.length > 6), []);
});

test('rows: what is not full says why, what is absent has no handler', () => {
  const silent = ROWS.filter(({ support }) => support.level !== 'full' && support.note.trim() === '');
  assert.deepEqual(silent.map((row) => row.name), []);
  const torn = ROWS.filter((row) => (row.handler === null) !== (row.support.level === 'enosys'));
  assert.deepEqual(torn.map((row) => row.name), []);
});

const HEADER = '/usr/include/x86_64-linux-gnu/asm/unistd_64.h';

test('rows: numbers and names are those of the C headers', { skip: existsSync(HEADER) ? false : 'no C headers here' }, () => {
  const known = new Map([...readFileSync(HEADER, 'utf8').matchAll(/^#define __NR_(\w+) (\d+)$/gm)].map((match) => [match[1], Number(match[2])]));
  const wrong = ROWS.filter((row) => known.has(row.name) && known.get(row.name) !== row.nr);
  assert.deepEqual(wrong.map((row) => row.name), []);
  const named = new Set(ROWS.map((row) => row.name));
  const last = Math.max(...ROWS.map((row) => row.nr));
  // Headers newer than the table have calls behind its end.
  assert.deepEqual([...known].filter(([name, nr]) => nr <= last && !named.has(name)), [], 'calls without a row');
});

test('docs/errors.md has each error code, and no other', () => {
  const source = readFileSync(resolve(ROOT, 'src/engine/errors.ts'), 'utf8');
  const union = /const ERROR_CODES = \[([^;]*)\] as const;/.exec(source)?.[1] ?? '';
  const codes = [...union.matchAll(/'([\w-]+)'/g)].map((match) => match[1]).sort();
  assert.ok(codes.length > 5);
  const page = readFileSync(resolve(ROOT, 'docs/errors.md'), 'utf8');
  const uses = readdirSync(resolve(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(resolve(ROOT, 'src', name), 'utf8').replace(union, '')).join('\n');
  assert.deepEqual(codes.filter((code) => !uses.includes(`'${code}'`)), [], 'codes nothing throws');
  const sections = [...page.matchAll(/^### `([\w-]+)`$/gm)].map((match) => match[1]).sort();
  assert.deepEqual(sections, codes);
});

test('docs/errors.md: each code says what it means and what to do', () => {
  const page = readFileSync(resolve(ROOT, 'docs/errors.md'), 'utf8');
  for (const section of page.split(/^### /m).slice(1)) {
    const name = section.slice(0, section.indexOf('\n'));
    assert.match(section, /\n\*Cause\.\* \S/, `${name}: no cause`);
    assert.match(section, /\n\*What to do\.\* \S/, `${name}: nothing to do`);
  }
});
