// Page faults, user memory access, madvise, frames: what becomes present, when it is a signal, and what it costs.

import assert from 'node:assert/strict';
import test from 'node:test';
import { EFAULT, EINVAL, ENAMETOOLONG, ENOMEM, EPERM } from '../../../src/abi/linux/errno.ts';
import {
  MADV_DONTNEED, MADV_FREE, MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_REMOVE, MADV_WILLNEED, MADV_WIPEONFORK, MAP_ANONYMOUS,
  MAP_FIXED, MAP_GROWSDOWN, MAP_LOCKED, MAP_NORESERVE, MAP_POPULATE, MAP_PRIVATE, MAP_SHARED, PROT_EXEC, PROT_NONE, PROT_READ,
  PROT_WRITE, TASK_SIZE_MAX, VM_LOCKED,
} from '../../../src/abi/linux/mman.ts';
import type { Backing } from '../../../src/kernel/mm/backing.ts';
import { inCore, lock, lockAll, unlockAll } from '../../../src/kernel/mm/lock.ts';
import { Frames } from '../../../src/kernel/mm/frames.ts';
import type { Mm } from '../../../src/kernel/mm/mm.ts';
import { FakeMemory, newMm } from '../fakemachine.ts';

const PAGE = 4096, MB = 1 << 20;
const RW = PROT_READ | PROT_WRITE;
const ANON = MAP_PRIVATE | MAP_ANONYMOUS;
const READ = 4, WRITE = 6, FETCH = 20;
const MAPERR = { signo: 11, code: 1 }, ACCERR = { signo: 11, code: 2 };

function mmap(mm: Mm, length: number, prot = RW, flags = ANON, addr = 0): number {
  return mm.map({ addr, length, prot, flags, inode: null, offset: 0 });
}

/** A file of `pages` pages in frames, page n filled with n+1. */
function file(mm: Mm, pages: number): Backing & { readonly gpas: number[] } {
  const { frames } = mm.kernel;
  const gpas = Array.from({ length: pages }, () => frames.alloc());
  gpas.forEach((gpa, i) => frames.bytes(gpa).fill(i + 1));
  return {
    dev: 8, ino: 1, nlink: 1, users: 0, gpas, release: () => {},
    mapPage: (index: number) => {
      if (index >= gpas.length) return -EFAULT;
      frames.ref(gpas[index]);
      return gpas[index];
    },
  };
}

test('faults: signals for what is not mapped or not permitted', () => {
  const mm = newMm();
  const at = mmap(mm, 64 * PAGE, PROT_READ, ANON, 0x10000000);
  assert.deepEqual(mm.handleFault(0, READ), MAPERR);
  assert.deepEqual(mm.handleFault(at - 1, READ), MAPERR);
  assert.deepEqual(mm.handleFault(TASK_SIZE_MAX, READ), MAPERR);
  assert.deepEqual(mm.handleFault(2 ** 64 - 4096, READ), MAPERR);
  assert.deepEqual(mm.handleFault(at, WRITE), ACCERR);
  assert.deepEqual(mm.handleFault(at, FETCH), ACCERR);
  assert.equal(mm.handleFault(at + 17, READ), 0);
  const none = mmap(mm, PAGE, PROT_NONE);
  assert.deepEqual(mm.handleFault(none, READ), ACCERR);
  const code = mmap(mm, PAGE, PROT_EXEC);
  assert.equal(mm.handleFault(code, FETCH), 0);
  assert.equal(mm.readU8(code), 0, 'what can be executed can be read');
  const writeOnly = mmap(mm, PAGE, PROT_WRITE);
  assert.equal(mm.readU8(writeOnly), 0);
});

test('faults: neighbours come along, and only as long as memory is plenty', () => {
  const mm = newMm(16 * MB);
  const at = mmap(mm, 8 * MB, RW, ANON, 0x10000000);
  assert.equal(mm.handleFault(at + 5 * PAGE, WRITE), 0);
  assert.equal(mm.rssPages, 64);
  assert.equal(mm.space.entry(at) & 3, 3);
  const touched = mm.kernel.memory.sizeBytes;
  assert.ok(touched <= 2 * MB, 'frames are not touched');
  while (mm.kernel.frames.freePages > 300) mm.kernel.frames.alloc();
  const before = mm.rssPages;
  assert.equal(mm.handleFault(at + 2 * MB, WRITE), 0);
  assert.equal(mm.rssPages, before + 1);
});

test('faults: a heap that grows a little comes at once, and parts of a library as far as the page cache has them', () => {
  const mm = newMm(16 * MB);
  mm.setHeapStart(0x800000);
  mm.setBrk(0x800000 + 33 * PAGE);
  assert.equal(mm.rssPages, 33);
  mm.setBrk(0x800000 + 133 * PAGE);
  assert.equal(mm.rssPages, 33, 'much is not');
  const inode = { ...file(mm, 8), cachedPage: (index: number) => inode.gpas[index] };
  const at = mm.map({ addr: 0, length: 8 * PAGE, prot: PROT_READ, flags: MAP_PRIVATE, inode, offset: 0 });
  const part = (page: number, pages: number, prot: number): number[] => {
    mm.map({ addr: at + page * PAGE, length: pages * PAGE, prot, flags: MAP_PRIVATE | MAP_FIXED, inode, offset: page * PAGE });
    return Array.from({ length: 8 }, (_, i) => i).filter((i) => mm.space.entry(at + i * PAGE) !== 0);
  };
  assert.deepEqual(part(2, 2, PROT_READ | PROT_EXEC), [0, 1, 2, 3], 'what is before it, too');
  assert.deepEqual(part(4, 2, PROT_READ), [0, 1, 2, 3, 4, 5], 'not what is behind it and will be replaced');
  assert.deepEqual(part(6, 2, RW), [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.notEqual(mm.space.entry(at + 6 * PAGE) - 3, inode.gpas[6], 'data is a copy');
  while (mm.kernel.frames.freePages > 300) mm.kernel.frames.alloc();
  const before = mm.rssPages;
  mm.setBrk(0x800000 + 140 * PAGE);
  assert.equal(mm.rssPages, before, 'only as long as memory is plenty');
});

test('faults: out of memory is the killer, and reclaim comes first', () => {
  const mm = newMm(4 * MB);
  const { frames } = mm.kernel;
  const at = mmap(mm, 16 * MB, RW, ANON | MAP_NORESERVE);
  const kept: number[] = [frames.alloc()];
  frames.reclaim = () => { for (const gpa of kept.splice(0)) frames.unref(gpa); };
  let pages = 0;
  while (mm.handleFault(at + pages * PAGE, WRITE) === 0) pages++;
  assert.equal(kept.length, 0);
  assert.equal(frames.freePages, 0);
  assert.ok(frames.exhausted);
  assert.deepEqual(mm.handleFault(at + pages * PAGE, WRITE), { signo: 9, code: 'oom' });
  assert.equal(mm.copyOut(at + pages * PAGE, new Uint8Array(1)), -EFAULT);
  mm.unmap(at, 16 * MB);
  assert.equal(mm.rssPages, 0);
  assert.equal(mm.handleFault(mmap(mm, PAGE), WRITE), 0);
});

test('faults: files are shared until a private write', () => {
  const mm = newMm();
  const inode = file(mm, 3);
  const at = mm.map({ addr: 0, length: 5 * PAGE, prot: RW, flags: MAP_PRIVATE, inode, offset: 0 });
  assert.equal(mm.readU8(at + PAGE), 2);
  assert.equal(mm.rssPages, 3, 'the neighbours too');
  assert.equal(mm.space.entry(at), inode.gpas[0] + 1);
  assert.equal(mm.writeU8(at + PAGE, 99), 0);
  assert.equal(mm.readU8(at + PAGE), 99);
  assert.equal(mm.readU8(at + PAGE + 1), 2);
  assert.equal(mm.kernel.frames.bytes(inode.gpas[1])[0], 2);
  assert.equal(mm.kernel.frames.refs(inode.gpas[1]), 1);
  assert.deepEqual(mm.handleFault(at + 3 * PAGE, READ), { signo: 7, code: 2 }, 'beyond the end');
  const shared = mm.map({ addr: 0, length: PAGE, prot: RW, flags: MAP_SHARED, inode, offset: 2 * PAGE });
  assert.equal(mm.readU8(shared), 3);
  assert.equal(mm.writeU8(shared, 42), 0);
  assert.equal(mm.readU8(at + 2 * PAGE), 42);
  mm.zap(inode, 0, 3 * PAGE);
  assert.equal(mm.space.entry(at), 0);
  mm.destroy();
  assert.ok(inode.gpas.every((gpa) => mm.kernel.frames.refs(gpa) === 1));
  assert.equal(inode.users, 0);
});

test('faults: the stack grows to its limit and keeps its distance', () => {
  const mm = newMm();
  const top = 0x7ffff000000;
  assert.equal(mm.mapAnonymousAt(top - 4 * PAGE, 4 * PAGE, RW, MAP_GROWSDOWN), top - 4 * PAGE);
  assert.equal(mm.writeU8(top - 40 * PAGE, 1), 0);
  assert.equal(mm.vmas[0].start, top - 40 * PAGE);
  assert.equal(mm.handleFault(top - 8 * MB, WRITE), 0);
  assert.deepEqual(mm.handleFault(top - 8 * MB - 1, WRITE), MAPERR);
  const other = 0x6ffff000000;
  mm.mapAnonymousAt(other - 4 * PAGE, 4 * PAGE, RW, MAP_GROWSDOWN);
  mmap(mm, PAGE, RW, ANON | MAP_FIXED, other - 400 * PAGE);
  assert.deepEqual(mm.handleFault(other - 399 * PAGE, WRITE), MAPERR, 'guard gap');
  assert.equal(mm.handleFault(other - 140 * PAGE, WRITE), 0);
});

test('faults: spurious ones end in a bug, not in a loop', () => {
  const mm = newMm();
  const at = mmap(mm, PAGE);
  assert.equal(mm.handleFault(at, WRITE), 0);
  for (let i = 0; i < 1000; i++) assert.equal(mm.handleFault(at, WRITE), 0);
  assert.throws(() => mm.handleFault(at, WRITE), /without progress/);
  for (let i = 0; i < 2000; i++) {
    mm.protect(at, PAGE, i % 2 === 0 ? PROT_READ : RW);
    assert.equal(mm.handleFault(at, READ), 0, 'a program that changes its mind is no error');
  }
});

test('access: copies cross pages and stop at the first bad one', () => {
  const mm = newMm();
  const at = mmap(mm, 3 * PAGE);
  const bytes = Uint8Array.from({ length: 2 * PAGE }, (_, i) => i * 7 & 255);
  assert.equal(mm.copyOut(at + 100, bytes), 0);
  assert.deepEqual(mm.readBytes(at + 100, 2 * PAGE), bytes);
  assert.equal(mm.copyOutPartial(at + 2 * PAGE, bytes), PAGE);
  assert.equal(mm.copyOut(at + 2 * PAGE, bytes), -EFAULT);
  assert.equal(mm.copyInPartial(at + 3 * PAGE - 5, new Uint8Array(9)), 5);
  assert.equal(mm.readBytes(at, 2 ** 52), -EFAULT);
  assert.equal(mm.readBytes(2 ** 64 - 1, 1), -EFAULT);
  assert.equal(mm.writeU64(at + PAGE - 4, 0xfedcba9876543210n), 0);
  assert.equal(mm.readU64(at + PAGE - 4), 0xfedcba9876543210n);
  assert.equal(mm.writeU32(at + PAGE - 3, -2), 0);
  assert.equal(mm.readU32(at + PAGE - 3), 0xfffffffe);
  assert.equal(mm.writeAddr(at, -1), 0);
  assert.equal(mm.readU64(at), 2n ** 64n - 1n);
  assert.equal(mm.writeAddr(at, 0x7fff12345678), 0);
  assert.equal(mm.readAddr(at), 0x7fff12345678);
  assert.equal(mm.readU64(at + 3 * PAGE - 4), -14n);
  mm.copyOut(at + PAGE - 3, new TextEncoder().encode('path/name\0'));
  assert.equal(mm.readCString(at + PAGE - 3, 4096), 'path/name');
  assert.equal(mm.readCString(at + PAGE - 3, 9), -ENAMETOOLONG);
  assert.equal(mm.clear(at, PAGE), 0);
  assert.equal(mm.compareExchangeU32(at, 0, 5), 0);
  assert.equal(mm.compareExchangeU32(at, 0, 6), 5);
  assert.equal(mm.compareExchangeU32(at + 1, 0, 6), -EINVAL);
  mm.protect(at, PAGE, PROT_READ);
  assert.equal(mm.writeU8(at, 1), -EFAULT, 'cached translations follow mprotect');
  mm.unmap(at, PAGE);
  assert.equal(mm.readU8(at), -EFAULT);
});

test('madvise: DONTNEED zeroes, FREE and WIPEONFORK are for private memory, holes are ENOMEM', () => {
  const mm = newMm();
  const at = mmap(mm, 4 * PAGE);
  mm.writeU8(at, 1);
  assert.equal(mm.madvise(at, PAGE, MADV_DONTNEED), 0);
  assert.equal(mm.readU8(at), 0);
  assert.equal(mm.madvise(at, 4 * PAGE, 9999), -EINVAL);
  assert.equal(mm.madvise(at + 1, PAGE, MADV_WILLNEED), -EINVAL);
  assert.equal(mm.madvise(at, 2 ** 64 - PAGE, MADV_WILLNEED), -EINVAL);
  assert.equal(mm.madvise(at, 0, MADV_WILLNEED), 0);
  mm.unmap(at + PAGE, PAGE);
  mm.writeU8(at + 2 * PAGE, 1);
  assert.equal(mm.madvise(at, 4 * PAGE, MADV_DONTNEED), -ENOMEM);
  assert.equal(mm.readU8(at + 2 * PAGE), 0, 'what lies behind the hole is done');
  assert.equal(mm.madvise(at, PAGE, MADV_POPULATE_WRITE), 0);
  assert.equal(inCore(mm, at, PAGE, at), 0);
  assert.equal(mm.readU8(at), 1);
  assert.equal(inCore(mm, at, 2 * PAGE, at), -ENOMEM);
  const fresh = mmap(mm, 4 * PAGE, RW, ANON, 0x10000000);
  mm.writeU8(fresh + PAGE, 1);
  assert.equal(mm.rssPages > 4, true);
  assert.equal(inCore(mm, fresh, 4 * PAGE, at), 0);
  assert.equal(mm.readU32(at), 0x0100, 'pages mapped ahead are not in core');
  assert.equal(mm.madvise(fresh, 4 * PAGE, MADV_POPULATE_WRITE), 0);
  assert.equal(inCore(mm, fresh, 4 * PAGE, at), 0);
  assert.equal(mm.readU32(at), 0x01010101);
  const shared = mmap(mm, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS);
  mm.writeU8(shared, 7);
  assert.equal(mm.madvise(shared, PAGE, MADV_DONTNEED), 0);
  assert.equal(mm.readU8(shared), 7, 'the object keeps it');
  assert.equal(mm.madvise(shared, PAGE, MADV_FREE), -EINVAL);
  assert.equal(mm.madvise(shared, PAGE, MADV_WIPEONFORK), -EINVAL);
  assert.equal(mm.madvise(shared, PAGE, MADV_REMOVE), 0);
  assert.equal(mm.readU8(shared), 0);
  assert.equal(mm.madvise(mmap(mm, PAGE, PROT_NONE), PAGE, MADV_POPULATE_READ), -EINVAL);
});

test('mlock: limits, MCL_FUTURE, population', () => {
  const mm = newMm();
  mm.limits = { ...mm.limits, memlockBytes: 4 * PAGE };
  const at = mmap(mm, 8 * PAGE, RW, ANON | MAP_POPULATE);
  assert.equal(mm.rssPages, 8);
  assert.equal(lock(mm, at + 1, 1, VM_LOCKED), 0);
  assert.equal(mm.list.totals.locked, 1);
  assert.equal(lock(mm, at, 5 * PAGE, VM_LOCKED), -ENOMEM);
  assert.equal(mm.madvise(at, PAGE, MADV_DONTNEED), -EINVAL);
  assert.equal(lockAll(mm, 0), -EINVAL);
  assert.equal(lockAll(mm, 2), 0);
  const locked = mmap(mm, 2 * PAGE, PROT_READ);
  assert.notEqual(mm.space.entry(locked), 0);
  assert.equal(mmap(mm, 9 * PAGE), -11);
  assert.equal(unlockAll(mm), 0);
  mm.limits = { ...mm.limits, memlockBytes: 0 };
  assert.equal(mmap(mm, PAGE, RW, ANON | MAP_LOCKED), -EPERM);
});

test('frames: counts, zeroes what is reused, never touches what is fresh', () => {
  const memory = new FakeMemory(2 * MB);
  const frames = new Frames(memory);
  const first = frames.alloc();
  assert.equal(first, memory.firstFrame);
  frames.bytes(first).fill(9);
  frames.ref(first);
  frames.unref(first);
  assert.equal(frames.refs(first), 1);
  frames.unref(first);
  assert.throws(() => frames.unref(first), /free frame/);
  assert.throws(() => frames.ref(first), /free frame/);
  assert.equal(frames.alloc(), first);
  assert.ok(frames.bytes(first).every((byte) => byte === 0));
  frames.bytes(first).fill(9);
  frames.unref(first);
  frames.zeroFreeFrames();
  assert.equal(memory.u8[first], 0);
  const state = frames.save();
  const restored = Frames.restore(state, memory);
  const count = restored.limitPages;
  for (let i = 0; i < count; i++) assert.notEqual(restored.alloc(), 0);
  assert.equal(restored.alloc(), 0);
  assert.equal(restored.freePages, 0);
  assert.equal(frames.usedPages, 0);
  assert.equal(state.free.length, 1);
});
