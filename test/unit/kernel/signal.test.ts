// Signals on the fake machine: actions, masks, queues, frames and what a hostile frame may do.

import assert from 'node:assert/strict';
import test from 'node:test';
import { FPSTATE, SIGFRAME, UCONTEXT } from '../../../src/abi/linux/signal.ts';
import type { Task } from '../../../src/kernel/process/task.ts';
import { forceSignal, signalProcess, signalTask } from '../../../src/kernel/signal/send.ts';
import { siginfo } from '../../../src/kernel/signal/state.ts';
import { REG } from '../../../src/platform.ts';
import { Kit, STACK_TOP } from './corekit.ts';

const HANDLER = 0x40_0100n, RESTORER = 0x40_0200n;
const RESTART = 0x1000_0000, ONSTACK = 0x0800_0000, NODEFER = 0x4000_0000, RESETHAND = 0x8000_0000, SIGINFO = 4, WITH_RESTORER = 0x0400_0000;

function handle(kit: Kit, signo: number, flags = 0, mask = 0n): void {
  const act = kit.words(HANDLER, flags | SIGINFO | WITH_RESTORER, RESTORER, mask);
  assert.equal(kit.call('rt_sigaction', signo, act, 0, 8), 0);
}

function inHandler(task: Task): boolean {
  return task.context.regs[REG.rip] === HANDLER;
}

/** rt_sigreturn from the frame the handler was given. */
function sigreturn(kit: Kit): void {
  kit.task.context.regs[REG.rsp] += 8n;
  kit.call('rt_sigreturn');
}

function ucontextOf(kit: Kit): number {
  return Number(kit.task.context.regs[REG.rsp]) + SIGFRAME.uc;
}

test('sigaction gives back what was set, without the unblockable', () => {
  const kit = new Kit();
  handle(kit, 10, RESTART, -1n);
  const old = kit.room(32);
  assert.equal(kit.call('rt_sigaction', 10, 0, old, 8), 0);
  assert.equal(kit.u64(old), HANDLER);
  assert.equal(kit.u64(old + 8), BigInt(RESTART | SIGINFO | WITH_RESTORER));
  assert.equal(kit.u64(old + 24), 0xffff_ffff_fffb_feffn);
  for (const [signo, size, expected] of [[9, 8, -22], [19, 8, -22], [0, 8, -22], [65, 8, -22], [10, 4, -22]]) {
    assert.equal(kit.call('rt_sigaction', signo, kit.words(1, 0, 0, 0), 0, size), expected);
  }
  assert.equal(kit.call('rt_sigaction', 10, 0x1000, 0, 8), -14);
});

test('a handler starts with a frame, and sigreturn brings everything back', () => {
  const kit = new Kit();
  handle(kit, 10, 0, 1n << 14n);
  const { regs } = kit.task.context;
  regs[REG.rbx] = 0x1234_5678_9abcn;
  regs[REG.r12] = 77n;
  regs[REG.rflags] = 0x206n | 0x400n;
  const before = regs.slice();
  kit.call('kill', kit.task.process.pid, 10);
  assert.ok(inHandler(kit.task));
  assert.equal(regs[REG.rdi], 10n);
  assert.equal(regs[REG.rsp] % 16n, 8n);
  assert.equal(regs[REG.rflags] & 0x400n, 0n, 'DF is clear in a handler');
  assert.equal(kit.u64(Number(regs[REG.rsp])), RESTORER);
  assert.equal(kit.u32(Number(regs[REG.rsi])), 10);
  assert.equal(kit.u32(Number(regs[REG.rsi]) + 16), kit.task.process.pid);
  assert.equal(kit.task.sigmask, 1n << 14n | 1n << 9n);
  sigreturn(kit);
  assert.equal(kit.task.sigmask, 0n);
  for (const name of ['rbx', 'r12', 'rsp', 'rbp', 'rflags'] as const) assert.equal(regs[REG[name]], before[REG[name]], name);
  assert.equal(regs[REG.rax], 0n, "kill's result");
});

test('a frame cannot set flags, masks or state that ring 3 may not have', () => {
  const kit = new Kit();
  handle(kit, 10);
  kit.call('kill', kit.task.process.pid, 10);
  const { mm } = kit.task.process;
  const uc = ucontextOf(kit);
  mm.writeU64(uc + UCONTEXT.mcontext + 8 * 17, 0xffff_ffff_ffff_ffffn);
  mm.writeU64(uc + UCONTEXT.sigmask, 0xffff_ffff_ffff_ffffn);
  const fp = Number(kit.u64(uc + UCONTEXT.fpstate));
  mm.writeU32(fp + FPSTATE.mxcsr, 0xffff_ffff);
  mm.writeU64(fp + FPSTATE.xstateBv, 0xffff_ffff_ffff_ffffn);
  mm.writeU64(fp + FPSTATE.xcompBv, 1n << 63n);
  sigreturn(kit);
  assert.equal(kit.task.context.regs[REG.rflags] & ~0x50fd7n, 0x200n & ~0x50fd7n);
  assert.equal(kit.task.context.regs[REG.rflags] & 0x3000n, 0n, 'no IOPL');
  assert.equal(kit.task.sigmask & (1n << 8n | 1n << 18n), 0n);
  const fpu = kit.task.context.fpu as Uint8Array;
  const view = new DataView(fpu.buffer, fpu.byteOffset);
  assert.equal(view.getUint32(FPSTATE.mxcsr, true), 0xffff);
  assert.equal(view.getBigUint64(FPSTATE.xstateBv, true), kit.kernel.cpu.xfeatures);
  assert.equal(view.getBigUint64(FPSTATE.xcompBv, true), 0n);
});

test('a frame that cannot be read is SIGSEGV', () => {
  for (const spoil of [
    (kit: Kit) => { kit.task.context.regs[REG.rsp] = 0x10n; },
    (kit: Kit) => { kit.task.context.regs[REG.rsp] = 0xffff_ffff_ffff_fff0n; },
    (kit: Kit) => void kit.task.process.mm.writeU64(ucontextOf(kit) + UCONTEXT.fpstate, 0x33n),
    (kit: Kit) => void kit.task.process.mm.writeU64(ucontextOf(kit) + UCONTEXT.fpstate, 0xffff_ffff_ffff_ffc0n),
  ]) {
    const kit = new Kit();
    handle(kit, 10);
    kit.call('kill', kit.task.process.pid, 10);
    spoil(kit);
    sigreturn(kit);
    assert.equal(kit.task.process.exitStatus & 0x7f, 11);
  }
});

test('no room for a frame is SIGSEGV', () => {
  const kit = new Kit();
  handle(kit, 10);
  kit.task.context.regs[REG.rsp] = 0x2000n;
  assert.equal(kit.call('kill', kit.task.process.pid, 10), 'dead');
  assert.deepEqual(kit.kernel.endReason?.kind, 'signal');
});

test('blocked signals wait; a standard one once, real-time ones queue', () => {
  const kit = new Kit();
  handle(kit, 10);
  handle(kit, 40);
  const set = kit.words(1n << 9n | 1n << 39n | 1n << 8n), old = kit.room(8);
  assert.equal(kit.call('rt_sigprocmask', 0, set, old, 8), 0);
  assert.equal(kit.task.sigmask, 1n << 9n | 1n << 39n);
  for (let i = 0; i < 3; i++) {
    kit.call('tgkill', kit.task.process.pid, kit.task.tid, 10);
    kit.call('tgkill', kit.task.process.pid, kit.task.tid, 40);
  }
  const pending = kit.room(8);
  assert.equal(kit.call('rt_sigpending', pending, 8), 0);
  assert.equal(kit.u64(pending), 1n << 9n | 1n << 39n);
  assert.deepEqual(kit.task.pendingInfo.map((info) => info.signo).sort(), [10, 40, 40, 40]);
  assert.equal(kit.call('rt_sigprocmask', 5, set, 0, 8), -22);
});

test('an interrupted call ends with EINTR or starts again', () => {
  for (const [flags, isRestarted] of [[0, false], [RESTART, true]] as const) {
    const kit = new Kit();
    handle(kit, 10, flags);
    assert.equal(kit.call('futex', kit.words(0), 128, 0, 0), 'blocked');
    const rip = kit.task.context.regs[REG.rip];
    signalProcess(kit.task.process, siginfo(10, 0));
    kit.settle(kit.task);
    assert.ok(inHandler(kit.task));
    const uc = ucontextOf(kit);
    const saved = (name: number): bigint => kit.u64(uc + UCONTEXT.mcontext + 8 * name);
    assert.equal(saved(16), isRestarted ? rip - 2n : rip);
    assert.equal(BigInt.asIntN(64, saved(13)), isRestarted ? 202n : -4n);
  }
});

test('sigsuspend restores the mask after the handler', () => {
  const kit = new Kit();
  handle(kit, 10);
  kit.call('rt_sigprocmask', 2, kit.words(1n << 9n | 1n << 11n), 0, 8);
  assert.equal(kit.call('rt_sigsuspend', kit.words(1n << 11n), 8), 'blocked');
  signalTask(kit.task, siginfo(12, 0));
  assert.equal(kit.settle(kit.task), 'blocked', 'a blocked signal does not end it');
  signalTask(kit.task, siginfo(10, 0));
  kit.settle(kit.task);
  assert.ok(inHandler(kit.task));
  sigreturn(kit);
  assert.equal(kit.task.sigmask, 1n << 9n | 1n << 11n);
});

test('sigtimedwait takes a blocked signal, and times out', () => {
  const kit = new Kit();
  kit.call('rt_sigprocmask', 0, kit.words(1n << 9n), 0, 8);
  const set = kit.words(1n << 9n), info = kit.room(128);
  assert.equal(kit.call('rt_sigtimedwait', set, info, kit.words(0, 1_000_000), 8), 'blocked');
  kit.advance(2_000_000);
  assert.equal(kit.settle(kit.task), -11);
  assert.equal(kit.call('rt_sigtimedwait', set, info, 0, 8), 'blocked');
  signalProcess(kit.task.process, siginfo(10, -1, { value: 42n, pid: 9 }));
  assert.equal(kit.settle(kit.task), 10);
  assert.equal(kit.u64(info + 24), 42n);
});

test('SA_RESETHAND, SA_NODEFER, SA_ONSTACK', () => {
  const kit = new Kit();
  const stack = kit.room(65536);
  assert.equal(kit.call('sigaltstack', kit.words(stack, 0, 1024), 0), -12);
  assert.equal(kit.call('sigaltstack', kit.words(stack, 0, 65536), 0), 0);
  handle(kit, 10, RESETHAND | NODEFER | ONSTACK);
  kit.call('kill', kit.task.process.pid, 10);
  const sp = Number(kit.task.context.regs[REG.rsp]);
  assert.ok(sp > stack && sp < stack + 65536);
  assert.equal(kit.task.sigmask, 0n);
  assert.equal(kit.task.process.signals.action(10).handler, 0n);
  assert.equal(kit.call('sigaltstack', kit.words(stack, 0, 65536), 0), -1, 'EPERM on it');
  assert.equal(kit.call('kill', kit.task.process.pid, 10), 'dead');
});

test('default actions: ignore, stop and continue, terminate', () => {
  const kit = new Kit();
  const child = kit.spawnTask(kit.task);
  signalProcess(child.process, siginfo(17, 0));
  assert.equal(child.work, false);
  signalProcess(child.process, siginfo(19, 0));
  kit.settle(child);
  assert.equal(child.state, 'stopped');
  const status = kit.room(8);
  assert.equal(kit.call('wait4', child.process.pid, status, 2, 0), child.process.pid);
  assert.equal(kit.u32(status), 0x137f);
  signalProcess(child.process, siginfo(18, 0));
  assert.equal(child.state, 'runnable');
  assert.equal(kit.call('wait4', child.process.pid, status, 8, 0), child.process.pid);
  assert.equal(kit.u32(status), 0xffff);
  signalProcess(child.process, siginfo(15, 0));
  assert.equal(kit.settle(child), 'dead');
  assert.equal(kit.call('wait4', -1, status, 0, 0), child.process.pid);
  assert.equal(kit.u32(status), 15);
});

test('SIGKILL ends a stopped process whatever it blocks', () => {
  const kit = new Kit();
  const child = kit.spawnTask(kit.task);
  child.sigmask = 0n;
  signalProcess(child.process, siginfo(19, 0));
  kit.settle(child);
  signalProcess(child.process, siginfo(9, 0));
  assert.equal(kit.settle(child), 'dead');
  assert.equal(child.process.exitStatus, 9);
});

test('a fault that is blocked or ignored kills', () => {
  const kit = new Kit();
  kit.call('rt_sigaction', 11, kit.words(1, 0, 0, 0), 0, 8);
  forceSignal(kit.task, siginfo(11, 1, { addr: 0x1234 }));
  assert.equal(kit.settle(kit.task), 'dead');
  assert.deepEqual(kit.kernel.endReason, { kind: 'signal', signo: 11, detail: 'address 0x1234' });
});

test('kill: who may, and whom it reaches', () => {
  const kit = new Kit();
  const user = kit.spawnTask(kit.task, 1000), other = kit.spawnTask(kit.task, 1001);
  assert.equal(kit.callAs(user, 'kill', other.process.pid, 0), -1);
  assert.equal(kit.callAs(user, 'kill', kit.task.process.pid, 15), -1);
  assert.equal(kit.callAs(user, 'kill', 9999, 15), -3);
  assert.equal(kit.callAs(user, 'kill', user.process.pid, 65), -22);
  assert.equal(kit.callAs(user, 'tgkill', user.process.pid, 9999, 15), -3);
  assert.equal(kit.callAs(user, 'tgkill', -1, user.tid, 15), -22);
  assert.equal(kit.call('kill', user.process.pid, 0), 0);
  assert.equal(kit.call('rt_sigqueueinfo', user.process.pid, 12, kit.put(new Uint8Array(128))), -1, 'SI_USER to another is forged');
  assert.ok(STACK_TOP > 0);
});

test('the queue of real-time signals is bounded', () => {
  const kit = new Kit();
  kit.call('rt_sigprocmask', 0, kit.words(1n << 39n), 0, 8);
  let refused = 0;
  for (let i = 0; i < 1100; i++) if (signalTask(kit.task, siginfo(40, -1)) < 0) refused++;
  assert.equal(refused, 1100 - 1024);
});
