// A tenant's build is replaced when its time is over, though nothing runs: what runs then, after however long, has other addresses.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Engine } from '../../src/engine/engine.ts';
import { childPids, eventually, links } from './workerhelp.ts';

const MS = 1000;
/** For a build on a machine that has much else to do. */
const SECONDS = 120;

/** An engine with one worker, for one tenant: what this process and its children have open is then its. */
const open = (): Promise<Engine> => Engine.open({ workers: 1, layouts: { ms: MS } });

/** hash('x') and the heap's address; and the builds that this process had open at the end. */
async function run(engine: Engine, tenant?: string): Promise<{ layout: string[]; had: string }> {
  const code = 'print(hash("x"), next(line.split("-")[0] for line in open("/proc/self/maps") if "[heap]" in line))';
  const result = await engine.run('python', code, tenant === undefined ? {} : { tenant });
  const had = builds('self');
  assert.equal(result.exitCode, 0, result.stderr.toString());
  return { layout: result.stdout.toString().trim().split(' '), had };
}

function builds(pid: number | string): string {
  return links(pid).filter((link) => /\.layout \(deleted\)$/.test(link)).sort().join();
}

/** Until the worker has another build than `had`, and no builder is left. */
async function rotated(had: string): Promise<void> {
  const isDone = (): boolean => builds('self') !== had && childPids().length === 1 && builds(childPids()[0]) === builds('self');
  assert.ok(await eventually(isDone, SECONDS), `a new build comes by itself: ${had} → ${builds('self')}, ${childPids().map(builds)}`);
}

function assertDiffer(a: readonly string[], b: readonly string[]): void {
  a.forEach((value, i) => assert.notEqual(value, b[i]));
}

for (const tenant of [undefined, 'one']) {
  test(`the first run after its time has another layout, without any run in between: tenant ${tenant}`, async () => {
    await using engine = await open();
    for (let i = 0; i < 2; i++) {
      const { layout, had } = await run(engine, tenant);
      await rotated(had);
      assertDiffer(layout, (await run(engine, tenant)).layout);
    }
  });
}

test('what nobody has used is not built again, and nothing is left of what was', async () => {
  await using engine = await open();
  await rotated((await run(engine)).had);
  const had = builds('self');
  assert.equal(had.split(',').length, 1);
  await sleep(4 * MS);
  await rotated('');
  assert.equal(builds('self'), had);
  assert.deepEqual(readdirSync(`${engine.home}/templates`).filter((name) => name.endsWith('.layout')), []);
  await engine.close();
  assert.deepEqual([builds('self'), childPids()], ['', []]);
});

test('an engine that is closed while it builds leaves no process and no file', async () => {
  await using engine = await open();
  const { had } = await run(engine);
  assert.ok(await eventually(() => childPids().length === 2, SECONDS), 'it has begun');
  await engine.close();
  assert.deepEqual([builds('self'), childPids(), had], ['', [], '']);
  assert.deepEqual(readdirSync(`${engine.home}/templates`).filter((name) => name.endsWith('.layout')), []);
});

test('a worker that is lost: what comes after its time has another layout too', async () => {
  await using engine = await open();
  const { layout } = await run(engine);
  const [pid] = childPids();
  process.kill(pid, 'SIGKILL');
  assert.ok(await eventually(() => !childPids().includes(pid)));
  await sleep(3 * MS);
  assertDiffer(layout, (await run(engine)).layout);
});

test('a caller\'s process ends though its engine is open and builds in the background', async () => {
  const script = `
    import { readdirSync, readlinkSync } from 'node:fs';
    const { Engine } = await import(${JSON.stringify(new URL('../../src/engine/engine.ts', import.meta.url).href)});
    const engine = await Engine.open({ workers: 1, layouts: { forks: 1, ms: 3600000 } });
    await engine.run('python', 'pass');
    process.on('exit', () => {
      const links = readdirSync('/proc/self/fd').map((fd) => { try { return readlinkSync('/proc/self/fd/' + fd); } catch { return ''; } });
      console.log('builds that were waited for:', links.filter((link) => link.includes('.layout')).length);
    });`;
  const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  let printed = '';
  child.stdout.on('data', (bytes) => (printed += bytes));
  assert.deepEqual(await ended, [0, null]);
  assert.equal(printed, 'builds that were waited for: 0\n');
});
