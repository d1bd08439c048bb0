// What memory over a copy-on-write view of a file has that the file has not, and the same kept apart from it.

import { PAGE_SIZE } from '../abi/x86/cpu.ts';
import type { Arena, Region } from '../host/arena.ts';
import { forEachPrivateRange } from '../host/pagemap.ts';
import { AREA_BYTES } from './layout.ts';
import type { PageStore } from './pagestore.ts';

/** By offsets from the start of the memory, above the machine's area. */
export interface Difference {
  /** Pages that are the process's own: [start, end, start, end, …]. */
  readonly own: readonly number[];
  /** Those of them whose content is not the file's. */
  readonly changed: readonly number[];
}

/** `content`: the file's bytes, which `region` starts with. */
export function differenceFrom(arena: Arena, { hva, buffer, byteOffset }: Region, content: Uint8Array): Difference {
  const u8 = new Uint8Array(buffer, byteOffset, content.length);
  const own: number[] = [], changed: number[] = [];
  forEachPrivateRange(arena, hva + AREA_BYTES, content.length - AREA_BYTES, (start, bytes) => {
    const first = start - hva, end = first + bytes;
    own.push(first, end);
    for (let at = first; at < end; at += PAGE_SIZE) {
      if (Buffer.compare(u8.subarray(at, at + PAGE_SIZE), content.subarray(at, at + PAGE_SIZE)) !== 0) changed.push(at);
    }
  });
  return { own, changed };
}

/** Copies of pages, with where they belong. */
export class KeptApart {
  readonly #store: PageStore;
  readonly #pages: readonly number[];
  readonly #numbers: readonly number[];

  /** Copies `pages`, by offset, of `u8`. Throws HostError. */
  constructor(store: PageStore, u8: Uint8Array, pages: readonly number[]) {
    this.#store = store;
    this.#pages = pages;
    const numbers: number[] = [];
    this.#numbers = numbers;
    try {
      for (const at of pages) numbers.push(store.put(u8.subarray(at, at + PAGE_SIZE)));
    } catch (error) {
      this.drop();
      throw error;
    }
  }

  get sizeBytes(): number {
    return this.#pages.length * PAGE_SIZE;
  }

  /** Copies them to where they belong in `u8`. */
  putBack(u8: Uint8Array): void {
    this.#pages.forEach((at, i) => u8.set(this.#store.page(this.#numbers[i]), at));
  }

  /** They are not wanted any more. */
  drop(): void {
    for (const number of this.#numbers) this.#store.drop(number);
  }
}
