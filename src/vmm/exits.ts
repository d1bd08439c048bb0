// Exits: from what KVM_RUN says to a Trap of platform.ts, with `context` brought up to date. No exit is trusted for what it
// claims to be (trap.ts tells whose `out` it was); anything that is not ours, ring 3 did itself and gets its signal for.

import {
  KVM_EXIT_FAIL_ENTRY, KVM_EXIT_HLT, KVM_EXIT_INTERNAL_ERROR, KVM_EXIT_IO, KVM_EXIT_IO_OUT, KVM_EXIT_MMIO, KVM_EXIT_SHUTDOWN,
  KVM_SYNC_X86_REGS,
} from '../abi/kvm/constants.ts';
import { Run, RunFailEntry, RunInternal, RunIo, RunMmio, VcpuEvents } from '../abi/kvm/structs.ts';
import { EINTR } from '../abi/linux/errno.ts';
import { buffer } from '../abi/struct.ts';
import * as X from '../abi/x86/cpu.ts';
import type { AddressSpace, Context, Trap } from '../platform.ts';
import * as L from './layout.ts';
import type { Memory } from './memory.ts';
import { AT_RING3, AT_STUB, atUserStub, inAnswers, whoExited } from './trap.ts';
import { CR2, R10, R11, RAX, RCX, RDI, RFLAGS, RIP, RSP } from './vcpu.ts';
import type { Vcpu } from './vcpu.ts';

const SYSCALL: Trap = { kind: 'syscall' };
const HLT: Trap = { kind: 'hlt' };
const SHUTDOWN: Trap = { kind: 'shutdown' };

/** Reserved bits in a page-table entry: ours have none set, but a PVM-style host's shadow of supervisor entries has. */
const PF_RSVD = 8;
/** What RAX and RDI were in a call that PATH_ANSWERS looks up; R10 was 0. */
const NR_NEWFSTATAT = 262n, AT_FDCWD = 0xffff_ff9cn;
/** RIP, CS, RFLAGS, RSP, SS. */
const FRAME_BYTES = 40;
const FRAME_TOP = L.STACK_GPA + X.PAGE_SIZE;
/** Steps a port instruction of ring 3 may take to end. */
const IO_STEPS_MAX = 64;

/**
 * `syscall` with the trap flag set: its #DB comes in the stub, and where RSP is no user address, which a PVM-style host enters at CPL 0, it can't be
 * pushed. That is a triple fault; registers stay as they were.
 */
const NO_EVENTS = buffer(VcpuEvents.size);

/** A trap that ends the sandbox. */
export function failed(reason: string): Trap {
  return { kind: 'failed', reason };
}

/** The 64-bit register at `word` for a message. */
export function hex(regs32: Uint32Array, word: number): string {
  return `0x${((BigInt(regs32[word + 1]) << 32n) | BigInt(regs32[word])).toString(16)}`;
}

/** Decodes the exit of a run of `context` in `space`. */
export function decodeExit(vcpu: Vcpu, memory: Memory, context: Context, space: AddressSpace): Trap {
  context.regs.set(vcpu.regs);
  const { regs32, cpl } = vcpu;
  const isPvm = vcpu.kvm.kind === 'pvm';
  if (isPvm && vcpu.exitReason === KVM_EXIT_SHUTDOWN && inAnswers(regs32[RIP], regs32[RIP + 1])) {
    vcpu.setVcpuEvents(NO_EVENTS.u8);
    return unanswered(context);
  }
  if (vcpu.exitReason !== KVM_EXIT_IO) return otherExit(vcpu);
  const who = whoExited(regs32[RIP], regs32[RIP + 1]);
  if (who === AT_RING3) {
    // CPL 3, or 0 when RSP is no user address: then a PVM-style host takes the slow path, which switches as hardware does.
    if (isPvm && atUserStub(regs32[RIP], regs32[RIP + 1])) return syscall(vcpu, context);
    if (isPvm && inAnswers(regs32[RIP], regs32[RIP + 1])) return unanswered(context);
    return forgedIo(vcpu, memory, context, space);
  }
  if (cpl === 0 && who >= 0) return exception(vcpu, memory, context, who);
  if (cpl === 0 && who === AT_STUB && !isPvm) return syscall(vcpu, context);
  return failed(`port exit at ${hex(regs32, RIP)}, CPL ${cpl}`);
}

/**
 * Behind the stub's `out`: RIP and RFLAGS of ring 3 are in RCX and R11. A program that jumped there itself still has IF set
 * (`syscall` clears it and ring 3 cannot), and is told off.
 */
function syscall(vcpu: Vcpu, context: Context): Trap {
  const { regs32 } = vcpu;
  const target = context.regs32;
  const jumped = (regs32[RFLAGS] & X.RFLAGS_IF) !== 0;
  if (jumped || regs32[RCX + 1] >= 0x8000) return protectionFault(context, L.USER_STUB_GVA);
  target[RIP] = regs32[RCX];
  target[RIP + 1] = regs32[RCX + 1];
  target[RFLAGS] = target[R11] = regs32[R11] | X.RFLAGS_IF; // what `syscall` clears, an answer does not set
  target[RFLAGS + 1] = regs32[R11 + 1];
  return SYSCALL;
}

/**
 * `context` stands in the stub or its answers, which could not answer: a system call like any other. The answers change no flag, so what
 * `syscall` put into R11 can be had again.
 */
export function unanswered(context: Context): Trap {
  const { regs32 } = context;
  const stage = inAnswers(regs32[RIP], regs32[RIP + 1]);
  const from = stage === 'begun' ? RCX : R11;
  if ((regs32[RFLAGS] & X.RFLAGS_IF) !== 0 || regs32[from + 1] >= 0x8000) return protectionFault(context, L.USER_STUB_GVA);
  regs32[RIP] = regs32[RCX] = regs32[from];
  regs32[RIP + 1] = regs32[RCX + 1] = regs32[from + 1];
  regs32[R11] = regs32[RFLAGS] = (regs32[RFLAGS] | X.RFLAGS_IF) & ~X.RFLAGS_RF;
  regs32[R11 + 1] = 0;
  if (stage === 'looking up') {
    context.regs[RAX / 2] = NR_NEWFSTATAT;
    context.regs[RDI / 2] = AT_FDCWD;
    context.regs[R10 / 2] = 0n;
  }
  return SYSCALL;
}

/** An exception from ring 3: the processor pushed its frame to the end of the exception stack. */
function exception(vcpu: Vcpu, { words }: Memory, context: Context, vector: number): Trap {
  const hasCode = X.VECTORS_WITH_ERROR_CODE.has(vector);
  const frame = (FRAME_TOP - FRAME_BYTES) >>> 2;
  const target = context.regs32;
  const { regs32, sregs32 } = vcpu;
  // One that came at CPL 0 is pushed elsewhere; then what lies at the top of the stack is an older frame.
  const rsp = L.STACK_LOW + X.PAGE_SIZE - FRAME_BYTES - (hasCode ? 8 : 0);
  const isOurs = regs32[RSP] === rsp && regs32[RSP + 1] === L.SUPER_PAGES_HIGH;
  if (!isOurs || (words[frame + 2] & 3) !== 3) return failed(`exception ${vector} at CPL 0`);
  target[RIP] = words[frame];
  target[RIP + 1] = words[frame + 1];
  target[RFLAGS] = words[frame + 4];
  target[RFLAGS + 1] = words[frame + 5];
  target[RSP] = words[frame + 6];
  target[RSP + 1] = words[frame + 7];
  if (vcpu.kvm.kind === 'pvm' && inAnswers(target[RIP], target[RIP + 1])) return unanswered(context);
  target[RFLAGS] |= X.RFLAGS_IF;
  return {
    kind: 'exception', vector, errorCode: hasCode ? words[frame - 2] & (vector === X.VECTOR_PF ? ~PF_RSVD : -1) : 0,
    address: vector === X.VECTOR_PF ? sregs32[CR2] + sregs32[CR2 + 1] * 2 ** 32 : 0,
  };
}

/** Ring 3 used our port itself: what Linux would do is #GP, at the instruction. */
function forgedIo(vcpu: Vcpu, memory: Memory, context: Context, space: AddressSpace): Trap {
  const rip = vcpu.regs32[RIP] + vcpu.regs32[RIP + 1] * 2 ** 32;
  const isOut = RunIo.get.direction(vcpu.run, Run.offset.exit) === KVM_EXIT_IO_OUT;
  if (!abandonIo(vcpu)) return failed('a port instruction does not end');
  return protectionFault(context, isOut ? rip - outLength(memory, space, rip) : rip);
}

/**
 * Lets KVM finish the port instruction it is in the middle of, in the address space it began in; otherwise the next run
 * would do so with another context's registers. RCX = 1 makes a repeated string instruction stop at its next step.
 */
function abandonIo(vcpu: Vcpu): boolean {
  for (let i = 0; i < IO_STEPS_MAX; i++) {
    vcpu.regs32[RCX] = 1;
    vcpu.regs32[RCX + 1] = 0;
    vcpu.dirty = KVM_SYNC_X86_REGS;
    if (vcpu.completeExit() === -EINTR) return true;
  }
  return false;
}

/** Bytes of the `out` that ends at `rip`; 0 when there is none: input and string instructions leave RIP where they are. */
function outLength(memory: Memory, space: AddressSpace, rip: number): number {
  const last = byteAt(memory, space, rip - 1);
  if (last === L.PORT && (byteAt(memory, space, rip - 2) & 0xfe) === 0xe6) return 2; // out %al, $imm8
  return (last & 0xfe) === 0xee ? 1 : 0; // out %al, %dx
}

/** The byte at `gva`; 0 where nothing is mapped. */
export function byteAt(memory: Memory, space: AddressSpace, gva: number): number {
  const entry = space.entry(gva);
  return entry === 0 ? 0 : memory.u8[entry - (entry % X.PAGE_SIZE) + (gva % X.PAGE_SIZE)];
}

function protectionFault(context: Context, rip: number): Trap {
  context.regs[RIP / 2] = BigInt(rip);
  return { kind: 'exception', vector: X.VECTOR_GP, errorCode: 0, address: 0 };
}

function otherExit(vcpu: Vcpu): Trap {
  const { run } = vcpu;
  const at = Run.offset.exit;
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
