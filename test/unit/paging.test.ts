// Page tables on a plain array, against two models: a Map of what is mapped, and a processor that caches every present entry
// it ever saw and forgets one only when it is replayed (the worst a shadow page table or a TLB may do).

import test from 'node:test';
import assert from 'node:assert/strict';
import { PAGE_EXEC, PAGE_READ, PAGE_WRITE } from '../../src/platform.ts';
import * as L from '../../src/vmm/layout.ts';
import { World, random } from './tableworld.ts';

const PAGE = 4096;
const RW = PAGE_READ | PAGE_WRITE;

/** Addresses that share and do not share tables at every level. */
const PLACES = [
  0x40_0000, 0x40_1000, 0x60_0000, 0x1_4000_0000, 0x1_4000_1000, 0x7f00_0000_0000, 0x7fff_ffdf_f000, 0x7fff_ffdf_e000, 0x20_0000_0000,
];

/** Random operations; returns how often the caching processor was wrong. */
function storm(world: World, rounds: number, replay: boolean): number {
  const pick = random(7);
  let spaces = [world.space(), world.space()];
  let models = spaces.map(() => new Map<number, number>());
  let wrong = 0;
  for (let round = 0; round < rounds; round++) {
    const which = pick(2);
    const [space, model] = [spaces[which], models[which]];
    const gva = PLACES[pick(PLACES.length)] + pick(4) * (pick(2) === 0 ? PAGE : 0);
    const size = [PAGE, 2 ** 21, 2 ** 30, 2 ** 39][pick(4)];
    const prot = [PAGE_READ, RW, PAGE_READ | PAGE_EXEC, RW | PAGE_EXEC][pick(4)];
    const inside = (page: number): boolean => page >= gva && page < gva + size;
    switch (pick(8)) {
      case 3: {
        const gpas = Array.from({ length: 1 + pick(3) }, () => 0x4000_0000 + pick(16) * PAGE);
        const pages = gpas.map((_, i) => gva + i * PAGE);
        if (pages.some((page) => page >= L.USER_END || space.entry(page) !== 0)) break;
        const done = space.mapRun(gva, gpas, prot);
        pages.slice(0, done).forEach((page, i) => model.set(page, gpas[i] | prot));
        break;
      }
      case 0: case 1: case 2: {
        const gpa = 0x4000_0000 + pick(16) * PAGE;
        if (gva < L.USER_END && space.map(gva, gpa, prot)) model.set(gva, gpa | prot);
        break;
      }
      case 4: case 5:
        space.unmap(gva, size);
        for (const page of [...model.keys()]) if (inside(page)) model.delete(page);
        break;
      case 6:
        space.protect(gva, size, prot);
        for (const [page, entry] of [...model]) if (inside(page)) model.set(page, ((entry & ~0xfff) >>> 0) + prot);
        break;
      default:
        if (pick(10) !== 0) break;
        space.destroy();
        spaces = spaces.with(which, world.space());
        models = models.with(which, new Map());
    }
    if (replay) world.replay();
    else world.paging.pending.length = 0;
    for (let i = 0; i < 2; i++) {
      for (const page of PLACES) {
        const entry = models[i].get(page) ?? 0;
        const seen = world.walk(spaces[i].root, page);
        const bits = ((entry & PAGE_WRITE) !== 0 ? 1 : 0) + ((entry & PAGE_EXEC) !== 0 ? 2 : 0);
        const want = entry === 0 ? 0 : ((entry & ~0xfff) >>> 0) + bits;
        // Stale permissions are only allowed to be too small: the processor looks again after the fault.
        const isSpurious = seen !== 0 && entry !== 0 && seen - (seen & 3) === want - (want & 3) && (seen & 3 & ~want) === 0;
        if (seen !== want && !isSpurious) wrong++;
        assert.equal(spaces[i].entry(page), entry === 0 ? 0 : entry | PAGE_READ);
      }
    }
  }
  return wrong;
}

test('no operation leaves a translation behind, whatever the processor cached', () => {
  const world = new World(512);
  assert.equal(storm(world, 4000, true), 0);
  assert.ok(world.next < world.end, 'tables were used again');
});

test('the same storm without the replay corrupts (so the test can see it)', () => {
  assert.ok(storm(new World(512), 400, false) > 0);
});

test('strict paging replays what only adds a permission', () => {
  for (const [strict, runs] of [[false, 0], [true, 1]] as const) {
    const world = new World(64, strict);
    const space = world.space();
    space.map(0x40_0000, 0x100_0000, PAGE_READ);
    assert.equal(world.replay(), 0);
    space.protect(0x40_0000, PAGE, RW | PAGE_EXEC);
    assert.equal(world.replay(), runs);
  }
});

test('neighbouring entries become one run', () => {
  const world = new World(64);
  const space = world.space();
  for (let i = 0; i < 200; i++) space.map(0x40_0000 + i * PAGE, 0x100_0000 + i * PAGE, RW);
  assert.equal(world.replay(), 0);
  space.protect(0x40_0000, 200 * PAGE, PAGE_READ);
  assert.equal(world.replay(), 1);
  space.unmap(0x40_0000, 199 * PAGE);
  assert.equal(world.replay(), 1);
  space.unmap(0x40_0000, 200 * PAGE); // no table is left below the top-level one: only its entry counts
  assert.equal(world.replay(), 1);
  space.map(0x40_0000, 0x100_0000, RW); // their frames are tables again
  assert.equal(world.replay(), 3);
});

test('unmap and forEach of the whole address space are cheap and keep the machine\'s page', () => {
  const world = new World(64);
  const space = world.space();
  const tables = world.next;
  for (const place of [0x1000, 0x7fff_ffdf_f000]) space.map(place, 0x100_0000, RW);
  const seen: number[] = [];
  space.forEach(0, 2 ** 47, (gva, entry) => seen.push(gva, entry));
  assert.deepEqual(seen, [0x1000, 0x100_0000 | RW, 0x7fff_ffdf_f000, 0x100_0000 | RW]);
  space.unmap(0, 2 ** 47);
  assert.notEqual(world.walk(space.root, L.VVAR_GVA), 0);
  assert.equal(space.entry(L.VVAR_GVA), 0);
  assert.equal(space.map(L.VVAR_GVA, 0x100_0000, RW), false);
  space.map(0x1000, 0x100_0000, RW);
  assert.equal(world.next, tables + 4 * PAGE, 'freed tables are used first');
});

test('running out of table frames is a false, not a broken table', () => {
  const world = new World(6);
  const space = world.space();
  assert.equal(space.map(0x7fff_ffdf_0000, 0x100_0000, RW), true);
  assert.equal(space.map(0x1000, 0x100_0000, RW), false);
  assert.equal(space.entry(0x1000), 0);
  space.unmap(0, 2 ** 47);
  space.destroy();
  for (let left = 2; left > 0; left--) assert.notEqual(world.paging.newRoot(world.frames), 0);
  assert.equal(world.paging.newRoot(world.frames), 0);
});

test('ranges at the edges: empty, unaligned ends, above the user half', () => {
  const world = new World(64);
  const space = world.space();
  space.map(0x40_0000, 0x100_0000, RW);
  space.unmap(0x40_0000, 0);
  space.unmap(0x40_1000, 2 ** 47);
  assert.equal(space.entry(0x40_0000), 0x100_0000 | RW);
  assert.equal(space.entry(-4096), 0);
  assert.equal(space.entry(2 ** 63), 0);
  assert.equal(space.map(2 ** 63, 0x100_0000, RW), false);
  space.protect(0x40_0000, PAGE, 0);
  assert.equal(space.entry(0x40_0000), 0);
});
