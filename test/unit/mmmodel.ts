// A model of an address space that knows one page at a time, and random operations to compare mm with it: mmap, munmap,
// mprotect, mremap, madvise, fork, saving and restoring, reads and writes. After every step areas, permissions and contents
// must agree; at the end no frame may be left.
//
// Interface: runModel (from a seed), runSteps (from any source of numbers). The unit test reads and writes as the kernel does, the KVM
// test as ring 3 does.

import assert from 'node:assert/strict';
import { EFAULT, EINVAL, ENOMEM } from '../../src/abi/linux/errno.ts';
import {
  MADV_DONTNEED, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED, MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE, PROT_WRITE,
} from '../../src/abi/linux/mman.ts';
import type { Mm } from '../../src/kernel/mm/mm.ts';
import { restoreMms, saveMms } from '../../src/kernel/mm/savemm.ts';

const PAGE = 4096, BASE = 0x10000000, PAGES = 48;

/** How the test touches memory: u32 or -EFAULT; 0 or -EFAULT. `adopt` is called for every address space once. */
export interface Access {
  read(mm: Mm, gva: number): number;
  write(mm: Mm, gva: number, value: number): number;
  adopt(mm: Mm): void;
}

/** As the kernel itself does it. */
export const KERNEL_ACCESS: Access = {
  read: (mm, gva) => mm.readU32(gva),
  write: (mm, gva, value) => mm.writeU32(gva, value),
  adopt: () => {},
};

/** What a page of the model is: `cell` holds its content, shared with aliases and forks if `object` is set. */
interface ModelPage {
  readonly prot: number;
  /** VM_ACCOUNT: was private and writable once; part of what areas must agree in to be one. */
  readonly account: boolean;
  readonly object: Map<number, { value: number }> | null;
  readonly sizePages: number;
  readonly index: number;
  cell: { value: number };
}

type Model = (ModelPage | null)[];

function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0;
    return ((state ^ state >>> 13) >>> 0) % below;
  };
}

function joins(a: ModelPage | null, b: ModelPage | null): boolean {
  return a !== null && b !== null && a.prot === b.prot && a.account === b.account && a.object === b.object &&
    (a.object === null || a.index + 1 === b.index);
}

/** One past the last page of the area that contains page `at`. */
function areaEnd(model: Model, at: number): number {
  let end = at + 1;
  while (end < PAGES && joins(model[end - 1], model[end])) end++;
  return end;
}

function sharedCell(object: Map<number, { value: number }>, index: number): { value: number } {
  const cell = object.get(index) ?? { value: 0 };
  object.set(index, cell);
  return cell;
}

function compare({ mm, model, access }: Pair, step: string): void {
  const expected: string[] = [];
  for (let at = 0; at < PAGES; at++) {
    const page = model[at];
    if (page === null) continue;
    const end = areaEnd(model, at);
    expected.push(`${at}-${end} ${page.prot}`);
    at = end - 1;
  }
  const actual = mm.vmas.map((vma) => `${(vma.start - BASE) / PAGE}-${(vma.end - BASE) / PAGE} ${vma.prot}`);
  assert.deepEqual(actual, expected, step);
  for (let at = 0; at < PAGES; at++) {
    const page = model[at];
    const readable = page !== null && page.prot !== 0 && page.index < page.sizePages;
    assert.equal(access.read(mm, BASE + at * PAGE), readable ? (page as ModelPage).cell.value : -EFAULT, `${step}: page ${at}`);
  }
}

class Pair {
  readonly mm: Mm;
  readonly model: Model;
  readonly access: Access;
  private readonly next: (below: number) => number;

  constructor(mm: Mm, model: Model, access: Access, next: (below: number) => number) {
    this.mm = mm;
    this.access = access;
    this.model = model;
    this.next = next;
  }

  step(): string {
    const at = this.next(PAGES);
    const count = 1 + this.next(Math.min(8, PAGES - at));
    const operations = [this.map, this.map, this.unmap, this.protect, this.protect, this.remap, this.write, this.write, this.write, this.dontNeed];
    const operation = operations[this.next(operations.length)];
    const name = `${operation.name}(${at}, ${count})`;
    operation.call(this, at, count, name);
    return name;
  }

  private map(at: number, count: number, name: string): void {
    const prot = this.next(8);
    const shared = this.next(4) === 0;
    const flags = MAP_FIXED | MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE);
    const addr = BASE + at * PAGE;
    assert.equal(this.mm.map({ addr, length: count * PAGE, prot, flags, inode: null, offset: 0 }), addr, name);
    const object = shared ? new Map<number, { value: number }>() : null;
    for (let i = 0; i < count; i++) {
      const cell = object ? sharedCell(object, i) : { value: 0 };
      this.model[at + i] = {
        prot, account: !shared && (prot & PROT_WRITE) !== 0, object, cell,
        index: object ? i : 0, sizePages: object ? count : Infinity,
      };
    }
  }

  private unmap(at: number, count: number, name: string): void {
    assert.equal(this.mm.unmap(BASE + at * PAGE, count * PAGE), 0, name);
    this.model.fill(null, at, at + count);
  }

  private protect(at: number, count: number, name: string): void {
    const prot = this.next(8);
    let expected = 0;
    for (let i = at; i < at + count; i++) {
      const page = this.model[i];
      if (page === null) {
        expected = -ENOMEM;
        break;
      }
      const account = page.account || (page.object === null && (prot & PROT_WRITE) !== 0);
      this.model[i] = { ...page, prot, account };
    }
    assert.equal(this.mm.protect(BASE + at * PAGE, count * PAGE, prot), expected, name);
  }

  private write(at: number, _count: number, name: string): void {
    const page = this.model[at];
    const value = 1 + this.next(1 << 30);
    const may = page !== null && (page.prot & PROT_WRITE) !== 0 && page.index < page.sizePages;
    assert.equal(this.access.write(this.mm, BASE + at * PAGE, value), may ? 0 : -EFAULT, name);
    if (may) page.cell.value = value;
  }

  private dontNeed(at: number, count: number, name: string): void {
    const pages = this.model.slice(at, at + count);
    for (const page of pages) if (page !== null && page.object === null) page.cell = { value: 0 };
    assert.equal(this.mm.madvise(BASE + at * PAGE, count * PAGE, MADV_DONTNEED), pages.includes(null) ? -ENOMEM : 0, name);
  }

  private remap(at: number, count: number, name: string): void {
    const kind = this.next(3);
    const to = this.next(PAGES);
    const size = kind === 2 ? count : 1 + this.next(Math.min(8, PAGES - to));
    if (kind === 0) this.resize(at, count, size, name);
    else if (to + size <= PAGES) this.move(at, count, to, size, kind === 2, name);
  }

  private resize(at: number, count: number, size: number, name: string): void {
    const end = this.model[at] === null ? 0 : areaEnd(this.model, at);
    const free = this.model.slice(at + count, at + size).every((page) => page === null);
    let expected = BASE + at * PAGE;
    if (end === 0 || at + count > end) expected = -EFAULT;
    else if (size > count && (at + count !== end || !free)) expected = -ENOMEM;
    if (at + size > PAGES) return;
    assert.equal(this.mm.remap(BASE + at * PAGE, count * PAGE, size * PAGE, 0, 0), expected, name);
    if (expected < 0) return;
    for (let i = size; i < count; i++) this.model[at + i] = null;
    for (let i = count; i < size; i++) this.model[at + i] = grown(this.model[at + i - 1] as ModelPage);
  }

  private move(at: number, count: number, to: number, size: number, keep: boolean, name: string): void {
    const flags = MREMAP_MAYMOVE | MREMAP_FIXED | (keep ? MREMAP_DONTUNMAP : 0);
    const result = this.mm.remap(BASE + at * PAGE, count * PAGE, size * PAGE, flags, BASE + to * PAGE);
    if (this.model[at] === null) return assert.equal(result, -EFAULT, name);
    if (at < to + size && to < at + count) return assert.equal(result, -EINVAL, name);
    // What was at the target is gone, and what a shrinking move cuts off, even if the move then fails.
    this.model.fill(null, to, to + size);
    if (count > size) this.model.fill(null, at + size, at + count);
    const length = Math.min(count, size);
    if (at + length > areaEnd(this.model, at)) return assert.equal(result, -EFAULT, name);
    assert.equal(result, BASE + to * PAGE, name);
    const old = this.model.slice(at, at + length) as ModelPage[];
    for (let i = 0; i < size; i++) this.model[to + i] = i < length ? { ...old[i] } : grown(this.model[to + i - 1] as ModelPage);
    for (let i = 0; i < length; i++) this.model[at + i] = keep ? { ...old[i], cell: old[i].object ? old[i].cell : { value: 0 } } : null;
  }

  fork(): Pair {
    const child = this.mm.fork();
    if (typeof child === 'number') throw new Error('fork failed');
    this.access.adopt(child);
    return new Pair(child, copy(this.model), this.access, this.next);
  }
}

/** The page after `last` when an area grows. */
function grown(last: ModelPage): ModelPage {
  if (last.object === null) return { ...last, cell: { value: 0 } };
  const index = last.index + 1;
  return { ...last, index, cell: sharedCell(last.object, index) };
}

function copy(model: Model): Model {
  return model.map((page) => page === null ? null : { ...page, cell: page.object ? page.cell : { ...page.cell } });
}

/** 250 random steps starting with the empty address space `first`. Throws when mm and model differ. */
export function runModel(seed: number, first: Mm, access: Access): void {
  runSteps(`seed ${seed}`, random(seed), 250, first, access);
}

/** The same with numbers from `next`; `name` is what failures are called. */
export function runSteps(name: string, next: (below: number) => number, steps: number, first: Mm, access: Access): void {
  const { frames } = first.kernel;
  // Page tables keep their frames for ever: everything beyond them must come back.
  let tables = frames.usedPages;
  const alloc = frames.allocTableFrame;
  frames.allocTableFrame = () => {
    tables++;
    return alloc.call(frames);
  };
  access.adopt(first);
  let pairs = [new Pair(first, new Array<ModelPage | null>(PAGES).fill(null), access, next)];
  for (let i = 0; i < steps; i++) {
    const which = next(pairs.length);
    let step = `${name} step ${i}: `;
    const dice = next(40);
    if (dice === 0 && pairs.length < 3) pairs.push(pairs[which].fork());
    else if (dice === 1 && pairs.length > 1) pairs.splice(which, 1)[0].mm.release();
    else if (dice === 2) pairs = reload(pairs, next);
    else step += pairs[which].step();
    // Comparing reads every page and so faults it in: do it only now and then, to keep lazy states alive.
    if (next(4) === 0) for (const pair of pairs) compare(pair, step);
  }
  for (const pair of pairs) {
    compare(pair, `${name} end`);
    pair.mm.release();
    assert.equal(pair.mm.rssPages, 0);
  }
  frames.allocTableFrame = alloc;
  assert.equal(frames.usedPages, tables, `${name}: frames leaked`);
}

/** Saves all address spaces and goes on with what is restored, in the same memory. */
function reload(pairs: Pair[], next: (below: number) => number): Pair[] {
  const state = saveMms(pairs.map((pair) => pair.mm), () => assert.fail('no inodes here'));
  const frozen = JSON.stringify(state.mms);
  const restored = restoreMms(structuredClone(state), pairs[0].mm.kernel, () => assert.fail());
  assert.equal(JSON.stringify(state.mms), frozen, 'restoring leaves the state alone');
  return pairs.map((pair, i) => new Pair(restored[i], pair.model, pair.access, next));
}
