// Paging: guest page tables in guest memory (implements AddressSpace of platform.ts). x86-64, 4 levels, 4 KB pages, Accessed
// and Dirty set from the start (Intel SDM vol. 3A, 4.5).
//
// The replay rule. Every entry is written by the host at once. If that removed or changed a *present* entry, the entry is
// also queued, and before ring 3 next runs the machine has the guest store it again at CPL 0 (stub.ts, PTE_WRITER), because
// KVM's shadow page tables do not notice host writes (PVM-style) and TLBs must be flushed (hardware). A new entry where none
// was present needs nothing: the processor faults and looks again. A store that is not aligned to 8 bytes makes KVM drop its shadow of
// the whole table (detect_write_misaligned() in arch/x86/kvm/mmu/mmu.c; self-test, 'a shadow table can be dropped'): one store
// for a table of which everything changed.
//
// Large pages. One entry of level 2 may map 2 MB of shared text (kernel/mm/sharedtext.ts): one fault instead of hundreds in a fork. It
// is split into 4 KB entries before anything in it changes.
//
// Table frames. A frame that was once a page table stays one. Freed tables form a list through their entry 0 (never present,
// marked FREED), whose head is in guest memory too, so a fork copies it with everything else. Their entries are zeroed, and
// their shadow is dropped, before the frame is used again, many at once when an address space begins: a sandbox that ends never pays
// for it. `made` names the frames that became tables since the machine's memory was last that of its template: what a rewind must look at.

import { PTE_A, PTE_D, PTE_NX_HIGH, PTE_P, PTE_PS, PTE_U, PTE_W } from '../abi/x86/cpu.ts';
import type { AddressSpace, FrameSource } from '../platform.ts';
import { PAGE_EXEC, PAGE_READ, PAGE_WRITE } from '../platform.ts';
import * as L from './layout.ts';

/** Bytes one entry spans, by level: 1 page table … 4 PML4. */
const SPAN = [0, 2 ** 12, 2 ** 21, 2 ** 30, 2 ** 39];
const TABLE_BITS = PTE_P | PTE_W | PTE_U | PTE_A;
const LEAF_BITS = PTE_P | PTE_U | PTE_A | PTE_D;
const GPA_LOW = 0xffff_f000;
/** In a freed table's entry 0, which is not present: what was there before is not known any more. */
const FREED = 1 << 9;
/** Beside FREED: the rest of the table is 0 and its shadow is dropped, or will be before ring 3 runs. */
const CLEAN = 1 << 10;
/** So many freed tables are made clean for a new address space, which soon has use for them: each replay costs tens of microseconds. */
const CLEAN_MAX = 48;
const LARGE_BYTES = 2 ** 21;
const TABLE_BYTES = 4096;
const LARGE_GPA_LOW = 0xffe0_0000;

/** What a walk does to what it finds: only large pages that are just looked at stay whole; 'prune' also frees empty tables. */
type Walk = 'look' | 'change' | 'prune';

/** What paging needs of guest memory: its 32-bit words. The array is replaced when memory grows. */
export interface TableMemory {
  readonly words: Uint32Array;
}

/** The page table behind USER_END, which all address spaces of all machines share; `words` from gpa 0 on. `strict`: see Paging. */
export function writeUserTable(words: Uint32Array, strict: boolean): void {
  const map = (gva: number, gpa: number, high: number): void => {
    const at = (L.USER_PT_GPA >>> 2) + index(gva, 1) * 2;
    words[at] = gpa | LEAF_BITS;
    words[at + 1] = high;
  };
  // On hardware the stub is elsewhere: nothing in these pages is to be run.
  map(L.VVAR_GVA, L.VVAR_GPA, strict ? PTE_NX_HIGH : 0);
  map(L.PATHS_GVA, L.PATHS_GPA, strict ? PTE_NX_HIGH : 0);
  for (let at = 0; at < L.SLOTS_BYTES; at += TABLE_BYTES) map(L.SLOTS_GVA + at, L.SLOTS_GPA + at, PTE_NX_HIGH);
}

/** The page tables of one machine: pending replays and free table frames. */
export class Paging {
  readonly memory: TableMemory;
  /** Also replay what only adds a permission (hardware may have the old one cached). */
  readonly strict: boolean;
  /** Runs of entries to be stored again: [gpa of the first, count, …]; for a whole table one at gpa + 1. */
  readonly pending: number[] = [];
  /** gpas of frames that were made page tables. */
  readonly made: number[] = [];

  constructor(memory: TableMemory, strict: boolean) {
    this.memory = memory;
    this.strict = strict;
  }

  /** Notes that the present entry at `gpa` was removed or changed. */
  changed(gpa: number): void {
    const { pending } = this;
    const last = pending.length - 2;
    if (last >= 0 && gpa % TABLE_BYTES !== 0 && pending[last] + pending[last + 1] * 8 === gpa) pending[last + 1]++;
    else pending.push(gpa, 1);
  }

  /** Notes that any entry of the table at `gpa` may have been removed or changed. */
  allChanged(gpa: number): void {
    this.#forgetChanges(gpa);
    this.pending.push(gpa + 1, 1);
  }

  /** Of the table that changed last, nothing needs to be stored. */
  #forgetChanges(table: number): void {
    const { pending } = this;
    while (pending.length > 0 && pending[pending.length - 2] - table < TABLE_BYTES && pending[pending.length - 2] >= table) pending.length -= 2;
  }

  /** A table whose 512 entries are 0; 0 when memory is exhausted. */
  allocTable(frames: FrameSource): number {
    const { words } = this.memory;
    const gpa = words[L.STATE_GPA >>> 2];
    if (gpa === 0) return this.#makeTable(frames);
    if ((words[gpa >>> 2] & CLEAN) === 0) this.#clean(1);
    words[L.STATE_GPA >>> 2] = (words[gpa >>> 2] & GPA_LOW) >>> 0;
    words[gpa >>> 2] = 0;
    return gpa;
  }

  /** Makes the first tables of the free list clean, at most `count`. */
  #clean(count: number): void {
    const { words } = this.memory;
    let gpa = words[L.STATE_GPA >>> 2];
    for (let i = 0; i < count && gpa !== 0; i++) {
      const link = words[gpa >>> 2];
      if ((link & CLEAN) !== 0) return;
      words.fill(0, gpa >>> 2, (gpa + TABLE_BYTES) >>> 2);
      words[gpa >>> 2] = link | CLEAN;
      this.allChanged(gpa);
      gpa = (link & GPA_LOW) >>> 0;
    }
  }

  #makeTable(frames: FrameSource): number {
    const gpa = frames.allocTableFrame();
    if (gpa !== 0) this.made.push(gpa);
    return gpa;
  }

  /**
   * The table at `gpa` is about to become what `target` holds at the same place: queues every entry of which a translation may
   * be in use that is not `target`'s. Those that were changed before were queued then, unless the table is free: all of it is.
   */
  changing(gpa: number, target: Uint32Array): void {
    const { words } = this.memory;
    const base = gpa >>> 2;
    if ((words[base] & (PTE_P | FREED)) === FREED) return this.allChanged(gpa);
    for (let i = base; i < base + TABLE_BYTES / 4; i += 2) {
      const low = words[i];
      if ((low & PTE_P) !== 0 && (low !== target[i] || words[i + 1] !== target[i + 1])) this.changed(i * 4);
    }
  }

  /** Calls back for each table frame: those below `roots`, and those that are free. */
  forEachTable(roots: readonly number[], visit: (gpa: number) => void): void {
    const { words } = this.memory;
    const walk = (table: number, level: number): void => {
      visit(table);
      const entries = level === 4 ? 256 : 512;
      for (let i = 0; level > 1 && i < entries; i++) {
        const low = words[(table >>> 2) + i * 2];
        if (isOwnTable(low)) walk((low & GPA_LOW) >>> 0, level - 1);
      }
    };
    for (const root of roots) walk(root, 4);
    for (let gpa = words[L.STATE_GPA >>> 2]; gpa !== 0; gpa = (words[gpa >>> 2] & GPA_LOW) >>> 0) visit(gpa);
  }

  /**
   * Takes a table back. Its entries may still be there; nothing may point to it any more, or the entry that does changes before the
   * next run: then no translation in it can be found.
   */
  freeTable(gpa: number): void {
    const { words } = this.memory;
    this.#forgetChanges(gpa);
    words[gpa >>> 2] = words[L.STATE_GPA >>> 2] | FREED;
    words[(gpa >>> 2) + 1] = 0;
    words[L.STATE_GPA >>> 2] = gpa;
  }

  /** A top-level table with the machine's own part in it; 0 when memory is exhausted. */
  newRoot(frames: FrameSource): number {
    this.#clean(CLEAN_MAX);
    const tables = [0, 0, 0].map(() => this.allocTable(frames));
    const root = tables[0];
    if (tables.includes(0)) {
      for (const gpa of tables) if (gpa !== 0) this.freeTable(gpa);
      return 0;
    }
    const { words } = this.memory;
    for (let level = 4; level > 1; level--) {
      words[(tables[4 - level] >>> 2) + index(L.USER_END, level) * 2] = (level === 2 ? L.USER_PT_GPA : tables[5 - level]) | TABLE_BITS;
    }
    words[(root >>> 2) + 256 * 2] = L.SUPER_PDPT_GPA | PTE_P | PTE_W | PTE_A;
    return root;
  }
}

/** Whether an entry above level 1 points to a table that is not the one all address spaces share. */
function isOwnTable(low: number): boolean {
  return (low & (PTE_P | PTE_PS)) === PTE_P && (low & GPA_LOW) !== L.USER_PT_GPA;
}

/** Index of gva's entry in its table of `level`. */
function index(gva: number, level: number): number {
  return Math.floor(gva / SPAN[level]) % 512;
}

export class PageTables implements AddressSpace {
  readonly root: number;
  readonly #paging: Paging;
  readonly #frames: FrameSource;

  constructor(paging: Paging, root: number, frames: FrameSource) {
    this.#paging = paging;
    this.root = root;
    this.#frames = frames;
  }

  map(gva: number, gpa: number, prot: number): boolean {
    const table = gva >= 0 && gva < L.USER_END ? this.#walkOrMake(gva) : 0;
    if (table === 0) return false;
    const at = table + index(gva, 1) * 8;
    this.#write(at, gpa | LEAF_BITS | ((prot & PAGE_WRITE) !== 0 ? PTE_W : 0), (prot & PAGE_EXEC) !== 0 ? 0 : PTE_NX_HIGH);
    return true;
  }

  mapRun(gva: number, gpas: readonly number[], prot: number): number {
    if (!(gva >= 0 && gva + gpas.length * SPAN[1] <= L.USER_END)) return 0;
    const bits = LEAF_BITS | ((prot & PAGE_WRITE) !== 0 ? PTE_W : 0);
    const high = (prot & PAGE_EXEC) !== 0 ? 0 : PTE_NX_HIGH;
    let done = 0;
    while (done < gpas.length) {
      const from = gva + done * SPAN[1];
      const table = this.#walkOrMake(from);
      if (table === 0) break;
      for (let i = index(from, 1); i < 512 && done < gpas.length; i++) this.#write(table + i * 8, gpas[done++] | bits, high);
    }
    return done;
  }

  mapLarge(gva: number, gpa: number, prot: number): void {
    const at = this.#tableOf(gva, 2) + index(gva, 2) * 8;
    const old = this.#paging.memory.words[at >>> 2];
    if ((old & PTE_P) !== 0) this.#paging.freeTable((old & GPA_LOW) >>> 0);
    this.#write(at, gpa | LEAF_BITS | PTE_PS | ((prot & PAGE_WRITE) !== 0 ? PTE_W : 0), (prot & PAGE_EXEC) !== 0 ? 0 : PTE_NX_HIGH);
  }

  unmap(gva: number, sizeBytes: number): void {
    this.#visit(this.root, 4, 0, gva, Math.min(gva + sizeBytes, L.USER_END), (at) => this.#write(at, 0, 0), 'prune');
  }

  protect(gva: number, sizeBytes: number, prot: number): void {
    if (prot === 0) return this.unmap(gva, sizeBytes);
    const write = (prot & PAGE_WRITE) !== 0 ? PTE_W : 0;
    const high = (prot & PAGE_EXEC) !== 0 ? 0 : PTE_NX_HIGH;
    const change = (at: number): void => {
      this.#write(at, (this.#paging.memory.words[at >>> 2] & ~PTE_W) | write, high);
    };
    this.#visit(this.root, 4, 0, gva, Math.min(gva + sizeBytes, L.USER_END), change, 'change');
  }

  entry(gva: number): number {
    const { words } = this.#paging.memory;
    if (!(gva >= 0 && gva < L.USER_END)) return 0;
    let table = this.root;
    for (let level = 4; level > 1; level--) {
      const at = table + index(gva, level) * 8;
      const low = words[at >>> 2];
      if ((low & PTE_P) === 0) return 0;
      if ((low & PTE_PS) !== 0) return this.#decode(at, gva);
      table = (low & GPA_LOW) >>> 0;
    }
    return this.#decode(table + index(gva, 1) * 8, gva);
  }

  forEach(gva: number, sizeBytes: number, visit: (gva: number, entry: number) => void): void {
    this.#visit(this.root, 4, 0, gva, Math.min(gva + sizeBytes, L.USER_END), (at, page) => visit(page, this.#decode(at, page)), 'look');
  }

  /** Clears the Accessed bit of every page. Only before this machine has run: what the processor caches would hide later accesses. */
  clearAccessed(): void {
    const { words } = this.#paging.memory;
    this.#visit(this.root, 4, 0, 0, L.USER_END, (at) => {
      words[at >>> 2] &= ~PTE_A;
    }, 'look');
  }

  /** Calls back for every page accessed since `clearAccessed`, ascending; once for a large one. */
  forEachAccessed(visit: (gva: number, gpa: number) => void): void {
    const { words } = this.#paging.memory;
    this.#visit(this.root, 4, 0, 0, L.USER_END, (at, gva) => {
      const low = words[at >>> 2];
      if ((low & PTE_A) === 0 || ((low & PTE_PS) !== 0 && gva % LARGE_BYTES !== 0)) return;
      visit(gva, (low & GPA_LOW) >>> 0);
    }, 'look');
  }

  destroy(): void {
    this.#free(this.root, 4);
  }

  /** The page that the entry `at` maps at gva with its PAGE_* bits, or 0. */
  #decode(at: number, gva: number): number {
    const { words } = this.#paging.memory;
    const low = words[at >>> 2];
    if ((low & PTE_P) === 0) return 0;
    const prot = PAGE_READ | ((low & PTE_W) !== 0 ? PAGE_WRITE : 0) | (words[(at >>> 2) + 1] === 0 ? PAGE_EXEC : 0);
    if ((low & PTE_PS) === 0) return ((low & GPA_LOW) >>> 0) + prot;
    const within = gva % LARGE_BYTES;
    return ((low & LARGE_GPA_LOW) >>> 0) + (within - within % SPAN[1]) + prot;
  }

  /** The table of `level` that holds gva's entry. It must be there. */
  #tableOf(gva: number, level: number): number {
    let table = this.root;
    for (let at = 4; at > level; at--) table = (this.#paging.memory.words[(table >>> 2) + index(gva, at) * 2] & GPA_LOW) >>> 0;
    return table;
  }

  /** Replaces a large page's entry by a table that maps the same pages. 0: no frame for it. */
  #split(at: number): number {
    const table = this.#paging.allocTable(this.#frames);
    if (table === 0) return 0;
    const { words } = this.#paging.memory;
    const low = words[at >>> 2] & ~PTE_PS;
    const high = words[(at >>> 2) + 1];
    for (let i = 0; i < 512; i++) {
      words[(table >>> 2) + i * 2] = low + i * SPAN[1];
      words[(table >>> 2) + i * 2 + 1] = high;
    }
    this.#write(at, table | TABLE_BITS, 0);
    return table;
  }

  /** Writes an entry and queues it if what was there may be cached. */
  #write(at: number, low: number, high: number): void {
    const paging = this.#paging;
    const { words } = paging.memory;
    const word = at >>> 2;
    const oldLow = words[word];
    const oldHigh = words[word + 1];
    words[word] = low;
    words[word + 1] = high;
    if ((oldLow & PTE_P) === 0 || (oldLow === low >>> 0 && oldHigh === high >>> 0)) return;
    const sameFrame = ((oldLow ^ low) & ~PTE_W) === 0;
    const lost = (oldLow & ~low & PTE_W) !== 0 || (oldHigh === 0 && high !== 0);
    if (!sameFrame || lost || paging.strict) paging.changed(at);
  }

  /** The page table for gva; makes the tables on the way. 0: no frame. */
  #walkOrMake(gva: number): number {
    let table = this.root;
    for (let level = 4; level > 1; level--) {
      const word = (table >>> 2) + index(gva, level) * 2;
      const low = this.#paging.memory.words[word];
      if ((low & PTE_P) !== 0) {
        table = (low & PTE_PS) !== 0 ? this.#split(word * 4) : (low & GPA_LOW) >>> 0;
        if (table === 0) return 0;
        continue;
      }
      const child = this.#paging.allocTable(this.#frames);
      if (child === 0) return 0;
      this.#paging.memory.words[word] = child | TABLE_BITS; // `words` may have been replaced by growth
      this.#paging.memory.words[word + 1] = 0;
      table = child;
    }
    return table;
  }

  /**
   * Calls `leaf(gpa of the entry, gva)` for each present page of [start, end) under `table`, whose first entry maps `base`. The pages
   * of a large one that is only looked at have one entry.
   */
  #visit(table: number, level: number, base: number, start: number, end: number, leaf: (at: number, gva: number) => void, walk: Walk): void {
    const span = SPAN[level];
    const first = start > base ? Math.floor((start - base) / span) : 0;
    for (let i = first; i < 512; i++) {
      const gva = base + i * span;
      if (gva >= end) return;
      const at = table + i * 8;
      const low = this.#paging.memory.words[at >>> 2];
      if ((low & PTE_P) === 0) continue;
      if (level === 1) {
        leaf(at, gva);
        continue;
      }
      const child = (low & PTE_PS) === 0 ? (low & GPA_LOW) >>> 0 : this.#enterLarge(at, gva, start, end, leaf, walk);
      if (child === 0) continue;
      this.#visit(child, level - 1, gva, start, end, leaf, walk);
      if (walk === 'prune' && this.#isEmpty(child)) {
        this.#paging.freeTable(child);
        this.#write(at, 0, 0);
      }
    }
  }

  /** Deals with a large page whole, then 0; or splits it and gives the table. */
  #enterLarge(at: number, gva: number, start: number, end: number, leaf: (at: number, gva: number) => void, walk: Walk): number {
    if (walk === 'look') {
      for (let page = Math.max(gva, start); page < Math.min(gva + LARGE_BYTES, end); page += SPAN[1]) leaf(at, page);
      return 0;
    }
    if (walk === 'prune' && start <= gva && gva + LARGE_BYTES <= end) {
      this.#write(at, 0, 0);
      return 0;
    }
    const table = this.#split(at);
    if (table === 0) throw new Error('paging: no frame left to split a large page');
    return table;
  }

  #isEmpty(table: number): boolean {
    const { words } = this.#paging.memory;
    const base = table >>> 2;
    for (let i = 0; i < 1024; i += 2) if ((words[base + i] & PTE_P) !== 0) return false;
    return true;
  }

  /** Frees `table` and the tables below it. */
  #free(table: number, level: number): void {
    const { words } = this.#paging.memory;
    const entries = level === 4 ? 256 : 512; // the supervisor half is the machine's
    for (let i = 0; level > 1 && i < entries; i++) {
      const low = words[(table >>> 2) + i * 2];
      if (isOwnTable(low)) this.#free((low & GPA_LOW) >>> 0, level - 1);
    }
    this.#paging.freeTable(table);
  }
}
