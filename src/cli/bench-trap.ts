// The bare trap that `offshoot bench syscall` compares with: ring 3 executes `syscall`, KVM_RUN returns, the exit is decoded, ring 3 goes on.
// The same machine code as a sandbox's, armed to be preempted as always, but no kernel answers: what is left is not a matter of calls.

import type { Context } from '../platform.ts';
import { PAGE_EXEC, PAGE_READ, REG, REG_COUNT } from '../platform.ts';
import type { HostKind } from '../vmm/area.ts';
import { openKvm } from '../vmm/kvm.ts';
import { createMachine, type KvmMachine } from '../vmm/machine.ts';

/** 1: syscall; jmp 1b */
const LOOP = [0x0f, 0x05, 0xeb, 0xfc];
const CODE_GVA = 0x40_0000;
const MEMORY_BYTES = 16 << 20;
const SLICE_NS = 10e6;
const TRAPS = 32;

export class BareTrap {
  private readonly machine: KvmMachine;
  private readonly space: NonNullable<ReturnType<KvmMachine['newAddressSpace']>>;
  private readonly context: Context;

  /** Throws HostError. */
  constructor(kind: HostKind) {
    this.machine = createMachine(openKvm(kind), { fd: null }, MEMORY_BYTES);
    const { memory } = this.machine;
    let next = memory.firstFrame;
    const frame = (): number => {
      const gpa = next;
      next += 4096;
      return memory.grow(next) ? gpa : 0;
    };
    const space = this.machine.newAddressSpace({ allocTableFrame: frame });
    if (!space) throw new Error('no memory for page tables');
    const code = frame();
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

  close(): void {
    this.machine.destroy();
  }
}
