// Advice about many ranges of memory: what is said of each holds for it and for nothing beside it, with process_madvise(2) and without.

import assert from 'node:assert/strict';
import test from 'node:test';
import { MADV_DONTNEED, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../src/abi/linux/host.ts';
import { PAGE_SIZE } from '../../src/abi/x86/cpu.ts';
import { adviseRanges, allowProcessMadvise } from '../../src/host/advise.ts';
import type { HostError } from '../../src/host/errors.ts';
import { mmap } from '../../src/host/libc.ts';
import { kvm } from './guest.ts';

/** More than one call takes. */
const PAGES = 2600;

function filled(): { readonly hva: number; readonly u8: Uint8Array; readonly release: () => void } {
  const { arena } = kvm();
  const region = arena.take((PAGES + 1) * PAGE_SIZE);
  mmap(region.hva, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  const u8 = new Uint8Array(region.buffer, region.byteOffset, PAGES * PAGE_SIZE).fill(7);
  return { hva: region.hva, u8, release: () => arena.release(region) };
}

/** Of each page: 0 or 7, or what is wrong with it. */
function pages(u8: Uint8Array): number[] {
  return Array.from({ length: PAGES }, (_, i) => {
    const page = u8.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE);
    return page.every((byte) => byte === page[0]) ? page[0] : -1;
  });
}

for (const allowed of [true, false]) {
  const how = allowed ? 'in few calls' : 'one by one';
  test(`each range and nothing else: ${how}`, () => {
    allowProcessMadvise(allowed);
    const { hva, u8, release } = filled();
    const isIn = (i: number): boolean => i % 2 === 1 || (i > 100 && i < 110);
    const ranges = Array.from({ length: PAGES }, (_, i) => i).filter(isIn).flatMap((i) => [i * PAGE_SIZE, PAGE_SIZE]);
    adviseRanges(hva, ranges, MADV_DONTNEED);
    assert.deepEqual(pages(u8), Array.from({ length: PAGES }, (_, i) => (isIn(i) ? 0 : 7)));
    adviseRanges(hva, [], MADV_DONTNEED);
    release();
    allowProcessMadvise(true);
  });

  test(`a range that is none is an error, those before it are done: ${how}`, () => {
    allowProcessMadvise(allowed);
    const { hva, u8, release } = filled();
    assert.throws(() => adviseRanges(hva, [0, PAGE_SIZE, 1, PAGE_SIZE], MADV_DONTNEED), (error: HostError) => error.code === 'EINVAL');
    assert.deepEqual(pages(u8).slice(0, 3), [0, 7, 7]);
    release();
    allowProcessMadvise(true);
  });
}
