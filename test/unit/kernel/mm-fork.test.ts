// fork(2) of an address space, forks of a saved state, and how an address space is shown in /proc.

import assert from 'node:assert/strict';
import test from 'node:test';
import { EFAULT, ENOMEM } from '../../../src/abi/linux/errno.ts';
import {
  MADV_DONTFORK, MADV_WIPEONFORK, MAP_ANONYMOUS, MAP_FIXED, MAP_GROWSDOWN, MAP_PRIVATE, MAP_SHARED, PROT_EXEC, PROT_NONE, PROT_READ,
  PROT_WRITE,
} from '../../../src/abi/linux/mman.ts';
import type { Backing } from '../../../src/kernel/mm/backing.ts';
import { maps, smaps, smapsRollup, statm, statusLines } from '../../../src/kernel/mm/describe.ts';
import { Frames } from '../../../src/kernel/mm/frames.ts';
import type { Mm } from '../../../src/kernel/mm/mm.ts';
import { entryGpa } from '../../../src/kernel/mm/pages.ts';
import { mappedInodes, restoreMms, saveMms } from '../../../src/kernel/mm/savemm.ts';
import type { MmsState } from '../../../src/kernel/mm/savemm.ts';
import type { FramesState } from '../../../src/kernel/mm/frames.ts';
import { newMm } from '../fakemachine.ts';
import type { FakeMachine } from '../fakemachine.ts';

const PAGE = 4096;
const RW = PROT_READ | PROT_WRITE;
const ANON = MAP_PRIVATE | MAP_ANONYMOUS;

function mmap(mm: Mm, length: number, prot = RW, flags = ANON, addr = 0): number {
  return mm.map({ addr, length, prot, flags, inode: null, offset: 0 });
}

function forkOf(mm: Mm): Mm {
  const child = mm.fork();
  return typeof child === 'number' ? assert.fail(`fork: ${child}`) : child;
}

function fakeFile(path: string, gpas: number[], frames: Frames): Backing & { path: string } {
  return {
    dev: 0x801, ino: 42, nlink: 1, users: 0, path, release: () => {},
    mapPage: (index) => {
      if (index >= gpas.length) return -EFAULT;
      frames.ref(gpas[index]);
      return gpas[index];
    },
  };
}

test('fork: private memory is copied on write, shared memory is not', () => {
  const mm = newMm(4 << 20); // too little to copy anything before
  const own = mmap(mm, 2 * PAGE);
  const shared = mmap(mm, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS);
  mm.writeU32(own, 1);
  mm.writeU32(shared, 1);
  const used = mm.kernel.frames.usedPages;
  const child = forkOf(mm);
  assert.equal(mm.kernel.frames.usedPages, used + 1, 'one frame for the root table');
  assert.equal(mm.readU32(own), 1);
  // Ring 3 writes: the kernel's cached translation must not survive the copy.
  assert.equal(mm.handleFault(own, 7), 0);
  mm.kernel.memory.u8[entryGpa(mm.space.entry(own))] = 2;
  assert.equal(mm.readU32(own), 2);
  assert.equal(child.readU32(own), 1);
  const before = child.space.entry(own);
  child.writeU32(own, 3);
  assert.equal(entryGpa(child.space.entry(own)), entryGpa(before), 'the last holder keeps the frame');
  child.writeU32(shared, 4);
  assert.equal(mm.readU32(shared), 4);
  child.release();
  assert.equal(mm.readU32(own), 2);
});

test('fork: few writable pages are copied at once, many are shared', () => {
  const mm = newMm();
  const [few, many] = [mmap(mm, 3 * PAGE, RW | PROT_EXEC), mmap(mm, 400 * PAGE)]; // not one area
  for (let i = 0; i < 400; i++) mm.writeU32(many + i * PAGE, 1);
  mm.writeU32(few, 7);
  mm.writeU32(few + 2 * PAGE, 9);
  const child = forkOf(mm);
  assert.notEqual(entryGpa(child.space.entry(few)), entryGpa(mm.space.entry(few)));
  assert.equal(mm.kernel.frames.refs(entryGpa(mm.space.entry(few))), 1);
  assert.equal(mm.space.entry(few) & 7, child.space.entry(few) & 7, 'both write without a fault');
  assert.equal(child.readU32(few), 7);
  assert.equal(child.readU32(few + 2 * PAGE), 9);
  assert.equal(entryGpa(child.space.entry(many)), entryGpa(mm.space.entry(many)));
  assert.equal(mm.kernel.frames.refs(entryGpa(mm.space.entry(many))), 2);
  mm.writeU32(few, 8);
  child.writeU32(many, 2);
  assert.deepEqual([mm, child].map((one) => [one.readU32(few), one.readU32(many)]), [[8, 1], [7, 2]]);
});

test('fork: DONTFORK, WIPEONFORK, locks, PROT_NONE, and failure', () => {
  const mm = newMm();
  const [gone, wiped, hidden] = [mmap(mm, PAGE, RW), mmap(mm, PAGE, RW | PROT_EXEC), mmap(mm, PAGE, RW)];
  for (const at of [gone, wiped, hidden]) mm.writeU32(at, 9);
  mm.madvise(gone, PAGE, MADV_DONTFORK);
  mm.madvise(wiped, PAGE, MADV_WIPEONFORK);
  mm.protect(hidden, PAGE, PROT_NONE);
  const child = forkOf(mm);
  assert.equal(child.readU32(gone), -EFAULT);
  assert.equal(child.readU32(wiped), 0);
  child.protect(hidden, PAGE, RW);
  assert.equal(child.readU32(hidden), 9);
  child.writeU32(hidden, 8);
  mm.protect(hidden, PAGE, RW);
  assert.equal(mm.readU32(hidden), 9);
  assert.equal(mm.readU32(wiped), 9);
  const used = mm.kernel.frames.usedPages;
  (mm.kernel.machine as FakeMachine).failMaps = 1;
  assert.equal(mm.fork(), -ENOMEM);
  assert.equal(mm.kernel.frames.usedPages, used + 1, 'only the failed root is kept');
  mm.wipeOnFork();
  assert.equal(mm.readU32(gone), -EFAULT);
  assert.equal(mm.readU32(wiped), 0);
});

/** A machine of its own with the state's address space, as forking a template makes it. */
function forkState(from: Mm, frames: FramesState, state: MmsState, files: (frames: Frames) => Backing): Mm {
  const machine = (from.kernel.machine as FakeMachine).fork();
  const kernel = { machine, memory: machine.memory, frames: Frames.restore(frames, machine.memory) };
  const file = files(kernel.frames);
  for (const { users } of mappedInodes(state)) file.users += users;
  return restoreMms(state, kernel, () => file)[0];
}

test('restore: forks of one state are strangers', () => {
  const template = newMm();
  const { frames } = template.kernel;
  const gpa = frames.alloc();
  frames.bytes(gpa).fill(0x55);
  const file = fakeFile('/bin/x', [gpa], frames);
  const own = mmap(template, 4 * PAGE);
  const shared = mmap(template, 600 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS);
  const code = template.map({ addr: 0, length: PAGE, prot: PROT_READ, flags: MAP_PRIVATE, inode: file, offset: 0, path: '/bin/x' });
  template.writeU32(own, 1);
  template.writeU32(shared, 1);
  template.setHeapStart(0x600000);
  template.setBrk(0x601000);
  const state = saveMms([template], () => 7);
  const frozenFrames = frames.save();
  const text = JSON.stringify([state.mms, [...state.shmems[0].pages]]);
  const forks = [0, 1].map(() => forkState(template, frozenFrames, state, (f) => fakeFile('/bin/x', [gpa], f)));
  for (const [i, mm] of forks.entries()) {
    assert.equal(mm.readU32(own), 1);
    assert.equal(mm.readU8(code), 0x55);
    mm.writeU32(own, 10 + i);
    mm.writeU32(shared, 20 + i);
    mm.writeU32(shared + (300 + i) * PAGE, 30 + i);
    mm.unmap(own + PAGE, PAGE);
    assert.equal(mm.setBrk(0x700000), 0x700000);
  }
  assert.equal(forks[0].readU32(own), 10);
  assert.equal(forks[0].readU32(shared), 20);
  assert.equal(forks[1].readU32(shared + 300 * PAGE), 0);
  assert.equal(template.readU32(shared), 1);
  assert.equal(template.vmas.length, 4);
  // The template goes on as well and may not disturb its state.
  template.writeU32(shared + 500 * PAGE, 5);
  assert.equal(JSON.stringify([state.mms, [...state.shmems[0].pages]]), text);
  assert.equal(forks[0].kernel.frames.refs(gpa), 2);
});

test('restore: a shared object is one for all address spaces that map it', () => {
  const mm = newMm();
  const at = mmap(mm, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS);
  const child = forkOf(mm);
  const [first, second] = restoreMms(saveMms([mm, child], () => 0), mm.kernel, () => assert.fail());
  first.writeU32(at, 5);
  assert.equal(second.readU32(at), 5);
  first.release();
  second.release();
});

test('maps: the format programs parse', () => {
  const mm = newMm();
  const file = fakeFile('/usr/bin/py\nthon', [], mm.kernel.frames);
  mm.map({ addr: 0x400000, length: PAGE, prot: PROT_READ | PROT_EXEC, flags: MAP_PRIVATE | MAP_FIXED, inode: file, offset: 0x2000, path: file.path });
  mm.setHeapStart(0x800000);
  mm.setBrk(0x821000);
  mmap(mm, 2 * PAGE, PROT_NONE, ANON | MAP_FIXED, 0x7f0000000000);
  mmap(mm, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, 0x7f0000010000);
  mm.mapSpecial(0x7f0000020000, [mm.kernel.frames.alloc()], PROT_READ | PROT_EXEC, '[vdso]');
  mm.mapAnonymousAt(0x7ff000000000, 2 * PAGE, RW, MAP_GROWSDOWN);
  mm.layout.startStack = 0x7ff000001800;
  assert.equal(maps(mm), [
    '00400000-00401000 r-xp 00002000 08:01 42                                 /usr/bin/py\\012thon',
    '00800000-00821000 rw-p 00000000 00:00 0                                  [heap]',
    '7f0000000000-7f0000002000 ---p 00000000 00:00 0 ',
    '7f0000010000-7f0000011000 rw-s 00000000 00:01 1025                       /dev/zero (deleted)',
    '7f0000020000-7f0000021000 r-xp 00000000 00:00 0                          [vdso]',
    '7ff000000000-7ff000002000 rw-p 00000000 00:00 0                          [stack]',
    '',
  ].join('\n'));
  mm.writeU8(0x800000, 1);
  assert.match(smaps(mm), /^Size:                132 kB$/m);
  assert.match(smaps(mm), /^VmFlags: rd wr mr mw me ac $/m);
  assert.match(smapsRollup(mm), /^00400000-7ff000002000 ---p .*\[rollup\]\nRss:                 132 kB\n/);
  assert.equal(statm(mm), `${mm.totalPages} 33 0 2 0 ${33 + 2} 0\n`);
  assert.match(statusLines(mm), /^VmRSS:\t {5}132 kB$/m);
});

test('special pages: readable, never writable, never grown, given back at the end', () => {
  const mm = newMm();
  const gpa = mm.kernel.frames.alloc();
  mm.kernel.frames.bytes(gpa).fill(7);
  const at = mm.mapSpecial(0, [gpa], PROT_READ | PROT_EXEC, '[vdso]');
  assert.equal(mm.readU8(at), 7);
  assert.equal(mm.writeU8(at, 1), -EFAULT);
  assert.equal(mm.protect(at, PAGE, RW), -13);
  assert.equal(mm.remap(at, PAGE, 2 * PAGE, 1, 0), -EFAULT);
  const machinePage = mm.mapSpecial(0, [0x6000], PROT_READ, '[vvar]');
  assert.equal(mm.handleFault(machinePage, 4), 0);
  assert.equal(mm.readU8(machinePage), -EFAULT, 'the kernel does not see it');
  mm.destroy();
  assert.equal(mm.kernel.frames.refs(gpa), 1, 'what we hold ourselves');
});
