// Machine: a vCPU with memory (implements Machine of platform.ts on KVM). Owns the VM's descriptors, the loaded context and
// the replay of page-table changes; paging.ts, replay.ts, memory.ts, vcpu.ts and exits.ts do the parts.
//
// createMachine(kvm, source, limitBytes) makes one; destroy() gives everything back. A machine belongs to the thread that
// made it. Registers enter and leave through sync regs only; the extended state moves only when another context is loaded.
// Governed by Documentation/virt/kvm/api.rst and Intel SDM vol. 3A, ch. 5 and 6.

import { KVM_SYNC_X86_EVENTS, KVM_SYNC_X86_REGS, KVM_SYNC_X86_SREGS } from '../abi/kvm/constants.ts';
import { VcpuEvents } from '../abi/kvm/structs.ts';
import { EINTR } from '../abi/linux/errno.ts';
import { buffer } from '../abi/struct.ts';
import * as X from '../abi/x86/cpu.ts';
import { HostError } from '../host/errors.ts';
import type { AddressSpace, Context, FileFacts, FrameSource, Machine, PathAnswers, SignalFacts, ThreadFacts, Trap } from '../platform.ts';
import type { Answers } from './answers.ts';
import type { HostKind } from './area.ts';
import { byteAt, decodeExit, failed, unanswered } from './exits.ts';
import { Fpu } from './fpu.ts';
import type { Kicker } from './kick.ts';
import type { Kvm } from './kvm.ts';
import { Memory } from './memory.ts';
import type { MemorySource } from './memory.ts';
import { PageTables, Paging } from './paging.ts';
import { replay } from './replay.ts';
import { startState } from './start.ts';
import type { StartState } from './start.ts';
import { beforeUserStub, inAnswers } from './trap.ts';
import { CR3, FS_BASE, GS_BASE, R11, RFLAGS, RIP, Vcpu } from './vcpu.ts';
import { Vm } from './vm.ts';

const KICK: Trap = { kind: 'kick' };
const BREAKPOINT: Trap = { kind: 'exception', vector: X.VECTOR_BP, errorCode: 0, address: 0 };
/** The instruction `int3`. */
const INT3 = 0xcc;

/** RFLAGS bits ring 3 chooses itself. */
const USER_FLAGS = X.RFLAGS_CF | X.RFLAGS_PF | X.RFLAGS_AF | X.RFLAGS_ZF | X.RFLAGS_SF | X.RFLAGS_TF | X.RFLAGS_DF | X.RFLAGS_OF
  | X.RFLAGS_AC | X.RFLAGS_ID;

/** Re-entries to let an exception delivery finish before a kick is reported; more means the host is stuck. */
const SETTLE_MAX = 64;

/** A machine on KVM. */
export class KvmMachine implements Machine {
  readonly memory: Memory;
  readonly kind: HostKind;
  /** Pending replays and free table frames; public for tests and for rewinding. */
  readonly paging: Paging;
  readonly #kvm: Kvm;
  readonly #answers: Answers | null;
  readonly paths: PathAnswers | undefined;
  #vm!: Vm;
  #vcpu!: Vcpu;
  #fpu!: Fpu;
  #start!: StartState;
  /** The VM and the vCPU are there. */
  #hasSlot = false;
  readonly kicker: Kicker;
  #loaded: Context | null = null;
  /** What the vCPU's FS and GS bases are, as words, and as the bigints last given to a context. */
  readonly #bases = new Uint32Array(4);
  readonly #bases64 = new BigUint64Array(this.#bases.buffer);
  /** The vCPU stopped at CPL 0, or its segments are not those of ring 3. */
  #needsSegments = true;
  #root = -1;
  #kicked = false;
  #alive = true;
  readonly #gotKick = (): void => {
    this.#kicked = true;
  };

  /** It owns `memory`, and has no VM yet. */
  constructor(kvm: Kvm, memory: Memory) {
    this.kind = kvm.kind;
    this.kicker = kvm.kicker;
    this.#kvm = kvm;
    this.#answers = kvm.answers;
    this.paths = kvm.answers?.pathsOf(this);
    this.memory = memory;
    this.paging = new Paging(memory, this.kind === 'hardware');
  }

  /** The vCPU; made when it is not there yet, or was given up. Throws HostError when the host refuses. */
  get vcpu(): Vcpu {
    if (!this.#hasSlot) this.#takeSlot();
    return this.#vcpu;
  }

  /** How its vCPUs start. */
  get start(): StartState {
    if (!this.#hasSlot) this.#takeSlot();
    return this.#start;
  }

  /**
   * Closes the VM and the vCPU until there is something to run again: memory and contexts stay as they are. What KVM held for it, its
   * translations above all, is the host's again.
   */
  giveUpSlot(): void {
    if (!this.#hasSlot) return;
    if (this.#loaded !== null) this.#fpu.save(this.#loaded);
    this.#forgetVcpu();
    this.#hasSlot = false;
    this.#vcpu.close();
    this.#vm.close();
    this.memory.attach(null);
    this.paging.pending.length = 0; // no processor has seen what they replace
  }

  #takeSlot(): void {
    const vm = new Vm(this.#kvm);
    let vcpu: Vcpu | null = null;
    try {
      this.memory.attach(vm);
      vcpu = new Vcpu(vm);
      this.#start = startState(this.#kvm, vcpu);
      this.#start.apply(vcpu);
    } catch (error) {
      vcpu?.close();
      vm.close();
      this.memory.attach(null);
      throw error;
    }
    this.#vm = vm;
    this.#vcpu = vcpu;
    this.#fpu = new Fpu(vcpu, this.#kvm);
    this.#hasSlot = true;
  }

  /** Null, or the trap that ends the sandbox. */
  #retakeSlot(): Trap | null {
    try {
      this.#takeSlot();
      return null;
    } catch (error) {
      if (error instanceof HostError) return failed(`the host has no other VM for it: ${error.message}`);
      throw error;
    }
  }

  /** The next run loads everything. */
  #forgetVcpu(): void {
    this.#loaded = null;
    this.#fpu.invalidate();
    this.#needsSegments = true;
    this.#root = -1;
    this.#bases.fill(0);
  }

  /** All of guest memory, as it is now: what a template file holds. A view, not a copy. */
  snapshotMemory(): Uint8Array {
    return this.memory.u8;
  }

  newAddressSpace(frames: FrameSource): AddressSpace | null {
    const root = this.paging.newRoot(frames);
    return root === 0 ? null : new PageTables(this.paging, root, frames);
  }

  attachAddressSpace(root: number, frames: FrameSource): AddressSpace {
    return new PageTables(this.paging, root, frames);
  }

  saveFpu(context: Context): void {
    if (this.#loaded === context) this.#fpu.save(context);
  }

  fpuChanged(context: Context): void {
    if (this.#loaded === context) this.#fpu.invalidate();
  }

  unload(context: Context): void {
    if (this.#loaded === context) this.#loaded = null;
  }

  /** Drops whatever a run left half done in the vCPU: a port access, an MMIO access. Registers are undefined afterwards. */
  abandonExit(): void {
    for (let i = 0; i < SETTLE_MAX && this.vcpu.completeExit() !== -EINTR; i++);
  }

  /** Has the guest store all queued page-table entries again, under `root`. Null, or the trap that ended it. */
  replayPending(root: number): Trap | null {
    return this.paging.pending.length === 0 ? null : replay(this, this.paging.pending, root, () => {});
  }

  /** The vCPU is as new: what ran before is forgotten, the next run loads everything. */
  reset(): void {
    this.#forgetVcpu();
    this.#kicked = false;
    this.start.reset(this.vcpu);
    this.vcpu.regs.fill(0n);
    this.vcpu.dirty = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
    this.vcpu.completeExit();
  }

  /** Where the vCPU stood at its last exit: for the self-test and for diagnosis. */
  lastExit(): { readonly rip: bigint; readonly cpl: number } {
    return { rip: this.vcpu.regs[RIP / 2], cpl: this.vcpu.cpl };
  }

  /** Makes the current or next `run` return a kick; also from another thread, through `Kicker.kick`. */
  kick(): void {
    this.#kicked = true;
  }

  /** Closes the VM and unmaps its memory. */
  destroy(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#loaded = null;
    if (this.#hasSlot) {
      this.#vcpu.close();
      this.#vm.close();
    }
    this.memory.destroy();
  }

  answerFrom(thread: ThreadFacts, facts: FileFacts | null, signals: SignalFacts | null = null): void {
    this.#answers?.set(this, thread, facts, signals);
  }

  run(context: Context, space: AddressSpace, sliceNs: number): Trap {
    this.#answers?.forget(this);
    const trap = this.#run(context, space, sliceNs);
    this.#answers?.off();
    return trap;
  }

  #run(context: Context, space: AddressSpace, sliceNs: number): Trap {
    if (this.#kicked) {
      this.#kicked = false;
      return KICK;
    }
    if (context.regs32[RIP + 1] >= 0x8000) return failed('RIP is not a user address');
    if (!this.#hasSlot) {
      const problem = this.#retakeSlot();
      if (problem !== null) return problem;
    }
    if (this.paging.pending.length !== 0) {
      this.#needsSegments = true;
      const trap = replay(this, this.paging.pending, space.root, this.#gotKick);
      if (trap !== null) return trap;
    }
    this.#load(context, space.root);
    this.kicker.arm(sliceNs);
    for (;;) {
      const trap = this.#enter(context, space);
      if (trap !== KICK || sliceNs !== 0 || this.#kicked) {
        if (trap === KICK) this.#kicked = false;
        return trap;
      }
      this.#load(context, space.root); // a stale timer signal and nobody asked for slices
    }
  }

  /** Puts `context` into the vCPU. */
  #load(context: Context, root: number): void {
    const { regs, regs32, sregs32 } = this.#vcpu;
    let dirty = KVM_SYNC_X86_REGS;
    regs.set(context.regs);
    regs32[RFLAGS] = (regs32[RFLAGS] & USER_FLAGS) | X.RFLAGS_RESERVED1 | X.RFLAGS_IF;
    regs32[RFLAGS + 1] = 0;
    if (this.#loaded !== context) {
      if (this.#loaded !== null) this.#fpu.save(this.#loaded);
      this.#fpu.invalidate();
      this.#loaded = context;
      this.#needsSegments = true;
    }
    this.#fpu.load(context);
    const bases = this.#bases64;
    if (this.#needsSegments || root !== this.#root || context.fsBase !== bases[0] || context.gsBase !== bases[1]) {
      if (this.#needsSegments) this.#start.loadUser(this.#vcpu);
      bases[0] = context.fsBase;
      bases[1] = context.gsBase;
      sregs32[FS_BASE] = this.#bases[0];
      sregs32[FS_BASE + 1] = this.#bases[1];
      sregs32[GS_BASE] = this.#bases[2];
      sregs32[GS_BASE + 1] = this.#bases[3];
      sregs32[CR3] = root;
      dirty |= KVM_SYNC_X86_SREGS;
      this.#root = root;
      this.#needsSegments = false;
    }
    this.#vcpu.dirty = dirty;
  }

  /** Runs ring 3 until it traps; brings `context` up to date. */
  #enter(context: Context, space: AddressSpace): Trap {
    const vcpu = this.#vcpu;
    for (let attempt = 0; attempt < SETTLE_MAX; attempt++) {
      const result = vcpu.runOnce();
      vcpu.dirty = 0;
      if (result === 0) {
        this.#needsSegments = vcpu.cpl !== 3;
        this.#readBases(context);
        const trap = decodeExit(vcpu, this.memory, context, space);
        if (trap.kind === 'exception' && trap.vector === X.VECTOR_BP) this.#forgetBreakpoint();
        return trap;
      }
      if (result !== -EINTR) return failed(`KVM_RUN failed with errno ${-result}`);
      this.kicker.drain();
      if (this.#isSettled()) {
        context.regs.set(vcpu.regs);
        this.#readBases(context);
        return this.#lostBreakpoint(space) ? BREAKPOINT : this.#kickedAt(context);
      }
      this.#kicked = true; // our own code is under way: let it exit first, then report the kick at the next run
      this.kicker.arm(0);
    }
    return failed('the virtual CPU does not come to rest');
  }

  /** A kick in ring 3 is one, except in the midst of a system call that was to be answered: it is then reported at the next run. */
  #kickedAt(context: Context): Trap {
    const { regs32 } = context;
    const stage = this.#answers?.isOn ? inAnswers(regs32[RIP], regs32[RIP + 1]) : null;
    if (stage !== null && stage !== 'answered') {
      this.#kicked = true;
      return unanswered(context);
    }
    if (stage === 'answered') {
      if (regs32[R11 + 1] >= 0x8000) return unanswered(context);
      context.regs[RIP / 2] = context.regs[R11 / 2];
    }
    regs32[RFLAGS] |= X.RFLAGS_IF;
    return KICK;
  }

  /** Whether an interrupted run stands in ring 3 proper, with no exception half delivered. */
  #isSettled(): boolean {
    const { regs32 } = this.#vcpu;
    if (this.#vcpu.cpl !== 3) return false;
    if (this.kind === 'pvm' && !this.#answers?.isOn && beforeUserStub(regs32[RIP], regs32[RIP + 1])) return false;
    this.#vcpu.getVcpuEvents(events.u8);
    return VcpuEvents.get.exception_pending(events.view, 0) === 0 && VcpuEvents.get.exception_injected(events.view, 0) === 0;
  }

  /**
   * Whether an `int3` ran right before the kick in `events`: KVM then drops its exception, for the instruction to be run again,
   * but a PVM-style host leaves RIP behind it. What is left is the vector of the last exception queued; see forgetBreakpoint.
   */
  #lostBreakpoint(space: AddressSpace): boolean {
    if (this.kind !== 'pvm' || VcpuEvents.get.exception_nr(events.view, 0) !== X.VECTOR_BP) return false;
    const rip = this.#vcpu.regs32[RIP] + this.#vcpu.regs32[RIP + 1] * 2 ** 32;
    if (byteAt(this.memory, space, rip - 1) !== INT3) return false;
    this.#kicked = true; // reported at the next run
    this.#forgetBreakpoint();
    return true;
  }

  /** The last exception queued is no #BP any more: one seen there later is one that was dropped. */
  #forgetBreakpoint(): void {
    if (this.kind !== 'pvm') return;
    this.#vcpu.getVcpuEvents(events.u8);
    VcpuEvents.set.exception_nr(events.view, 0, 0);
    VcpuEvents.set.flags(events.view, 0, 0); // nothing else is changed
    this.#vcpu.setVcpuEvents(events.u8);
  }

  /** Copies FS and GS bases from the vCPU into the context, allocating nothing when they are what they were. */
  #readBases(context: Context): void {
    const { sregs32 } = this.#vcpu;
    const bases = this.#bases;
    if (sregs32[FS_BASE] !== bases[0] || sregs32[FS_BASE + 1] !== bases[1]) {
      bases[0] = sregs32[FS_BASE];
      bases[1] = sregs32[FS_BASE + 1];
      context.fsBase = this.#bases64[0];
    }
    if (sregs32[GS_BASE] !== bases[2] || sregs32[GS_BASE + 1] !== bases[3]) {
      bases[2] = sregs32[GS_BASE];
      bases[3] = sregs32[GS_BASE + 1];
      context.gsBase = this.#bases64[1];
    }
  }

}

const events = buffer(VcpuEvents.size);

/**
 * A machine over `source`, able to grow to `limitBytes`, with a new VM; `later`: that is made when it is to run. Throws HostError when the
 * host refuses.
 */
export function createMachine(kvm: Kvm, source: MemorySource, limitBytes: number, later = false): KvmMachine {
  const machine = new KvmMachine(kvm, new Memory(kvm, source, limitBytes));
  try {
    if (!later) void machine.vcpu;
    return machine;
  } catch (error) {
    machine.memory.destroy();
    throw error;
  }
}
