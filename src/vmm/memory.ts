// Memory: the guest-physical memory of one VM (implements GuestMemory of platform.ts).
//
// Slot 0 is the area's pages followed by the source: a MAP_PRIVATE view of a template's file (that is the copy-on-write) or
// fresh zero pages. The end of a template may be shared text: KVM sees other host pages there, the same for all VMs of the process,
// read-only and huge (slot 1); our own view of it is the file. Growth appends memslots that follow on both in hva and in gpa, so all
// of memory is one range of the arena. A memslot costs host memory by its size, therefore growth comes in steps that double.
// The VM may be closed and another one take its place (`attach`): the contents are the mappings', not KVM's. Without a VM it need not be
// mapped either: it is when it is first looked at, and may be folded, which leaves the pages that differ from its source (`fold`).

import { KVM_MEM_READONLY } from '../abi/kvm/constants.ts';
import {
  MADV_HUGEPAGE, MADV_POPULATE_WRITE, MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE, PROT_READ, PROT_WRITE,
} from '../abi/linux/host.ts';
import type { Region } from '../host/arena.ts';
import { discardRuns } from '../host/advise.ts';
import { madvise, mmap } from '../host/libc.ts';
import { privatePages } from '../host/pagemap.ts';
import { HostError } from '../host/errors.ts';
import type { GuestMemory } from '../platform.ts';
import { differenceFrom, KeptApart } from './difference.ts';
import type { Kvm } from './kvm.ts';
import { Layers, type PageRuns } from './layers.ts';
import { PAGE_SIZE } from '../abi/x86/cpu.ts';
import * as L from './layout.ts';
import type { Views } from './views.ts';
import type { Vm } from './vm.ts';

/** Where the first bytes of a machine's memory come from. */
export type MemorySource =
  /** `sizeBytes` (whole pages) of a file, mapped copy-on-write; it stays open as long as this memory is. `views`: those of this file. */
  | { readonly fd: number; readonly sizeBytes: number; readonly shared?: SharedMemory | null; readonly views?: Views }
  | { readonly fd: null; readonly sizeBytes?: number };

/** Memory at the end of a source that all VMs share and none may write: at `hva` in this process, the same bytes as in the source. */
export interface SharedMemory {
  readonly gpa: number;
  readonly sizeBytes: number;
  readonly hva: number;
}

const GROW_MIN_BYTES = 16 * 2 ** 20;
const GROW_MAX_BYTES = 128 * 2 ** 20;

const PROT = PROT_READ | PROT_WRITE;
const ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;

/** Where it is mapped, and views of that. */
interface Mapped {
  readonly region: Region;
  readonly u8: Uint8Array;
  readonly view: DataView;
  readonly words: Uint32Array;
}

const GONE: Mapped = {
  region: { hva: 0, sizeBytes: 0, buffer: new ArrayBuffer(0), byteOffset: 0 },
  u8: new Uint8Array(0), view: new DataView(new ArrayBuffer(0)), words: new Uint32Array(0),
};

export class Memory implements GuestMemory {
  sizeBytes: number;
  readonly limitBytes: number;
  readonly firstFrame = L.FIRST_FRAME;
  readonly #kvm: Kvm;
  /** Null: it has no slots now. */
  #vm: Vm | null = null;
  /** Null until it is looked at, and while it is folded. */
  #mapped: Mapped | null = null;
  /** What it has that its source has not, while it is folded. */
  #apart: KeptApart | null = null;
  #isPopulated = false;
  /** How often it was mapped: with another number, what was known of its pages is not so any more. */
  mappedTimes = 0;
  readonly #fd: number | null;
  readonly #views: Views | null;
  /** Bytes of the source, and of them in slot 0. */
  readonly #sourceBytes: number;
  readonly #firstBytes: number;
  readonly #shared: SharedMemory | null;
  /** Slots of the source. */
  readonly #sourceSlots: number;
  /** Where each slot that was added ends. */
  readonly #ends: number[] = [];
  #step = GROW_MIN_BYTES;
  /** Set: what this memory grows by can be shared with branches. */
  growsInLayers = false;
  /** Null: none yet. */
  #layers: Layers | null = null;

  /** Of no VM yet: see `attach`. */
  constructor(kvm: Kvm, source: MemorySource, limitBytes: number) {
    const size = source.sizeBytes ?? Math.min(GROW_MIN_BYTES, limitBytes);
    if (size % 4096 !== 0 || limitBytes % 4096 !== 0 || size < L.FIRST_FRAME || limitBytes > L.DIRECT_MAX_BYTES) {
      throw new RangeError(`guest memory of ${size} bytes, limit ${limitBytes}`);
    }
    this.#kvm = kvm;
    this.limitBytes = Math.max(limitBytes, size);
    this.sizeBytes = size;
    const shared = source.fd === null ? null : source.shared ?? null;
    this.#shared = shared;
    this.#sourceBytes = size;
    this.#firstBytes = shared ? shared.gpa : size;
    this.#sourceSlots = shared ? 2 : 1;
    this.#fd = source.fd;
    this.#views = source.fd === null ? null : source.views ?? null;
  }

  get u8(): Uint8Array {
    return (this.#mapped ?? this.#map()).u8;
  }

  get view(): DataView {
    return (this.#mapped ?? this.#map()).view;
  }

  /** The same bytes as 32-bit words, for page tables. */
  get words(): Uint32Array {
    return (this.#mapped ?? this.#map()).words;
  }

  get #region(): Region {
    return (this.#mapped ?? this.#map()).region;
  }

  get layers(): Layers {
    const { hva } = this;
    this.#layers ??= new Layers(this.limitBytes);
    this.#layers.hva = hva;
    return this.#layers;
  }

  /** The pages that runs of the source are known to write are this process's own already. */
  get isPopulated(): boolean {
    if (this.#mapped === null) this.#map();
    return this.#isPopulated;
  }

  /** Memory that is this machine's alone. */
  get ownBytes(): number {
    if (this.#mapped === null) return this.#apart?.sizeBytes ?? 0;
    const { hva } = this.#mapped.region;
    return privatePages(this.#kvm.arena, hva + L.AREA_BYTES, this.sizeBytes - L.AREA_BYTES) * PAGE_SIZE + (this.#layers?.ownBytes ?? 0);
  }

  /** Maps it, as it was when it was folded. Throws HostError. */
  #map(): Mapped {
    const view = this.#views?.take(this.limitBytes) ?? null;
    const region = view ?? this.#kvm.arena.take(this.limitBytes);
    try {
      if (!view) this.#mapSource(region.hva);
    } catch (error) {
      this.#kvm.arena.release(region);
      throw error;
    }
    this.#isPopulated = view !== null;
    this.mappedTimes++;
    const mapped = viewsOf(region, this.sizeBytes);
    this.#apart?.putBack(mapped.u8);
    this.#apart = null;
    return (this.#mapped = mapped);
  }

  #mapSource(hva: number): void {
    if (this.#fd === null) mmap(hva, this.sizeBytes, PROT, ANONYMOUS, -1, 0);
    else mmap(hva, this.sizeBytes, PROT, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, this.#fd, 0);
    this.#kvm.area.map(hva);
  }

  /**
   * Gives the mapping back until something looks at it again, and keeps what it has that its source, whose bytes are `content`, has not. There
   * must be no VM, and no view of it be used any more. False: it stays as it is, it has grown, has layers, or differs by much.
   */
  fold(content: Uint8Array): boolean {
    if (this.#mapped === null) return true;
    if (this.#vm !== null || this.#fd === null || this.growsInLayers || this.#ends.length > 0 || this.#layers?.isIn(0, this.limitBytes)) return false;
    const { region, u8 } = this.#mapped;
    const difference = differenceFrom(this.#kvm.arena, region, content);
    if (!difference) return false;
    this.#apart = new KeptApart(u8, difference);
    this.#mapped = null;
    if (this.#views) this.#views.give(region, this.#sourceBytes, difference);
    else this.#kvm.arena.release(region);
    return true;
  }

  /** Where gpa 0 is in this process. */
  get hva(): number {
    return this.#region.hva;
  }

  /** Where the last slot ends. */
  get #slotsEnd(): number {
    return this.#ends.at(-1) ?? this.#sourceBytes;
  }

  /** The VM whose memory it is from now on, a new one; null: none. Throws HostError. */
  attach(vm: Vm | null): void {
    this.#vm = vm;
    if (vm === null) return;
    this.#addSourceSlots();
    let start = this.#sourceBytes;
    this.#ends.forEach((end, i) => {
      vm.setUserMemoryRegion(this.#sourceSlots + i, start, end - start, this.#region.hva + start);
      start = end;
    });
  }

  grow(sizeBytes: number): boolean {
    if (sizeBytes <= this.sizeBytes) return true;
    if (!(sizeBytes <= this.limitBytes)) return false;
    try {
      if (sizeBytes > this.#slotsEnd) this.#addSlot(sizeBytes);
      if (this.growsInLayers) while (this.sizeBytes < sizeBytes) this.sizeBytes = this.layers.extend(this.sizeBytes);
      else this.#mapUpTo(this.#slotsEnd);
    } catch (error) {
      if (error instanceof HostError) return false;
      throw error;
    }
    this.#review();
    return true;
  }

  /** Makes the pages this process's own, all in one call: a page fault less for each, and KVM maps neighbours of what is there. */
  willWrite(gpa: number, sizeBytes: number): void {
    try {
      madvise(this.#region.hva + gpa, sizeBytes, MADV_POPULATE_WRITE);
    } catch (error) {
      if (!(error instanceof HostError)) throw error; // a host before Linux 5.14, or without memory: then each page as it is touched
    }
  }

  /** A slot for `sizeBytes` at least. What is behind it is mapped later. */
  #addSlot(sizeBytes: number): void {
    const { granuleBytes } = this.layers;
    const wanted = Math.max(sizeBytes, this.#slotsEnd + this.#step);
    const end = Math.min(this.limitBytes, Math.ceil(wanted / granuleBytes) * granuleBytes);
    const start = this.#slotsEnd;
    this.#vm?.setUserMemoryRegion(this.#sourceSlots + this.#ends.length, start, end - start, this.#region.hva + start);
    this.#ends.push(end);
    this.#step = Math.min(this.#step * 2, GROW_MAX_BYTES);
  }

  /**
   * Gets the contents of `source`, which has the same limit and was forked from the same file: layers are shared from now on, `copied`
   * (`layers.freeze` of the source) is copied, what was never changed is the file's. Only on memory that nothing was done with.
   */
  branchFrom(source: Memory, copied: PageRuns): void {
    if (source.sizeBytes > this.sizeBytes) {
      this.#addSlot(source.#slotsEnd);
      this.#mapUpTo(source.sizeBytes);
    }
    this.layers.adopt(source.layers);
    this.growsInLayers = source.growsInLayers;
    this.#step = source.#step;
    this.#review();
    for (let i = 0; i < copied.length; i += 2) this.u8.set(source.u8.subarray(copied[i], copied[i] + copied[i + 1]), copied[i]);
  }

  #mapUpTo(end: number): void {
    const hva = this.#region.hva + this.sizeBytes;
    mmap(hva, end - this.sizeBytes, PROT, ANONYMOUS, -1, 0);
    preferHugePages(hva, end - this.sizeBytes);
    this.sizeBytes = end;
  }

  /**
   * Memory above `sizeBytes`, where a slot must end, is gone. True when there was some: KVM then forgets all translations of
   * what is left too.
   */
  shrink(sizeBytes: number): boolean {
    if (sizeBytes === this.sizeBytes) return false;
    if (sizeBytes !== this.#sourceBytes) throw new RangeError(`guest memory cannot shrink to ${sizeBytes} bytes`);
    while (this.#ends.pop() !== undefined) this.#vm?.setUserMemoryRegion(this.#sourceSlots + this.#ends.length, 0, 0, 0);
    mmap(this.#region.hva + sizeBytes, this.limitBytes - sizeBytes, PROT_NONE, ANONYMOUS, -1, 0);
    this.#step = GROW_MIN_BYTES;
    this.sizeBytes = sizeBytes;
    this.#review();
    this.forgetTranslations();
    return true;
  }

  /**
   * Deletes the slots of the source and adds them again: KVM drops every translation it has of this machine. About 40 µs, and a
   * fault for each page.
   */
  forgetTranslations(): void {
    for (let slot = 0; slot < this.#sourceSlots; slot++) this.#vm?.setUserMemoryRegion(slot, 0, 0, 0);
    this.#addSourceSlots();
  }

  #addSourceSlots(): void {
    this.#vm?.setUserMemoryRegion(0, 0, this.#firstBytes, this.#region.hva);
    const shared = this.#shared;
    if (shared) this.#vm?.setUserMemoryRegion(1, shared.gpa, shared.sizeBytes, shared.hva, KVM_MEM_READONLY);
  }

  /** Gives contents back, of gpas [start, end, start, end, …]: what the source has, or zeros, is there again. */
  discardRuns(runs: readonly number[]): void {
    discardRuns(this.#region.hva, runs);
  }

  /** Gives the address range back. Nothing may touch the memory any more. */
  destroy(): void {
    const region = this.#mapped?.region;
    if (region && this.#views && !this.#layers?.isIn(0, this.#sourceBytes)) this.#views.give(region, this.#sourceBytes);
    else if (region) this.#kvm.arena.release(region);
    this.#apart = null;
    this.#layers?.release();
    this.#mapped = GONE;
  }

  #review(): void {
    this.#mapped = viewsOf(this.#region, this.sizeBytes);
  }
}

function viewsOf(region: Region, sizeBytes: number): Mapped {
  const { buffer, byteOffset } = region;
  return {
    region, u8: new Uint8Array(buffer, byteOffset, sizeBytes), view: new DataView(buffer, byteOffset, sizeBytes),
    words: new Uint32Array(buffer, byteOffset, sizeBytes / 4),
  };
}

/** Fewer faults: with a huge page behind it, KVM maps an address's neighbours along. Hosts without them go without. */
export function preferHugePages(hva: number, sizeBytes: number): void {
  try {
    madvise(hva, sizeBytes, MADV_HUGEPAGE);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
  }
}
