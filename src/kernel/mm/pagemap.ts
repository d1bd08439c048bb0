// Page index → gpa for objects whose pages live in frames (shared anonymous memory; usable for any file in memory).
// Two levels, so that a sparse object of many gigabytes costs what it holds, and so that restoring for a fork shares the
// leaves: they are copied when first changed.
//
// Interface: get, set, delete, forEach, deleteRange; save/restore. Reference counts of the frames are the owner's business.

import { COST } from '../costs.ts';
import { PAGE_SIZE } from '../../abi/linux/mman.ts';

const LEAF_PAGES = 512;
const LEAF_BYTES = 4 * LEAF_PAGES + COST.pageTable;

/** Frame numbers by leaf number; 0 is a hole. Leaves are never changed once saved. */
export type PageMapState = ReadonlyMap<number, Uint32Array>;

/** What the tables of a sandbox take that say where pages of files and of shared memory are: bytes. */
export interface IndexCount { indexBytes: number }

export class PageMap {
  private readonly leaves = new Map<number, Uint32Array>();
  /** Leaf numbers whose array is shared with a saved state: copy before changing. */
  private frozen = new Set<number>();

  private readonly count: IndexCount;

  constructor(count: IndexCount) {
    this.count = count;
  }

  /** gpa of page `index`, or 0. */
  get(index: number): number {
    const leaf = this.leaves.get(Math.floor(index / LEAF_PAGES));
    return leaf === undefined ? 0 : leaf[index % LEAF_PAGES] * PAGE_SIZE;
  }

  set(index: number, gpa: number): void {
    this.writableLeaf(Math.floor(index / LEAF_PAGES))[index % LEAF_PAGES] = gpa / PAGE_SIZE;
  }

  /** Forgets the pages in [from, to), calling back for each. */
  deleteRange(from: number, to: number, visit: (gpa: number, index: number) => void): void {
    for (const number of [...this.leaves.keys()]) {
      const base = number * LEAF_PAGES;
      if (base >= to || base + LEAF_PAGES <= from) continue;
      const leaf = this.writableLeaf(number);
      for (let i = Math.max(0, from - base); i < Math.min(LEAF_PAGES, to - base); i++) {
        if (leaf[i] === 0) continue;
        visit(leaf[i] * PAGE_SIZE, base + i);
        leaf[i] = 0;
      }
      if (leaf.every((frame) => frame === 0)) {
        this.leaves.delete(number);
        this.count.indexBytes -= LEAF_BYTES;
        this.frozen.delete(number);
      }
    }
  }

  forEach(visit: (gpa: number, index: number) => void): void {
    for (const [number, leaf] of this.leaves) {
      for (let i = 0; i < LEAF_PAGES; i++) if (leaf[i] !== 0) visit(leaf[i] * PAGE_SIZE, number * LEAF_PAGES + i);
    }
  }

  /** Shares the leaves with the state: both sides copy before they change one. */
  save(): PageMapState {
    this.frozen = new Set(this.leaves.keys());
    return new Map(this.leaves);
  }

  static restore(state: PageMapState, count: IndexCount): PageMap {
    const map = new PageMap(count);
    count.indexBytes += state.size * LEAF_BYTES;
    for (const [number, leaf] of state) map.leaves.set(number, leaf);
    map.frozen = new Set(state.keys());
    return map;
  }

  private writableLeaf(number: number): Uint32Array {
    const leaf = this.leaves.get(number);
    if (leaf !== undefined && !this.frozen.has(number)) return leaf;
    if (leaf === undefined) this.count.indexBytes += LEAF_BYTES;
    const own = leaf === undefined ? new Uint32Array(LEAF_PAGES) : leaf.slice();
    this.leaves.set(number, own);
    this.frozen.delete(number);
    return own;
  }
}
