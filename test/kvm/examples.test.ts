// examples/: each runs, from the library's sources.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test, { after } from 'node:test';
import { ROOT, command, offshoot } from './clihelp.ts';

const dir = mkdtempSync(join(tmpdir(), 'offshoot-examples-'));
after(() => rmSync(dir, { recursive: true }));

async function example(name: string): Promise<string> {
  const source = readFileSync(resolve(ROOT, 'examples', name), 'utf8').replace("'offshoot'", `'${resolve(ROOT, 'src/engine/index.ts')}'`);
  writeFileSync(join(dir, name), source);
  const result = await command(process.execPath, ['--no-warnings', join(dir, name)]);
  assert.equal(result.code, 0, result.stderr);
  return result.stdout.toString();
}

test('numpy.py', async () => {
  assert.match((await offshoot(['run', 'examples/numpy.py'])).stdout.toString(), /reconstruction exact: True/);
});

test('parallel.ts', async () => {
  const sums = [...Array(16).keys()].map((n) => [...Array(n * 1000).keys()].reduce((sum, i) => sum + i * i, 0));
  assert.equal(await example('parallel.ts'), `${sums.join(' ')}\n`);
});

test('agent.ts', async () => {
  assert.match(await example('agent.ts'), /--- exit 1\nZeroDivisionError[^\n]*\n--- exit 0\n7\nThe total is 7\.\n$/);
});

test('grader.ts', async () => {
  const lines = (await example('grader.ts')).trim().split('\n');
  assert.deepEqual(lines.slice(0, 4), ['right: ok ok ok', 'wrong: wrong wrong wrong', 'endless: cpu cpu cpu', 'greedy: failed failed failed']);
  assert.match(lines[4], /^fork: (failed|cpu) (failed|cpu) (failed|cpu)$/);
});
