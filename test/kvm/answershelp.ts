// What the tests of answers share: a loop of calls that are answered, or arrive, while kicks come.

import assert from 'node:assert/strict';
import { REG, type Context, type FileFacts } from '../../src/platform.ts';
import { CODE, type Guest } from './guest.ts';

export const THREAD = { tid: 4321, robustList: 0x7f12_3456_7890 };

/** Runs a loop that counts its calls in RBP; a call that arrives gets the result an answer would have been. */
export function runKicked(guest: Guest, c: Context, facts: FileFacts | null, { nr, result }: { readonly nr: bigint; readonly result: bigint }): void {
  const seen = { kick: 0, syscall: 0 };
  for (let i = 0; i < 2000; i++) {
    guest.machine.answerFrom(THREAD, facts);
    const trap = guest.run(c, 80_000);
    assert.ok(trap.kind === 'kick' || trap.kind === 'syscall', JSON.stringify(trap));
    seen[trap.kind]++;
    assert.ok(c.regs[REG.rip] >= BigInt(CODE) && c.regs[REG.rip] < BigInt(CODE + 32));
    if (trap.kind === 'kick') continue;
    assert.equal(c.regs[REG.rax], nr);
    c.regs[REG.rax] = result;
  }
  assert.ok(seen.kick > 0 && c.regs[REG.rbp] > 1000n);
}
