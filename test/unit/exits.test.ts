// No exit is trusted: register states a processor of ours never leaves behind, so that only a host or a guest gone wrong shows
// them, end as a fault of the guest or of the sandbox, never as a system call or an exception of ring 3.

import assert from 'node:assert/strict';
import test from 'node:test';
import { KVM_EXIT_IO } from '../../src/abi/kvm/constants.ts';
import { REG, REG_COUNT, type AddressSpace, type Context, type Trap } from '../../src/platform.ts';
import { decodeExit } from '../../src/vmm/exits.ts';
import * as L from '../../src/vmm/layout.ts';
import type { Memory } from '../../src/vmm/memory.ts';
import { R11, RCX, RFLAGS, RIP, RSP, type Vcpu } from '../../src/vmm/vcpu.ts';

const USER_RIP = 0x40_0002n;
const OUT_BYTES = 2n;
const USER_STUB = BigInt(L.USER_STUB_GVA) + OUT_BYTES;
const KERNEL_STUB = L.SUPER_BASE + BigInt(L.CODE_LOW) + OUT_BYTES;
const PAGE_FAULT = L.SUPER_BASE + BigInt(L.HANDLER_LOW + 14 * L.HANDLER_STRIDE) + OUT_BYTES;
const FRAME = L.SUPER_BASE + BigInt(L.STACK_LOW + 4096 - 48); // with an error code
const GP: Trap = { kind: 'exception', vector: 13, errorCode: 0, address: 0 };

interface State {
  readonly kind?: 'pvm' | 'hardware';
  readonly cpl?: number;
  readonly rip: bigint;
  readonly rcx?: bigint;
  readonly r11?: bigint;
  readonly rflags?: bigint;
  readonly rsp?: bigint;
  /** CS in the pushed frame. */
  readonly cs?: number;
}

/** What a port exit in this state is taken for. */
function decode(state: State): { trap: Trap; context: Context } {
  const regs = new BigUint64Array(REG_COUNT);
  const put = (word: number, value: bigint): void => {
    regs[word / 2] = value;
  };
  put(RIP, state.rip);
  put(RCX, state.rcx ?? USER_RIP);
  put(R11, state.r11 ?? 0x246n);
  put(RFLAGS, state.rflags ?? 2n);
  put(RSP, state.rsp ?? 0x70_0000n);
  const vcpu = {
    kvm: { kind: state.kind ?? 'pvm' }, cpl: state.cpl ?? 3, exitReason: KVM_EXIT_IO, regs, regs32: new Uint32Array(regs.buffer),
    sregs32: new Uint32Array(256), run: new DataView(new ArrayBuffer(8192)), dirty: 0, completeExit: () => -4,
  } as unknown as Vcpu;
  const words = new Uint32Array((L.STACK_GPA + 4096) / 4);
  const frame = (L.STACK_GPA + 4096 - 40) / 4;
  words.set([2], frame - 2);
  words.set([0x40_0010, 0, state.cs ?? L.SEL_USER_CS, 0, 0x202, 0, 0x70_0000, 0, L.SEL_USER_SS, 0], frame);
  const own = new BigUint64Array(REG_COUNT);
  const context: Context = { regs: own, regs32: new Uint32Array(own.buffer), fsBase: 0n, gsBase: 0n, fpu: null };
  const memory = { words, u8: new Uint8Array(words.buffer) } as unknown as Memory;
  return { context, trap: decodeExit(vcpu, memory, context, { entry: () => 0 } as unknown as AddressSpace) };
}

test('behind the stub of this kind of host: a system call, with RIP and flags of ring 3', () => {
  for (const state of [{ rip: USER_STUB }, { kind: 'hardware', cpl: 0, rip: KERNEL_STUB }] as const) {
    const { trap, context } = decode(state);
    assert.deepEqual(trap, { kind: 'syscall' });
    assert.deepEqual([context.regs[REG.rip], context.regs[REG.rflags]], [USER_RIP, 0x246n]);
  }
});

test('behind the stub, but not by a system call', () => {
  assert.deepEqual(decode({ rip: USER_STUB, rflags: 0x202n }).trap, GP); // IF: jumped there
  for (const rcx of [2n ** 47n, 2n ** 63n, 0xffff_8001_0000_2000n, 2n ** 64n - 1n]) {
    const { trap, context } = decode({ rip: USER_STUB, rcx });
    assert.deepEqual(trap, GP, String(rcx));
    assert.ok(context.regs[REG.rip] < 2n ** 47n);
  }
});

test('in the answers or behind their out: a system call, to go on where R11 says', () => {
  for (const offset of [7n, 15n, 0x40n, 0x160n]) {
    const rip = BigInt(L.VVAR_GVA + L.ANSWERS_OFFSET) + offset;
    const { trap, context } = decode({ rip, r11: USER_RIP, rcx: 7n, rflags: 0x46n });
    assert.deepEqual(trap, { kind: 'syscall' });
    assert.deepEqual([REG.rip, REG.rcx, REG.rflags, REG.r11].map((i) => context.regs[i]), [USER_RIP, USER_RIP, 0x246n, 0x246n]);
    assert.deepEqual(decode({ rip, r11: USER_RIP, rflags: 0x246n }).trap, GP);
    for (const r11 of [2n ** 47n, 2n ** 63n, 2n ** 64n - 1n]) assert.deepEqual(decode({ rip, r11 }).trap, GP);
    assert.deepEqual(decode({ kind: 'hardware', rip }).trap, GP);
  }
});

test('the stub of the other kind of host, or at another privilege level', () => {
  assert.equal(decode({ kind: 'pvm', cpl: 0, rip: KERNEL_STUB }).trap.kind, 'failed');
  assert.equal(decode({ kind: 'hardware', cpl: 3, rip: KERNEL_STUB }).trap.kind, 'failed');
  assert.deepEqual(decode({ kind: 'hardware', rip: USER_STUB }).trap, GP);
});

test('an exception is one of ring 3, delivered to our stack, seen at CPL 0', () => {
  const good = decode({ cpl: 0, rip: PAGE_FAULT, rsp: FRAME });
  assert.deepEqual(good.trap, { kind: 'exception', vector: 14, errorCode: 2, address: 0 });
  assert.equal(good.context.regs[REG.rip], 0x40_0010n);
  assert.equal(decode({ cpl: 3, rip: PAGE_FAULT, rsp: FRAME }).trap.kind, 'failed');
  assert.equal(decode({ cpl: 0, rip: PAGE_FAULT, rsp: FRAME, cs: L.SEL_KERNEL_CS }).trap.kind, 'failed');
  for (const rsp of [FRAME - 48n, FRAME + 8n, 0x70_0000n]) assert.equal(decode({ cpl: 0, rip: PAGE_FAULT, rsp }).trap.kind, 'failed', String(rsp));
});

test('elsewhere at CPL 0', () => {
  for (const rip of [L.SUPER_BASE + BigInt(L.CODE_LOW) + 0x40n, L.SUPER_BASE + BigInt(L.HANDLER_LOW) + 7n, L.SUPER_BASE + BigInt(L.GDT_LOW)]) {
    assert.equal(decode({ cpl: 0, rip }).trap.kind, 'failed', rip.toString(16));
    assert.equal(decode({ kind: 'hardware', cpl: 0, rip }).trap.kind, 'failed', rip.toString(16));
  }
});
