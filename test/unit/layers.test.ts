// Layers without a VM: machines that branch, write, grow and end in any order, against a model that copies everything.

import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import test from 'node:test';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE, PROT_READ, PROT_WRITE } from '../../src/abi/linux/host.ts';
import { Arena, type Region } from '../../src/host/arena.ts';
import { mmap } from '../../src/host/libc.ts';
import { forEachPrivateRange } from '../../src/host/pagemap.ts';
import { AREA_BYTES } from '../../src/vmm/layout.ts';
import { Layers } from '../../src/vmm/layers.ts';

const MB = 2 ** 20, PAGE = 4096;
const LIMIT = 24 * MB;
/** Ends inside of a granule. */
const SOURCE = 5 * MB;
const MACHINES_MAX = 12;
const arena = new Arena();

/** A machine's memory, and what each page of it must begin with. */
class Machine {
  readonly region: Region;
  readonly layers: Layers;
  readonly words: Uint32Array;
  model = new Map<number, number>();
  end = SOURCE;

  constructor() {
    this.region = arena.take(LIMIT);
    mmap(this.region.hva, SOURCE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    this.layers = new Layers(LIMIT);
    this.layers.hva = this.region.hva;
    this.words = new Uint32Array(this.region.buffer, this.region.byteOffset, LIMIT / 4);
  }

  grow(): void {
    if (this.end < LIMIT) this.end = this.layers.extend(this.end);
  }

  write(page: number, value: number): void {
    this.words[page * PAGE / 4] = value;
    this.model.set(page, value);
  }

  branch(): Machine {
    const { hva } = this.region;
    const changed: number[] = [];
    forEachPrivateRange(arena, hva + AREA_BYTES, this.end - AREA_BYTES, (at, bytes) => changed.push(at - hva, bytes));
    const copied = this.layers.freeze(changed, this.end);
    const copy = new Machine();
    if (this.end > SOURCE) {
      mmap(copy.region.hva + SOURCE, this.end - SOURCE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    }
    copy.layers.adopt(this.layers);
    for (let i = 0; i < copied.length; i += 2) copy.words.set(this.words.subarray(copied[i] / 4, (copied[i] + copied[i + 1]) / 4), copied[i] / 4);
    copy.end = this.end;
    copy.model = new Map(this.model);
    return copy;
  }

  check(what: string): void {
    for (let page = AREA_BYTES / PAGE; page < this.end / PAGE; page++) {
      if (this.words[page * PAGE / 4] !== (this.model.get(page) ?? 0)) assert.fail(`${what}: page ${page}`);
    }
  }

  destroy(): void {
    mmap(this.region.hva, LIMIT, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    arena.release(this.region);
    this.layers.release();
  }
}

function openLayers(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('/memfd:offshoot-layer');
    } catch {
      return false;
    }
  }).length;
}

for (let seed = 1; seed <= 4; seed++) {
  test(`machines that branch, write, grow and end: seed ${seed}`, () => {
    let state = seed;
    const random = (below: number): number => {
      state = Math.imul(state, 1664525) + 1013904223 >>> 0;
      return Math.floor(state / 2 ** 32 * below);
    };
    let machines = [new Machine()];
    for (let step = 1; step <= 120; step++) {
      const machine = machines[random(machines.length)];
      const what = random(8);
      if (what < 2) machine.grow();
      else if (what < 4 && machines.length < MACHINES_MAX) machines.push(machine.branch());
      else if (what === 4 && machines.length > 1) {
        machine.destroy();
        machines = machines.filter((each) => each !== machine);
      } else {
        const first = AREA_BYTES / PAGE;
        const start = first + random(machine.end / PAGE - first);
        const count = Math.min([1, 20, 300, 1500][random(4)], machine.end / PAGE - start);
        for (let i = 0; i < count; i += 1 + what % 2) machine.write(start + i, step * 4096 + i + 1);
      }
      machines.forEach((each, i) => each.check(`step ${step}, machine ${i}`));
    }
    for (const machine of machines) machine.destroy();
    assert.equal(openLayers(), 0);
  });
}

test('without a descriptor for a new layer, everything is copied', () => {
  const machine = new Machine();
  for (let page = 1024; page < 1280; page++) machine.write(page, page);
  const fds: number[] = [];
  let copied: readonly number[];
  try {
    for (;;) fds.push(openSync('/dev/null', 'r'));
  } catch {
    copied = machine.layers.freeze([4 * MB, MB], machine.end);
  } finally {
    for (const fd of fds) closeSync(fd);
  }
  assert.deepEqual(copied, [4 * MB, MB]);
  machine.check('it');
  assert.deepEqual(machine.layers.freeze([4 * MB, MB], machine.end), []); // now it is written to a layer
  machine.check('it, in a layer');
  machine.destroy();
  assert.equal(openLayers(), 0);
});

test('what cannot be written to a layer is copied', () => {
  const machine = new Machine();
  for (let page = 1024; page < 1280; page++) machine.write(page, page);
  assert.deepEqual(machine.layers.freeze([4 * MB, MB], 6 * MB), [4 * MB, MB]); // nothing is mapped from 5 MB on
  assert.equal(openLayers(), 0);
  machine.check('it');
  machine.destroy();
});

test('growth from the middle of a granule leaves its beginning', () => {
  const machine = new Machine();
  for (let page = 1100; page < 1280; page++) machine.write(page, page);
  machine.grow();
  machine.grow();
  assert.equal(machine.end, 8 * MB);
  for (let page = 1300; page < 1700; page++) machine.write(page, page);
  const branch = machine.branch();
  machine.grow();
  branch.grow();
  for (let page = 1200; page < 2200; page += 3) branch.write(page, -page >>> 0);
  for (const each of [machine, branch]) each.check('each');
  for (const each of [machine, branch]) each.destroy();
});
