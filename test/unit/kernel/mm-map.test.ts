// mmap, munmap, mprotect, brk, mremap: results and errors as mmap(2), mprotect(2), mremap(2) and brk(2) promise them.

import assert from 'node:assert/strict';
import test from 'node:test';
import {
  EACCES, EEXIST, EFAULT, EINVAL, ENOMEM, EOVERFLOW, EPERM,
} from '../../../src/abi/linux/errno.ts';
import {
  MAP_32BIT, MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_GROWSDOWN, MAP_NORESERVE, MAP_POPULATE, MAP_PRIVATE, MAP_SHARED,
  MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE, PROT_EXEC, PROT_GROWSDOWN, PROT_NONE, PROT_READ, PROT_WRITE, TASK_SIZE_MAX,
} from '../../../src/abi/linux/mman.ts';
import { maps } from '../../../src/kernel/mm/describe.ts';
import type { Mm } from '../../../src/kernel/mm/mm.ts';
import { newMm } from '../fakemachine.ts';

const PAGE = 4096, MB = 1 << 20, GB = 2 ** 30;
const RW = PROT_READ | PROT_WRITE;
const ANON = MAP_PRIVATE | MAP_ANONYMOUS;

function mmap(mm: Mm, length: number, prot = RW, flags = ANON, addr = 0): number {
  return mm.map({ addr, length, prot, flags, inode: null, offset: 0 });
}

/** Areas as "start+pages prot", starts relative to `base` in pages. */
function shape(mm: Mm, base: number): string {
  return mm.vmas.map((vma) => `${(vma.start - base) / PAGE}+${(vma.end - vma.start) / PAGE} ${vma.prot}`).join(', ');
}

test('mmap: arguments are judged as Linux does', () => {
  const mm = newMm();
  assert.equal(mmap(mm, 0), -EINVAL);
  assert.equal(mm.map({ addr: 0, length: PAGE, prot: RW, flags: ANON, inode: null, offset: 1 }), -EINVAL);
  assert.equal(mmap(mm, PAGE, RW, MAP_ANONYMOUS), -EINVAL, 'neither private nor shared');
  assert.equal(mmap(mm, PAGE, RW, ANON | MAP_FIXED, 0x100001), -EINVAL);
  assert.equal(mmap(mm, PAGE, RW, ANON | MAP_FIXED, 0x1000), -EPERM, 'below mmap_min_addr');
  assert.equal(mmap(mm, PAGE, RW, ANON | MAP_FIXED, TASK_SIZE_MAX), -ENOMEM);
  assert.equal(mmap(mm, 2 ** 63), -ENOMEM);
  assert.equal(mmap(mm, 2 ** 64 - 1), -ENOMEM);
  assert.equal(mmap(mm, 65 * MB), -ENOMEM, 'more than there is');
  assert.ok(mmap(mm, 65 * MB, RW, ANON | MAP_NORESERVE) > 0);
  assert.ok(mmap(mm, 64 * GB, PROT_NONE) > 0, 'a reservation costs nothing');
  const at = mmap(mm, PAGE);
  assert.equal(mmap(mm, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, at), -EEXIST);
  assert.equal(mmap(mm, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN), -EINVAL);
  const file = { dev: 8, ino: 1, nlink: 1, users: 0, mapPage: () => -EFAULT, release: () => {} };
  const request = { addr: 0, length: PAGE, prot: RW, flags: MAP_SHARED, inode: file, offset: 0 };
  assert.equal(mm.map({ ...request, canWrite: false }), -EACCES);
  assert.equal(mm.map({ ...request, canRead: false }), -EACCES);
  assert.equal(mm.map({ ...request, offset: -PAGE }), -EOVERFLOW);
  assert.equal(mm.map({ ...request, flags: MAP_PRIVATE | MAP_GROWSDOWN }), -EINVAL);
  const readOnly = mm.map({ ...request, prot: PROT_READ, canWrite: false });
  assert.equal(mm.protect(readOnly, PAGE, RW), -EACCES);
  assert.equal(file.users, 1);
  assert.equal(mm.unmap(readOnly, PAGE), 0);
  assert.equal(file.users, 0);
});

test('mmap: places top-down, honours hints, merges neighbours', () => {
  const mm = newMm();
  const first = mmap(mm, 2 * PAGE);
  assert.equal(first + 2 * PAGE, mm.mmapBase);
  const second = mmap(mm, PAGE);
  assert.equal(second, first - PAGE);
  assert.equal(mm.vmas.length, 1);
  assert.equal(mmap(mm, PAGE, PROT_READ), second - PAGE);
  assert.equal(mm.vmas.length, 2);
  assert.equal(mm.unmap(first, PAGE), 0);
  assert.equal(mmap(mm, 2 * PAGE), second - 3 * PAGE, 'does not fit the hole');
  assert.equal(mmap(mm, PAGE), first, 'fits the hole');
  assert.equal(mmap(mm, PAGE, RW, ANON, 0x10000000), 0x10000000);
  assert.notEqual(mmap(mm, PAGE, RW, ANON, 0x10000000), 0x10000000);
  const low = mmap(mm, PAGE, RW, ANON | MAP_32BIT);
  assert.ok(low >= 0x40000000 && low < 0x80000000);
});

test('mmap: always takes the highest gap that fits', () => {
  const mm = newMm();
  /** The same by looking at every area from the top. */
  const highestGap = (length: number): number => {
    let top = mm.mmapBase;
    for (const vma of mm.vmas.toReversed()) {
      if (top - vma.end >= length) break;
      top = vma.start;
    }
    return top - length;
  };
  let state = 1;
  const next = (below: number): number => (state = (state * 48271) % 0x7fffffff) % below;
  for (let i = 0; i < 3000; i++) {
    const length = (1 + next(next(3) === 0 ? 20 : 3)) * PAGE;
    const expected = highestGap(length);
    assert.equal(mmap(mm, length, next(4)), expected, `step ${i}`);
    const vma = mm.vmas[next(mm.vmas.length)];
    if (next(5) < 4) mm.unmap(vma.start + next(2) * PAGE, (1 + next(4)) * PAGE);
    else mm.protect(vma.start, PAGE, next(4));
  }
});

test('munmap: splits, ignores holes, judges arguments', () => {
  const mm = newMm();
  const at = mmap(mm, 5 * PAGE);
  assert.equal(mm.unmap(at + PAGE, PAGE), 0);
  assert.equal(mm.unmap(at + 3 * PAGE, 1), 0, 'length is rounded up');
  assert.equal(shape(mm, at), '0+1 3, 2+1 3, 4+1 3');
  assert.equal(mm.unmap(at, 5 * PAGE), 0);
  assert.equal(mm.unmap(at, 5 * PAGE), 0, 'nothing there');
  assert.equal(mm.unmap(at + 1, PAGE), -EINVAL);
  assert.equal(mm.unmap(at, 0), -EINVAL);
  assert.equal(mm.unmap(TASK_SIZE_MAX, PAGE), -EINVAL);
  assert.equal(mm.unmap(0, 2 ** 64), -EINVAL);
});

test('mprotect: changes what it can, refuses holes and PROT_GROWSDOWN elsewhere', () => {
  const mm = newMm();
  const at = mmap(mm, 4 * PAGE);
  assert.equal(mm.protect(at + PAGE, PAGE, PROT_READ), 0);
  assert.equal(shape(mm, at), '0+1 3, 1+1 1, 2+2 3');
  assert.equal(mm.protect(at + PAGE, PAGE, RW), 0);
  assert.equal(shape(mm, at), '0+4 3');
  assert.equal(mm.protect(at, PAGE, RW | PROT_EXEC), 0, 'W+X is allowed');
  mm.unmap(at + 2 * PAGE, PAGE);
  assert.equal(mm.protect(at, 4 * PAGE, PROT_READ), -ENOMEM);
  assert.equal(shape(mm, at), '0+2 1, 3+1 3', 'what precedes the hole has changed');
  assert.equal(mm.protect(at, PAGE, PROT_READ | PROT_GROWSDOWN), -EINVAL);
  assert.equal(mm.protect(at + 1, PAGE, PROT_READ), -EINVAL);
  assert.equal(mm.protect(at, PAGE, 0x100), -EINVAL);
  assert.equal(mm.protect(at, 0, PROT_READ), 0);
  const stack = mmap(mm, 2 * PAGE, RW, ANON | MAP_GROWSDOWN | MAP_FIXED, 0x20000000);
  assert.equal(mm.protect(stack + PAGE, PAGE, RW | PROT_EXEC | PROT_GROWSDOWN), 0);
  assert.equal(mm.vmas[0].prot, RW | PROT_EXEC, 'the whole stack');
});

test('mprotect: PROT_NONE keeps the content', () => {
  const mm = newMm();
  const at = mmap(mm, 4 * PAGE);
  assert.equal(mm.writeU32(at + PAGE, 77), 0);
  assert.equal(mm.protect(at, 4 * PAGE, PROT_NONE), 0);
  assert.equal(mm.readU32(at + PAGE), -EFAULT);
  const rss = mm.rssPages;
  const moved = mm.remap(at, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE, 0);
  assert.ok(moved > 0);
  assert.equal(mm.protect(moved, 4 * PAGE, PROT_READ), 0);
  assert.equal(mm.readU32(moved + PAGE), 77);
  assert.equal(mm.rssPages, rss);
  assert.equal(mm.unmap(moved, 8 * PAGE), 0);
  assert.equal(mm.rssPages, 0);
});

test('brk: grows, shrinks, stops at what is in the way', () => {
  const mm = newMm();
  mm.setHeapStart(0x500000);
  assert.equal(mm.setBrk(0), 0x500000);
  assert.equal(mm.setBrk(0x500123), 0x500123);
  assert.equal(mm.writeU8(0x500122, 9), 0);
  assert.equal(mm.setBrk(0x600000), 0x600000);
  assert.match(maps(mm), /^00500000-00600000 rw-p 00000000 00:00 0 +\[heap\]$/m);
  assert.equal(mm.setBrk(0x501000), 0x501000);
  assert.equal(mm.totalPages, 1);
  mmap(mm, PAGE, RW, ANON | MAP_FIXED, 0x510000);
  assert.equal(mm.setBrk(0x510000), 0x501000, 'one page stays free before the next area');
  assert.equal(mm.setBrk(0x50f000), 0x50f000);
  assert.equal(mm.setBrk(0x500000 + 65 * MB), 0x50f000);
  assert.equal(mm.setBrk(2 ** 64), 0x50f000);
});

test('mremap: in place, by moving, to a fixed place, errors', () => {
  const mm = newMm();
  const at = mmap(mm, 4 * PAGE, RW, ANON | MAP_FIXED, 0x10000000);
  mm.writeU32(at, 1);
  mm.writeU32(at + 3 * PAGE, 4);
  assert.equal(mm.remap(at, 4 * PAGE, 2 * PAGE, 0, 0), at);
  assert.equal(mm.remap(at, 2 * PAGE, 6 * PAGE, 0, 0), at);
  assert.equal(mm.readU32(at + 3 * PAGE), 0, 'cut and grown again: zeros');
  mmap(mm, PAGE, PROT_READ, ANON | MAP_FIXED, at + 6 * PAGE);
  assert.equal(mm.remap(at, 6 * PAGE, 8 * PAGE, 0, 0), -ENOMEM);
  const moved = mm.remap(at, 6 * PAGE, 8 * PAGE, MREMAP_MAYMOVE, 0);
  assert.equal(mm.readU32(moved), 1);
  assert.equal(mm.readU32(at), -EFAULT);
  const fixed = mm.remap(moved, 8 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, 0x30000000);
  assert.equal(fixed, 0x30000000);
  assert.equal(mm.readU32(fixed), 1);
  const twin = mm.remap(fixed, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
  assert.equal(mm.readU32(twin), 1);
  assert.equal(mm.readU32(fixed), 0, 'stays mapped, without pages');
  assert.equal(mm.remap(fixed, PAGE, PAGE, 8, 0), -EINVAL);
  assert.equal(mm.remap(fixed, PAGE, PAGE, MREMAP_FIXED, 0x40000000), -EINVAL);
  assert.equal(mm.remap(fixed, PAGE, 0, 0, 0), -EINVAL);
  assert.equal(mm.remap(fixed + 1, PAGE, PAGE, 0, 0), -EINVAL);
  assert.equal(mm.remap(0x70000000, PAGE, PAGE, 0, 0), -EFAULT);
  assert.equal(mm.remap(fixed, 0, PAGE, MREMAP_MAYMOVE, 0), -EINVAL, 'private');
  assert.equal(mm.remap(fixed, 3 * PAGE, 4 * PAGE, MREMAP_MAYMOVE, 0), -EFAULT, 'crosses the end');
  assert.equal(mm.remap(fixed, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, fixed + PAGE), -EINVAL, 'overlap');
  const shared = mmap(mm, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE);
  const alias = mm.remap(shared, 0, PAGE, MREMAP_MAYMOVE, 0);
  mm.writeU32(alias, 5);
  assert.equal(mm.readU32(shared), 5);
});

test('limits: RLIMIT_AS and the number of areas', () => {
  const mm = newMm();
  mm.limits = { ...mm.limits, asBytes: 10 * PAGE };
  const at = mmap(mm, 8 * PAGE);
  assert.equal(mmap(mm, 3 * PAGE), -ENOMEM);
  assert.equal(mm.remap(at, 8 * PAGE, 11 * PAGE, MREMAP_MAYMOVE, 0), -ENOMEM);
  assert.equal(mmap(mm, 8 * PAGE, PROT_READ, ANON | MAP_FIXED, at), at, 'replacing needs no more');
  mm.limits = { ...mm.limits, asBytes: Infinity };
  const many = mmap(mm, 2 * 65540 * PAGE, PROT_NONE);
  let splits = 0;
  while (splits < 66000 && mm.protect(many + (2 * splits + 1) * PAGE, PAGE, PROT_READ) === 0) splits++;
  assert.ok(mm.vmas.length >= 65528 && mm.vmas.length <= 65531, String(mm.vmas.length));
  assert.equal(mm.unmap(many + 2 * 65539 * PAGE + PAGE, PAGE), 0, 'cutting off an end needs no area');
});
