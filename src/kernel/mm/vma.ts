// Virtual memory areas: what an address space promises, apart from what its page tables hold. See mmap(2), and mm/vma.c
// for when Linux splits and merges.
//
// Interface: Vma is an immutable plain object; VmaList keeps them sorted, without overlap, adjacent equal ones merged.
// All edits go through VmaList.replace(), which also keeps the totals and the users of what is mapped. A saved state and
// its forks share the objects; those that map something get their own when they are first looked at: few ever are.

import {
  PAGE_SIZE, PROT_EXEC, PROT_WRITE, STACK_GUARD_GAP, VM_GROWSDOWN, VM_LOCKED, VM_SHARED,
} from '../../abi/linux/mman.ts';
import { bug } from '../bug.ts';
import { dropBacking, holdBacking } from './backing.ts';
import type { Backing } from './backing.ts';

export interface Vma {
  /** gva range [start, end), page-aligned. */
  readonly start: number;
  readonly end: number;
  /** PROT_READ | PROT_WRITE | PROT_EXEC. */
  readonly prot: number;
  /** What mprotect may give it (VM_MAY*). */
  readonly maxProt: number;
  /** VM_* bits. VM_SHARED also marks a shared mapping of a file opened read-only (VM_MAYSHARE). */
  readonly flags: number;
  /** What is mapped; null for private anonymous memory. */
  readonly inode: Backing | null;
  /** Byte offset in `inode` of `start`; 0 for private anonymous memory. */
  readonly offset: number;
  /** For /proc/PID/maps: the file's path, "[vdso]", or "". */
  readonly path: string;
}

/** An area of a saved state: `ref` names what it maps, `inode` is null. */
export interface SavedVma<Ref> extends Vma {
  readonly ref?: Ref;
}

/** Totals in pages, as /proc/PID/status and the limits need them. */
export interface VmaTotals {
  total: number;
  /** Private writable, not stack: RLIMIT_DATA. */
  data: number;
  stack: number;
  /** Executable and not writable. */
  text: number;
  locked: number;
  /** Characters of their paths; not pages. */
  pathChars: number;
}

export function isShared(vma: Vma): boolean {
  return (vma.flags & VM_SHARED) !== 0;
}

/** Private memory with no file behind it. */
export function isPrivateAnonymous(vma: Vma): boolean {
  return vma.inode === null;
}

/** The part of `vma` within [start, end), which must overlap it. */
export function clip(vma: Vma, start: number, end: number): Vma {
  const from = Math.max(start, vma.start);
  const to = Math.min(end, vma.end);
  if (from === vma.start && to === vma.end) return vma;
  return { ...vma, start: from, end: to, offset: vma.inode === null ? 0 : vma.offset + (from - vma.start) };
}

/** Lowest gva that must stay free below a mapping: its guard gap if it grows down. */
export function startWithGap(vma: Pick<Vma, 'start' | 'flags'>): number {
  return (vma.flags & VM_GROWSDOWN) !== 0 ? Math.max(0, vma.start - STACK_GUARD_GAP) : vma.start;
}

/** Arguments a call may safely have. */
const SPREAD_MAX = 1024;

function canMerge(left: Vma, right: Vma): boolean {
  return left.end === right.start && left.prot === right.prot && left.maxProt === right.maxProt &&
    left.flags === right.flags && left.inode === right.inode && left.path === right.path &&
    (left.inode === null || left.offset + (left.end - left.start) === right.offset);
}

/** Appends to a list under construction, merging with its last. */
function push(list: Vma[], vma: Vma): void {
  const last = list[list.length - 1];
  if (last !== undefined && canMerge(last, vma)) list[list.length - 1] = { ...last, end: vma.end };
  else list.push(vma);
}

export class VmaList {
  /** Sorted by address. Those with a `ref` are a saved state's: `at` replaces them. */
  private areas: Vma[] = [];
  /** Makes this address space's own area of a saved one; null when there are none. */
  private own: ((saved: Vma) => Vma) | null = null;
  /** For gap.ts: no gap between `gva` and mmap_base is larger than `largestGap` bytes. */
  readonly hint = { gva: Infinity, largestGap: 0 };
  readonly totals: VmaTotals = { total: 0, data: 0, stack: 0, text: 0, locked: 0, pathChars: 0 };

  get count(): number {
    return this.areas.length;
  }

  /** All areas, by address. */
  get all(): readonly Vma[] {
    if (this.own) {
      for (let i = 0; i < this.areas.length; i++) this.at(i);
      this.own = null;
    }
    return this.areas;
  }

  /** Where all areas are and their flags, for those who do not ask what is mapped there. */
  get ranges(): readonly Pick<Vma, 'start' | 'end' | 'flags'>[] {
    return this.areas;
  }

  /** Area number `index`; undefined beyond the last. */
  at(index: number): Vma | undefined {
    const vma = this.areas[index];
    if (this.own === null || vma === undefined || (vma as SavedVma<unknown>).ref === undefined) return vma;
    return (this.areas[index] = this.own(vma));
  }

  /** Index of the first area that ends above gva (find_vma); `count` when there is none. */
  indexAbove(gva: number): number {
    let low = 0;
    let high = this.areas.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.areas[middle].end > gva) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The area that contains gva, or null. */
  find(gva: number): Vma | null {
    const vma = this.at(this.indexAbove(gva));
    return vma !== undefined && vma.start <= gva ? vma : null;
  }

  /** Areas that overlap [start, end), whole. */
  overlapping(start: number, end: number): Vma[] {
    const found: Vma[] = [];
    for (let i = this.indexAbove(start), vma = this.at(i); vma !== undefined && vma.start < end; vma = this.at(++i)) found.push(vma);
    return found;
  }

  /** Areas that overlap [start, end), cut to it. */
  clipped(start: number, end: number): Vma[] {
    return this.overlapping(start, end).map((vma) => clip(vma, start, end));
  }

  isFree(start: number, end: number): boolean {
    const vma = this.areas[this.indexAbove(start)];
    return vma === undefined || vma.start >= end;
  }

  /** True when no gva of [start, end) is unmapped. */
  covers(start: number, end: number): boolean {
    let at = start;
    for (const vma of this.overlapping(start, end)) {
      if (vma.start > at) return false;
      at = vma.end;
    }
    return at >= end;
  }

  /** Puts `areas` (sorted, within [start, end)) in the place of whatever is there; splits at the edges, merges. */
  replace(start: number, end: number, areas: readonly Vma[]): void {
    const first = this.indexAbove(start);
    let last = first;
    while (last < this.areas.length && this.areas[last].start < end) last++;
    // One neighbour on each side takes part, to merge with.
    const from = Math.max(0, first - 1);
    const to = Math.min(this.areas.length, last + 1);
    const old: Vma[] = [];
    for (let i = from; i < to; i++) old.push(this.at(i) as Vma);
    const fresh: Vma[] = [];
    for (const vma of old) if (vma.start < start) push(fresh, clip(vma, vma.start, start));
    for (const vma of areas) {
      if (vma.start < start || vma.end > end || vma.start >= vma.end) bug('vma: area outside the range it replaces');
      push(fresh, vma);
    }
    for (const vma of old) if (vma.end > end) push(fresh, clip(vma, end, vma.end));
    const leavesGap = areas.length !== 1 || areas[0].start !== start || areas[0].end !== end;
    if (leavesGap && this.hint.gva < end) this.hint.gva = end;
    // Count the new before dropping the old, so that what stays mapped is never released in between.
    for (const vma of fresh) this.tally(vma, 1);
    this.splice(from, to, fresh);
    for (const vma of old) this.tally(vma, -1);
  }

  private splice(from: number, to: number, fresh: readonly Vma[]): void {
    if (fresh.length <= SPREAD_MAX) {
      this.areas.splice(from, to - from, ...fresh);
      return;
    }
    const tail = this.areas.splice(from).slice(to - from);
    for (const vma of fresh) this.areas.push(vma);
    for (const vma of tail) this.areas.push(vma);
  }

  /** How many areas there would be more (or less) if the range were replaced by `added` unmergeable ones. */
  growthIfCut(start: number, end: number, added: number): number {
    const hit = this.overlapping(start, end);
    if (hit.length === 0) return added;
    const edges = (hit[0].start < start ? 1 : 0) + (hit[hit.length - 1].end > end ? 1 : 0);
    return edges + added - hit.length;
  }

  /** A copy of the array for a saved state: the objects are shared. */
  save(): Vma[] {
    return this.all.slice();
  }

  /**
   * The list that was saved. `own` makes an area of a saved one that has a `ref`; what those map is counted by the caller: a user each.
   * The array belongs to the list from now on, the objects do not.
   */
  static restore(areas: Vma[], totals: VmaTotals, own: (saved: Vma) => Vma): VmaList {
    const list = new VmaList();
    list.areas = areas;
    list.own = own;
    Object.assign(list.totals, totals);
    return list;
  }

  /** Adds to the totals and users of what is mapped; `sign` -1 takes away. */
  private tally(vma: Vma, sign: 1 | -1): void {
    const pages = sign * (vma.end - vma.start) / PAGE_SIZE;
    const totals = this.totals;
    totals.total += pages;
    if ((vma.flags & VM_GROWSDOWN) !== 0) totals.stack += pages;
    else if ((vma.prot & PROT_WRITE) !== 0 && !isShared(vma)) totals.data += pages;
    else if ((vma.prot & PROT_EXEC) !== 0) totals.text += pages;
    if ((vma.flags & VM_LOCKED) !== 0) totals.locked += pages;
    totals.pathChars += sign * vma.path.length;
    if (vma.inode === null) return;
    if (sign > 0) holdBacking(vma.inode);
    else dropBacking(vma.inode);
  }
}
