// Pages that left the page tables because their area became PROT_NONE, and wait with their content: gva → gpa.
//
// Interface: HiddenPages. By blocks of 2 MB, because a guest can have very many areas and very many hidden pages at the same time:
// looking through a range costs no more than its blocks, or all blocks there are.

import { PAGE_SIZE } from '../../abi/linux/mman.ts';

const BLOCK_BYTES = 512 * PAGE_SIZE;

export class HiddenPages {
  private readonly blocks = new Map<number, Map<number, number>>();
  size = 0;

  constructor(pages: Iterable<readonly [number, number]> = []) {
    for (const [gva, gpa] of pages) this.set(gva, gpa);
  }

  get(gva: number): number | undefined {
    return this.blocks.get(Math.floor(gva / BLOCK_BYTES))?.get(gva);
  }

  has(gva: number): boolean {
    return this.get(gva) !== undefined;
  }

  set(gva: number, gpa: number): void {
    const number = Math.floor(gva / BLOCK_BYTES);
    let block = this.blocks.get(number);
    if (!block) {
      block = new Map();
      this.blocks.set(number, block);
    }
    const before = block.size;
    block.set(gva, gpa);
    this.size += block.size - before;
  }

  delete(gva: number): void {
    const number = Math.floor(gva / BLOCK_BYTES);
    const block = this.blocks.get(number);
    if (!block?.delete(gva)) return;
    this.size--;
    if (block.size === 0) this.blocks.delete(number);
  }

  /** The gvas in [start, end), in no particular order. */
  in(start: number, end: number): number[] {
    const found: number[] = [];
    const first = Math.floor(start / BLOCK_BYTES);
    const last = Math.ceil(end / BLOCK_BYTES);
    const visit = (block: Map<number, number> | undefined): void => {
      if (block) for (const gva of block.keys()) if (gva >= start && gva < end) found.push(gva);
    };
    if (last - first <= this.blocks.size) {
      for (let number = first; number < last; number++) visit(this.blocks.get(number));
    } else {
      for (const [number, block] of this.blocks) if (number >= first && number < last) visit(block);
    }
    return found;
  }

  * [Symbol.iterator](): Generator<[number, number]> {
    for (const block of this.blocks.values()) yield* block;
  }
}
