// Sandboxes that wait have no VM: what runs and what was kept goes on when they are wanted again.

import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { PAGE_SIZE } from '../../src/abi/x86/cpu.ts';
import { freezeMemory } from '../../src/engine/branch.ts';
import { Engine, type StatefulSandbox } from '../../src/engine/index.ts';
import { dropUnchanged } from '../../src/engine/rest.ts';
import { RewindBase } from '../../src/engine/rewind.ts';
import { privatePages } from '../../src/host/pagemap.ts';
import { AREA_BYTES } from '../../src/vmm/layout.ts';
import { createMachine } from '../../src/vmm/machine.ts';
import { text } from './enginehelp.ts';
import { kvm } from './guest.ts';
import { eventually, links, workerPids } from './workerhelp.ts';

/** VMs that the workers of this process have open. */
function openVms(): number {
  return workerPids().flatMap(links).filter((link) => link === 'anon_inode:kvm-vm').length;
}

/** So many a pool may hold, forks on their way into it included. */
const POOLED = 6;
const OPEN_MAX = 8;
const COUNT = 24;

async function withMany(count: number, action: (boxes: readonly StatefulSandbox[]) => Promise<void>): Promise<void> {
  await using engine = await Engine.open({ workers: 1 });
  const template = await engine.template('python');
  const boxes = await Promise.all(Array.from({ length: count }, () => template.fork({ stateful: true })));
  await action(boxes);
  await Promise.all(boxes.map((box) => box.close()));
  assert.ok(await eventually(() => openVms() <= POOLED), 'nothing stays open');
}

test('many live sandboxes in one worker: few of them have a VM, all keep what they had', () => withMany(COUNT, async (boxes) => {
  assert.equal(workerPids().length, 1);
  assert.ok(openVms() <= OPEN_MAX + POOLED, `${openVms()} VMs`);
  await Promise.all(boxes.map((box, i) => box.run(`x = [${i}] * 50_000`)));
  for (let round = 0; round < 2; round++) {
    const results = await Promise.all(boxes.map((box) => box.run('x.append(x[-1] + 1)\nprint(x[0], len(x), x[-1])')));
    results.forEach((result, i) => assert.equal(text(result), `${i} ${50_001 + round} ${i + 1 + round}\n`));
  }
  assert.ok(await eventually(() => openVms() <= POOLED), `${openVms()} VMs`);
}));

/** Threads of the worker, and the processor time that it has used, in ticks of 10 ms. */
function workerUse(pid: number): { readonly threads: number; readonly ticks: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
  return { threads: readdirSync(`/proc/${pid}/task`).length, ticks: Number(stat[11]) + Number(stat[12]) };
}

const IDLE = 'sandboxes with nothing to run hold no thread and use no processor, however many interpreters and blocked programs they have';
test(IDLE, () => withMany(12, async (boxes) => {
  const [pid] = workerPids();
  await boxes[0].run('x = 1');
  const { threads } = workerUse(pid);
  await Promise.all(boxes.map(async (box) => {
    const context = await box.createContext();
    await box.run('import threading\nfor _ in range(4): threading.Thread(target=threading.Event().wait, daemon=True).start()', { context });
    await box.start(['cat']);
  }));
  assert.ok(await eventually(() => openVms() <= POOLED));
  assert.ok(await eventually(() => workerUse(pid).threads <= threads + POOLED), `${workerUse(pid).threads} threads, ${threads} before`); // a VM may have one
  let used = Infinity;
  for (let tries = 0; used >= 20 && tries < 30; tries++) { // forks may still be made in advance
    const before = workerUse(pid).ticks;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    used = workerUse(pid).ticks - before;
  }
  assert.ok(used < 20, `it computes: ${used} ticks in a second`);
  for (const box of boxes) assert.equal((await box.stats()).threads >= 6, true);
}));

test('a sandbox with nothing to run gives its VM up after a while, also in the middle of a run', () => withMany(12, async (boxes) => {
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
  await first.exec(['true']);
  const ticker = boxes[2].start(['/bin/bash', '-c', 'for i in 1 2 3; do sleep 1.3; echo $i; done']);
  const run = first.run(floats, { stdin: input() });
  const sleeper = boxes[1].run('import time\nstart = time.monotonic()\ntime.sleep(2.5)\nprint(time.monotonic() - start >= 2.5)');
  assert.ok(await eventually(() => openVms() <= POOLED), `${openVms()} VMs`);
  feed();
  assert.equal(text(await run), 'typed True 499500\n');
  assert.equal(text(await sleeper), 'True\n');
  assert.equal(text(await (await ticker).wait()), '1\n2\n3\n');
}));

test('a page over a frozen layer that is the template\'s again is not given back: the layer has something else there', () => {
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-rest-'));
  const file = join(dir, 'memory');
  const size = 4 << 20, at = 3 << 20;
  writeFileSync(file, Buffer.alloc(size));
  const fd = openSync(file, 'r');
  const machine = createMachine(kvm(), { fd, sizeBytes: size }, 64 << 20);
  const { memory } = machine;
  const base = new RewindBase(kvm().arena, fd, size, []);
  memory.growsInLayers = true;
  memory.layers.replaceEmpty(2 << 20, size);
  memory.u8.fill(7, at, at + PAGE_SIZE);
  freezeMemory(machine, kvm().arena, size);
  memory.u8.fill(0, at, at + PAGE_SIZE);
  machine.giveUpSlot();
  dropUnchanged(memory, base);
  assert.ok(memory.u8.subarray(at, at + PAGE_SIZE).every((byte) => byte === 0));
  machine.destroy();
  base.release();
  closeSync(fd);
  rmSync(dir, { recursive: true });
});

test('pages that are the template\'s again are given back, others kept', () => {
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-rest-'));
  const file = join(dir, 'memory');
  const size = 4 << 20, pages = size / PAGE_SIZE, first = 64;
  const content = Buffer.alloc(size);
  for (let page = 0; page < pages; page++) content.fill(page & 0xff, page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
  content.fill(0, 0, AREA_BYTES);
  writeFileSync(file, content);
  const fd = openSync(file, 'r');
  const machine = createMachine(kvm(), { fd, sizeBytes: size }, 64 << 20);
  const { memory } = machine;
  const base = new RewindBase(kvm().arena, fd, size, []);
  for (let page = first; page < pages; page++) memory.u8[page * PAGE_SIZE + page] ^= page % 3 === 0 ? 1 : 0;
  for (let page = first; page < pages; page++) memory.u8[page * PAGE_SIZE + 4095] += 0;
  memory.grow(8 << 20);
  memory.u8[size + 5] = 7;
  const own = (): number => privatePages(kvm().arena, memory.hva + AREA_BYTES, size - AREA_BYTES);
  assert.equal(own(), pages - first);
  machine.giveUpSlot();
  dropUnchanged(memory, base);
  const changed = Array.from({ length: pages }, (_value, page) => page).filter((page) => page >= first && page % 3 === 0);
  assert.equal(own(), changed.length);
  for (const page of changed) content[page * PAGE_SIZE + page] ^= 1;
  assert.equal(Buffer.compare(memory.u8.subarray(AREA_BYTES, size), content.subarray(AREA_BYTES)), 0);
  assert.equal(memory.u8[size + 5], 7);
  machine.destroy();
  base.release();
  closeSync(fd);
  rmSync(dir, { recursive: true });
});
