// Replay: runs the PTE writer (stub.ts) in the guest at CPL 0 over the page-table entries that paging.ts has queued.

import { KVM_EXIT_IO, KVM_SYNC_X86_REGS, KVM_SYNC_X86_SREGS } from '../abi/kvm/constants.ts';
import { EINTR } from '../abi/linux/errno.ts';
import * as X from '../abi/x86/cpu.ts';
import type { Trap } from '../platform.ts';
import { CODE_WRITER } from './area.ts';
import { failed, hex } from './exits.ts';
import type { Kicker } from './kick.ts';
import * as L from './layout.ts';
import type { Memory } from './memory.ts';
import type { StartState } from './start.ts';
import { AT_WRITER, whoExited } from './trap.ts';
import { CR3, RBX, RDX, RFLAGS, RIP, RSP } from './vcpu.ts';
import type { Vcpu } from './vcpu.ts';

/** {gva of the first entry, count} pairs that fit the queue page. */
const QUEUE_RUNS_MAX = X.PAGE_SIZE / 16;
/** Kicks that may come while the writer runs. */
const KICKS_MAX = 64;

/** The parts of a machine the writer needs. */
export interface ReplayMachine {
  readonly memory: Memory;
  readonly vcpu: Vcpu;
  readonly start: StartState;
  readonly kicker: Kicker;
}

/**
 * Stores the entries of `pending` ([gpa, count, …]) again, with `root` as CR3, and empties it. Afterwards the vCPU is at CPL 0
 * with registers of its own. `kicked` is called when a kick came meanwhile. Returns null, or the trap that ends the sandbox.
 */
export function replay(machine: ReplayMachine, pending: number[], root: number, kicked: () => void): Trap | null {
  const { words } = machine.memory;
  for (let first = 0; first < pending.length; first += QUEUE_RUNS_MAX * 2) {
    const end = Math.min(first + QUEUE_RUNS_MAX * 2, pending.length);
    for (let i = first, word = L.QUEUE_GPA >>> 2; i < end; i += 2, word += 4) {
      words[word] = pending[i]; // an address in the direct map: its low half is the gpa
      words[word + 1] = L.SUPER_HIGH;
      words[word + 2] = pending[i + 1];
      words[word + 3] = 0;
    }
    const trap = runWriter(machine, root, (end - first) / 2, kicked);
    if (trap !== null) return trap;
  }
  pending.length = 0;
  return null;
}

function runWriter({ vcpu, start, kicker }: ReplayMachine, root: number, count: number, kicked: () => void): Trap | null {
  const { regs32, sregs32 } = vcpu;
  regs32.fill(0);
  regs32[RBX] = L.QUEUE_LOW;
  regs32[RBX + 1] = L.SUPER_PAGES_HIGH;
  regs32[RDX] = count;
  regs32[RSP] = L.STACK_LOW + X.PAGE_SIZE;
  regs32[RSP + 1] = L.SUPER_PAGES_HIGH;
  regs32[RIP] = L.CODE_LOW + CODE_WRITER;
  regs32[RIP + 1] = L.SUPER_PAGES_HIGH;
  regs32[RFLAGS] = X.RFLAGS_RESERVED1;
  start.loadSupervisor(vcpu);
  sregs32[CR3] = root;
  vcpu.dirty = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
  for (let attempt = 0; attempt < KICKS_MAX; attempt++) {
    const result = vcpu.runOnce();
    vcpu.dirty = 0;
    if (result === -EINTR) {
      kicker.drain();
      kicked();
      continue;
    }
    if (result !== 0) return failed(`KVM_RUN failed with errno ${-result} in the PTE writer`);
    if (vcpu.exitReason === KVM_EXIT_IO && whoExited(regs32[RIP], regs32[RIP + 1]) === AT_WRITER) return null;
    return failed(`the PTE writer stopped at ${hex(regs32, RIP)}, exit ${vcpu.exitReason}`);
  }
  return failed('the PTE writer does not finish');
}
