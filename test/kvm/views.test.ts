// A view of a file that a VM has left is the next VM's: nothing of what was there may be left in it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { memfdCreate, pwriteAll } from '../../src/host/libc.ts';
import { allowPagemapScan, forEachPrivateRange } from '../../src/host/pagemap.ts';
import { PAGE_SIZE } from '../../src/abi/x86/cpu.ts';
import { AREA_BYTES } from '../../src/vmm/layout.ts';
import { createMachine, type KvmMachine } from '../../src/vmm/machine.ts';
import { Views } from '../../src/vmm/views.ts';
import { kvm } from './guest.ts';

const MB = 2 ** 20;
const SOURCE_BYTES = 4 * MB;
const LIMIT_BYTES = 64 * MB;
const FILLER = 0x5a;

/** A file of SOURCE_BYTES in memory, and machines over it. */
function source(): { readonly views: Views; readonly make: (limitBytes?: number) => KvmMachine } {
  const { arena } = kvm();
  const fd = memfdCreate('views-test', 0);
  const first = createMachine(kvm(), { fd: null, sizeBytes: SOURCE_BYTES }, SOURCE_BYTES);
  first.memory.u8.fill(FILLER, AREA_BYTES);
  pwriteAll(fd, first.memory.hva, SOURCE_BYTES, 0);
  first.destroy();
  const views = new Views(arena);
  return { views, make: (limitBytes = LIMIT_BYTES) => createMachine(kvm(), { fd, sizeBytes: SOURCE_BYTES, views }, limitBytes) };
}

/** How what lies at an address is mapped: "rw-p", "---p". */
function mappedAs(hva: number): string | undefined {
  for (const [, start, end, flags] of readFileSync('/proc/self/maps', 'latin1').matchAll(/^([0-9a-f]+)-([0-9a-f]+) (\S+)/gm)) {
    if (parseInt(start, 16) <= hva && hva < parseInt(end, 16)) return flags;
  }
  return undefined;
}

test('the next machine has the view, and reads the file', () => {
  const { views, make } = source();
  const area = make();
  const areaBytes = Buffer.from(area.memory.u8.subarray(0, AREA_BYTES));
  const { hva } = area.memory;
  assert.ok(area.memory.grow(32 * MB));
  area.memory.u8.fill(1, AREA_BYTES);
  area.destroy();
  assert.deepEqual([mappedAs(hva + AREA_BYTES), mappedAs(hva + SOURCE_BYTES)], ['rw-p', '---p'], 'kept mapped; what it grew by is not');
  const next = make();
  assert.equal(next.memory.hva, hva);
  assert.deepEqual(Buffer.from(next.memory.u8.subarray(0, AREA_BYTES)), areaBytes);
  assert.ok(next.memory.u8.subarray(AREA_BYTES).every((byte) => byte === FILLER), 'what the last one wrote is gone');
  assert.ok(next.memory.grow(32 * MB));
  assert.ok(next.memory.u8.subarray(SOURCE_BYTES).every((byte) => byte === 0));
  next.destroy();
  views.release();
  assert.equal(mappedAs(hva + AREA_BYTES), '---p');
});

test('a view that fills its region: nothing lies behind it', () => {
  const { views, make } = source();
  const machine = make(SOURCE_BYTES);
  const { hva } = machine.memory;
  machine.memory.u8.fill(1, AREA_BYTES);
  machine.destroy();
  const next = make(SOURCE_BYTES);
  assert.equal(next.memory.hva, hva);
  assert.ok(next.memory.u8.subarray(AREA_BYTES).every((byte) => byte === FILLER));
  assert.equal(mappedAs(hva + SOURCE_BYTES), '---p');
  next.destroy();
  views.release();
});

test('another size, and more views than are kept, get memory of their own', () => {
  const { views, make } = source();
  const small = make(8 * MB);
  const taken = small.memory.hva;
  small.destroy();
  const large = make();
  assert.notEqual(large.memory.hva, taken);
  large.destroy();
  const all = Array.from({ length: 20 }, () => make());
  assert.equal(new Set(all.map(({ memory }) => memory.hva)).size, 20);
  const before = all.map(({ memory }) => memory.hva);
  for (const machine of all) machine.destroy();
  const kept = before.filter((hva) => mappedAs(hva + AREA_BYTES) === 'rw-p').length;
  assert.ok(kept > 0 && kept < 20, `${kept} views are kept`);
  views.release();
});

test('a machine whose memory lies in layers leaves no view', () => {
  const { views, make } = source();
  const machine = make();
  const { hva, layers } = machine.memory;
  layers.replaceEmpty(2 * MB, SOURCE_BYTES);
  machine.destroy();
  assert.equal(mappedAs(hva + 3 * MB), '---p');
  const next = make();
  assert.ok(next.memory.u8.subarray(AREA_BYTES).every((byte) => byte === FILLER));
  next.destroy();
  views.release();
});

/** Pages (gpa) of a machine that are this process's own. */
function ownPages({ memory: { hva } }: KvmMachine): number[] {
  const pages: number[] = [];
  forEachPrivateRange(kvm().arena, hva + AREA_BYTES, SOURCE_BYTES - AREA_BYTES, (start, bytes) => {
    for (let at = start; at < start + bytes; at += PAGE_SIZE) pages.push(at - hva);
  });
  return pages;
}

/** Where the guest's pages are written, and what the next machine in that view has of its own: nothing but `kept`, and the file's bytes. */
function leaves(written: readonly number[], kept: readonly number[]): void {
  const { views, make } = source();
  views.keep(kept.flatMap((gpa) => [gpa, gpa + PAGE_SIZE]), new Uint8Array(SOURCE_BYTES).fill(FILLER));
  let last = make();
  const { hva } = last.memory;
  for (let round = 0; round < 2; round++) {
    for (const gpa of written) last.memory.u8.fill(round, gpa, gpa + PAGE_SIZE);
    last.destroy();
    last = make();
    assert.deepEqual([last.memory.hva, last.memory.isPopulated], [hva, true]);
    assert.deepEqual(ownPages(last), kept);
    assert.ok(last.memory.u8.subarray(AREA_BYTES).every((byte) => byte === FILLER), 'what the last one wrote is gone');
  }
  last.destroy();
  views.release();
}

const KEPT = [1 * MB, 1 * MB + PAGE_SIZE, 3 * MB];

test('pages that are known to be written stay, with the content of the file', () => {
  leaves([...KEPT, 2 * MB, 2 * MB + 4 * PAGE_SIZE, SOURCE_BYTES - PAGE_SIZE], KEPT);
  leaves([1 * MB], KEPT);
  leaves([1 * MB, 2 * MB], []);
});

test('… whatever a guest wrote: everything, every other page', () => {
  const pages = Array.from({ length: (SOURCE_BYTES - AREA_BYTES) / PAGE_SIZE }, (_, i) => AREA_BYTES + i * PAGE_SIZE);
  leaves(pages, KEPT);
  leaves(pages.filter((_, i) => i % 2 === 0), KEPT);
});

test('… and without PAGEMAP_SCAN', () => {
  allowPagemapScan(false);
  try {
    leaves([...KEPT, 2 * MB], KEPT);
  } finally {
    allowPagemapScan(true);
  }
});

test('views that kept other pages are not taken', () => {
  const { views, make } = source();
  const first = make();
  const { hva } = first.memory;
  first.destroy();
  views.keep([1 * MB, 1 * MB + PAGE_SIZE], new Uint8Array(SOURCE_BYTES).fill(FILLER));
  const next = make();
  assert.equal(next.memory.isPopulated, false);
  assert.deepEqual(ownPages(next), []);
  assert.equal(mappedAs(hva + AREA_BYTES), next.memory.hva === hva ? 'rw-p' : '---p');
  next.destroy();
  views.release();
});
