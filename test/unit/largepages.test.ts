// Large pages of shared text: split before anything in them changes, against a model and the forgetful processor of tableworld.ts.

import test from 'node:test';
import assert from 'node:assert/strict';
import { PAGE_EXEC, PAGE_READ, PAGE_WRITE } from '../../src/platform.ts';
import type { PageTables } from '../../src/vmm/paging.ts';
import { World, random } from './tableworld.ts';

const PAGE = 4096;
const MB2 = 2 ** 21;
const GVA = 0x60_0000;
const GPA = 0x2000_0000;
const RX = PAGE_READ | PAGE_EXEC;
const RW = PAGE_READ | PAGE_WRITE;

/** A space with one large page. */
function withLarge(world: World): PageTables {
  const space = world.space();
  space.map(GVA, 0x100_0000, PAGE_READ);
  space.mapLarge(GVA, GPA, RX);
  world.replay();
  return space;
}

test('a large page looks like 512 pages, and looking does not split it', () => {
  const world = new World(64);
  const space = withLarge(world);
  const tables = world.next;
  assert.equal(space.entry(GVA), GPA | RX);
  assert.equal(space.entry(GVA + 5 * PAGE + 17), (GPA + 5 * PAGE) | RX);
  const seen: number[] = [];
  space.forEach(GVA + PAGE, 3 * PAGE, (gva, entry) => seen.push(gva, entry));
  assert.deepEqual(seen, [1, 2, 3].flatMap((i) => [GVA + i * PAGE, (GPA + i * PAGE) | RX]));
  let pages = 0;
  space.forEach(0, 2 ** 47, () => pages++);
  assert.equal(pages, 512);
  assert.equal(world.next, tables);
  assert.equal(world.replay(), 0);
});

test('accessed: once for the large page', () => {
  const world = new World(64);
  const space = withLarge(world);
  space.clearAccessed();
  const seen: number[] = [];
  space.forEachAccessed((gva, gpa) => seen.push(gva, gpa));
  assert.equal(seen.length, 0);
  world.memory.words[(world.entryAt(space.root, GVA, 2)) / 4] |= 0x20;
  space.forEachAccessed((gva, gpa) => seen.push(gva, gpa));
  assert.deepEqual(seen, [GVA, GPA]);
});

test('unmapping all of it needs no frame; destroying a space gives nothing twice', () => {
  const world = new World(7);
  const space = withLarge(world);
  while (world.next < world.end) world.frames.allocTableFrame();
  while (world.paging.allocTable(world.frames) !== 0);
  world.replay();
  assert.notEqual(world.walk(space.root, GVA), 0);
  space.unmap(GVA, MB2);
  world.replay();
  assert.equal(world.walk(space.root, GVA), 0);
  const other = new World(64);
  withLarge(other).destroy();
  const again = [other.space(), other.space()];
  again[0].map(GVA, 0x100_0000, RW);
  assert.equal(again[1].entry(GVA), 0);
});

test('changes inside: the rest stays, nothing stale is used', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const world = new World(64, seed % 2 === 0);
    const space = withLarge(world);
    const model = new Map(Array.from({ length: 512 }, (_, i) => [GVA + i * PAGE, (GPA + i * PAGE) | RX] as const));
    const pick = random(seed);
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 8; i++) world.walk(space.root, GVA + pick(512) * PAGE); // cached before the change
      const gva = GVA + pick(512) * PAGE;
      const size = [PAGE, 3 * PAGE, 64 * PAGE, MB2][pick(4)];
      const inside = [...model.keys()].filter((page) => page >= gva && page < gva + size);
      switch (pick(3)) {
        case 0:
          space.unmap(gva, size);
          for (const page of inside) model.delete(page);
          break;
        case 1:
          space.protect(gva, size, PAGE_READ);
          for (const page of inside) model.set(page, ((model.get(page) as number) & ~7) | PAGE_READ);
          break;
        default:
          assert.ok(space.map(gva, 0x300_0000, RW));
          model.set(gva, 0x300_0000 | RW);
      }
      world.replay();
      for (let page = GVA; page < GVA + MB2; page += PAGE) {
        const entry = model.get(page) ?? 0;
        assert.equal(space.entry(page), entry);
        const want = entry === 0 ? 0 : (entry & ~7) + ((entry & PAGE_WRITE) !== 0 ? 1 : 0) + ((entry & PAGE_EXEC) !== 0 ? 2 : 0);
        const got = world.walk(space.root, page);
        // Stale permissions are only allowed to be too small: the processor looks again after the fault.
        const isSpurious = got !== 0 && got - (got & 3) === want - (want & 3) && (got & 3 & ~want) === 0;
        assert.ok(got === want || isSpurious, `seed ${seed}, round ${round}, page ${page.toString(16)}: ${got} instead of ${want}`);
      }
    }
  }
});
