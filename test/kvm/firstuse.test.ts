// The first use in an empty home: says what it is going to do, builds everything, runs; killed in the middle of any of its phases, the
// next use finishes the work; ten at once build once; the use after that builds nothing. Packages come from the user's own cache
// when it has them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test, { after } from 'node:test';
import { offshootHome } from '../../src/image/home.ts';
import { MAIN, ROOT, offshoot } from './clihelp.ts';
import { makeWheel } from './wheelhelp.ts';

const home = mkdtempSync(join(tmpdir(), 'offshoot-first-'));
const dir = mkdtempSync(join(tmpdir(), 'offshoot-wheels-'));
after(() => [home, dir].forEach((each) => rmSync(each, { recursive: true, force: true })));
const env = { OFFSHOOT_HOME: home };
const packages = join(offshootHome(), 'cache/apt');
if (existsSync(packages)) cpSync(packages, join(home, 'cache/apt'), { recursive: true, preserveTimestamps: true });

interface Stopped { readonly said: string; readonly isGone: boolean; readonly reached: boolean }

/** Starts a program of Node in a process group of its own and sends `signal` to all of it when it says `mark`. */
async function stopAt(argv: readonly string[], mark: string, signal: NodeJS.Signals): Promise<Stopped> {
  const child = spawn(process.execPath, ['--no-warnings', ...argv], {
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

/** A program with the library that says everything a build tells about itself. */
function telling(call: string): string[] {
  return ['--input-type=module', '-e', `import { Engine } from ${JSON.stringify(resolve(ROOT, 'src/engine/index.ts'))};
    const engine = await Engine.open({ workers: 1, onProgress: ({ message }) => process.stderr.write(message + '\\n') });
    await engine.${call};
    await engine.close();`];
}

async function isInterrupted(call: string, mark: string, signal: NodeJS.Signals): Promise<void> {
  const { said, reached, isGone } = await stopAt(telling(call), mark, signal);
  assert.ok(reached, said);
  assert.ok(isGone, 'processes are left');
}

test('it says beforehand what it will do; Ctrl-C ends everything', async () => {
  const { said, reached, isGone } = await stopAt([MAIN, 'run', '-c', 'print(1)'], '\n', 'SIGINT');
  assert.ok(reached, said);
  assert.match(said, /^offshoot: The image "python" is built once: about \d+ MB .* are downloaded .*about \d+ MB.*\n$/);
  assert.ok(isGone, 'Ctrl-C leaves processes running');
});

for (const [mark, signal] of [
  ['fetching the package lists', 'SIGKILL'], ['MB to download', 'SIGKILL'], ['unpacking', 'SIGKILL'], ['packing the image', 'SIGKILL'],
  ['byte-compiling', 'SIGKILL'], ['byte-compiling', 'SIGINT'], ['building template', 'SIGKILL'],
] as const) {
  test(`interrupted at "${mark}" by ${signal}, nothing goes on running`, () => isInterrupted('template("python")', mark, signal));
}

/** Names in the store that are no image's. */
function unfinished(...expected: string[]): void {
  const left = ['images', 'templates'].flatMap((part) => readdirSync(join(home, part))).filter((name) => !/^[0-9a-f]{64}$/.test(name));
  assert.deepEqual(left.sort(), expected);
  assert.deepEqual(readdirSync(join(home, 'cache')).filter((name) => name.startsWith('wheels-')), []);
}

test('ten uses at once finish the work, once; no unfinished files are left', async () => {
  const runs = await Promise.all(Array.from({ length: 10 }, (_, i) => offshoot(['run', '-c', `print(${i})`], { env })));
  runs.forEach((run, i) => assert.deepEqual([run.stdout.toString(), run.code], [`${i}\n`, 0], run.stderr));
  assert.equal(runs.filter(({ stderr }) => stderr.includes('template "python" is ready')).length, 1, runs.map(({ stderr }) => stderr).join(''));
  for (const { stderr } of runs) assert.match(stderr, /^(offshoot: [^\n]+\n){0,3}$/);
  unfinished('python.json', 'python.template');
});

test('the use after that builds nothing', async () => {
  const result = await offshoot(['run', '-c', 'print(1+1)'], { env });
  assert.deepEqual([result.stdout.toString(), result.stderr, result.code], ['2\n', '', 0]);
});

test('a build with wheels, killed while they are fetched, installed, byte-compiled', async () => {
  const wheel = makeWheel(dir, 'hello', '1.0', { 'hello.py': 'def main():\n    return 7\n' });
  const file = join(dir, 'requirements.txt');
  writeFileSync(file, `--no-index\n--find-links ${dir}\nhello\n`);
  await isInterrupted(`build("mine", { requirements: ${JSON.stringify(file)} })`, 'fetching the wheels', 'SIGKILL');
  for (const mark of ['installing Python packages', 'byte-compiling', 'building template']) {
    await isInterrupted(`build("mine", { wheels: [${JSON.stringify(wheel)}] })`, mark, 'SIGKILL');
  }
  const result = await offshoot(['run', '-t', 'mine', '-c', 'import hello; print(hello.main())'], { env });
  assert.deepEqual([result.stdout.toString(), result.code], ['7\n', 0], result.stderr);
  unfinished('mine.json', 'mine.json', 'mine.template', 'python.json', 'python.template');
});
