// Forks made in advance: used once, as fresh as any other, for code and for programs, with the limit that was asked for.

import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { Engine } from '../../src/engine/engine.ts';
import { Pool } from '../../src/engine/pool.ts';
import { RUN_LIMITS } from '../../src/engine/protocol.ts';
import type { RunResult } from '../../src/engine/run.ts';
import type { Template } from '../../src/engine/template.ts';
import { opened } from './branchhelp.ts';
import { workerPids } from './workerhelp.ts';

const engine = await Engine.open({ workers: 1 });
const python = await engine.template('python');
after(() => engine.close());

async function run(template: Template, code: string, memoryBytes?: number): Promise<RunResult> {
  await using sandbox = await template.fork(memoryBytes === undefined ? {} : { memoryBytes });
  return await sandbox.run(code, { countPages: true });
}

/** Runs `code` until it had a pooled VM: the pool fills in the background. */
async function runPooled(code: string, memoryBytes?: number): Promise<RunResult> {
  for (let i = 0; i < 200; i++) {
    const result = await run(python, code, memoryBytes);
    if (result.pooled) return result;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the pool stays empty');
}

const LEAVE = 'import sys; open("/tmp/left", "w").write("x"); sys.left = 1; import os; os.environ["LEFT"] = "1"; print("left")';
const LOOK = 'import sys, os; print(os.path.exists("/tmp/left"), hasattr(sys, "left"), "LEFT" in os.environ)';

test('a pooled VM has never run anything else', async () => {
  for (let i = 0; i < 5; i++) {
    assert.equal((await runPooled(LEAVE)).stdout.toString(), 'left\n');
    assert.equal((await runPooled(LOOK)).stdout.toString(), 'False False False\n');
  }
});

test('a pooled VM is no twin of another', async () => {
  const code = 'import os, random, uuid, numpy; print(os.getpid(), random.random(), uuid.uuid4(), numpy.random.rand(), numpy.random.randn())';
  const seen: string[][] = [];
  for (let i = 0; i < 12; i++) seen.push((await runPooled(code)).stdout.toString().trim().split(' '));
  for (const column of [1, 2, 3, 4]) assert.equal(new Set(seen.map((line) => line[column])).size, seen.length);
  assert.ok(new Set(seen.map((line) => line[0])).size > 6, 'pids');
});

test('exit codes, tracebacks, arguments, environment and directory are those of a fresh fork', async () => {
  const code = 'import sys, os\nprint(sys.argv, os.getcwd(), os.environ.get("A"), os.environ.get("HOME"), __name__, sys.path[0])\nraise SystemExit(3)';
  for (const pooled of [true, false]) {
    if (pooled) await runPooled('print(1)');
    await using sandbox = await python.fork({ pooled });
    const result = await sandbox.run(code, { args: ['x', 'ü'], env: { A: 'b=c' }, cwd: '/tmp' });
    assert.equal(result.pooled, pooled);
    assert.equal(result.stdout.toString(), "['-c', 'x', 'ü'] /tmp b=c /home/user __main__ \n");
    assert.equal(result.exitCode, 3);
  }
});

test('a pooled VM can run another program', async () => {
  await runPooled('print(1)');
  await using sandbox = await python.fork();
  const result = await sandbox.exec(['bash', '-c', 'echo $0 $((6*7)); exit 5']);
  assert.deepEqual([result.pooled, result.stdout.toString(), result.exitCode], [true, 'bash 42\n', 5]);
});

test('the memory limit is the one asked for', async () => {
  const code = 'try:\n  x = b"x" * (150 << 20)\n  print("got it")\nexcept MemoryError:\n  print("refused")';
  assert.equal((await runPooled(code, 512 << 20)).stdout.toString(), 'got it\n');
  const small = await runPooled(code, 128 << 20);
  assert.ok(small.stdout.toString() === 'refused\n' || small.limit === 'memory', JSON.stringify(small));
});

test('a limit below what the template has is the template\'s; VMs without room to grow are given back like others', async () => {
  await using other = await Engine.open({ workers: 1 });
  for (let i = 0; i < 8; i++) {
    const result = await other.run('python', 'print(1)', { memoryBytes: 16 << 20, reuse: i % 2 === 0 });
    assert.equal(result.stdout.toString(), '1\n', result.stderr.toString());
    assert.deepEqual(workerPids().length, 2, 'the worker has ended');
  }
});

test('more runs at once than are ready: the others are forked', async () => {
  await runPooled('print(1)');
  const results = await Promise.all(Array.from({ length: 12 }, (_, i) => run(python, `print(${i})`)));
  assert.deepEqual(results.map((result) => result.stdout.toString()), Array.from({ length: 12 }, (_, i) => `${i}\n`));
  assert.ok(results.some((result) => result.pooled) && results.some((result) => !result.pooled));
});

test('what runs touch is learned: a pooled run of the same code writes few pages that were not ready', async () => {
  await using other = await Engine.open({ workers: 1 });
  const template = await other.template('python');
  const code = 'print(sum(range(10)))';
  await using fresh = await template.fork({ pooled: false });
  const plain = await fresh.run(code, { countPages: true });
  let pooled = await run(template, code);
  for (let i = 0; i < 200 && !pooled.pooled; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    pooled = await run(template, code);
  }
  assert.ok(pooled.pooled && pooled.dirtyPages !== null && plain.dirtyPages !== null);
  // A VM may also have neighbours of what is touched, in a view that another has left.
  assert.ok(pooled.dirtyPages >= plain.dirtyPages - 16 && pooled.dirtyPages < plain.dirtyPages + 400, `${pooled.dirtyPages} pages against ${plain.dirtyPages}`);
});

test('where no VM comes from the pool, runs are learned from all the same, and none is made in advance', async () => {
  const { host, template } = await opened();
  const pool = new Pool(host, template, 2);
  assert.ok(pool.isFull && pool.hasLearned);
  pool.noteStart({
    request: { kind: 'code', code: Buffer.from('print(1)'), filename: '<string>', argv: ['-c'], path0: '' },
    limits: RUN_LIMITS, env: template.header.env, cwd: template.header.cwd, strace: false, countPages: false,
  });
  assert.ok(!pool.isFull && !pool.hasLearned);
  pool.step();
  assert.ok(pool.isFull && pool.hasLearned, 'one step, and no VM');
  assert.equal(template.hotPages.keptPages > 100, host.kvm.kind === 'pvm', `${template.hotPages.keptPages} pages`);
  pool.destroy();
});
