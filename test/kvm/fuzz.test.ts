// Random instructions with odd registers, flags, bases and stack frames in ring 3: whatever they do, the machine reports a
// trap a kernel can turn into a signal, at an address of ring 3, and another machine beside it notices nothing.
// OFFSHOOT_FUZZ_ROUNDS and OFFSHOOT_FUZZ_SEED run more, or others.

import test from 'node:test';
import assert from 'node:assert/strict';
import { REG } from '../../src/platform.ts';
import { CODE, DATA, Guest, RW, STACK_TOP, assemble, kvm } from './guest.ts';

const ROUNDS = Number(process.env['OFFSHOOT_FUZZ_ROUNDS'] ?? 4000);
const SEED = Number(process.env['OFFSHOOT_FUZZ_SEED'] ?? 1);
/** Most slices are over long before; some instructions loop. */
const SLICE_NS = 2e6;

/** Starts of instructions that are worth more than chance: system, string, port, far control transfer, prefixes. */
const STARTS = [
  '', '', '0f', '0f', '0f01', '0f00', '0fae', '0fc7', '660f', 'f30f', '48cf', '48cb', 'cf', '8e', 'f0', '62', 'c4e2', 'c5', 'e67e',
  'e47e', 'f36c', 'f36e', '0f05', '0f07', '0f34', '0f35', 'ff', 'cd', '0f30', '0f22', 'fa', 'fb', '9d', 'f4', '410f01',
].map((hex) => Buffer.from(hex, 'hex'));
const STACKS = [
  0n, BigInt(STACK_TOP - 512), 1n << 63n, 0xffff_8001_0000_5000n, 0x7fff_ffff_f900n, 0xffff_ffff_ffff_fff8n, 0x8000_0000_0000n,
];
const BASES = [0n, BigInt(DATA), 0xffff_8001_0000_0000n, 0xffff_ffff_8000_0000n];
const SELECTORS = [0x10n, 0x33n, 0x2bn, 0n, 0x23n, 0x18n];

class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }

  below(n: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * n);
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

/** One random program with its registers and an interrupt frame on its stack. */
function prepare(guest: Guest, c: ReturnType<Guest['load']>, random: Random): Buffer {
  const { u8, view } = guest.machine.memory;
  const code = Buffer.from(Array.from({ length: 32 }, () => random.below(256)));
  random.of(STARTS).copy(code);
  const gpa = guest.space.entry(CODE) & ~0xfff;
  u8.fill(0xcc, gpa, gpa + 4096);
  u8.set(code, gpa);
  for (let i = 0; i < REG.rip; i++) c.regs[i] = random.of([BigInt(DATA), random.of(STACKS), BigInt(random.below(2 ** 47))]);
  c.regs[REG.rsp] = random.of(STACKS);
  c.regs[REG.rip] = BigInt(CODE);
  c.regs[REG.rflags] = BigInt(random.below(2 ** 22));
  c.fsBase = random.of(BASES);
  c.gsBase = random.of(BASES);
  const frame = (guest.space.entry(STACK_TOP - 4096) & ~0xfff) + 4096 - 512;
  const values = [BigInt(CODE), random.of(SELECTORS), BigInt(random.below(2 ** 22)), random.of(STACKS), random.of(SELECTORS)];
  values.forEach((value, i) => view.setBigUint64(frame + i * 8, value, true));
  return code;
}

test(`${ROUNDS} random programs: traps, nothing else`, () => {
  const random = new Random(SEED);
  const guest = Guest.make(kvm());
  const c = guest.load(new Uint8Array(1));
  guest.page(DATA, RW);
  const witness = Guest.make(kvm());
  const w = witness.load(assemble('1: syscall; jmp 1b'));
  for (let i = 0; i < ROUNDS; i++) {
    const code = prepare(guest, c, random);
    for (let step = 0; step < 3; step++) {
      const trap = guest.run(c, SLICE_NS);
      const what = `round ${i}, seed ${SEED}: ${JSON.stringify(trap)} of ${code.toString('hex')}`;
      assert.ok(trap.kind === 'syscall' || trap.kind === 'kick' || (trap.kind === 'exception' && trap.vector < 32), what);
      assert.equal(guest.machine.paging.pending.length, 0);
      if (c.regs[REG.rip] >= 2n ** 47n || trap.kind === 'exception') break; // the kernel's turn: SIGSEGV
    }
    if (i % 64 !== 0) continue;
    w.regs[REG.rax] = BigInt(i);
    assert.deepEqual(witness.run(w), { kind: 'syscall' });
    assert.equal(w.regs[REG.rax], BigInt(i));
    assert.equal(Number(w.regs[REG.rip]), CODE + 2);
  }
  guest.machine.destroy();
  witness.machine.destroy();
});
