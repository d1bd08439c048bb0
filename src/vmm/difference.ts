// What memory over a copy-on-write view of a file has that the file has not: found, and kept apart from it. A run changes a few bytes in most
// of the pages that it writes (reference counts), so lines of 64 bytes are kept, a sixth of the pages.

import { PAGE_SIZE } from '../abi/x86/cpu.ts';
import type { Arena, Region } from '../host/arena.ts';
import { privateRuns } from '../host/pagemap.ts';
import { AREA_BYTES } from './layout.ts';
import { addRun } from './runs.ts';

const LINE_BYTES = 64;
const LINE_WORDS = LINE_BYTES / 4;
/** Memory that differs by more is not worth keeping apart. */
const LINES_MAX = (4 << 20) / LINE_BYTES;

/** By offsets from the start of the memory, above the machine's area. */
export interface Difference {
  /** Pages that are the process's own: [start, end, start, end, …]. */
  readonly own: readonly number[];
  /** Those of them whose content is not the file's. */
  readonly changed: readonly number[];
  /** Lines that differ, by number: [first, end, first, end, …]. */
  readonly lines: readonly number[];
}

/** `content`: the file's bytes, which `region` starts with. Null: more differs than is worth keeping apart. */
export function differenceFrom(arena: Arena, { hva, buffer, byteOffset }: Region, content: Uint8Array): Difference | null {
  const u8 = new Uint8Array(buffer, byteOffset, content.length);
  const words = new Uint32Array(buffer, byteOffset, content.length / 4);
  const before = new Uint32Array(content.buffer, content.byteOffset, content.length / 4);
  const own = privateRuns(arena, hva, AREA_BYTES, content.length);
  const changed: number[] = [], lines: number[] = [];
  let found = 0;
  for (let i = 0; i < own.length; i += 2) {
    for (let at = own[i]; at < own[i + 1] && found <= LINES_MAX; at += PAGE_SIZE) {
      if (Buffer.compare(u8.subarray(at, at + PAGE_SIZE), content.subarray(at, at + PAGE_SIZE)) === 0) continue;
      changed.push(at);
      found += findLines(words, before, at, lines);
    }
  }
  return found > LINES_MAX ? null : { own, changed, lines };
}

/** Adds the lines of the page at `at` that differ: so many. */
function findLines(words: Uint32Array, before: Uint32Array, at: number, lines: number[]): number {
  let found = 0;
  for (let line = at / LINE_BYTES, end = line + PAGE_SIZE / LINE_BYTES; line < end; line++) {
    const last = (line + 1) * LINE_WORDS;
    let word = line * LINE_WORDS;
    while (word < last && words[word] === before[word]) word++;
    if (word === last) continue;
    found++;
    addRun(lines, line, line + 1);
  }
  return found;
}

function linesIn(runs: readonly number[]): number {
  let lines = 0;
  for (let i = 0; i < runs.length; i += 2) lines += runs[i + 1] - runs[i];
  return lines;
}

/** Copies of lines, and where they belong. */
export class KeptApart {
  readonly #lines: Uint32Array;
  readonly #bytes: Uint8Array;

  /** Copies the lines of `u8`. */
  constructor(u8: Uint8Array, { lines }: Difference) {
    this.#lines = Uint32Array.from(lines);
    this.#bytes = Buffer.allocUnsafeSlow(linesIn(lines) * LINE_BYTES);
    this.#each((from, to, at) => this.#bytes.set(u8.subarray(from, to), at));
  }

  get sizeBytes(): number {
    return this.#bytes.length;
  }

  /** Copies them to where they belong in `u8`. */
  putBack(u8: Uint8Array): void {
    this.#each((from, to, at) => u8.set(this.#bytes.subarray(at, at + to - from), from));
  }

  /** Calls back with each run of lines, as bytes of the memory, and where it lies in `#bytes`. */
  #each(visit: (from: number, to: number, at: number) => void): void {
    const lines = this.#lines;
    let at = 0;
    for (let i = 0; i < lines.length; i += 2) {
      const from = lines[i] * LINE_BYTES, to = lines[i + 1] * LINE_BYTES;
      visit(from, to, at);
      at += to - from;
    }
  }
}
