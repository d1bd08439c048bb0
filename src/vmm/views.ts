// Copy-on-write views of a template's file that VMs have left and the next ones take. Mapping a file and unmapping it costs 50 µs, and
// each page that a run writes costs the host 2.6 µs to make, and more to take back: three times what copying it costs. So a view keeps the
// pages that runs are known to write as the process's own, with the file's content copied into them when their VM is closed; everything
// else that was written goes. A view that is taken shows the file, every byte of it.

import { MADV_DONTNEED, MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE } from '../abi/linux/host.ts';
import { PAGE_SIZE } from '../abi/x86/cpu.ts';
import type { Arena, Region } from '../host/arena.ts';
import { discardRuns } from '../host/advise.ts';
import { madvise, mmap } from '../host/libc.ts';
import { privateRuns } from '../host/pagemap.ts';
import type { Difference } from './difference.ts';
import { AREA_BYTES } from './layout.ts';
import { addPage } from './runs.ts';

/** More are unmapped: each is three mappings, and KVM_CREATE_VM takes a lock for each mapping of the process. */
const VIEWS_MAX = 10;
/** With more ranges to discard, the whole view is: a guest decides how many there are. */
const DISCARDS_MAX = 64;

/** The views of one file. */
export class Views {
  readonly #arena: Arena;
  readonly #free: Region[] = [];
  /** Pages that a view keeps, as runs (runs.ts); a byte for each page up to the last of them; the file's content. */
  #kept: readonly number[] = [];
  #isKept = new Uint8Array(0);
  #content: Uint8Array = new Uint8Array(0);

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** From now on views keep these runs of pages when they are given back. `content`: the file's bytes. */
  keep(pages: readonly number[], content: Uint8Array): void {
    this.release();
    this.#kept = pages;
    this.#content = content;
    this.#isKept = new Uint8Array(content.length / PAGE_SIZE);
    for (let i = 0; i < pages.length; i += 2) this.#isKept.fill(1, pages[i] / PAGE_SIZE, pages[i + 1] / PAGE_SIZE);
  }

  /** A region of so many bytes that shows the file, and the machine's area over its start; null: there is none. */
  take(sizeBytes: number): Region | null {
    return this.#free.at(-1)?.sizeBytes === sizeBytes ? this.#free.pop() ?? null : null;
  }

  /**
   * Takes a region back whose first `sourceBytes` show the file, with pages that were written, of which `difference` may be known; what lies
   * behind them goes. No VM has it.
   */
  give(region: Region, sourceBytes: number, difference: Difference | null = null): void {
    if (this.#free.length >= VIEWS_MAX) return this.#arena.release(region);
    const { hva, sizeBytes } = region;
    this.#discard(hva, sourceBytes, difference?.own ?? privateRuns(this.#arena, hva, AREA_BYTES, sourceBytes));
    const behind = sizeBytes - sourceBytes; // none, when a memory limit is no more than the template
    if (behind > 0) mmap(hva + sourceBytes, behind, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    const u8 = new Uint8Array(region.buffer, region.byteOffset, sourceBytes);
    if (difference) this.#restoreChanged(u8, difference);
    else this.#restore(u8);
    this.#free.push(region);
  }

  /** Kept pages get the file's content. */
  #restore(u8: Uint8Array): void {
    const kept = this.#kept;
    for (let i = 0; i < kept.length; i += 2) u8.set(this.#content.subarray(kept[i], kept[i + 1]), kept[i]);
  }

  /** The same, where it is not there already. */
  #restoreChanged(u8: Uint8Array, { own, changed }: Difference): void {
    const isThere = new Uint8Array(this.#isKept.length);
    for (let i = 0; i < own.length; i += 2) isThere.fill(1, own[i] / PAGE_SIZE, own[i + 1] / PAGE_SIZE);
    for (const at of changed) isThere[at / PAGE_SIZE] = 0;
    const kept = this.#kept;
    for (let i = 0; i < kept.length; i += 2) {
      for (let at = kept[i], end = kept[i + 1]; at < end; at += PAGE_SIZE) {
        if (isThere[at / PAGE_SIZE] === 0) u8.set(this.#content.subarray(at, at + PAGE_SIZE), at);
      }
    }
  }

  /** All pages that are the process's own and not kept show the file again: madvise(2). */
  #discard(hva: number, sourceBytes: number, own: readonly number[]): void {
    const runs: number[] = [];
    for (let i = 0; i < own.length && runs.length <= 2 * DISCARDS_MAX; i += 2) {
      for (let at = own[i], end = own[i + 1]; at < end && runs.length <= 2 * DISCARDS_MAX; at += PAGE_SIZE) {
        if (this.#isKept[at / PAGE_SIZE] !== 1) addPage(runs, at);
      }
    }
    if (runs.length > 2 * DISCARDS_MAX) madvise(hva, sourceBytes, MADV_DONTNEED);
    else discardRuns(hva, runs);
  }

  /** Unmaps all that nobody has taken. */
  release(): void {
    for (const region of this.#free.splice(0)) this.#arena.release(region);
  }
}
