// Worker processes: one tenant each, bounded, replaced when they are lost; who finds no room waits, in turn.

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Engine, type EngineInit } from '../../src/engine/index.ts';
import { childPids, eventually, links, workerPids } from './workerhelp.ts';

type Coded = Error & { code?: string };

/** Runs a test with an engine of its own and sees that no process is left. */
function withEngine(name: string, init: EngineInit, body: (engine: Engine) => Promise<void>): void {
  test(name, async () => {
    const engine = await Engine.open(init);
    try {
      await body(engine);
    } finally {
      await engine.close();
    }
    assert.ok(await eventually(() => childPids().length === 0), 'processes are left');
  });
}

withEngine('a one-shot run forks, runs and closes', { workers: 1 }, async (engine) => {
  const result = await engine.run('python', 'import sys; print(sys.argv); print(input())', { args: ['x'], stdin: 'in' });
  assert.equal(result.stdout.toString(), "['-c', 'x']\nin\n");
  assert.equal((await engine.exec('python', ['/bin/echo', 'hi'])).stdout.toString(), 'hi\n');
  const first = (await engine.run('python', 'open("/tmp/x", "w"); x = 1')).exitCode;
  const second = await engine.run('python', 'import os; print(os.path.exists("/tmp/x"), "x" in globals())');
  assert.deepEqual([first, second.stdout.toString()], [0, 'False False\n']);
  await assert.rejects(engine.run('nonesuch', ''), (error: Coded) => error.code === 'template-unknown');
  await assert.rejects(engine.run('python', '', { tenant: '' }), (error: Coded) => error.code === 'bad-argument');
  await assert.rejects(engine.exec('python', []), (error: Coded) => error.code === 'bad-argument');
});

withEngine('no two tenants share a process; unused workers are ended', { workers: 1, idleMs: 200 }, async (engine) => {
  const hold = 'import time; print("up", flush=True); time.sleep(1000)';
  const stop = new AbortController();
  const up: Promise<void>[] = [];
  const runs = ['a', 'b', 'a', 'c'].map((tenant) => {
    let onStdout = (): void => {};
    up.push(new Promise((resolve) => {
      onStdout = resolve;
    }));
    return engine.run('python', hold, { tenant, signal: stop.signal, onStdout });
  });
  await Promise.all(up);
  const pids = workerPids();
  assert.ok(pids.length === 3 || pids.length === 4, `${pids.length} workers`); // three tenants, and perhaps one in reserve
  stop.abort();
  for (const run of runs) assert.equal((await run).limit, 'cancelled');
  assert.ok(await eventually(() => workerPids().length <= 2), 'unused workers stay');
});

withEngine('a worker that is killed in the middle of 100 runs: its runs say so, the others end, the next go on', { workers: 2 }, async (engine) => {
  await (await engine.template('python')).fork().then((sandbox) => sandbox.close());
  let begun = 0;
  let allBegun = (): void => {};
  const ready = new Promise<void>((resolve) => {
    allBegun = resolve;
  });
  const onStdout = (): void => void (++begun === 40 && allBegun());
  const code = (i: number): string => `import time; print("up", flush=True); time.sleep(1); print(${i})`;
  const run = (i: number, tenant = 'default'): Promise<string> => engine.run('python', code(i), { onStdout, tenant }).then(
    (result) => result.stdout.toString(), (error: Coded) => error.code ?? String(error));
  const runs = Array.from({ length: 100 }, (_, i) => run(i));
  const strangers = Array.from({ length: 5 }, (_, i) => run(i, 'other'));
  await ready;
  const { pid: victim = 0 } = engine['workers'].any('default');
  const held = engine['workers']['places'].find(({ worker }) => worker.pid === victim)?.runs ?? 0;
  process.kill(victim, 'SIGKILL');
  const ends = await Promise.all(runs);
  const lost = ends.filter((end) => end === 'worker-lost').length;
  assert.ok(lost > 0 && lost <= held && held <= 32, `${lost} were lost of ${held}`); // as many as a worker holds
  ends.forEach((end, i) => assert.ok(end === 'worker-lost' || end === `up\n${i}\n`, `run ${i}: ${end}`));
  assert.deepEqual(await Promise.all(strangers), strangers.map((_, i) => `up\n${i}\n`));
  const { sandboxes, waiting } = engine.stats();
  assert.deepEqual([sandboxes, waiting, workerPids().includes(victim)], [0, 0, false], 'something still counts');
  assert.ok(engine['workers']['places'].every((place) => place.isUnused));
  // Another takes its place, and makes forks in advance as well.
  let pooled = 0;
  for (let i = 0; i < 100 && pooled < 8; i++) {
    const results = await Promise.all(Array.from({ length: 4 }, () => engine.run('python', 'print(1)')));
    assert.ok(results.every(({ stdout }) => stdout.toString() === '1\n'));
    if (results.every((result) => result.pooled)) pooled++;
    await sleep(50);
  }
  assert.equal(pooled, 8, 'the pools stay empty');
});

withEngine('workers that are killed again and again leave nothing in the process of the caller', { workers: 1 }, async (engine) => {
  const once = async (): Promise<number> => {
    const runs = Array.from({ length: 8 }, () => engine.run('python', 'import sys; sys.stdin.read()', { stdin: never() }).catch((error: Coded) => error.code));
    await sleep(200);
    await engine['workers'].any('default').close();
    for (const end of await Promise.all(runs)) assert.equal(end, 'worker-lost');
    await engine.run('python', 'print(1)');
    return links(process.pid).length;
  };
  for (let i = 0; i < 3; i++) await once();
  const before = await once();
  let after = before;
  for (let i = 0; i < 5; i++) after = await once();
  assert.ok(after <= before + 2, `${before} descriptors, then ${after}`);
  assert.deepEqual([engine.stats().sandboxes, engine.stats().waiting], [0, 0]);
});

async function* never(): AsyncGenerator<Uint8Array> {
  await new Promise(() => {});
  yield new Uint8Array();
}

withEngine('who finds no room waits; a full queue says so; what waits can be cancelled', {
  workers: 1, slots: 2, queue: { requestsPerTenant: 3 },
}, async (engine) => {
  await engine.run('python', 'pass');
  const stop = new AbortController();
  const waiting = new AbortController();
  const order: number[] = [];
  const hold = [1, 2].map(() => engine.run('python', 'print(1, flush=True)\nwhile True: pass', { signal: stop.signal }));
  const next = [3, 4].map((i) => engine.run('python', `print(${i})`).then(() => order.push(i)));
  const cancelled = engine.run('python', 'print(5)', { signal: waiting.signal });
  await assert.rejects(engine.run('python', 'print(6)'), (error: Coded) => error.code === 'busy');
  waiting.abort();
  const never = await cancelled;
  assert.deepEqual([never.limit, never.exitCode, never.stdout.length], ['cancelled', 130, 0]);
  const late = await engine.run('python', '', { signal: AbortSignal.abort() });
  assert.equal(late.limit, 'cancelled');
  assert.deepEqual(order, []);
  stop.abort();
  for (const run of hold) assert.equal((await run).limit, 'cancelled');
  await Promise.all(next);
  assert.deepEqual(order.sort(), [3, 4]);
});

withEngine('tenants take turns where processes are few', { workers: 1, processes: 1, slots: 1 }, async (engine) => {
  const order: string[] = [];
  const run = (tenant: string): Promise<unknown> => engine.run('python', 'print(1)', { tenant }).then(() => order.push(tenant));
  await Promise.all(['a', 'a', 'a', 'a', 'b', 'a', 'b'].map(run));
  assert.equal(order.length, 7);
  assert.ok(order.indexOf('b') < order.lastIndexOf('a'), order.join(' '));
});

withEngine('a tenant has so many live sandboxes and so much memory', {
  workers: 1, tenantLimits: { sandboxes: 2, memoryBytes: 1100 << 20 },
}, async (engine) => {
  const template = await engine.template('python');
  const refused = (text: RegExp) => (error: Coded): boolean => error.code === 'tenant-limit' && text.test(error.message);
  const one = await template.fork();
  await assert.rejects(template.fork({ memoryBytes: 600 << 20 }), refused(/1100 MB together/));
  const two = await template.fork();
  await assert.rejects(template.fork(), refused(/2 live sandboxes/));
  const other = await template.fork({ tenant: 'other' });
  const waits = engine.run('python', 'print(3)');
  await one.close();
  assert.equal((await waits).stdout.toString(), '3\n');
  await two.close();
  await other.close();
  await (await template.fork()).close();
});

withEngine('a tenant uses so much of the processors, and another as much again', { workers: 2, tenantLimits: { cpus: 0.5 } }, async (engine) => {
  for (const tenant of ['a', 'b']) await engine.run('python', 'pass', { tenant });
  const start = performance.now();
  const hogs = await Promise.all(['a', 'a', 'a', 'b'].map((tenant) => engine.run('python', 'while True: pass', { tenant, timeoutMs: 3000 })));
  const share = (performance.now() - start) / 2;
  assert.deepEqual(hogs.map(({ limit }) => limit), ['timeout', 'timeout', 'timeout', 'timeout']);
  const used = hogs.slice(0, 3).reduce((sum, { cpuTimeMs }) => sum + cpuTimeMs, 0);
  assert.ok(used < share + 150 && hogs[3].cpuTimeMs < share + 150, `${used} and ${hogs[3].cpuTimeMs} of ${share} ms`);
  assert.equal((await engine.run('python', 'print(1)', { tenant: 'a' })).stdout.toString(), '1\n');
  await assert.rejects(Engine.open({ tenantLimits: { cpus: 0 } }), (error: Coded) => error.code === 'bad-argument');
});

withEngine('more sandboxes than a process may hold: more processes', { workers: 1, sandboxes: 3 }, async (engine) => {
  const template = await engine.template('python');
  const sandboxes = await Promise.all(Array.from({ length: 8 }, () => template.fork()));
  assert.equal(workerPids().length, 3);
  const results = await Promise.all(sandboxes.map((sandbox, i) => sandbox.run(`print(${i})`)));
  results.forEach((result, i) => assert.equal(result.stdout.toString(), `${i}\n`));
  await Promise.all(sandboxes.map((sandbox) => sandbox.close()));
});

withEngine('runs are spread over as many processes when some are nearly full', { workers: 2, sandboxes: 8 }, async (engine) => {
  const template = await engine.template('python');
  const sandboxes = await Promise.all(Array.from({ length: 2 }, () => template.fork()));
  assert.ok(await eventually(() => workerPids().length === 2));
  for (let i = 2; i < 12; i++) sandboxes.push(await template.fork());
  assert.equal(workerPids().length, 2, 'both have room');
  for (let i = 12; i < 18; i++) sandboxes.push(await template.fork());
  assert.ok(await eventually(() => workerPids().length === 4), `${workerPids().length} processes`);
  for (const sandbox of sandboxes) assert.equal((await sandbox.run('print(1)')).stdout.toString(), '1\n');
  await Promise.all(sandboxes.map((sandbox) => sandbox.close()));
});

withEngine('when the host runs short, the biggest sandbox is ended with a reason, the others go on', { workers: 1 }, async (engine) => {
  await engine.template('python');
  let isUp = (): void => {};
  const up = new Promise<void>((resolve) => {
    isUp = resolve;
  });
  const big = engine.run('python', 'x = bytearray(64 << 20); print("up", flush=True)\nwhile True: pass', { onStdout: isUp });
  const small = engine.run('python', 'print(input())', { stdin: after(up.then(() => big), 'still here\n') });
  await up;
  engine['workers'].any('default').post({ type: 'shed' });
  const ended = await big;
  assert.deepEqual([ended.limit, ended.exitCode, ended.signal, ended.stdout.toString()], ['memory', 137, 'SIGKILL', 'up\n']);
  assert.match(ended.reason ?? '', /host has no memory left/);
  assert.equal((await small).stdout.toString(), 'still here\n');
});

/** Input that comes when something has happened. */
async function* after(event: Promise<unknown>, text: string): AsyncGenerator<Uint8Array> {
  await event;
  yield Buffer.from(text);
}

withEngine('a template that is built again is the new one for all tenants', { workers: 1 }, async (engine) => {
  // The hash seed is a build's own.
  const build = async (tenant: string): Promise<string> => (await engine.run('python', 'print(hash("x"))', { tenant })).stdout.toString();
  const before = await build('a');
  const held = await (await engine.template('python')).fork({ tenant: 'a' });
  await engine.template('python', { rebuild: true });
  const after = await build('a');
  assert.notEqual(after, before);
  assert.equal((await held.run('print(hash("x"))')).stdout.toString(), before);
  await held.close();
});

withEngine('no sandbox is admitted when the host has no memory to spare', { workers: 1, keepFreeBytes: 2 ** 50 }, async (engine) => {
  await assert.rejects(engine.run('python', 'print(1)'), (error: Coded) => error.code === 'host-memory');
});

const LISTENERS: EngineInit = { workers: 1, processes: 1, slots: 1, tenantLimits: { memoryBytes: 600 << 20 } };

withEngine('who waits and is refused, or placed, listens to its signal no more', LISTENERS, async (engine) => {
  const { signal } = new AbortController();
  const runs: Promise<unknown>[] = [];
  let isUp = false;
  const first = new AbortController();
  const sleeps = 'print(1, flush=True); import time; time.sleep(1000)';
  const holds = engine.run('python', sleeps, { signal: first.signal, onStdout: () => (isUp = true) });
  assert.ok(await eventually(() => isUp));
  runs.push(engine.run('python', 'pass', { signal })); // will be placed
  runs.push(engine.run('python', 'pass', { signal, memoryBytes: 700 << 20 })); // has come behind another: refused when it is its turn
  assert.deepEqual([engine.stats().waiting, getEventListeners(signal, 'abort').length], [2, 2]);
  first.abort();
  assert.equal((await holds).limit, 'cancelled');
  assert.deepEqual((await Promise.allSettled(runs)).map(({ status }) => status), ['fulfilled', 'rejected']);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  isUp = false;
  const lost = assert.rejects(engine.run('python', sleeps, { onStdout: () => (isUp = true) }), { code: 'worker-lost' });
  assert.ok(await eventually(() => isUp));
  const closed = assert.rejects(engine.run('python', 'pass', { signal }), { code: 'closed' });
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  await engine.close();
  await Promise.all([lost, closed]);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('a worker that breaks the protocol is ended; the next run gets another', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-taken-'));
  const kept = process.env['NODE_OPTIONS'];
  // What a guest that had taken the worker over might send: an answer with a field no worker of ours sends.
  const header = JSON.stringify({ type: 'end', call: 1, end: { exitCode: 0, signal: '\u001b[2J' } });
  writeFileSync(join(dir, 'taken.mjs'), `import { writeSync } from 'node:fs';
if (process.argv[1]?.includes('worker.')) setTimeout(() => {
  const header = Buffer.from(${JSON.stringify(header)}), head = Buffer.alloc(8);
  head.writeUInt32LE(4 + header.length, 0); head.writeUInt32LE(header.length, 4);
  writeSync(3, Buffer.concat([head, header]));
}, 300);`);
  process.env['NODE_OPTIONS'] = `--import=${join(dir, 'taken.mjs')}`;
  const engine = await Engine.open({ workers: 1 });
  if (kept === undefined) delete process.env['NODE_OPTIONS'];
  else process.env['NODE_OPTIONS'] = kept;
  try {
    const run = engine.run('python', 'import time; time.sleep(100)');
    await assert.rejects(run, (error: Coded) => error.code === 'worker-lost' && /it sent a signal without a name/.test(error.message));
    assert.equal((await engine.run('python', 'print(1)')).stdout.toString(), '1\n');
  } finally {
    await engine.close();
    rmSync(dir, { recursive: true });
  }
});
