// Copy-on-write views of a template's file that VMs have left and the next ones take: mapping a file and unmapping it costs 50 µs, and
// a view with nothing private in it is as good as new.

import { MADV_DONTNEED, MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE } from '../abi/linux/host.ts';
import type { Arena, Region } from '../host/arena.ts';
import { madvise, mmap } from '../host/libc.ts';

/** More are unmapped: each is three mappings, and KVM_CREATE_VM takes a lock for each mapping of the process. */
const VIEWS_MAX = 10;

/** The views of one file. */
export class Views {
  readonly #arena: Arena;
  readonly #free: Region[] = [];

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** A region of so many bytes that shows the file, and the machine's area over its start; null: there is none. */
  take(sizeBytes: number): Region | null {
    return this.#free.at(-1)?.sizeBytes === sizeBytes ? this.#free.pop() ?? null : null;
  }

  /** Takes a region back whose first `sourceBytes` show the file, with pages that were written; what lies behind them goes. */
  give(region: Region, sourceBytes: number): void {
    if (this.#free.length >= VIEWS_MAX) return this.#arena.release(region);
    const { hva, sizeBytes } = region;
    madvise(hva, sourceBytes, MADV_DONTNEED); // madvise(2): a private view of a file shows the file again
    const behind = sizeBytes - sourceBytes; // none, when a memory limit is no more than the template
    if (behind > 0) mmap(hva + sourceBytes, behind, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    this.#free.push(region);
  }

  /** Unmaps all that nobody has taken. */
  release(): void {
    for (const region of this.#free.splice(0)) this.#arena.release(region);
  }
}
