// src/guest/park.ts is park.S, assembled, and its file is one that Linux runs: natively, descriptor 3 being a file, it
// says that it is ready and its child says what it is for.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test, { after } from 'node:test';
import { PARK, PARK_CODE } from '../../src/guest/park.ts';

const SOURCE = resolve(import.meta.dirname, '../../src/guest/park.S');
const dir = mkdtempSync(join(tmpdir(), 'offshoot-park-'));
after(() => rmSync(dir, { recursive: true }));
const hasAs = spawnSync('as', ['--version']).status === 0 && spawnSync('objcopy', ['--version']).status === 0;

test('park.ts is park.S, assembled', { skip: hasAs ? false : 'needs binutils' }, () => {
  const [object, binary] = [join(dir, 'park.o'), join(dir, 'park.bin')];
  assert.equal(spawnSync('as', ['-o', object, SOURCE]).status, 0);
  assert.equal(spawnSync('objcopy', ['-O', 'binary', '-j', '.text', object, binary]).status, 0);
  assert.deepEqual(Buffer.from(PARK_CODE).toString('hex'), readFileSync(binary).toString('hex'));
});

test('it is a program: the parent exits with 125, the child says what is missing', () => {
  const file = join(dir, 'park');
  writeFileSync(file, PARK, { mode: 0o755 });
  const control = openSync(join(dir, 'control'), 'w+');
  const run = spawnSync(file, { stdio: ['ignore', 'pipe', 'pipe', control], timeout: 20_000 });
  closeSync(control);
  assert.equal(run.status, 125);
  assert.equal(readFileSync(join(dir, 'control'), 'utf8'), '{"ready": 1}');
  assert.match(String(run.stderr), /^offshoot: this template has no Python/);
});
