// PageStore: copies of single pages, for memory that nobody looks at for a while (memory.ts, fold). They lie in huge pages, of which the
// host makes one faster than it makes a tenth of it in small ones, and of which all are given back that hold nothing.
//
// Interface: one PageStore for each process; put() copies a page in and gives its number, page() shows it, drop() forgets it.

import { MADV_HUGEPAGE, MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../abi/linux/host.ts';
import { PAGE_SIZE } from '../abi/x86/cpu.ts';
import type { Arena, Region } from '../host/arena.ts';
import { HostError } from '../host/errors.ts';
import { madvise, mmap } from '../host/libc.ts';

const CHUNK_BYTES = 2 ** 21;
const CHUNK_PAGES = CHUNK_BYTES / PAGE_SIZE;

/** A huge page. */
interface Chunk {
  readonly region: Region;
  readonly u8: Uint8Array;
  /** Which of its pages are free; the first `freeCount` count. */
  readonly free: Uint16Array;
  freeCount: number;
}

export class PageStore {
  readonly #arena: Arena;
  readonly #chunks: (Chunk | null)[] = [];
  /** The one that the next page goes to, as long as it has room. */
  #current = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Copies a page in: its number. Throws HostError when the host has no room for it. */
  put(bytes: Uint8Array): number {
    const chunk = this.#roomy();
    const at = chunk.free[--chunk.freeCount];
    chunk.u8.set(bytes, at * PAGE_SIZE);
    return this.#current * CHUNK_PAGES + at;
  }

  /** The page's bytes, until it is dropped. */
  page(number: number): Uint8Array {
    const at = (number % CHUNK_PAGES) * PAGE_SIZE;
    return this.#chunkOf(number).u8.subarray(at, at + PAGE_SIZE);
  }

  /** The page is not wanted any more. */
  drop(number: number): void {
    const chunk = this.#chunkOf(number);
    chunk.free[chunk.freeCount++] = number % CHUNK_PAGES;
    if (chunk.freeCount < CHUNK_PAGES) return;
    const index = Math.floor(number / CHUNK_PAGES);
    if (index === this.#current) return; // the next page goes there
    this.#arena.release(chunk.region);
    this.#chunks[index] = null;
  }

  /** Huge pages that it has now: for tests. */
  get chunks(): number {
    return this.#chunks.filter((chunk) => chunk !== null).length;
  }

  #chunkOf(number: number): Chunk {
    const chunk = this.#chunks[Math.floor(number / CHUNK_PAGES)];
    if (!chunk) throw new RangeError(`page ${number} is not in the store`);
    return chunk;
  }

  /** A chunk with room, which is then the current one. */
  #roomy(): Chunk {
    const current = this.#chunks.at(this.#current);
    if (current && current.freeCount > 0) return current;
    const found = this.#chunks.findIndex((chunk) => chunk !== null && chunk.freeCount > 0);
    if (found >= 0) {
      this.#current = found;
      return this.#chunkOf(found * CHUNK_PAGES);
    }
    const chunk = newChunk(this.#arena);
    const index = this.#chunks.indexOf(null);
    this.#current = index < 0 ? this.#chunks.length : index;
    this.#chunks[this.#current] = chunk;
    return chunk;
  }
}

function newChunk(arena: Arena): Chunk {
  const region = arena.take(CHUNK_BYTES);
  mmap(region.hva, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  try {
    madvise(region.hva, CHUNK_BYTES, MADV_HUGEPAGE);
  } catch (error) {
    if (!(error instanceof HostError)) throw error; // a host without them
  }
  const free = Uint16Array.from({ length: CHUNK_PAGES }, (_value, i) => CHUNK_PAGES - 1 - i);
  return { region, u8: new Uint8Array(region.buffer, region.byteOffset, CHUNK_BYTES), free, freeCount: CHUNK_PAGES };
}
