// Machine: a vCPU with memory (implements Machine of platform.ts on KVM). Owns the VM's descriptors, the loaded context and
// the replay of page-table changes; paging.ts, memory.ts, vcpu.ts and trap.ts do the parts.
//
// createMachine(kvm, source, limitBytes) makes one; destroy() gives everything back. A machine belongs to the thread that
// made it. Registers enter and leave through sync regs only; the extended state moves only when another context is loaded.
// Governed by Documentation/virt/kvm/api.rst and Intel SDM vol. 3A, ch. 5 and 6.

import {
  KVM_EXIT_FAIL_ENTRY, KVM_EXIT_HLT, KVM_EXIT_INTERNAL_ERROR, KVM_EXIT_IO, KVM_EXIT_IO_OUT, KVM_EXIT_MMIO, KVM_EXIT_SHUTDOWN,
  KVM_SYNC_X86_REGS, KVM_SYNC_X86_SREGS,
} from '../abi/kvm/constants.ts';
import { Run, RunFailEntry, RunInternal, RunIo, RunMmio, Segment, Sregs, VcpuEvents } from '../abi/kvm/structs.ts';
import { EINTR } from '../abi/linux/errno.ts';
import * as X from '../abi/x86/cpu.ts';
import { buffer } from '../abi/struct.ts';
import type { AddressSpace, Context, FrameSource, Machine, Trap } from '../platform.ts';
import { CODE_WRITER } from './area.ts';
import type { HostKind } from './area.ts';
import { Fpu } from './fpu.ts';
import type { Kicker } from './kick.ts';
import type { Kvm } from './kvm.ts';
import * as L from './layout.ts';
import { Memory } from './memory.ts';
import type { MemorySource } from './memory.ts';
import { PageTables, Paging } from './paging.ts';
import { startState } from './start.ts';
import type { StartState } from './start.ts';
import { AT_RING3, AT_STUB, AT_WRITER, atUserStub, beforeUserStub, whoExited } from './trap.ts';
import { Vcpu } from './vcpu.ts';
import { Vm } from './vm.ts';

const SYSCALL: Trap = { kind: 'syscall' };
const KICK: Trap = { kind: 'kick' };
const HLT: Trap = { kind: 'hlt' };
const SHUTDOWN: Trap = { kind: 'shutdown' };

/** RFLAGS bits ring 3 chooses itself. */
const USER_FLAGS = X.RFLAGS_CF | X.RFLAGS_PF | X.RFLAGS_AF | X.RFLAGS_ZF | X.RFLAGS_SF | X.RFLAGS_TF | X.RFLAGS_DF | X.RFLAGS_OF
  | X.RFLAGS_AC | X.RFLAGS_ID;

/** Word (32-bit) indexes into kvm_regs. */
const RCX = 4, RSP = 12, R11 = 22, RIP = 32, RFLAGS = 34;
/** Word indexes into kvm_sregs. */
const CS = Sregs.offset.cs / 4, CR2 = Sregs.offset.cr2 / 4, CR3 = Sregs.offset.cr3 / 4;
const FS_BASE = Sregs.offset.fs / 4, GS_BASE = Sregs.offset.gs / 4;
const SELECTOR_WORD = Segment.offset.selector / 4;

/** Pairs that fit the queue page. */
const QUEUE_RUNS_MAX = 256;
/** RIP, CS, RFLAGS, RSP, SS. */
const FRAME_BYTES = 40;
/** Re-entries to let an exception delivery finish before a kick is reported; more means the host is stuck. */
const SETTLE_MAX = 64;

/** A machine on KVM. */
export class KvmMachine implements Machine {
  readonly memory: Memory;
  readonly kind: HostKind;
  /** Pending replays and free table frames; public for tests and for rewinding. */
  readonly paging: Paging;
  readonly #vm: Vm;
  readonly #vcpu: Vcpu;
  readonly #fpu: Fpu;
  readonly #kicker: Kicker;
  readonly #start: StartState;
  #loaded: Context | null = null;
  /** What the vCPU's FS and GS bases are, as words, and as the bigints last given to a context. */
  readonly #bases = new Uint32Array(4);
  readonly #bases64 = new BigUint64Array(this.#bases.buffer);
  /** The vCPU stopped at CPL 0, or its segments are not those of ring 3. */
  #needsSegments = true;
  #root = -1;
  #kicked = false;
  #alive = true;

  constructor(kvm: Kvm, source: MemorySource, limitBytes: number) {
    this.kind = kvm.kind;
    this.#kicker = kvm.kicker;
    this.#vm = new Vm(kvm);
    this.memory = new Memory(kvm, this.#vm, source, limitBytes);
    this.#vcpu = new Vcpu(this.#vm);
    this.#start = startState(kvm, this.#vcpu);
    this.#start.apply(this.#vcpu);
    this.#fpu = new Fpu(this.#vcpu, kvm);
    this.paging = new Paging(this.memory, kvm.kind === 'hardware');
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

  /** Where the vCPU stood at its last exit: for the self-test and for diagnosis. */
  lastExit(): { readonly rip: bigint; readonly cpl: number } {
    return { rip: this.#vcpu.regs[RIP / 2], cpl: this.#vcpu.sregs32[CS + SELECTOR_WORD] & 3 };
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
    this.#vcpu.close();
    this.#vm.close();
    this.memory.destroy();
  }

  run(context: Context, space: AddressSpace, sliceNs: number): Trap {
    if (this.#kicked) {
      this.#kicked = false;
      return KICK;
    }
    if (context.regs32[RIP + 1] >= 0x8000) return failed('RIP is not a user address');
    if (this.paging.pending.length !== 0) {
      const trap = this.#replay(space.root);
      if (trap !== null) return trap;
    }
    this.#load(context, space.root);
    this.#kicker.arm(sliceNs);
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
      if (result === 0) return this.#decode(context, space);
      if (result !== -EINTR) return failed(`KVM_RUN failed with errno ${-result}`);
      this.#kicker.drain();
      if (this.#isSettled()) {
        context.regs.set(vcpu.regs);
        this.#readBases(context);
        return KICK;
      }
      this.#kicked = true; // our own code is under way: let it exit first, then report the kick at the next run
      this.#kicker.arm(0);
    }
    return failed('the virtual CPU does not come to rest');
  }

  /** Whether an interrupted run stands in ring 3 proper, with no exception half delivered. */
  #isSettled(): boolean {
    const { regs32, sregs32 } = this.#vcpu;
    if ((sregs32[CS + SELECTOR_WORD] & 3) !== 3) return false;
    if (this.kind === 'pvm' && beforeUserStub(regs32[RIP], regs32[RIP + 1])) return false;
    this.#vcpu.getVcpuEvents(events.u8);
    return VcpuEvents.get.exception_pending(events.view, 0) === 0 && VcpuEvents.get.exception_injected(events.view, 0) === 0;
  }

  #decode(context: Context, space: AddressSpace): Trap {
    const vcpu = this.#vcpu;
    if (vcpu.exitReason === KVM_EXIT_IO) {
      const { regs32, sregs32 } = vcpu;
      const who = whoExited(regs32[RIP], regs32[RIP + 1]);
      const cpl = sregs32[CS + SELECTOR_WORD] & 3;
      if (who === AT_RING3) {
        // CPL 3, or 0 when RSP is no user address: then a PVM-style host takes the slow path, which switches as hardware does.
        if (this.kind === 'pvm' && atUserStub(regs32[RIP], regs32[RIP + 1])) return this.#syscall(context, cpl);
        return this.#forgedIo(context, space);
      }
      if (cpl === 0 && who >= 0) return this.#exception(context, who);
      if (cpl === 0 && who === AT_STUB && this.kind === 'hardware') return this.#syscall(context, cpl);
      return failed(`port exit at ${hex(regs32, RIP)}, CPL ${cpl}`);
    }
    return this.#otherExit(context);
  }

  /** Behind the stub's `out`: RIP and RFLAGS of ring 3 are in RCX and R11. */
  #syscall(context: Context, cpl: number): Trap {
    const { regs32 } = this.#vcpu;
    const target = context.regs32;
    const jumped = (regs32[RFLAGS] & X.RFLAGS_IF) !== 0; // `syscall` clears IF, which ring 3 cannot
    context.regs.set(this.#vcpu.regs);
    this.#readBases(context);
    if (cpl !== 3) this.#needsSegments = true;
    if (jumped || regs32[RCX + 1] >= 0x8000) return this.#protectionFault(context, L.USER_STUB_GVA);
    target[RIP] = regs32[RCX];
    target[RIP + 1] = regs32[RCX + 1];
    target[RFLAGS] = regs32[R11];
    target[RFLAGS + 1] = regs32[R11 + 1];
    return SYSCALL;
  }

  #exception(context: Context, vector: number): Trap {
    const { words } = this.memory;
    const hasCode = X.VECTORS_WITH_ERROR_CODE.has(vector);
    const frame = (L.STACK_GPA + X.PAGE_SIZE - FRAME_BYTES) >>> 2;
    const target = context.regs32;
    // One that came at CPL 0 is pushed elsewhere; then what lies at the top of the stack is an older frame.
    const rsp = L.STACK_LOW + X.PAGE_SIZE - FRAME_BYTES - (hasCode ? 8 : 0);
    const isOurs = this.#vcpu.regs32[RSP] === rsp && this.#vcpu.regs32[RSP + 1] === L.SUPER_PAGES_HIGH;
    if (!isOurs || (words[frame + 2] & 3) !== 3) return failed(`exception ${vector} at CPL 0`);
    context.regs.set(this.#vcpu.regs);
    target[RIP] = words[frame];
    target[RIP + 1] = words[frame + 1];
    target[RFLAGS] = words[frame + 4];
    target[RFLAGS + 1] = words[frame + 5];
    target[RSP] = words[frame + 6];
    target[RSP + 1] = words[frame + 7];
    this.#readBases(context);
    this.#needsSegments = true;
    const cr2 = this.#vcpu.sregs32;
    return {
      kind: 'exception', vector, errorCode: hasCode ? words[frame - 2] : 0,
      address: vector === X.VECTOR_PF ? cr2[CR2] + cr2[CR2 + 1] * 2 ** 32 : 0,
    };
  }

  /** Ring 3 used our port itself: what Linux would do is #GP, at the instruction. */
  #forgedIo(context: Context, space: AddressSpace): Trap {
    const vcpu = this.#vcpu;
    context.regs.set(vcpu.regs);
    this.#readBases(context);
    this.#needsSegments = true;
    const rip = vcpu.regs32[RIP] + vcpu.regs32[RIP + 1] * 2 ** 32;
    const isOut = RunIo.get.direction(vcpu.run, Run.offset.exit) === KVM_EXIT_IO_OUT;
    if (!this.#abandonIo()) return failed('a port instruction does not end');
    return this.#protectionFault(context, isOut ? rip - this.#outLength(space, rip) : rip);
  }

  /**
   * Lets KVM finish the port instruction it is in the middle of, in the address space it began in; otherwise the next run
   * would do so with another context's registers. RCX = 1 makes a repeated string instruction stop at its next step.
   */
  #abandonIo(): boolean {
    const vcpu = this.#vcpu;
    for (let i = 0; i < SETTLE_MAX; i++) {
      vcpu.regs32[RCX] = 1;
      vcpu.regs32[RCX + 1] = 0;
      vcpu.dirty = KVM_SYNC_X86_REGS;
      if (vcpu.completeExit() === -EINTR) return true;
    }
    return false;
  }

  /** Bytes of the `out` that ends at `rip`; 0 when there is none: input and string instructions leave RIP where they are. */
  #outLength(space: AddressSpace, rip: number): number {
    const byte = (gva: number): number => {
      const entry = space.entry(gva);
      return entry === 0 ? 0 : this.memory.u8[entry - (entry % X.PAGE_SIZE) + (gva % X.PAGE_SIZE)];
    };
    if (byte(rip - 1) === L.PORT && (byte(rip - 2) & 0xfe) === 0xe6) return 2; // out %al, $imm8
    return (byte(rip - 1) & 0xfe) === 0xee ? 1 : 0; // out %al, %dx
  }

  #protectionFault(context: Context, rip: number): Trap {
    context.regs[16] = BigInt(rip);
    return { kind: 'exception', vector: X.VECTOR_GP, errorCode: 0, address: 0 };
  }

  #otherExit(context: Context): Trap {
    const vcpu = this.#vcpu;
    const { run } = vcpu;
    const at = Run.offset.exit;
    context.regs.set(vcpu.regs);
    this.#readBases(context);
    this.#needsSegments = true;
    switch (vcpu.exitReason) {
      case KVM_EXIT_HLT: return HLT;
      case KVM_EXIT_SHUTDOWN: return SHUTDOWN;
      case KVM_EXIT_MMIO: {
        const length = Math.min(RunMmio.get.len(run, at), 8);
        return {
          kind: 'mmio', gpa: RunMmio.get.phys_addr(run, at), isWrite: RunMmio.get.is_write(run, at) !== 0,
          data: RunMmio.get.data(run, at).slice(0, length),
        };
      }
      case KVM_EXIT_FAIL_ENTRY:
        return failed(`KVM_EXIT_FAIL_ENTRY, reason ${RunFailEntry.get.hardware_entry_failure_reason(run, at)}`);
      case KVM_EXIT_INTERNAL_ERROR:
        return failed(`KVM_EXIT_INTERNAL_ERROR, suberror ${RunInternal.get.suberror(run, at)}, RIP ${hex(vcpu.regs32, RIP)}`);
      default: return failed(`KVM exit ${vcpu.exitReason}`);
    }
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

  /** Has the guest store the queued page-table entries again. Null when done. */
  #replay(root: number): Trap | null {
    const { pending } = this.paging;
    for (let first = 0; first < pending.length; first += QUEUE_RUNS_MAX * 2) {
      const end = Math.min(first + QUEUE_RUNS_MAX * 2, pending.length);
      const { words } = this.memory;
      for (let i = first, word = L.QUEUE_GPA >>> 2; i < end; i += 2, word += 4) {
        words[word] = pending[i];
        words[word + 1] = L.SUPER_HIGH;
        words[word + 2] = pending[i + 1];
        words[word + 3] = 0;
      }
      const trap = this.#runWriter(root, (end - first) / 2);
      if (trap !== null) return trap;
    }
    pending.length = 0;
    return null;
  }

  #runWriter(root: number, count: number): Trap | null {
    const vcpu = this.#vcpu;
    const { regs32, sregs32 } = vcpu;
    if (this.#loaded !== null && this.#needsSegments === false) this.#needsSegments = true;
    regs32.fill(0);
    regs32[2] = L.QUEUE_LOW; // rbx
    regs32[3] = L.SUPER_PAGES_HIGH;
    regs32[6] = count; // rdx
    regs32[RSP] = L.STACK_LOW + X.PAGE_SIZE;
    regs32[RSP + 1] = L.SUPER_PAGES_HIGH;
    regs32[RIP] = L.CODE_LOW + CODE_WRITER;
    regs32[RIP + 1] = L.SUPER_PAGES_HIGH;
    regs32[RFLAGS] = X.RFLAGS_RESERVED1;
    this.#start.loadSupervisor(vcpu);
    sregs32[CR3] = root;
    this.#needsSegments = true;
    vcpu.dirty = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
    for (let attempt = 0; attempt < SETTLE_MAX; attempt++) {
      const result = vcpu.runOnce();
      vcpu.dirty = 0;
      if (result === -EINTR) {
        this.#kicker.drain();
        this.#kicked = true;
        continue;
      }
      if (result !== 0) return failed(`KVM_RUN failed with errno ${-result} in the PTE writer`);
      if (vcpu.exitReason === KVM_EXIT_IO && whoExited(regs32[RIP], regs32[RIP + 1]) === AT_WRITER) return null;
      return failed(`the PTE writer stopped at ${hex(regs32, RIP)}, exit ${vcpu.exitReason}`);
    }
    return failed('the PTE writer does not finish');
  }
}

const events = buffer(VcpuEvents.size);

function failed(reason: string): Trap {
  return { kind: 'failed', reason };
}

function hex(regs32: Uint32Array, word: number): string {
  return `0x${(BigInt(regs32[word + 1]) << 32n | BigInt(regs32[word])).toString(16)}`;
}

/** A new VM over `source`, able to grow to `limitBytes`. Throws HostError when the host refuses. */
export function createMachine(kvm: Kvm, source: MemorySource, limitBytes: number): KvmMachine {
  return new KvmMachine(kvm, source, limitBytes);
}
