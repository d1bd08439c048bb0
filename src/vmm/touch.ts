// Touch: makes KVM map pages of a guest before it needs them, by reading them in the guest: only an access from ring 3 fills
// the shadow page tables of a PVM-style host, and costs there what it would cost the run. On hardware a missing translation
// costs little, and nothing is done.

import { REG, REG_COUNT } from '../platform.ts';
import type { AddressSpace, Context } from '../platform.ts';
import { TOUCHER_GVA } from './layout.ts';
import type { KvmMachine } from './machine.ts';

/** Bytes of an entry of the list. */
export const TOUCH_ENTRY_BYTES = 8;
/** Faults and kicks together; more, and the list is not of this address space. */
const STOPS_MAX = 128;

/**
 * Reads a byte at each of the `count` addresses that the list at `listGva` holds. The list must be readable in `space`; the
 * machine's contexts are as before. Addresses that are not mapped are passed over.
 */
export function touch(machine: KvmMachine, space: AddressSpace, listGva: number, count: number): void {
  if (machine.kind !== 'pvm' || count === 0) return;
  const regs = new BigUint64Array(REG_COUNT);
  const context: Context = { regs, regs32: new Uint32Array(regs.buffer), fsBase: 0n, gsBase: 0n, fpu: null };
  regs[REG.rip] = BigInt(TOUCHER_GVA);
  regs[REG.rdi] = BigInt(listGva);
  regs[REG.rsi] = BigInt(count);
  for (let stops = 0; stops < STOPS_MAX; stops++) {
    const trap = machine.run(context, space, 0);
    if (trap.kind === 'kick') continue;
    const next = Number(regs[REG.rdi]) + TOUCH_ENTRY_BYTES;
    const left = count - (next - listGva) / TOUCH_ENTRY_BYTES;
    if (trap.kind !== 'exception' || left <= 0) break;
    regs[REG.rip] = BigInt(TOUCHER_GVA); // on with the entry after the one that faulted
    regs[REG.rdi] = BigInt(next);
    regs[REG.rsi] = BigInt(left);
  }
  machine.unload(context);
}
