// Sandboxes that wait have no VM: what runs and what was kept goes on when they are wanted again.

import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Engine, type StatefulSandbox } from '../../src/engine/index.ts';
import { text } from './enginehelp.ts';
import { eventually, workerPids } from './workerhelp.ts';

/** VMs that the workers of this process have open. */
function openVms(): number {
  const links = (pid: number): string[] => readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return ''; // closed meanwhile
    }
  });
  return workerPids().flatMap(links).filter((link) => link === 'anon_inode:kvm-vm').length;
}

/** So many a pool may hold. */
const POOLED = 4;
const OPEN_MAX = 32;
const COUNT = 80;

async function withMany(action: (boxes: readonly StatefulSandbox[]) => Promise<void>): Promise<void> {
  await using engine = await Engine.open({ workers: 1 });
  const template = await engine.template('python');
  const boxes = await Promise.all(Array.from({ length: COUNT }, () => template.fork({ stateful: true })));
  await action(boxes);
  await Promise.all(boxes.map((box) => box.close()));
  assert.ok(await eventually(() => openVms() <= POOLED), 'nothing stays open');
}

test('many live sandboxes in one worker: few of them have a VM, all keep what they had', () => withMany(async (boxes) => {
  assert.equal(workerPids().length, 1);
  assert.ok(openVms() <= OPEN_MAX + POOLED, `${openVms()} VMs`);
  await Promise.all(boxes.map((box, i) => box.run(`import threading, time
x = [${i}] * 50_000
ticks = []
def work():
    while True:
        time.sleep(0.3)
        ticks.append(1)
threading.Thread(target=work, daemon=True).start()`)));
  for (let round = 0; round < 2; round++) {
    const results = await Promise.all(boxes.map((box) => box.run('x.append(x[-1] + 1)\nprint(x[0], len(x), x[-1])')));
    results.forEach((result, i) => assert.equal(text(result), `${i} ${50_001 + round} ${i + 1 + round}\n`));
  }
  await sleep(1000);
  assert.ok(openVms() <= OPEN_MAX + POOLED, `${openVms()} VMs`);
  const ticks = await Promise.all(boxes.map((box) => box.run('print(len(ticks) > 0)')));
  ticks.forEach((result) => assert.equal(text(result), 'True\n', 'its thread woke it'));
}));

test('a sandbox with nothing to run gives its VM up after a while, also in the middle of a run', () => withMany(async (boxes) => {
  const [first] = boxes;
  const floats = 'import math\ny = math.pi * 3\nprint(input(), y == math.pi * 3, sum(range(1000)))';
  let feed = (): void => {};
  const asked = new Promise<void>((resolve) => {
    feed = resolve;
  });
  async function* input(): AsyncGenerator<Uint8Array> {
    await asked;
    yield Buffer.from('typed\n');
  }
  const run = first.run(floats, { stdin: input() });
  const sleeper = boxes[1].run('import time\nstart = time.monotonic()\ntime.sleep(2.5)\nprint(time.monotonic() - start >= 2.5)');
  assert.ok(await eventually(() => openVms() <= POOLED), `${openVms()} VMs`);
  feed();
  assert.equal(text(await run), 'typed True 499500\n');
  assert.equal(text(await sleeper), 'True\n');
}));

test('pages that are the template\'s again are given back', async () => {
  await using engine = await Engine.open({ workers: 1 });
  const box = await (await engine.template('python')).fork({ stateful: true });
  await box.run('big = bytearray(8 << 20)\nkept = list(range(10_000))');
  await eventually(() => openVms() <= POOLED);
  assert.equal(text(await box.run('print(len(big), sum(kept), any(big))')), '8388608 49995000 False\n');
});
