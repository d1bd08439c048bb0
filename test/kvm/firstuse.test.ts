// The first use in an empty home: says what it is going to do, builds everything, runs; killed anywhere on the way, the next
// use finishes the work; the use after that builds nothing. Packages come from the user's own cache when it has them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test, { after } from 'node:test';
import { offshootHome } from '../../src/image/home.ts';
import { ROOT, offshoot } from './clihelp.ts';

const home = mkdtempSync(join(tmpdir(), 'offshoot-first-'));
after(() => rmSync(home, { recursive: true, force: true }));
const env = { OFFSHOOT_HOME: home };
const packages = join(offshootHome(), 'cache/apt');
if (existsSync(packages)) cpSync(packages, join(home, 'cache/apt'), { recursive: true, preserveTimestamps: true });

interface Stopped { readonly said: string; readonly isGone: boolean; readonly reached: boolean }

/** Starts a first use and sends `signal` to all its processes when it says `mark`. */
async function stopAt(mark: string, signal: NodeJS.Signals): Promise<Stopped> {
  const child = spawn(process.execPath, ['--no-warnings', resolve(ROOT, 'src/cli/main.ts'), 'run', '-c', 'print(1)'], {
    detached: true, stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env },
  });
  const group = -(child.pid as number);
  let said = '';
  let reached = false;
  const ended = new Promise<void>((done) => child.on('exit', () => done()));
  child.stderr.on('data', (bytes: Buffer) => {
    said += bytes.toString();
    if (reached || !said.includes(mark)) return;
    reached = true;
    process.kill(group, signal);
  });
  await ended;
  return { said, reached, isGone: await emptied(group) };
}

/** Whether all processes of a group end within some seconds. */
async function emptied(group: number): Promise<boolean> {
  for (let i = 0; i < 200; i++) {
    try {
      process.kill(group, 0);
    } catch {
      return true;
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  return false;
}

test('it says beforehand what it will do', async () => {
  const { said, reached, isGone } = await stopAt('fetching the package lists', 'SIGINT');
  assert.ok(reached, said);
  assert.match(said, /^offshoot: The image "python" is built once: about \d+ MB .* are downloaded .*about \d+ MB.*\n/);
  assert.ok(isGone, 'Ctrl-C leaves processes running');
});

for (const [mark, signal] of [
  ['packing the image', 'SIGKILL'], ['byte-compiling', 'SIGKILL'], ['byte-compiling', 'SIGINT'], ['building template', 'SIGINT'],
] as const) {
  test(`interrupted at "${mark}" by ${signal}, nothing goes on running`, async () => {
    const { said, reached, isGone } = await stopAt(mark, signal);
    assert.ok(reached, said);
    assert.ok(isGone, 'processes are left');
  });
}

test('the next use finishes the work, and leaves no unfinished files', async () => {
  const result = await offshoot(['run', 'examples/numpy.py'], { env });
  assert.match(result.stdout.toString(), /reconstruction exact: True\nrandom numbers/);
  assert.equal(result.code, 0, result.stderr);
  assert.match(result.stderr, /offshoot: building template "python"\noffshoot: template "python" is ready\n$/);
  const left = ['images', 'templates'].flatMap((dir) => readdirSync(join(home, dir))).filter((name) => !/^[0-9a-f]{64}$/.test(name));
  assert.deepEqual(left.sort(), ['python.json', 'python.template']);
});

test('the use after that builds nothing', async () => {
  const result = await offshoot(['run', '-c', 'print(1+1)'], { env });
  assert.deepEqual([result.stdout.toString(), result.stderr, result.code], ['2\n', '', 0]);
});
