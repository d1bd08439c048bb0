// Shared text: which parts of an address space move, that they read as before, and that their memory is never counted or given away.

import assert from 'node:assert/strict';
import test from 'node:test';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_EXEC, PROT_READ, PROT_WRITE } from '../../../src/abi/linux/mman.ts';
import type { Backing } from '../../../src/kernel/mm/backing.ts';
import { Frames } from '../../../src/kernel/mm/frames.ts';
import type { Mm } from '../../../src/kernel/mm/mm.ts';
import { shareText } from '../../../src/kernel/mm/sharedtext.ts';
import { newMm } from '../fakemachine.ts';

const PAGE = 4096, MB2 = 2 ** 21;
const BASE = 0x4000_0000;

/** A file whose page n begins with the number n + 1. */
function file(mm: Mm, pages: number): Backing {
  const { frames } = mm.kernel;
  const cache = new Map<number, number>();
  return {
    dev: 8, ino: 1, nlink: 1, users: 0, release: () => {},
    mapPage(index) {
      if (index >= pages) return -14;
      let gpa = cache.get(index);
      if (gpa === undefined) {
        gpa = frames.alloc();
        frames.memory.view.setUint32(gpa, index + 1, true);
        cache.set(index, gpa);
      }
      frames.ref(gpa);
      return gpa;
    },
  };
}

function map(mm: Mm, inode: Backing | null, addr: number, pages: number, prot: number, offset = 0): void {
  const flags = MAP_PRIVATE | MAP_FIXED | (inode === null ? MAP_ANONYMOUS : 0);
  assert.equal(mm.map({ addr, length: pages * PAGE, prot, flags, inode, offset }), addr);
}

function word(mm: Mm, gva: number): number {
  const bytes = new Uint8Array(4);
  assert.equal(mm.copyIn(gva, bytes), 0);
  return new DataView(bytes.buffer).getUint32(0, true);
}

/** 1,100 pages of a program, from 100 pages below an aligned address: 2 MB in two permissions, then less than 2 MB. */
function program(): { mm: Mm; start: number } {
  const mm = newMm();
  const inode = file(mm, 1100);
  const start = BASE - 100 * PAGE;
  map(mm, inode, start, 400, PROT_READ | PROT_EXEC);
  map(mm, inode, start + 400 * PAGE, 700, PROT_READ, 400 * PAGE);
  for (let i = 0; i < 1100; i += 2) word(mm, start + i * PAGE);
  return { mm, start };
}

test('an aligned part of text moves and reads as before', () => {
  const { mm, start } = program();
  const used = mm.kernel.frames.highWaterBytes;
  const shared = shareText(mm, 16 * PAGE);
  assert.ok(shared);
  assert.equal(shared.sizeBytes, MB2);
  assert.equal(shared.gpa % MB2, 0);
  assert.ok(shared.gpa >= used + 16 * PAGE);
  for (let i = 0; i < 1100; i++) assert.equal(word(mm, start + i * PAGE), i + 1);
  assert.equal(mm.space.entry(BASE) - (mm.space.entry(BASE) % PAGE), shared.gpa);
});

test('what is written to becomes the program\'s own; the shared bytes stay', () => {
  const { mm } = program();
  const shared = shareText(mm, 0);
  assert.ok(shared);
  const { frames } = mm.kernel;
  const before = frames.memory.u8.slice(shared.gpa, shared.gpa + MB2);
  assert.equal(mm.protect(BASE, 8 * PAGE, PROT_READ | PROT_WRITE), 0);
  assert.equal(mm.copyOut(BASE, new Uint8Array([9, 9, 9, 9])), 0);
  assert.equal(word(mm, BASE), 0x0909_0909);
  assert.equal(word(mm, BASE + PAGE), 102);
  assert.equal(mm.unmap(BASE, MB2), 0);
  for (let i = 0; i < 600; i++) assert.notEqual(frames.alloc(), 0);
  assert.deepEqual(frames.memory.u8.slice(shared.gpa, shared.gpa + MB2), before);
});

test('its frames are nobody\'s, also after a restore; those below are free', () => {
  const { mm } = program();
  const { frames } = mm.kernel;
  const shared = shareText(mm, 64 * PAGE);
  assert.ok(shared);
  for (const each of [frames, Frames.restore(frames.save(), frames.memory)]) {
    assert.equal(each.refs(shared.gpa + 5 * PAGE), Infinity);
    each.unref(shared.gpa);
    const gpas = new Set(Array.from({ length: 64 }, () => each.alloc()));
    assert.equal(gpas.size, 64);
    for (const gpa of gpas) assert.ok(gpa !== 0 && gpa < shared.gpa && each.bytes(gpa).every((byte) => byte === 0));
  }
});

test('nothing moves that may be written, is anonymous, ends early or is hardly used', () => {
  const cases: readonly ((mm: Mm) => void)[] = [
    (mm) => map(mm, file(mm, 512), BASE, 512, PROT_READ | PROT_WRITE),
    (mm) => map(mm, null, BASE, 512, PROT_READ),
    (mm) => map(mm, file(mm, 500), BASE, 512, PROT_READ),
    (mm) => map(mm, file(mm, 512), BASE + PAGE, 511, PROT_READ),
  ];
  for (const set of cases) {
    const mm = newMm();
    set(mm);
    for (let i = 1; i < 500; i++) word(mm, BASE + i * PAGE);
    assert.equal(shareText(mm, 0), null);
  }
  const idle = newMm();
  map(idle, file(idle, 512), BASE, 512, PROT_READ);
  assert.equal(shareText(idle, 0), null);
});
