// Register state that is not in a trap: extended state, segment bases and selectors, flags; across traps, switches and forks.

import test from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, openSync, closeSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { REG } from '../../src/platform.ts';
import type { Context } from '../../src/platform.ts';
import { createMachine } from '../../src/vmm/machine.ts';
import { CODE, DATA, Guest, RW, assemble, context, kvm } from './guest.ts';

/** Loads zmm0, zmm31 (or ymm0), k1, x87 and MXCSR from DATA, traps, then stores them at DATA + 0x100 and traps. */
const AVX512 = `vmovdqu64 0x600000,%zmm0; vmovdqu64 0x600040,%zmm31; kmovq 0x600080,%k1; fldpi; ldmxcsr 0x600088; 1: syscall
vmovdqu64 %zmm0,0x600100; vmovdqu64 %zmm31,0x600140; kmovq %k1,0x600180; fstpl 0x600190; stmxcsr 0x600188; syscall`;
const AVX = `vmovdqu 0x600000,%ymm0; vmovdqu 0x600040,%ymm15; fldpi; ldmxcsr 0x600088; 1: syscall
vmovdqu %ymm0,0x600100; vmovdqu %ymm15,0x600140; fstpl 0x600190; stmxcsr 0x600188; syscall`;

const hasAvx512 = (kvm().xcr0 & 0xe0n) === 0xe0n;
const PROGRAM = hasAvx512 ? AVX512 : AVX;
const LENGTH = hasAvx512 ? 64 : 32;

function copy(c: Context): Context {
  const regs = c.regs.slice();
  return { ...c, regs, regs32: new Uint32Array(regs.buffer), fpu: c.fpu };
}

class FpuGuest extends Guest {
  data = 0;

  /** A context about to load a pattern made from `seed`. */
  prepare(c: Context, seed: number): void {
    const { u8, view } = this.machine.memory;
    for (let i = 0; i < 0x88; i++) u8[this.data + i] = (seed * 31 + i * 7) & 0xff;
    view.setUint32(this.data + 0x88, 0x1f80 | ((seed & 3) << 13), true);
    u8.fill(0, this.data + 0x100, this.data + 0x200);
    c.regs[REG.rip] = BigInt(CODE);
    assert.equal(this.run(c).kind, 'syscall');
  }

  /** Continues to the stores and compares with the pattern. */
  check(c: Context, seed: number): void {
    assert.equal(this.run(c).kind, 'syscall');
    const { u8, view } = this.machine.memory;
    const got = (at: number, length: number): number[] => [...u8.subarray(this.data + at, this.data + at + length)];
    const want = (at: number, length: number): number[] => [...Array(length)].map((_, i) => (seed * 31 + (at + i) * 7) & 0xff);
    assert.deepEqual(got(0x100, LENGTH), want(0, LENGTH), 'first vector register');
    assert.deepEqual(got(0x140, LENGTH), want(0x40, LENGTH), 'last vector register');
    if (hasAvx512) assert.deepEqual(got(0x180, 8), want(0x80, 8), 'mask register');
    assert.equal(view.getFloat64(this.data + 0x190, true), Math.PI);
    assert.equal(view.getUint32(this.data + 0x188, true) & 0xffc0, 0x1f80 | ((seed & 3) << 13));
  }
}

function fpuGuest(): { guest: FpuGuest; c: Context } {
  const guest = new FpuGuest(createMachine(kvm(), { fd: null }, 64 * 2 ** 20));
  const c = guest.load(assemble(PROGRAM));
  guest.data = guest.page(DATA, RW);
  return { guest, c };
}

test('extended state survives traps', () => {
  const { guest, c } = fpuGuest();
  guest.prepare(c, 1);
  guest.machine.saveFpu(c);
  guest.check(c, 1);
  guest.machine.destroy();
});

test('extended state is each context\'s own', () => {
  const { guest, c } = fpuGuest();
  const others = [2, 3].map(() => context(CODE));
  guest.prepare(c, 1);
  others.forEach((o, i) => guest.prepare(o, i + 2));
  // The pages are shared, so compare each right after it stored its registers.
  guest.check(c, 1);
  others.forEach((o, i) => guest.check(o, i + 2));
  guest.machine.destroy();
});

test('a machine that gave up its VM and its vCPU goes on with the same state, and with page tables changed meanwhile', () => {
  const { guest, c } = fpuGuest();
  guest.prepare(c, 7);
  c.fsBase = 0x1234n;
  guest.machine.giveUpSlot();
  guest.machine.giveUpSlot();
  guest.check(c, 7);
  assert.equal(c.fsBase, 0x1234n);
  guest.space.unmap(DATA, 4096);
  assert.notEqual(guest.machine.paging.pending.length, 0);
  guest.machine.giveUpSlot();
  c.regs[REG.rip] = BigInt(CODE);
  const trap = guest.run(c);
  assert.equal(trap.kind === 'exception' && trap.address, DATA, 'nothing is left of the translation');
  assert.equal(guest.machine.memory.grow(40 * 2 ** 20), true);
  guest.machine.giveUpSlot();
  assert.equal(guest.machine.memory.grow(56 * 2 ** 20), true, 'memory grows without a VM');
  guest.data = 50 * 2 ** 20;
  guest.space.map(DATA, guest.data, RW);
  guest.prepare(c, 9);
  guest.check(c, 9);
  guest.machine.giveUpSlot();
  guest.machine.destroy();
});

test('a new context starts from the initial state, whatever ran before', () => {
  const { guest, c } = fpuGuest();
  guest.prepare(c, 5);
  const fresh = context(0x50_0000);
  guest.page(0x50_0000, 5, assemble('vmovdqu %ymm0,0x600100; fnstcw 0x600180; stmxcsr 0x600188; syscall'));
  guest.machine.memory.u8.fill(0xff, guest.data + 0x100, guest.data + 0x200);
  assert.equal(guest.run(fresh).kind, 'syscall');
  const { u8, view } = guest.machine.memory;
  assert.deepEqual([...u8.subarray(guest.data + 0x100, guest.data + 0x120)], Array(32).fill(0));
  assert.equal(view.getUint16(guest.data + 0x180, true), 0x37f);
  assert.equal(view.getUint32(guest.data + 0x188, true), 0x1f80);
  guest.machine.destroy();
});

test('a fork of the memory with the saved context goes on with the same state', () => {
  const { guest, c } = fpuGuest();
  guest.prepare(c, 9);
  guest.machine.saveFpu(c);
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-test-'));
  writeFileSync(join(dir, 'memory'), guest.machine.snapshotMemory());
  const fd = openSync(join(dir, 'memory'), 'r');
  rmSync(dir, { recursive: true });
  for (let i = 0; i < 3; i++) {
    const machine = createMachine(kvm(), { fd, sizeBytes: guest.machine.memory.sizeBytes }, 64 * 2 ** 20);
    const space = machine.attachAddressSpace(guest.space.root, guest.frames);
    const child = Object.create(guest, { machine: { value: machine }, space: { value: space } }) as FpuGuest;
    child.check(copy(c), 9);
    machine.destroy();
  }
  closeSync(fd);
  guest.machine.destroy();
});

test('a signal frame\'s extended state is taken over, and garbage in it is harmless', () => {
  const { guest, c } = fpuGuest();
  guest.prepare(c, 1);
  guest.machine.saveFpu(c);
  const saved = c.fpu;
  assert.ok(saved !== null);
  guest.prepare(c, 2);
  guest.machine.saveFpu(c);
  c.fpu = saved;
  guest.machine.fpuChanged(c);
  guest.check(c, 1);
  for (const fill of [0xff, 0x5a]) {
    c.fpu = new Uint8Array(4096).fill(fill);
    guest.machine.fpuChanged(c);
    c.regs[REG.rip] = BigInt(CODE);
    assert.equal(guest.run(c).kind, 'syscall');
  }
  guest.machine.destroy();
});

test('FS and GS bases: set by the kernel, by the program, kept per context', () => {
  const guest = Guest.make(kvm());
  const c = guest.load(assemble('rdfsbase %rax; rdgsbase %rbx; mov $0x123456789000,%rcx; wrfsbase %rcx; '
    + 'mov $0x7000,%ecx; wrgsbase %rcx; syscall; rdfsbase %rax; rdgsbase %rbx; syscall'));
  c.fsBase = 0x7f00_0000_1000n;
  c.gsBase = 0x7f00_0000_2000n;
  const other = context(CODE);
  assert.equal(guest.run(c).kind, 'syscall');
  assert.equal(c.regs[REG.rbx], 0x7f00_0000_2000n);
  assert.equal(c.fsBase, 0x1234_5678_9000n);
  assert.equal(c.gsBase, 0x7000n);
  assert.equal(guest.run(other).kind, 'syscall');
  assert.equal(other.regs[REG.rbx], 0n);
  guest.run(c);
  assert.equal(c.regs[REG.rax], 0x1234_5678_9000n);
  assert.equal(c.regs[REG.rbx], 0x7000n);
  guest.machine.destroy();
});

test('selectors one context loaded do nothing to another', () => {
  // On PVM-style hosts the numbers themselves stay in ds, es, fs and gs (only flat descriptors can be loaded, so that is all).
  const guest = Guest.make(kvm());
  const c = guest.load(assemble('mov $0x2b,%eax; mov %eax,%ds; mov %eax,%es; mov %eax,%fs; mov %eax,%gs; syscall'));
  guest.page(0x50_0000, 5, assemble('mov %fs:8,%rbx; mov %gs:16,%rcx; mov 0x600000,%rdx; ud2'));
  const data = guest.page(DATA, RW);
  for (let i = 0; i < 3; i++) guest.machine.memory.view.setBigUint64(data + i * 8, BigInt(100 + i), true);
  guest.run(c);
  const other = context(0x50_0000);
  other.fsBase = other.gsBase = BigInt(DATA);
  assert.deepEqual(guest.run(other), { kind: 'exception', vector: 6, errorCode: 0, address: 0 });
  assert.deepEqual([REG.rbx, REG.rcx, REG.rdx].map((reg) => other.regs[reg]), [101n, 102n, 100n]);
  guest.machine.destroy();
});

test('ring 3 gets no flag it may not have', () => {
  const guest = Guest.make(kvm());
  const c = guest.load(assemble('pushf; pop %rbx; syscall'));
  c.regs[REG.rflags] = 0x3f_ffffn & ~0x100n & ~0x4_0000n; // all but TF and AC
  assert.equal(guest.run(c).kind, 'syscall');
  assert.equal(c.regs[REG.rbx] & 0x1b_7000n, 0n); // VIP VIF VM RF NT IOPL
  assert.equal(c.regs[REG.rbx] & 0x202n, 0x202n);
  c.regs[REG.rip] = BigInt(CODE);
  c.regs[REG.rflags] = 0xffff_ffff_0000_0202n;
  assert.equal(guest.run(c).kind, 'syscall');
  assert.equal(c.regs[REG.rbx], 0x202n);
  guest.machine.destroy();
});

test('a fault leaves nothing of ring 0 in the next run, whichever context that is', () => {
  const guest = Guest.make(kvm());
  const c = guest.load(assemble('mov %cs,%eax; mov %ss,%ebx; mov 0x600000,%rdx; mov %cs,%esi; mov %ss,%edi; cli'));
  assert.equal(guest.run(c).kind, 'exception'); // the vCPU stands at CPL 0 now
  const other = context(CODE);
  assert.equal(guest.run(other).kind, 'exception');
  guest.page(DATA, RW);
  for (const each of [c, other]) {
    assert.deepEqual(guest.run(each), { kind: 'exception', vector: 13, errorCode: 0, address: 0 }); // at `cli`
    assert.deepEqual([REG.rax, REG.rbx, REG.rsi, REG.rdi].map((reg) => Number(each.regs[reg])), [0x33, 0x2b, 0x33, 0x2b]);
  }
  guest.machine.destroy();
});
