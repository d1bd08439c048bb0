// Which frame holds which page of a file: a sparse table of page index → entry.
//
// Interface: FilePages. An entry is a frame number (gpa / 4096) with flags, or 0 for "nothing here: ask the image, else
// zeros". Chunks of up to 512 entries are typed arrays; a table restored from a saved state shares them with it (and
// with every other fork) until the first change.

import { COST } from '../costs.ts';
import type { IndexCount } from '../mm/pagemap.ts';

const CHUNK = 512;

/** Flag: the page was written (it counts as disk use and is not in the image). */
export const PAGE_DIRTY = 0x8000_0000;
/** An entry without a frame: reads as zeros although the image has data there. */
export const PAGE_HOLE = 0x4000_0000;
const FRAME_MASK = 0x3fff_ffff;

/** gpa of an entry's frame, 0 when it has none. */
export function gpaOf(entry: number): number {
  return (entry & FRAME_MASK) * 4096;
}

/** Entry of a frame. */
export function entryOf(gpa: number, dirty: boolean): number {
  return (gpa / 4096) + (dirty ? PAGE_DIRTY : 0);
}

/** Chunks by chunk number. Frozen: never changed once in a state. */
export type FilePagesState = ReadonlyMap<number, Uint32Array>;

export class FilePages {
  private chunks: Map<number, Uint32Array>;
  /** The chunks belong to a state too: copy before changing. */
  private shared: boolean;
  private readonly count: IndexCount;

  constructor(count: IndexCount, state: FilePagesState | null = null) {
    this.count = count;
    this.chunks = (state as Map<number, Uint32Array> | null) ?? new Map();
    this.shared = state !== null;
    for (const chunk of this.chunks.values()) count.indexBytes += chunk.byteLength + COST.pageTable;
  }

  get isEmpty(): boolean {
    return this.chunks.size === 0;
  }

  get(index: number): number {
    const chunk = this.chunks.get(Math.floor(index / CHUNK));
    return chunk?.[index % CHUNK] ?? 0;
  }

  set(index: number, entry: number): void {
    this.own();
    const number = Math.floor(index / CHUNK);
    const slot = index % CHUNK;
    let chunk = this.chunks.get(number);
    if (!chunk || slot >= chunk.length) {
      if (entry === 0) return;
      const grown = new Uint32Array(Math.min(CHUNK, Math.max(8, 2 ** Math.ceil(Math.log2(slot + 1)))));
      if (chunk) grown.set(chunk);
      this.count.indexBytes += grown.byteLength - (chunk ? chunk.byteLength : -COST.pageTable);
      this.chunks.set(number, grown);
      chunk = grown;
    }
    chunk[slot] = entry;
  }

  /** Calls back for every entry that is not 0 with from ≤ index < to, in no particular order of chunks. */
  forEach(visit: (index: number, entry: number) => void, from = 0, to = Infinity): void {
    for (const [number, chunk] of this.chunks) {
      const base = number * CHUNK;
      if (base + chunk.length <= from || base >= to) continue;
      for (let slot = 0; slot < chunk.length; slot++) {
        const entry = chunk[slot];
        if (entry !== 0 && base + slot >= from && base + slot < to) visit(base + slot, entry);
      }
    }
  }

  /** Removes the entries with from ≤ index < to, telling each. */
  clear(from: number, to: number, removed: (entry: number, index: number) => void): void {
    if (this.chunks.size === 0) return;
    this.own();
    for (const [number, chunk] of [...this.chunks]) {
      const base = number * CHUNK;
      if (base + chunk.length <= from || base >= to) continue;
      for (let slot = 0; slot < chunk.length; slot++) {
        const index = base + slot;
        if (index < from || index >= to || chunk[slot] === 0) continue;
        removed(chunk[slot], index);
        chunk[slot] = 0;
      }
      if (!chunk.every((entry) => entry === 0)) continue;
      this.chunks.delete(number);
      this.count.indexBytes -= chunk.byteLength + COST.pageTable;
    }
  }

  /** The smallest index with from ≤ index < to whose entry passes `accept`; Infinity when none. */
  find(from: number, accept: (entry: number) => boolean, to = Infinity): number {
    let best = Infinity;
    this.forEach((index, entry) => {
      if (index < best && accept(entry)) best = index;
    }, from, to);
    return best;
  }

  private own(): void {
    if (!this.shared) return;
    this.chunks = new Map([...this.chunks].map(([number, chunk]) => [number, chunk.slice()]));
    this.shared = false;
  }

  /** The table as a state; from now on it is shared. */
  save(): FilePagesState {
    this.shared = true;
    return this.chunks;
  }
}
