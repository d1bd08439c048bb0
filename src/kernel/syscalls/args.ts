// How a system call's registers become JavaScript numbers: rdi rsi rdx r10 r8 r9, by ArgKind (row.ts).

import type { Context } from '../../platform.ts';
import type { ArgKind } from './row.ts';

/** Indexes of the low halves of rdi, rsi, rdx, r10, r8, r9 in `Context.regs32`. */
const ARG_SLOTS = [10, 8, 6, 20, 16, 18];

/** How to read an argument: 0 i32, 1 u32, 2 u64 as double, 3 i64 as double. */
export type ArgCode = 0 | 1 | 2 | 3;

const I32: readonly ArgKind[] = ['INT', 'FD', 'DIRFD', 'SIGNAL', 'CLOCK', 'PID'];
const U32: readonly ArgKind[] = ['UINT', 'MODE', 'FLAGS', 'PROT', 'MAP', 'OPEN', 'ATFLAGS'];
const I64: readonly ArgKind[] = ['OFF', 'LONG'];

export function argCode(kind: ArgKind): ArgCode {
  if (I32.includes(kind)) return 0;
  if (U32.includes(kind)) return 1;
  return I64.includes(kind) ? 3 : 2;
}

/** Argument `index` (0..5) of the call in `context`. */
export function readArg(context: Context, index: number, code: ArgCode): number {
  const slot = ARG_SLOTS[index];
  const low = context.regs32[slot];
  switch (code) {
    case 0: return low | 0;
    case 1: return low;
    case 2: return context.regs32[slot + 1] * 0x1_0000_0000 + low;
    case 3: return (context.regs32[slot + 1] | 0) * 0x1_0000_0000 + low;
  }
}

/** Argument `index` with all its 64 bits. */
export function readArg64(context: Context, index: number): bigint {
  return context.regs[ARG_SLOTS[index] >> 1];
}

/** Sets rax to a call's result: negative errno, or up to 2^53. */
export function setResult(context: Context, result: number): void {
  context.regs32[0] = result | 0;
  if (result >= 0 && result < 0x1_0000_0000) {
    context.regs32[0] = result;
    context.regs32[1] = 0;
    return;
  }
  context.regs32[1] = Math.floor(result / 0x1_0000_0000);
  context.regs32[0] = result - Math.floor(result / 0x1_0000_0000) * 0x1_0000_0000;
}
