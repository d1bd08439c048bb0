// A machine for unit tests: guest memory in an ArrayBuffer, page tables that are a Map, no processor. `run` is not supported.
//
// Interface: FakeMemory, FakeMachine (fork() copies memory and page tables as a template's fork does), FakeHost, and
// newMm() for tests that only want an address space. `realPaging` uses vmm/paging.ts on the same memory instead of Maps.

import { Frames } from '../../src/kernel/mm/frames.ts';
import { Mm } from '../../src/kernel/mm/mm.ts';
import type { MmKernel } from '../../src/kernel/mm/mm.ts';
import type { AddressSpace, Context, FrameSource, GuestMemory, Host, Machine, Trap } from '../../src/platform.ts';
import { USER_END } from '../../src/platform.ts';
import { FIRST_FRAME } from '../../src/vmm/layout.ts';
import type { Memory } from '../../src/vmm/memory.ts';
import { PageTables, Paging } from '../../src/vmm/paging.ts';

const PAGE = 4096;
const MB = 1 << 20;

export class FakeMemory implements GuestMemory {
  u8!: Uint8Array;
  view!: DataView;
  words!: Uint32Array;
  sizeBytes = 0;
  readonly limitBytes: number;
  readonly firstFrame = FIRST_FRAME;
  private readonly buffer: ArrayBuffer;
  grown = 0;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
    this.buffer = new ArrayBuffer(limitBytes);
    this.showBytes(Math.min(MB, limitBytes));
  }

  willWrite: (gpa: number, sizeBytes: number) => void = () => {};

  grow(sizeBytes: number): boolean {
    if (sizeBytes > this.limitBytes) return false;
    this.grown++;
    this.showBytes(Math.min(this.limitBytes, Math.ceil(sizeBytes / MB) * MB));
    return true;
  }

  private showBytes(sizeBytes: number): void {
    this.sizeBytes = sizeBytes;
    this.u8 = new Uint8Array(this.buffer, 0, sizeBytes);
    this.view = new DataView(this.buffer, 0, sizeBytes);
    this.words = new Uint32Array(this.buffer, 0, sizeBytes / 4);
  }
}

/** Page tables as a Map from gva to entry. The root is a frame, so that roots are distinct and cost something. */
class FakeSpace implements AddressSpace {
  readonly root: number;
  readonly entries: Map<number, number>;
  private readonly machine: FakeMachine;

  constructor(root: number, machine: FakeMachine, entries = new Map<number, number>()) {
    this.root = root;
    this.machine = machine;
    this.entries = entries;
  }

  map(gva: number, gpa: number, prot: number): boolean {
    if (gva % PAGE !== 0 || gpa % PAGE !== 0 || prot === 0 || prot > 7) throw new Error(`bad map ${gva} ${gpa} ${prot}`);
    if (gva >= USER_END || this.machine.failMaps > 0 && this.machine.failMaps-- > 0) return false;
    this.entries.set(gva, gpa + prot);
    return true;
  }

  mapRun(gva: number, gpas: readonly number[], prot: number): number {
    const failed = gpas.findIndex((gpa, i) => !this.map(gva + i * PAGE, gpa, prot));
    return failed < 0 ? gpas.length : failed;
  }

  mapLarge(gva: number, gpa: number, prot: number): void {
    for (let at = 0; at < 2 ** 21; at += PAGE) this.map(gva + at, gpa + at, prot);
  }

  unmap(gva: number, sizeBytes: number): void {
    for (const page of this.pagesIn(gva, sizeBytes)) this.entries.delete(page);
  }

  protect(gva: number, sizeBytes: number, prot: number): void {
    if (prot === 0) return this.unmap(gva, sizeBytes);
    for (const page of this.pagesIn(gva, sizeBytes)) {
      const entry = this.entries.get(page) as number;
      this.entries.set(page, entry - entry % PAGE + prot);
    }
  }

  entry(gva: number): number {
    return this.entries.get(gva - gva % PAGE) ?? 0;
  }

  forEach(gva: number, sizeBytes: number, visit: (gva: number, entry: number) => void): void {
    for (const page of this.pagesIn(gva, sizeBytes)) visit(page, this.entries.get(page) as number);
  }

  destroy(): void {
    this.entries.clear();
    this.machine.spaces.delete(this.root);
  }

  private pagesIn(gva: number, sizeBytes: number): number[] {
    if (gva % PAGE !== 0 || sizeBytes % PAGE !== 0) throw new Error(`unaligned range ${gva} ${sizeBytes}`);
    const found: number[] = [];
    if (sizeBytes / PAGE < this.entries.size) {
      for (let page = gva; page < gva + sizeBytes; page += PAGE) if (this.entries.has(page)) found.push(page);
      return found;
    }
    for (const page of this.entries.keys()) if (page >= gva && page < gva + sizeBytes) found.push(page);
    return found.sort((a, b) => a - b);
  }
}

export class FakeMachine implements Machine {
  readonly memory: FakeMemory;
  readonly spaces = new Map<number, FakeSpace>();
  /** The next so many `map` calls fail, as when no frame is left for a table. */
  failMaps = 0;
  private readonly paging: Paging | null;

  constructor(limitBytes = 64 * MB, options: { realPaging?: boolean; memory?: FakeMemory } = {}) {
    this.memory = options.memory ?? new FakeMemory(limitBytes);
    this.paging = options.realPaging === true ? new Paging(this.memory as unknown as Memory, false) : null;
  }

  /** Another machine with the same memory contents and page tables: what a fork from a template starts with. */
  fork(): FakeMachine {
    const memory = new FakeMemory(this.memory.limitBytes);
    memory.grow(this.memory.sizeBytes);
    memory.u8.set(this.memory.u8);
    const machine = new FakeMachine(0, { memory, realPaging: this.paging !== null });
    for (const [root, space] of this.spaces) machine.forked.set(root, new Map(space.entries));
    return machine;
  }

  /** Page tables inherited by fork(), until attachAddressSpace asks for them. */
  private readonly forked = new Map<number, Map<number, number>>();

  newAddressSpace(frames: FrameSource): AddressSpace | null {
    if (this.paging !== null) {
      const top = this.paging.newRoot(frames);
      return top === 0 ? null : new PageTables(this.paging, top, frames);
    }
    const root = frames.allocTableFrame();
    if (root === 0) return null;
    const space = new FakeSpace(root, this);
    this.spaces.set(root, space);
    return space;
  }

  attachAddressSpace(root: number, frames: FrameSource): AddressSpace {
    if (this.paging !== null) return new PageTables(this.paging, root, frames);
    const space = new FakeSpace(root, this, this.forked.get(root) ?? this.spaces.get(root)?.entries ?? new Map());
    this.spaces.set(root, space);
    return space;
  }

  run(_context: Context, _space: AddressSpace, _sliceNs: number): Trap {
    throw new Error('the fake machine has no processor');
  }

  saveFpu(_context: Context): void {}
  fpuChanged(_context: Context): void {}
  unload(_context: Context): void {}
}

/** A host with a settable clock, deterministic randomness, an empty or given blob, and collected output. */
export class FakeHost implements Host {
  nowNs = 1_000_000_000;
  /** Time in which the thread had no processor. */
  awayNs = 0;
  readonly clock = {
    monotonicNs: (): number => this.nowNs,
    realtimeNs: (): bigint => 1_700_000_000_000_000_000n + BigInt(this.nowNs),
    threadCpuNs: (): number => this.nowNs - this.awayNs,
  };
  readonly outputs = new Map<number, string>();
  private readonly content: Uint8Array;
  private seed = 1;

  constructor(content: Uint8Array = new Uint8Array(0)) {
    this.content = content;
  }

  random(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      this.seed = Math.imul(this.seed, 1103515245) + 12345 | 0;
      bytes[i] = this.seed >>> 16;
    }
  }

  blob(offset: number, length: number): Uint8Array {
    return this.content.subarray(offset, offset + length);
  }

  output(stream: number, bytes: Uint8Array): void {
    this.outputs.set(stream, (this.outputs.get(stream) ?? '') + String.fromCharCode(...bytes));
  }
}

/** What mm needs of a kernel, on a fake machine. */
export function fakeMmKernel(limitBytes = 64 * MB, realPaging = false): MmKernel & { machine: FakeMachine } {
  const machine = new FakeMachine(limitBytes, { realPaging });
  return { machine, memory: machine.memory, frames: new Frames(machine.memory) };
}

/** An empty address space on a fake machine. */
export function newMm(limitBytes = 64 * MB, realPaging = false): Mm {
  const mm = Mm.create(fakeMmKernel(limitBytes, realPaging));
  if (typeof mm === 'number') throw new Error('no memory for an address space');
  return mm;
}
