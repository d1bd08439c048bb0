// Self-test: finds out which kind of KVM this is and checks, on throw-away VMs, every behaviour the machine relies on. The
// engine runs it once per kernel build, caches the result and refuses a host whose result has a check that is not ok.
//
// Interface: selfTest() → {kind, checks}; detectKind() alone answers in a few milliseconds.

import { MSR_IA32_TSC, XSAVE_XSTATE_BV } from '../abi/x86/cpu.ts';
import type { Context, FrameSource, Trap } from '../platform.ts';
import { PAGE_EXEC, PAGE_READ, PAGE_WRITE, REG, REG_COUNT } from '../platform.ts';
import type { HostKind } from './area.ts';
import { openKvm } from './kvm.ts';
import type { Kvm } from './kvm.ts';
import * as L from './layout.ts';
import { createMachine } from './machine.ts';
import type { KvmMachine } from './machine.ts';
import { PageTables } from './paging.ts';
import { SELFTEST_CODE, code } from './stub.ts';
import { clocksource, tscVcpu } from './vvar.ts';

/** One behaviour: `detail` says what was seen, in a sentence. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

export interface SelfTest {
  readonly kind: HostKind;
  readonly checks: readonly Check[];
}

const CODE = 0x40_0000;
const DATA = 0x60_0000;
const STACK = 0x70_0000;
const RW = PAGE_READ | PAGE_WRITE;
const LIMIT_BYTES = 16 * 2 ** 20;
const KICK_NS = 2e6;

type Snippet = keyof typeof SELFTEST_CODE;

/** A machine with room for a snippet, and frames from a counter. */
class Probe {
  readonly machine: KvmMachine;
  readonly space: PageTables;
  readonly frames: FrameSource = { allocTableFrame: () => this.frame() };
  #next = L.FIRST_FRAME;

  constructor(kvm: Kvm) {
    this.machine = createMachine(kvm, { fd: null, sizeBytes: 2 ** 20 }, LIMIT_BYTES);
    this.space = this.machine.newAddressSpace(this.frames) as PageTables;
    this.space.map(STACK - 4096, this.frame(), RW);
    this.space.map(CODE, this.frame(), PAGE_READ | PAGE_EXEC);
  }

  frame(): number {
    this.#next += 4096;
    return this.#next - 4096;
  }

  /** A context about to run `snippet`. */
  context(snippet: Snippet): Context {
    const gpa = this.space.entry(CODE) & ~0xfff;
    this.machine.memory.u8.set(code(SELFTEST_CODE[snippet]), gpa);
    return newContext();
  }

  run(context: Context, sliceNs = 0): Trap {
    return this.machine.run(context, this.space, sliceNs);
  }
}

function newContext(): Context {
  const regs = new BigUint64Array(REG_COUNT);
  regs[REG.rip] = BigInt(CODE);
  regs[REG.rsp] = BigInt(STACK);
  regs[REG.rflags] = 0x202n;
  return { regs, regs32: new Uint32Array(regs.buffer), fsBase: 0n, gsBase: 0n, fpu: null };
}

/** What a check found wrong, or what it saw. */
type Outcome = readonly [ok: boolean, detail: string];
type CheckFunction = (probe: Probe, kvm: Kvm) => Outcome;

const show = (trap: Trap): string => JSON.stringify(trap);
const isException = (trap: Trap, vector: number, address = 0): boolean =>
  trap.kind === 'exception' && trap.vector === vector && trap.address === address;

/** The checks, in the order they are reported. Each gets a machine of its own. */
const CHECKS: Readonly<Record<string, CheckFunction>> = {
  'syscall entry': (probe) => {
    const context = probe.context('syscall');
    context.regs[REG.rdi] = 0x1234_5678_9abc_def0n;
    const trap = probe.run(context);
    const { rip, cpl } = probe.machine.lastExit();
    const ok = trap.kind === 'syscall' && context.regs[REG.rip] === BigInt(CODE + 2) && context.regs[REG.rdi] === 0x1234_5678_9abc_def0n;
    return [ok, `syscall exits at RIP 0x${rip.toString(16)}, CPL ${cpl}: ${show(trap)}`];
  },
  'exit leaves nothing pending': (probe) => {
    const context = probe.context('syscall');
    probe.run(context);
    context.regs[REG.rip] = BigInt(CODE);
    context.regs[REG.rax] = 0x77n;
    const trap = probe.run(context);
    return [trap.kind === 'syscall' && context.regs[REG.rax] === 0x77n, `a second run after an exit: ${show(trap)}`];
  },
  'jump into the stub': (probe) => {
    const context = probe.context('jump');
    context.regs[REG.rdx] = BigInt(L.USER_STUB_GVA);
    context.regs[REG.rcx] = BigInt(CODE);
    const trap = probe.run(context);
    return [trap.kind === 'exception', `a jump to the stub's address is ${show(trap)}`];
  },
  'calls are answered where they are made': (probe, { kind }) => {
    if (kind !== 'pvm') return [true, 'not done on this kind of host'];
    const context = probe.context('syscall');
    context.regs.set([8n, 0n, 0n, 1n, 0n, 3n]); // lseek(3, 0, SEEK_CUR)
    probe.machine.answerFrom({ tid: 1, robustList: 0 }, { fd: 3, pos: 77, atEnd: false, atLastEntry: false, stat: new Uint8Array(0) });
    const trap = probe.run(context); // behind it comes nothing that can be run
    return [context.regs[REG.rax] === 77n && trap.kind === 'exception', `a call of which the answer is known: ${show(trap)}, RAX ${context.regs[REG.rax]}`];
  },
  'ports are closed to ring 3': (probe) => {
    for (const port of [L.PORT, 0x80, 0x3f8]) {
      const context = probe.context('out');
      context.regs[REG.rdx] = BigInt(port);
      const trap = probe.run(context);
      if (!isException(trap, 13)) return [false, `out to port 0x${port.toString(16)} is ${show(trap)}`];
    }
    return [true, 'out from ring 3 is #GP'];
  },
  exceptions: (probe) => {
    const undefinedOpcode = probe.run(probe.context('ud2'));
    if (!isException(undefinedOpcode, 6)) return [false, `ud2 is ${show(undefinedOpcode)}`];
    const context = probe.context('load');
    context.regs[REG.rdi] = BigInt(DATA + 8);
    const fault = probe.run(context);
    return [isException(fault, 14, DATA + 8), `a read of an absent page is ${show(fault)}`];
  },
  'supervisor memory is closed to ring 3': (probe) => {
    const context = probe.context('load');
    context.regs[REG.rdi] = L.SUPER_BASE;
    const trap = probe.run(context);
    return [trap.kind === 'exception' && trap.vector === 14, `a read of supervisor memory is ${show(trap)}`];
  },
  'removed translations are gone': checkRemoval,
  'a shadow table can be dropped': checkDrop,
  'extended state follows its context': checkXsave,
  'memory can grow': (probe) => {
    const grown = probe.machine.memory.grow(4 * 2 ** 20);
    probe.space.map(DATA, 3 * 2 ** 20, RW);
    probe.machine.memory.u8[3 * 2 ** 20] = 42;
    const context = probe.context('load');
    context.regs[REG.rdi] = BigInt(DATA);
    const trap = probe.run(context);
    return [grown && trap.kind === 'syscall' && context.regs[REG.rbx] === 42n, `a page of a second memslot: ${show(trap)}`];
  },
  'a kick ends an endless loop': (probe) => {
    const context = probe.context('loop');
    for (let i = 0; i < 5; i++) {
      const trap = probe.run(context, KICK_NS);
      if (trap.kind !== 'kick') return [false, `an endless loop ended with ${show(trap)}`];
    }
    return [true, 'five of five slices ended in time'];
  },
  'the TSC is the host\'s': (probe, kvm) => {
    const vcpu = tscVcpu(kvm);
    if (vcpu === null) return [true, 'the TSC offset cannot be set: guests read the clock by system call'];
    const before = vcpu.getMsr(MSR_IA32_TSC);
    const context = probe.context('rdtsc');
    const trap = probe.run(context);
    const after = vcpu.getMsr(MSR_IA32_TSC);
    vcpu.close();
    const ok = trap.kind === 'syscall' && before < context.regs[REG.rax] && context.regs[REG.rax] < after;
    // Where the host does not trust its TSC, KVM changes offsets as it likes.
    if (!ok && clocksource() !== 'tsc') return [true, 'the host\'s clock is not the TSC: guests read the clock by system call'];
    return [ok, `rdtsc ${context.regs[REG.rax]} between ${before} and ${after}`];
  },
};

/** Reads through pages that come, go and change, with page-table frames used again for other addresses. */
function checkRemoval(probe: Probe): Outcome {
  const { space, machine } = probe;
  const frames = Array.from({ length: 8 }, (_, i) => {
    const gpa = probe.frame();
    machine.memory.view.setUint32(gpa, i + 1, true);
    return gpa;
  });
  const context = probe.context('load');
  for (let round = 0; round < 64; round++) {
    const gva = DATA + (round % 3) * 2 ** 30 + (round % 5) * 2 ** 21;
    const want = (round * 5) % 8;
    space.map(gva, frames[want], RW);
    for (const mapped of [true, false]) {
      if (!mapped) space.unmap(gva, 4096);
      context.regs[REG.rip] = BigInt(CODE);
      context.regs[REG.rdi] = BigInt(gva);
      const trap = probe.run(context);
      const ok = mapped ? trap.kind === 'syscall' && context.regs[REG.rbx] === BigInt(want + 1) : isException(trap, 14, gva);
      if (!ok) return [false, `round ${round}, page ${mapped ? 'mapped' : 'removed'}: ${show(trap)}, read ${context.regs[REG.rbx]}`];
    }
  }
  return [true, '64 pages came and went through reused page tables'];
}

/** Reads through pages whose table is freed with all of them in it, and used again for them in another order. */
function checkDrop(probe: Probe): Outcome {
  const { space, machine } = probe;
  const frames = Array.from({ length: 64 }, () => probe.frame());
  frames.forEach((gpa, i) => machine.memory.view.setUint32(gpa, i + 1, true));
  const context = probe.context('load');
  for (const last of [0, 63, 5]) {
    frames.forEach((gpa, i) => space.map(DATA + (i ^ last) * 4096, gpa, RW));
    for (let i = 0; i < 64; i++) {
      context.regs[REG.rip] = BigInt(CODE);
      context.regs[REG.rdi] = BigInt(DATA + i * 4096);
      const trap = probe.run(context);
      const read = context.regs[REG.rbx];
      if (trap.kind !== 'syscall' || read !== BigInt((i ^ last) + 1)) return [false, `page ${i} in order ${last}: ${show(trap)}, read ${read}`];
    }
    space.unmap(DATA, 64 * 4096);
    if (machine.paging.pending.length > 6) return [false, 'the entries of a free table are stored one by one'];
  }
  return [true, 'a table was used for 64 pages in three orders'];
}

function checkXsave(probe: Probe): Outcome {
  const { space, machine } = probe;
  const gpa = probe.frame();
  space.map(DATA, gpa, RW);
  const contexts = [probe.context('sse'), newContext()];
  contexts.forEach((context, i) => {
    context.regs[REG.rdi] = BigInt(DATA);
    machine.memory.u8.fill(i + 1, gpa, gpa + 16);
    probe.run(context);
  });
  for (const [i, context] of contexts.entries()) {
    const trap = probe.run(context);
    machine.saveFpu(context);
    const stored = machine.memory.u8.subarray(gpa + 16, gpa + 32).every((byte) => byte === i + 1);
    const saved = context.fpu !== null && (context.fpu[XSAVE_XSTATE_BV] & 2) !== 0;
    const ok = trap.kind === 'syscall' && stored && saved;
    if (!ok) return [false, `context ${i}: ${show(trap)}, register kept: ${stored}, saved: ${saved}`];
  }
  return [true, 'two contexts kept their vector registers'];
}

/** Whether a KVM opened as `kind` serves a system call. */
function serves(kvm: Kvm): boolean {
  const probe = new Probe(kvm);
  const trap = probe.run(probe.context('syscall'));
  const { cpl } = probe.machine.lastExit();
  probe.machine.destroy();
  return trap.kind === 'syscall' && cpl === (kvm.kind === 'pvm' ? 3 : 0);
}

/** The kind of this host's KVM, or null when it behaves like neither. Throws HostError when there is none. */
export function detectKind(): HostKind | null {
  for (const kind of ['pvm', 'hardware'] as const) {
    const kvm = openKvm(kind);
    const ok = serves(kvm);
    kvm.close();
    if (ok) return kind;
  }
  return null;
}

/** Runs all checks. Throws HostError when /dev/kvm cannot be opened. */
export function selfTest(): SelfTest {
  const kind = detectKind();
  if (kind === null) {
    return { kind: 'hardware', checks: [{ name: 'kind', ok: false, detail: 'a system call reaches neither of the two stubs' }] };
  }
  const kvm = openKvm(kind);
  const checks = Object.entries(CHECKS).map(([name, check]): Check => {
    const probe = new Probe(kvm);
    try {
      const [ok, detail] = check(probe, kvm);
      return { name, ok, detail };
    } catch (error) {
      return { name, ok: false, detail: error instanceof Error ? error.message : String(error) };
    } finally {
      probe.machine.destroy();
    }
  });
  kvm.close();
  return { kind, checks };
}
