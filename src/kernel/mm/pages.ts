// The page tables of one address space together with what they own: every mapped page holds one reference to its frame.
//
// Interface: install, drop, reprotect, move act on pages; lookup answers from a tiny translation cache. Nobody else
// changes `space`, so the cache is right as long as every change here flushes it.
// A page whose area became PROT_NONE leaves the page tables but keeps its content: it waits in `hidden`.

import type { AddressSpace } from '../../platform.ts';
import { PAGE_EXEC, PAGE_READ, PAGE_WRITE } from '../../platform.ts';
import { PAGE_SIZE, PROT_EXEC, PROT_WRITE } from '../../abi/linux/mman.ts';
import { Shmem } from './backing.ts';
import type { Frames } from './frames.ts';
import { HiddenPages } from './hidden.ts';
import { isShared } from './vma.ts';
import type { Vma } from './vma.ts';

const CACHE_SLOTS = 64;

/** Page-table bits for PROT_* bits: on x86 whatever is accessible is readable. */
export function pageProt(prot: number): number {
  if ((prot & 7) === 0) return 0;
  return PAGE_READ | ((prot & PROT_WRITE) !== 0 ? PAGE_WRITE : 0) | ((prot & PROT_EXEC) !== 0 ? PAGE_EXEC : 0);
}

export function entryGpa(entry: number): number {
  return entry - entry % PAGE_SIZE;
}

export class Pages {
  readonly space: AddressSpace;
  readonly frames: Frames;
  /** Pages held: mapped and hidden. */
  rss = 0;
  /** Counts changes of the page tables: a fault that repeats without one makes no progress. */
  changes = 0;
  /** gva → gpa of pages in PROT_NONE areas. */
  readonly hidden: HiddenPages;
  private readonly tags = new Float64Array(CACHE_SLOTS).fill(-1);
  private readonly gpas = new Float64Array(CACHE_SLOTS);
  private readonly writable = new Uint8Array(CACHE_SLOTS);

  constructor(space: AddressSpace, frames: Frames, hidden: ReadonlyMap<number, number> = new Map()) {
    this.space = space;
    this.frames = frames;
    this.hidden = new HiddenPages(hidden);
  }

  /** gpa that gva's page is mapped to with the access wanted, or 0. */
  lookup(page: number, write: boolean): number {
    const slot = page / PAGE_SIZE % CACHE_SLOTS;
    if (this.tags[slot] === page && (!write || this.writable[slot] === 1)) return this.gpas[slot];
    const entry = this.space.entry(page);
    if (entry === 0 || (write && (entry & PAGE_WRITE) === 0)) return 0;
    this.tags[slot] = page;
    this.gpas[slot] = entryGpa(entry);
    this.writable[slot] = (entry & PAGE_WRITE) !== 0 ? 1 : 0;
    return this.gpas[slot];
  }

  /**
   * Maps a page, taking over the caller's reference to `gpa`; what was mapped there is given back. `old` is the entry
   * there now (0 for none). False: no memory for a table; the reference is given back.
   */
  install(gva: number, gpa: number, prot: number, old: number): boolean {
    if (!this.space.map(gva, gpa, prot)) {
      this.frames.unref(gpa);
      return false;
    }
    this.forget(gva);
    if (old === 0) this.rss++;
    else this.frames.unref(entryGpa(old));
    return true;
  }

  /** The same for pages one behind the other, where nothing is mapped. */
  installRun(gva: number, gpas: readonly number[], prot: number): boolean {
    const done = this.space.mapRun(gva, gpas, prot);
    for (let i = done; i < gpas.length; i++) this.frames.unref(gpas[i]);
    this.changes++;
    this.rss += done;
    return done === gpas.length;
  }

  /** Changes the permissions of one mapped page, keeping its frame. */
  setProt(gva: number, prot: number): void {
    this.forget(gva);
    this.space.protect(gva, PAGE_SIZE, prot);
  }

  /** Takes all pages of [start, end) away. */
  drop(start: number, end: number): void {
    this.flush();
    let dropped = 0;
    this.space.forEach(start, end - start, (_gva, entry) => {
      this.frames.unref(entryGpa(entry));
      dropped++;
    });
    if (dropped > 0) this.space.unmap(start, end - start);
    this.rss -= dropped;
    for (const gva of this.hiddenIn(start, end)) {
      this.frames.unref(this.hidden.get(gva) as number);
      this.hidden.delete(gva);
      this.rss--;
    }
  }

  /** Takes some pages of [start, end) away. */
  dropThose(start: number, end: number, wanted: (gva: number, gpa: number) => boolean): void {
    const found: number[] = [];
    this.space.forEach(start, end - start, (gva, entry) => {
      if (wanted(gva, entryGpa(entry))) found.push(gva);
    });
    for (const gva of found) this.drop(gva, gva + PAGE_SIZE);
  }

  /** Brings the pages of an area in line with its (new) permissions. */
  reprotect(vma: Vma): void {
    this.flush();
    const prot = pageProt(vma.prot);
    if (prot === 0) {
      this.hide(vma.start, vma.end);
      return;
    }
    for (const gva of this.hiddenIn(vma.start, vma.end)) this.unhide(vma, gva);
    const runs: { start: number; end: number; prot: number }[] = [];
    this.space.forEach(vma.start, vma.end - vma.start, (gva, entry) => {
      const wanted = this.protFor(vma, entryGpa(entry), (entry & PAGE_WRITE) !== 0);
      if ((entry & 7) === wanted) return;
      const last = runs[runs.length - 1];
      if (last !== undefined && last.end === gva && last.prot === wanted) last.end += PAGE_SIZE;
      else runs.push({ start: gva, end: gva + PAGE_SIZE, prot: wanted });
    });
    for (const run of runs) this.space.protect(run.start, run.end - run.start, run.prot);
  }

  /**
   * Permissions a frame may be mapped with in an area: a private page that others also hold is not writable, nor a page of
   * a shared file before the file was told (`wasWritable`: it was).
   */
  protFor(vma: Vma, gpa: number, wasWritable = false): number {
    const prot = pageProt(vma.prot);
    if ((prot & PAGE_WRITE) === 0) return prot;
    const may = isShared(vma) ? wasWritable || vma.inode instanceof Shmem : this.frames.refs(gpa) === 1;
    return may ? prot : prot & ~PAGE_WRITE;
  }

  /** Maps a hidden page again. False when it is not hidden or no memory for a table is left. */
  unhide(vma: Vma, gva: number): boolean {
    const gpa = this.hidden.get(gva);
    if (gpa === undefined || !this.space.map(gva, gpa, this.protFor(vma, gpa))) return false;
    this.hidden.delete(gva);
    return true;
  }

  /** Moves the pages of [from, from+sizeBytes) to `to`, where nothing is mapped. False: nothing was moved. */
  move(from: number, to: number, sizeBytes: number): boolean {
    this.flush();
    const moved: number[] = [];
    const entries: number[] = [];
    this.space.forEach(from, sizeBytes, (gva, entry) => {
      moved.push(gva);
      entries.push(entry);
    });
    for (let i = 0; i < moved.length; i++) {
      if (this.space.map(moved[i] - from + to, entryGpa(entries[i]), entries[i] & 7)) continue;
      this.space.unmap(to, sizeBytes);
      return false;
    }
    if (moved.length > 0) this.space.unmap(from, sizeBytes);
    for (const gva of this.hiddenIn(from, from + sizeBytes)) {
      this.hidden.set(gva - from + to, this.hidden.get(gva) as number);
      this.hidden.delete(gva);
    }
    return true;
  }

  /** Calls back for every page held in [start, end), mapped or hidden; hidden ones last and with entry = gpa. */
  forEach(start: number, end: number, visit: (gva: number, entry: number) => void): void {
    this.space.forEach(start, end - start, visit);
    for (const gva of this.hiddenIn(start, end)) visit(gva, this.hidden.get(gva) as number);
  }

  countIn(start: number, end: number): number {
    let count = 0;
    this.forEach(start, end, () => count++);
    return count;
  }

  /** Forget all cached translations. */
  flush(): void {
    this.changes++;
    this.tags.fill(-1);
  }

  private forget(gva: number): void {
    this.changes++;
    this.tags[gva / PAGE_SIZE % CACHE_SLOTS] = -1;
  }

  private hide(start: number, end: number): void {
    let count = 0;
    this.space.forEach(start, end - start, (gva, entry) => {
      this.hidden.set(gva, entryGpa(entry));
      count++;
    });
    if (count > 0) this.space.unmap(start, end - start);
  }

  private hiddenIn(start: number, end: number): number[] {
    return this.hidden.size === 0 ? [] : this.hidden.in(start, end);
  }
}
