// Compares a rewound slot with a fresh fork: every byte, every register, the kernel's state, and every translation, which only
// ring 3 itself can tell. Interface: residue(slot, fresh) is the first difference in words, or null.

import { isDeepStrictEqual } from 'node:util';
import { KVM_SYNC_X86_REGS } from '../../src/abi/kvm/constants.ts';
import * as nr from '../../src/abi/kvm/ioctls.ts';
import { Debugregs, MsrEntry, Msrs, Regs, Sregs, VcpuEvents, Xcrs } from '../../src/abi/kvm/structs.ts';
import { buffer } from '../../src/abi/struct.ts';
import { ioctlPointer } from '../../src/host/libc.ts';
import type { AddressSpace, Context } from '../../src/platform.ts';
import { PAGE_EXEC, PAGE_READ, PAGE_WRITE, REG } from '../../src/platform.ts';
import { PORT, STATE_GPA } from '../../src/vmm/layout.ts';
import { context, kvm } from './guest.ts';
import type { Slot } from './rewindhelp.ts';

const PAGE = 4096;
/** `pages` of rewindguest.c. */
const PAGES_GVA = 0x1000_0000;
/** Registers that count time or are the machine's own clockwork. */
const MSRS_IGNORED = new Set([
  0x10 /* TSC */, 0x6e0 /* TSC_DEADLINE */, 0x3b /* TSC_ADJUST */,
  0x4000_0010 /* HV_X64_MSR_VP_RUNTIME */, 0x4000_0020 /* …TIME_REF_COUNT */,
]);

/** What differs between a slot that was rewound and a fork that never ran, or null. Both must be thrown away or rewound afterwards. */
export function residue(slot: Slot, fresh: Slot): string | null {
  return paging(slot) ?? bytes(slot, fresh) ?? kernelState(slot, fresh) ?? registers(slot, fresh) ?? translations(slot, fresh);
}

function paging({ machine: { paging: { pending, made } } }: Slot): string | null {
  return pending.length + made.length === 0 ? null : `${pending.length / 2} entries are queued, ${made.length} new tables known`;
}

function bytes(slot: Slot, fresh: Slot): string | null {
  const a = slot.machine.memory;
  const b = fresh.machine.memory;
  if (a.sizeBytes !== b.sizeBytes) return `memory of ${a.sizeBytes} bytes instead of ${b.sizeBytes}`;
  if (Buffer.compare(a.u8, b.u8) === 0) return null;
  let at = 0;
  while (a.u8[at] === b.u8[at]) at++;
  return `byte at gpa 0x${at.toString(16)} is ${a.u8[at]} instead of ${b.u8[at]}`;
}

function kernelState(slot: Slot, fresh: Slot): string | null {
  const { template } = slot;
  const [mine, its] = [slot.kernelState(template.state), fresh.kernelState(template.pristineState())];
  for (const key of Object.keys(its) as (keyof typeof its)[]) if (!isDeepStrictEqual(mine[key], its[key])) return `kernel state: ${key}`;
  return null;
}

/** All register classes KVM has, as ring 3 would find them: after one system call of the same context. */
function registers(slot: Slot, fresh: Slot): string | null {
  const [mine, its] = [slot, fresh].map((at) => {
    const c = context(gadgets(at).read);
    c.regs[REG.rdi] = BigInt(gadgets(at).read);
    const trap = at.machine.run(c, mainSpace(at), 0);
    return { trap, ...registerClasses(at) };
  });
  for (const key of Object.keys(its) as (keyof typeof its)[]) {
    if (isDeepStrictEqual(mine[key], its[key])) continue;
    const differs = key === 'trap' ? JSON.stringify(mine.trap) : key === 'msrs' ? mine.msrs.find((msr, i) => msr !== its.msrs[i]) : '';
    return `registers: ${key} ${differs}`;
  }
  return its.trap.kind === 'syscall' ? null : `the probe stopped with ${its.trap.kind}`;
}

function registerClasses({ machine: { vcpu } }: Slot): Record<string, Uint8Array | string[]> & { readonly msrs: string[] } {
  const get = (request: number, sizeBytes: number): Uint8Array => {
    const into = new Uint8Array(sizeBytes);
    ioctlPointer('KVM_GET', vcpu.fd, request, into);
    return into;
  };
  return {
    regs: get(nr.KVM_GET_REGS, Regs.size), sregs: get(nr.KVM_GET_SREGS, Sregs.size), xsave: get(nr.KVM_GET_XSAVE2, kvm().xsaveBytes),
    xcrs: get(nr.KVM_GET_XCRS, Xcrs.size), debugregs: get(nr.KVM_GET_DEBUGREGS, Debugregs.size),
    events: get(nr.KVM_GET_VCPU_EVENTS, VcpuEvents.size), msrs: msrs(vcpu.fd),
  };
}

/** KVM_GET_MSR_INDEX_LIST: _IOWR(KVMIO, 0x02, struct kvm_msr_list). */
const KVM_GET_MSR_INDEX_LIST = 0xc004_ae02;

function msrs(fd: number): string[] {
  const indexes = new Uint32Array(4096);
  indexes[0] = indexes.length - 1;
  ioctlPointer('KVM_GET_MSR_INDEX_LIST', kvm().fd, KVM_GET_MSR_INDEX_LIST, new Uint8Array(indexes.buffer));
  const values: string[] = [];
  for (const index of indexes.subarray(1, 1 + indexes[0])) {
    const isClock = index >= 0x4b564d00 && index <= 0x4b564dff;
    if (MSRS_IGNORED.has(index) || isClock) continue;
    const list = buffer(Msrs.size + MsrEntry.size);
    Msrs.set.nmsrs(list.view, 0, 1);
    MsrEntry.set.index(list.view, Msrs.size, index);
    if (ioctlPointer('KVM_GET_MSRS', fd, nr.KVM_GET_MSRS, list.u8) !== 1) continue;
    values.push(`${index.toString(16)}=${MsrEntry.get.data(list.view, Msrs.size)}`);
  }
  return values;
}

interface Gadgets {
  readonly read: number;
  readonly write: number;
  readonly exec: number;
  readonly insb: number;
  /** gpa of the page they are in. */
  readonly gpa: number;
}

const NO_FRAMES = { allocTableFrame: () => 0 };

function mainSpace({ machine, template }: Slot): AddressSpace {
  return machine.attachAddressSpace(template.state.mms.mms[0].root, NO_FRAMES);
}

const found = new WeakMap<object, Gadgets>();

/** Where rewindguest.c's probes are. */
function gadgets({ machine, template }: Slot): Gadgets {
  let known = found.get(template);
  if (known !== undefined) return known;
  const { u8 } = machine.memory;
  const space = machine.attachAddressSpace(template.state.mms.mms[0].root, NO_FRAMES);
  space.forEach(0, 0x1000_0000, (gva, entry) => {
    const gpa = entry - entry % PAGE;
    const page = Buffer.from(u8.buffer, u8.byteOffset + gpa, PAGE);
    if (page.indexOf('PROBES01') !== 0) return;
    const at = (name: string): number => gva + page.indexOf(name) + name.length;
    known = { read: at('PROBES01'), write: at('PROBES02'), exec: at('PROBES03'), insb: at('PROBES04'), gpa };
  });
  if (known === undefined) throw new Error('no probes in the template');
  found.set(template, known);
  return known;
}

/** Code that should not have been reached may loop for ever. */
const KICKS_MAX = 20;

/** Leaves the vCPU in the middle of a repeated port instruction of ring 3. The slot's vCPU must have run. */
export function halfPortAccess(slot: Slot): void {
  const { vcpu } = slot.machine;
  const { read, insb } = gadgets(slot);
  access(slot, context(read), mainSpace(slot), read, read); // segments and CR3 of ring 3
  const c = context(insb);
  c.regs[REG.rdx] = BigInt(PORT);
  c.regs[REG.rcx] = 100n;
  c.regs[REG.rdi] = BigInt(PAGES_GVA);
  vcpu.regs.set(c.regs);
  vcpu.dirty = KVM_SYNC_X86_REGS;
  vcpu.runOnce();
  vcpu.dirty = 0;
}

/** Takes away what the last run mapped beside the template, as a system call would after which ring 3 did not run again. */
export function unmapUnseen(slot: Slot, fresh: Slot): void {
  const space = mainSpace(slot);
  const expected = mainSpace(fresh);
  for (const gva of slot.mapped.keys()) if (expected.entry(gva) === 0 && space.entry(gva) !== 0) space.unmap(gva, PAGE);
}

/** An address space that is given up with pages in the first entry of each table, after ring 3 was in it. */
export function leaveSpace(slot: Slot): void {
  const { read, gpa } = gadgets(slot);
  const kernel = slot.restore();
  slot.machine.memory.words[STATE_GPA / 4] = 0; // tables in new frames
  const space = slot.machine.newAddressSpace(kernel.frames);
  for (const gva of [read - read % PAGE, 2 ** 39, 2 ** 40]) {
    space?.map(gva, gpa, PAGE_READ | PAGE_EXEC);
    if (space && !('ok' in access(slot, context(read), space, read, gva))) throw new Error('no access');
  }
  space?.destroy();
}

/** One access of ring 3: what it read, or the faulting address; -1 for anything else. */
function access(slot: Slot, c: Context, space: AddressSpace, rip: number, gva: number): { ok: bigint } | { fault: number } {
  c.regs[REG.rip] = BigInt(rip);
  c.regs[REG.rdi] = BigInt(gva);
  let trap = slot.machine.run(c, space, 10_000_000);
  for (let i = 0; i < KICKS_MAX && trap.kind === 'kick'; i++) trap = slot.machine.run(c, space, 10_000_000);
  if (trap.kind === 'syscall') return { ok: c.regs[REG.rbx] };
  return { fault: trap.kind === 'exception' && trap.vector === 14 ? trap.address : -1 };
}

/** Touches every address that ever was mapped, in the template's address space and in new ones. */
function translations(slot: Slot, fresh: Slot): string | null {
  const pages = new Map(slot.mapped);
  const expected = mainSpace(fresh);
  expected.forEach(0, 2 ** 47, (gva) => pages.set(gva, PAGE_READ | PAGE_WRITE | PAGE_EXEC));
  return oldSpace(slot, fresh, pages) ?? newSpaces(slot);
}

function oldSpace(slot: Slot, fresh: Slot, pages: ReadonlyMap<number, number>): string | null {
  const { read, write, exec } = gadgets(slot);
  const space = mainSpace(slot);
  const expected = mainSpace(fresh);
  const c = context(read);
  for (const [gva, had] of pages) {
    const entry = expected.entry(gva);
    const faults = (rip: number): boolean => {
      const got = access(slot, c, space, rip, gva);
      return 'fault' in got && got.fault === gva;
    };
    const reads = (rip: number): boolean => {
      const got = access(slot, c, space, rip, gva);
      return 'ok' in got && (rip !== read || got.ok === word(fresh, entry));
    };
    const at = `at 0x${gva.toString(16)} is not as in the template`;
    if (entry === 0 ? !faults(read) : !reads(read)) return `a read ${at}`;
    if ((had & PAGE_WRITE) !== 0 && ((entry & PAGE_WRITE) === 0 ? !faults(write) : !reads(write))) return `a write ${at}`;
    if ((had & PAGE_EXEC) !== 0 && (entry & PAGE_EXEC) === 0 && !faults(exec)) return `a jump ${at}`;
  }
  return null;
}

/**
 * The frames that were the run's page tables become page tables again, in the places they had: only what is mapped now may be
 * found through them.
 */
function newSpaces(slot: Slot): string | null {
  const { memory } = slot.machine;
  const { read, gpa } = gadgets(slot);
  const page = read - read % PAGE;
  const c = context(read);
  const ofRun = new Set(slot.trees.flatMap((tree) => [tree.root, ...[...tree.paths.values()].flat()]));
  let spare = slot.template.shared?.gpa ?? memory.sizeBytes;
  /** A zeroed frame: this one, or, if it is 0 or gone, one that was no table. */
  const frame = (wanted: number): number => {
    while (wanted === 0 || wanted >= memory.sizeBytes) {
      spare -= PAGE;
      if (!ofRun.has(spare)) wanted = spare;
    }
    memory.u8.fill(0, wanted, wanted + PAGE);
    return wanted;
  };
  memory.words[STATE_GPA / 4] = 0; // no free tables: all come from here
  for (const tree of slot.trees) {
    const queue: number[] = [tree.root];
    const space = slot.machine.newAddressSpace({ allocTableFrame: () => frame(queue.shift() ?? 0) });
    if (space === null) return 'no frame for an address space';
    const linked = new Set<string>();
    const map = (at: number, path: readonly number[]): void => {
      const names = [39, 30, 21].map((shift) => `${shift} ${Math.floor(at / 2 ** shift)}`);
      queue.length = 0;
      names.forEach((name, i) => void (linked.has(name) || queue.push(path[i] ?? 0)));
      names.forEach((name) => linked.add(name));
      space.map(at, gpa, PAGE_READ | PAGE_EXEC);
    };
    map(page, tree.paths.get(page) ?? []);
    for (const [gva, path] of tree.paths) {
      if (space.entry(gva) !== 0) continue;
      const neighbour = gva % (2 * PAGE) === 0 ? gva + PAGE : gva - PAGE;
      if (space.entry(neighbour) === 0) map(neighbour, path);
      // Touched first, so that the processor knows the way down to the last table.
      if (!('ok' in access(slot, c, space, read, neighbour))) return `no access to 0x${neighbour.toString(16)}`;
      const got = access(slot, c, space, read, gva);
      if (!('fault' in got && got.fault === gva)) return `a new address space reads something at 0x${gva.toString(16)}`;
    }
  }
  return null;
}

/** The 8 bytes a page starts with. */
function word({ machine }: Slot, entry: number): bigint {
  const gpa = entry - entry % PAGE;
  return machine.memory.view.getBigUint64(gpa, true);
}
