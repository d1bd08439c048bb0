// The bare trap that `offshoot bench syscall` compares with: ring 3 executes `syscall`, KVM_RUN returns, the exit is decoded, ring 3 goes on.
// The same machine code as a sandbox's, armed to be preempted as always, but no kernel answers: what is left is not a matter of calls. And
// the bare first touch of a page, of which `offshoot bench compile` makes the floor of an import.

import type { Context } from '../platform.ts';
import { PAGE_EXEC, PAGE_READ, PAGE_WRITE, REG, REG_COUNT } from '../platform.ts';
import type { HostKind } from '../vmm/area.ts';
import { openKvm } from '../vmm/kvm.ts';
import { createMachine, type KvmMachine } from '../vmm/machine.ts';
import { TOUCH_ENTRY_BYTES, touch } from '../vmm/touch.ts';

/** 1: syscall; jmp 1b */
const LOOP = [0x0f, 0x05, 0xeb, 0xfc];
const CODE_GVA = 0x40_0000;
const MEMORY_BYTES = 16 << 20;
const SLICE_NS = 10e6;
const TRAPS = 32;
const PAGE = 4096;
const LIST_GVA = 0x50_0000, TOUCH_GVA = 0x4000_0000;
const TOUCHES = PAGE / TOUCH_ENTRY_BYTES;

export class BareTrap {
  private readonly machine: KvmMachine;
  private readonly space: NonNullable<ReturnType<KvmMachine['newAddressSpace']>>;
  private readonly context: Context;
  /** A page of memory nobody has; 0 when there is no more. */
  private readonly frame: () => number;

  /** Throws HostError. */
  constructor(kind: HostKind) {
    this.machine = createMachine(openKvm(kind), { fd: null }, MEMORY_BYTES);
    const { memory } = this.machine;
    let next = memory.firstFrame;
    this.frame = (): number => {
      const gpa = next;
      next += 4096;
      return memory.grow(next) ? gpa : 0;
    };
    const space = this.machine.newAddressSpace({ allocTableFrame: this.frame });
    if (!space) throw new Error('no memory for page tables');
    const code = this.frame();
    space.map(CODE_GVA, code, PAGE_READ | PAGE_EXEC);
    memory.u8.set(LOOP, code);
    this.space = space;
    const regs = new BigUint64Array(REG_COUNT);
    regs[REG.rip] = BigInt(CODE_GVA);
    this.context = { regs, regs32: new Uint32Array(regs.buffer), fsBase: 0n, gsBase: 0n, fpu: null };
  }

  /** Microseconds of one trap, the mean of some. */
  sample(): number {
    const start = performance.now();
    for (let left = TRAPS; left > 0;) {
      const trap = this.machine.run(this.context, this.space, SLICE_NS);
      if (trap.kind === 'syscall') left--;
      else if (trap.kind !== 'kick') throw new Error(`the bare trap ended in ${trap.kind}`);
    }
    return (performance.now() - start) * 1000 / TRAPS;
  }

  /**
   * Microseconds of a page's first touch, the mean of some one after another: the host has the page, KVM does not map it yet. PVM-style hosts
   * only: elsewhere 0.
   */
  touchSample(): number {
    const { memory } = this.machine;
    const list = this.frame();
    this.space.map(LIST_GVA, list, PAGE_READ);
    for (let i = 0; i < TOUCHES; i++) {
      const gpa = this.frame();
      if (gpa === 0 || !this.space.map(TOUCH_GVA + i * PAGE, gpa, PAGE_READ | PAGE_WRITE)) throw new Error('no memory for pages to touch');
      memory.u8[gpa] = 1;
      memory.view.setUint32(list + i * TOUCH_ENTRY_BYTES, TOUCH_GVA + i * PAGE, true);
    }
    touch(this.machine, this.space, LIST_GVA, 1); // the tables, the list, the code
    const start = performance.now();
    touch(this.machine, this.space, LIST_GVA + TOUCH_ENTRY_BYTES, TOUCHES - 1);
    const us = (performance.now() - start) * 1000 / (TOUCHES - 1);
    this.space.unmap(TOUCH_GVA, TOUCHES * PAGE);
    return us;
  }

  close(): void {
    this.machine.destroy();
  }
}
