// No orphans: whatever the command is doing when it is killed alone (not its process group), its workers, builders and the
// programs they run end with it, and the next use finds nothing that disturbs it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test, { after } from 'node:test';
import { offshootHome } from '../../src/image/home.ts';
import { ROOT, offshoot } from './clihelp.ts';
import { newHome } from './homehelp.ts';
import { allGone, commandLine, descendants } from './prochelp.ts';

/** Above what a pid can be: proc_sys_kernel(5). */
const PID_OF_NOBODY = 2 ** 22 + 1;

interface Killed { readonly reached: boolean; readonly said: string; readonly left: readonly string[] }

/** Starts the command, kills it alone when it has said `mark` or started what it names (at once when it is ''), looks at what is left. */
async function killAlone(args: readonly string[], mark: string | RegExp, env: Record<string, string> = {}, afterMs = 0): Promise<Killed> {
  const child = spawn(process.execPath, ['--no-warnings', resolve(ROOT, 'src/cli/main.ts'), ...args], {
    stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env },
  });
  const pid = child.pid as number;
  let said = '';
  let reached = mark === '';
  let started: number[] = [];
  const kill = (): void => {
    started = descendants(pid);
    child.kill('SIGKILL');
  };
  const listen = (bytes: Buffer): void => {
    said += bytes.toString();
    if (reached || typeof mark !== 'string' || !said.includes(mark)) return;
    reached = true;
    setTimeout(kill, afterMs);
  };
  child.stdout.on('data', listen);
  child.stderr.on('data', listen);
  if (reached) setTimeout(kill, afterMs);
  const looking = typeof mark === 'string' ? undefined : setInterval(() => {
    if (reached || !descendants(pid).map(commandLine).some((line) => mark.test(line))) return;
    reached = true;
    setTimeout(kill, afterMs);
  }, 2);
  await new Promise((done) => child.on('exit', done));
  clearInterval(looking);
  await allGone(started);
  return { reached, said, left: started.map(commandLine).filter((line) => line !== '') };
}

for (const [what, code] of [
  ['computes', 'print("go", flush=True)\nwhile True: pass'],
  ['waits', 'print("go", flush=True)\ninput()'],
  ['prints without end', 'print("go", flush=True)\nwhile True: print("x" * 1000)'],
] as const) {
  test(`killed while a sandbox ${what}`, async () => {
    const { reached, said, left } = await killAlone(['run', '-c', code], 'go');
    assert.ok(reached, said);
    assert.deepEqual(left, []);
  });
}

test('killed at any moment of its start', async () => {
  for (let afterMs = 20; afterMs < 500; afterMs += 60) {
    assert.deepEqual((await killAlone(['run', '-c', 'input()'], '', {}, afterMs)).left, [], `after ${afterMs} ms`);
  }
});

test('killed while a template is built; the next use builds it and leaves nothing half done', async () => {
  const env = { OFFSHOOT_HOME: await newHome() };
  for (const afterMs of [0, 300]) {
    const { reached, said, left } = await killAlone(['template', 'build', 'python'], 'building template', env, afterMs);
    assert.ok(reached, said);
    assert.deepEqual(left, []);
  }
  writeFileSync(join(env.OFFSHOOT_HOME, `template.key.${PID_OF_NOBODY}.tmp`), 'half');
  const result = await offshoot(['run', '-c', 'print(1+1)'], { env });
  assert.deepEqual([result.stdout.toString(), result.code], ['2\n', 0], result.stderr);
  const files = readdirSync(env.OFFSHOOT_HOME, { recursive: true, encoding: 'utf8' });
  assert.deepEqual(files.filter((name) => /\.tmp|(^|\/)lock\./.test(name)), []);
});

test('killed while packages are fetched and unpacked: apt-get and dpkg-deb end too', async () => {
  const home = mkdtempSync(join(tmpdir(), 'offshoot-orphan-'));
  after(() => rmSync(home, { recursive: true, force: true }));
  const packages = join(offshootHome(), 'cache/apt');
  if (existsSync(packages)) cpSync(packages, join(home, 'cache/apt'), { recursive: true, preserveTimestamps: true });
  for (const mark of [/^apt-get\b|\/apt-get\b/, /^dpkg-deb\b|\/dpkg-deb\b/]) {
    const { reached, said, left } = await killAlone(['template', 'build', 'python'], mark, { OFFSHOOT_HOME: home });
    assert.ok(reached, said);
    assert.deepEqual(left, [], `at "${mark}"`);
  }
});
