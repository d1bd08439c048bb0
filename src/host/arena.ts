// Arena: owns big reservations of address space (PROT_NONE, nothing committed) and hands out page-aligned regions of them.
//
// A reservation is made a JavaScript ArrayBuffer once (`koffi.view` costs milliseconds for a large range); a region's bytes
// are then typed arrays over it, made without leaving JavaScript. Between regions lie guard gaps that nothing ever maps, so
// an access past a region's end kills the process instead of reaching another virtual machine. Whoever takes a region places
// MAP_FIXED mappings in it and gives it back with `release`, which unmaps everything in it.

import { constants } from 'node:buffer';
import koffi from 'koffi';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE } from '../abi/linux/host.ts';
import { mmap } from './libc.ts';

const PAGE = 4096;
const HUGE_PAGE = 2 ** 21;
/** Unmapped bytes after each region. */
const GUARD_BYTES = 64 * 1024;
/** Preferred size of one reservation; address space only. Runtimes with smaller ArrayBuffers get what they can. */
const CHUNK_BYTES = Math.min(256 * 2 ** 30, constants.MAX_LENGTH - (constants.MAX_LENGTH % PAGE));
/** The first is enough for one run: V8 answers an ArrayBuffer of many gigabytes with a full garbage collection, 5 to 15 ms. */
const FIRST_CHUNK_BYTES = 2 ** 30;

const RESERVE = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

interface Chunk {
  readonly hva: number;
  readonly buffer: ArrayBuffer;
  /** First byte never handed out. */
  top: number;
}

/** A page-aligned range of address space. Its bytes may be touched only where its owner has mapped something. */
export interface Region {
  readonly hva: number;
  readonly sizeBytes: number;
  readonly buffer: ArrayBuffer;
  /** Where the region starts in `buffer`. */
  readonly byteOffset: number;
}

/** Address space for regions; one per process. Regions of equal size are reused without system calls besides the unmapping. */
export class Arena {
  readonly #chunks: Chunk[] = [];
  readonly #free = new Map<number, Region[]>();

  /**
   * A region of at least `sizeBytes` with a guard gap behind it; one of 2 MB or more is aligned for huge pages.
   * Throws HostError ENOMEM when address space runs out.
   */
  take(sizeBytes: number): Region {
    const rounded = Math.ceil(sizeBytes / PAGE) * PAGE;
    const free = this.#free.get(rounded)?.pop();
    if (free !== undefined) return free;
    const align = rounded >= HUGE_PAGE ? HUGE_PAGE : PAGE;
    const chunk = this.#chunkFor(rounded + GUARD_BYTES + align);
    const byteOffset = Math.ceil((chunk.hva + chunk.top) / align) * align - chunk.hva;
    chunk.top = byteOffset + rounded + GUARD_BYTES;
    return { hva: chunk.hva + byteOffset, sizeBytes: rounded, buffer: chunk.buffer, byteOffset };
  }

  /**
   * Unmaps everything in `region`, its guard included, and makes it available again: it is joined with what is reserved around it.
   * No view of it may be used any more.
   */
  release(region: Region): void {
    mmap(region.hva, region.sizeBytes, PROT_NONE, RESERVE | MAP_FIXED, -1, 0);
    const list = this.#free.get(region.sizeBytes);
    if (list === undefined) this.#free.set(region.sizeBytes, [region]);
    else list.push(region);
  }

  #chunkFor(sizeBytes: number): Chunk {
    const last = this.#chunks.at(-1);
    if (last !== undefined && last.top + sizeBytes <= last.buffer.byteLength) return last;
    const size = Math.max(last === undefined ? FIRST_CHUNK_BYTES : CHUNK_BYTES, sizeBytes + GUARD_BYTES);
    const hva = mmap(0, size, PROT_NONE, RESERVE, -1, 0);
    const chunk = { hva, buffer: koffi.view(BigInt(hva), size), top: GUARD_BYTES };
    this.#chunks.push(chunk);
    return chunk;
  }
}
