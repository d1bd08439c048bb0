// The lock between builds: one holder at a time, dead holders do not count.

import assert from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { withLock } from '../../src/image/lock.ts';

const LOCK_MODULE = path.join(import.meta.dirname, '../../src/image/lock.ts');

function scratch(t: TestContext): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'offshoot-lock-'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A process that takes the lock, says so, and keeps it. */
async function holder(dir: string) {
  const code = `import { withLock } from ${JSON.stringify(LOCK_MODULE)};
    await withLock(${JSON.stringify(dir)}, () => { console.log('held'); return new Promise((resolve) => setTimeout(resolve, 60_000)); });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

test('one at a time within a process, and nothing is left behind', async (t) => {
  const dir = scratch(t);
  let inside = 0;
  let most = 0;
  let runs = 0;
  await Promise.all(Array.from({ length: 5 }, () => withLock(dir, async () => {
    most = Math.max(most, ++inside);
    await new Promise((resolve) => setTimeout(resolve, 20));
    inside--;
    runs++;
  })));
  assert.deepStrictEqual([most, runs], [1, 5]);
  assert.deepStrictEqual(fs.readdirSync(dir), []);
});

test('the lock is free again after an error', async (t) => {
  const dir = scratch(t);
  await assert.rejects(withLock(dir, async () => { throw new Error('inside'); }), /inside/);
  assert.strictEqual(await withLock(dir, async () => 7), 7);
});

test('a killed holder is replaced, a living one is waited for', async (t) => {
  const dir = scratch(t);
  const child = await holder(dir);
  let waited = 0;
  let taken = false;
  const second = withLock(dir, async () => { taken = true; }, { onWait: () => { waited++; } });
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.deepStrictEqual([waited, taken], [1, false]);
  child.kill('SIGKILL');
  await second;
  assert.deepStrictEqual([waited, taken], [1, true]);
  assert.deepStrictEqual(fs.readdirSync(dir), []);
});

test('a process with the pid of a dead holder is not taken for it', async (t) => {
  const dir = scratch(t);
  const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  const space = `${boot}-${/\d+/.exec(fs.readlinkSync('/proc/self/ns/pid'))?.[0]}`;
  fs.writeFileSync(path.join(dir, `lock.${process.pid}.1.${space}.00`), '');
  assert.strictEqual(await withLock(dir, async () => 1), 1);
});

test('a holder in another container counts while it keeps its file fresh', async (t) => {
  const dir = scratch(t);
  const file = path.join(dir, 'lock.1.1.elsewhere-1.00');
  fs.writeFileSync(file, '');
  await assert.rejects(withLock(dir, async () => 1, { signal: AbortSignal.timeout(300) }), { name: 'TimeoutError' });
  fs.utimesSync(file, new Date(Date.now() - 120_000), new Date(Date.now() - 120_000));
  assert.strictEqual(await withLock(dir, async () => 1), 1);
});

test('waiting can be cancelled', async (t) => {
  const dir = scratch(t);
  const reason = new Error('enough');
  const controller = new AbortController();
  await withLock(dir, async () => {
    const second = withLock(dir, async () => 1, { signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(second, reason);
  });
});
