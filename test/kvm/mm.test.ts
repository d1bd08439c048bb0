// The address space on a real machine: the model test of mmmodel.ts with ring 3 doing the reads and writes, so that every
// change of a page-table entry must really be in force; and what faults cost.

import assert from 'node:assert/strict';
import test from 'node:test';
import { EFAULT } from '../../src/abi/linux/errno.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../src/abi/linux/mman.ts';
import { Frames } from '../../src/kernel/mm/frames.ts';
import { Mm } from '../../src/kernel/mm/mm.ts';
import { REG } from '../../src/platform.ts';
import type { Machine } from '../../src/platform.ts';
import { createMachine } from '../../src/vmm/machine.ts';
import type { Access } from '../unit/mmmodel.ts';
import { runModel } from '../unit/mmmodel.ts';
import { CODE, RX, context, kvm } from './guest.ts';

const PAGE = 4096;
/** mov (%rdi),%eax; syscall | mov %esi,(%rdi); syscall | loop: mov %esi,(%rdi); add $4096,%rdi; dec %rdx; jnz loop; syscall */
const LOAD = [0x8b, 0x07, 0x0f, 0x05], STORE = [0x89, 0x37, 0x0f, 0x05];
const FILL = [0x89, 0x37, 0x48, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, 0x48, 0xff, 0xca, 0x75, 0xf2, 0x0f, 0x05];

/** Ring 3 as the one who touches memory. */
class Ring3 implements Access {
  faults = 0;
  private readonly machine: Machine;
  private readonly code: number;
  private readonly context = context(CODE);

  constructor(machine: Machine, frames: Frames) {
    this.machine = machine;
    this.code = frames.alloc();
    const bytes = frames.bytes(this.code);
    bytes.set(LOAD, 0);
    bytes.set(STORE, 16);
    bytes.set(FILL, 32);
  }

  adopt(mm: Mm): void {
    assert.ok(mm.space.map(CODE, this.code, RX));
  }

  read(mm: Mm, gva: number): number {
    return this.run(mm, CODE, gva, 0) === 0 ? this.context.regs32[REG.rax * 2] : -EFAULT;
  }

  write(mm: Mm, gva: number, value: number): number {
    return this.run(mm, CODE + 16, gva, value);
  }

  /** Writes to `pages` pages in order. */
  fill(mm: Mm, gva: number, pages: number): number {
    this.context.regs[REG.rdx] = BigInt(pages);
    return this.run(mm, CODE + 32, gva, 1);
  }

  private run(mm: Mm, rip: number, gva: number, value: number): number {
    const { regs } = this.context;
    regs[REG.rip] = BigInt(rip);
    regs[REG.rdi] = BigInt(gva);
    regs[REG.rsi] = BigInt(value);
    for (;;) {
      const trap = this.machine.run(this.context, mm.space, 0);
      if (trap.kind === 'syscall') return 0;
      if (trap.kind === 'kick') continue;
      assert.ok(trap.kind === 'exception' && trap.vector === 14, JSON.stringify(trap));
      this.faults++;
      if (mm.handleFault(trap.address, trap.errorCode) !== 0) return -EFAULT;
    }
  }
}

function start(limitBytes: number): { mm: Mm; ring3: Ring3; destroy: () => void } {
  const machine = createMachine(kvm(), { fd: null }, limitBytes);
  const frames = new Frames(machine.memory);
  const ring3 = new Ring3(machine, frames);
  const mm = Mm.create({ machine, memory: machine.memory, frames });
  assert.ok(typeof mm !== 'number');
  return { mm, ring3, destroy: () => machine.destroy() };
}

test('model: random operations seen by ring 3', () => {
  for (let seed = 1; seed <= 6; seed++) {
    const { mm, ring3, destroy } = start(16 << 20);
    runModel(seed, mm, ring3);
    destroy();
  }
});

test('faults: 16 MB written in order take one fault for 16 pages', () => {
  const { mm, ring3, destroy } = start(64 << 20);
  ring3.adopt(mm);
  const pages = 4096;
  const at = mm.map({ addr: 0, length: pages * PAGE, prot: PROT_READ | PROT_WRITE, flags: MAP_PRIVATE | MAP_ANONYMOUS, inode: null, offset: 0 });
  assert.equal(ring3.fill(mm, at, pages), 0);
  assert.ok(ring3.faults <= pages / 16 + 2, `${ring3.faults} faults`);
  assert.equal(mm.rssPages, pages);
  destroy();
});
