// `sandbox.fork(n)`: copies of a running stateful sandbox through the library. What is in their memory: branchmemory.test.ts.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Engine, OffshootError, type StatefulSandbox } from '../../src/engine/index.ts';
import { pythonTemplate, text } from './enginehelp.ts';

/** A sandbox and its copies, closed after the test. */
async function using(test: (box: StatefulSandbox, fork: (count?: number, of?: StatefulSandbox) => Promise<StatefulSandbox[]>) => Promise<void>): Promise<void> {
  const boxes = [await (await pythonTemplate()).fork({ stateful: true })];
  try {
    await test(boxes[0], async (count = 1, of = boxes[0]) => {
      const copies = await of.fork(count);
      boxes.push(...copies);
      return copies;
    });
  } finally {
    for (const box of boxes) await box.close();
  }
}

async function prints(box: StatefulSandbox, code: string, context = 'default'): Promise<string> {
  const result = await box.run(code, { context });
  assert.equal(result.exitCode, 0, `${text(result)}${result.stderr}`);
  return text(result).replace(/\n$/, '');
}

async function refused(call: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  await assert.rejects(call, (error: unknown) => error instanceof OffshootError && error.code === code && message.test(error.message));
}

test('each copy has the variables and files, and goes on alone', () => using(async (box, fork) => {
  await box.run("x = [1]; open('f', 'w').write('one')");
  const copies = await fork(3);
  assert.equal(new Set([box, ...copies].map(({ id }) => id)).size, 4);
  await Promise.all(copies.map((copy, i) => copy.run(`x.append(${i}); open('f', 'a').write(' ${i}')`)));
  await box.run('x = None');
  for (const [i, copy] of copies.entries()) assert.equal(await prints(copy, "print(x, open('f').read())"), `[1, ${i}] one ${i}`);
  assert.equal(await prints(box, "print(x, open('f').read())"), 'None one');
  const [grandchild] = await fork(1, copies[2]);
  await copies[2].close();
  assert.equal(await prints(grandchild, 'x.append(9); print(x)'), '[1, 2, 9]');
}));

test('100 MB of numpy data, written on each side', () => using(async (box, fork) => {
  await box.run('import numpy as np; a = np.arange(100 << 17)');
  const [copy] = await fork();
  await box.run('a += 1');
  await copy.run('a *= 2');
  assert.equal(await prints(box, 'print(bool((a == np.arange(1, (100 << 17) + 1)).all()))'), 'True');
  assert.equal(await prints(copy, 'print(bool((a == 2 * np.arange(100 << 17)).all()))'), 'True');
}));

test('a run that is under way goes on in the copy, unheard; the next finds what it did', () => using(async (box, fork) => {
  await box.run('import time; steps = 0');
  const { promise: forked, resolve } = Promise.withResolvers<undefined>();
  const stdin = async function* (): AsyncGenerator<Buffer> {
    await forked;
    yield Buffer.from('read\n');
  };
  const running = box.run('for _ in range(20):\n  time.sleep(0.05); steps += 1\n  print(steps)\nprint(input())', { stdin: stdin() });
  await box.exec(['/bin/sleep', '0.2']);
  const [copy] = await fork();
  assert.equal(await prints(copy, 'print(steps)'), '20'); // its input has ended
  resolve(undefined);
  const result = await running;
  assert.deepEqual([result.exitCode, text(result).split('\n').at(-2)], [0, 'read']);
  assert.equal(await prints(box, 'print(steps)'), '20');
}));

test('a program that is under way goes on in the copy, unheard', () => using(async (box, fork) => {
  const running = box.exec(['/bin/bash', '-c', 'sleep 0.5; echo done; echo $$ > done; cat']);
  await box.exec(['/bin/sleep', '0.1']);
  const [copy] = await fork();
  const result = await running;
  assert.deepEqual([result.exitCode, text(result)], [0, 'done\n']);
  const wait = "import os, time\nwhile not os.path.exists('done'): time.sleep(0.01)\nprint(len(open('done').read()) > 1)";
  assert.equal(await prints(copy, wait), 'True');
  assert.equal(await prints(box, wait), 'True');
}));

test('background programs, their output so far, and contexts are there in each', () => using(async (box, fork) => {
  const context = await box.createContext({ env: { WHO: 'second' } });
  await box.run('x = 1', { context });
  const process = await box.start(['/bin/bash', '-c', 'echo before; read line; echo "got $line"; exit 5']);
  for await (const piece of process.output()) if (piece.bytes.toString().includes('before')) break;
  const [copy] = await fork();
  assert.deepEqual(copy.contexts(), ['default', context]);
  assert.equal(await prints(copy, "import os; print(x, os.environ['WHO'])", context), '1 second');
  const [same] = copy.processes();
  assert.equal(same.pid, process.pid);
  for (const [each, word] of [[same, 'copy'], [process, 'source']] as const) {
    await each.stdin.write(`${word}\n`);
    const { exitCode, stdout } = await each.wait();
    assert.deepEqual([exitCode, stdout.toString()], [5, `before\ngot ${word}\n`]);
  }
  await copy.files.write('/home/user/only-here', 'x');
  await assert.rejects(box.files.read('/home/user/only-here'));
}));

test('what must differ differs, what was seeded on purpose and what is fixed at the start does not', () => using(async (box, fork) => {
  await box.run(`
import random, os, ssl, tempfile, uuid, numpy as np, offshoot
mine, told = np.random.default_rng(7), []
offshoot.after_branch(lambda: told.append(1))
a = tempfile.mktemp(), random.random(), np.random.rand(), ssl.RAND_bytes(8), os.urandom(8)
open('/proc/sys/kernel/random/boot_id').read()`);
  const sides = [box, ...await fork(2)];
  const differs = ['random.random()', 'np.random.rand()', 'ssl.RAND_bytes(16)', 'os.urandom(16)', 'uuid.uuid4()', 'tempfile.mktemp()'];
  for (const expression of [...differs, "open('/proc/sys/kernel/random/boot_id').read()"]) {
    const values = await Promise.all(sides.map((side) => prints(side, `print(${expression})`)));
    assert.equal(new Set(values).size, 3, `${expression}: ${values}`);
  }
  for (const expression of ['mine.random(3)', "hash('x')", 'id(mine)', 'os.getpid()', "open('/proc/self/maps').read()[:50]"]) {
    const values = await Promise.all(sides.map((side) => prints(side, `print(${expression})`)));
    assert.equal(new Set(values).size, 1, `${expression}: ${values}`);
  }
  assert.deepEqual(await Promise.all(sides.map((side) => prints(side, 'print(told)'))), ['[]', '[1]', '[1]']);
  const [next] = await fork(1, sides[1]);
  assert.notEqual(await prints(next, 'print(np.random.rand(), random.random())'), await prints(sides[1], 'print(np.random.rand(), random.random())'));
  await Promise.all([next, sides[1]].map((side) => side.run('np.random.seed(3)')));
  const [seeded] = await fork(1, next);
  assert.equal(await prints(seeded, 'print(np.random.rand())'), await prints(sides[1], 'print(np.random.rand())'));
}));

test('copies are sandboxes of the tenant like others: all or none', async () => {
  await using(async (box) => {
    for (const count of [0, -1, 1.5, NaN]) await refused(box.fork(count), 'bad-argument', /whole number/);
  });
  const engine = await Engine.open({ workers: 1, tenantLimits: { sandboxes: 4 } });
  try {
    const box = await (await engine.template('python')).fork({ stateful: true });
    await refused(box.fork(900), 'busy', /room for 767 more of at most 768, not for 900/);
    await refused(box.fork(4), 'tenant-limit', /has 4 live sandboxes/);
    const copies = await box.fork(3);
    await refused(copies[0].fork(), 'tenant-limit', /has 4 live sandboxes/);
    await box.close();
    await refused(box.fork(), 'sandbox-ended', /closed/);
    const [again] = await copies[0].fork();
    assert.equal(await prints(again, 'print(1)'), '1');
  } finally {
    await engine.close();
  }
});
