// The first use in an empty home: says what it is going to do, builds everything, runs; killed in the middle of any of its phases, the
// next use finishes the work; ten first uses at once build once; the use after that builds nothing. Packages come from the user's own cache
// when it has them.

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { offshootHome } from '../../src/image/home.ts';
import { MAIN, offshoot } from './clihelp.ts';
import { isInterrupted, stopAt, unfinished } from './stophelp.ts';

const home = mkdtempSync(join(tmpdir(), 'offshoot-first-'));
after(() => rmSync(home, { recursive: true, force: true }));
const env = { OFFSHOOT_HOME: home };
const packages = join(offshootHome(), 'cache/apt');
if (existsSync(packages)) cpSync(packages, join(home, 'cache/apt'), { recursive: true, preserveTimestamps: true });

test('it says beforehand what it will do; Ctrl-C ends everything', async () => {
  const { said, reached, isGone } = await stopAt(home, [MAIN, 'run', '-c', 'print(1)'], '\n', 'SIGINT');
  assert.ok(reached, said);
  assert.match(said, /^offshoot: The image "python" is built once: about \d+ MB .* are downloaded .*about \d+ MB.*\n$/);
  assert.ok(isGone, 'Ctrl-C leaves processes running');
});

for (const [mark, signal] of [
  ['fetching the package lists', 'SIGKILL'], ['MB to download', 'SIGKILL'], ['unpacking', 'SIGKILL'], ['packing the image', 'SIGKILL'],
  ['byte-compiling', 'SIGKILL'], ['byte-compiling', 'SIGINT'], ['building template', 'SIGKILL'],
] as const) {
  test(`interrupted at "${mark}" by ${signal}, nothing goes on running`, () => isInterrupted(home, 'template("python")', mark, signal));
}

test('the next use finishes the work, and leaves no unfinished files', async () => {
  const result = await offshoot(['run', 'examples/numpy.py'], { env });
  assert.match(result.stdout.toString(), /reconstruction exact: True\nrandom numbers/);
  assert.equal(result.code, 0, result.stderr);
  assert.match(result.stderr, /offshoot: template "python" is ready\n$/);
  unfinished(home, 'python.json', 'python.template');
});

test('ten first uses at once build everything once', async () => {
  for (const name of readdirSync(home).filter((each) => each !== 'cache')) rmSync(join(home, name), { recursive: true });
  const runs = await Promise.all(Array.from({ length: 10 }, (_, i) => offshoot(['run', '-c', `print(${i})`], { env })));
  runs.forEach((run, i) => assert.deepEqual([run.stdout.toString(), run.code], [`${i}\n`, 0], run.stderr));
  assert.equal(runs.filter(({ stderr }) => stderr.includes('template "python" is ready')).length, 1, runs.map(({ stderr }) => stderr).join(''));
  for (const { stderr } of runs) assert.match(stderr, /^(offshoot: [^\n]+\n){0,3}$/);
  unfinished(home, 'python.json', 'python.template');
});

test('the use after that builds nothing', async () => {
  const result = await offshoot(['run', '-c', 'print(1+1)'], { env });
  assert.deepEqual([result.stdout.toString(), result.stderr, result.code], ['2\n', '', 0]);
});
