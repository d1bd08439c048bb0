// What the tests of page tables share: tables on a plain array, and a processor that caches every present entry it ever saw and
// forgets one only when it is replayed (the worst a shadow page table or a TLB may do).

import assert from 'node:assert/strict';
import * as L from '../../src/vmm/layout.ts';
import { PageTables, Paging, writeUserTable } from '../../src/vmm/paging.ts';

const PAGE = 4096;
/** The PS bit. */
const LARGE = 0x80;

/** Guest memory, its paging and the processor. */
export class World {
  readonly memory: { words: Uint32Array };
  readonly paging: Paging;
  readonly cache = new Map<number, readonly [number, number]>();
  next = L.FIRST_FRAME;
  readonly end: number;

  constructor(pages: number, strict = false) {
    this.end = L.FIRST_FRAME + pages * PAGE;
    this.memory = { words: new Uint32Array(this.end / 4) };
    this.paging = new Paging(this.memory, strict);
    writeUserTable(this.memory.words, strict);
  }

  readonly frames = { allocTableFrame: (): number => (this.next < this.end ? (this.next += PAGE) - PAGE : 0) };

  space(): PageTables {
    const root = this.paging.newRoot(this.frames);
    assert.notEqual(root, 0);
    return new PageTables(this.paging, root, this.frames);
  }

  /** What the machine does before ring 3 runs. */
  replay(): number {
    const { pending } = this.paging;
    const runs = pending.length / 2;
    for (let i = 0; i < pending.length; i += 2) {
      const whole = pending[i] % 8 !== 0;
      for (let j = 0; j < (whole ? 512 : pending[i + 1]); j++) this.cache.delete(pending[i] - (whole ? 1 : 0) + j * 8);
    }
    pending.length = 0;
    return runs;
  }

  /** gpa of gva's entry at `level`. */
  entryAt(root: number, gva: number, level: number): number {
    let table = root;
    for (let at = 4; ; at--) {
      const entry = table + (Math.floor(gva / 2 ** (3 + 9 * at)) % 512) * 8;
      if (at === level) return entry;
      table = (this.memory.words[entry / 4] & 0xffff_f000) >>> 0;
    }
  }

  /** The entry a caching processor uses for gva: gpa | 1 writable | 2 executable, or 0. */
  walk(root: number, gva: number): number {
    let table = root;
    for (const span of [2 ** 39, 2 ** 30, 2 ** 21, 2 ** 12]) {
      const at = table + (Math.floor(gva / span) % 512) * 8;
      let entry = this.cache.get(at);
      if (entry === undefined) {
        entry = [this.memory.words[at / 4], this.memory.words[at / 4 + 1]];
        if ((entry[0] & 1) === 0) return 0;
        this.cache.set(at, entry);
      }
      table = (entry[0] & 0xffff_f000) >>> 0;
      const bits = ((entry[0] >> 1) & 1) + (entry[1] === 0 ? 2 : 0);
      if (span === PAGE) return table + bits;
      if ((entry[0] & LARGE) !== 0) return table + Math.floor((gva % span) / PAGE) * PAGE + bits;
    }
    return 0;
  }
}

/** A repeatable source of numbers below `below`. */
export function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fff_ffff;
    return (state >> 8) % below;
  };
}
