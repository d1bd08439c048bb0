// What runs of a template touch in any case, learned in each worker from rehearsals: forks of the template that run what was run
// last and are thrown away. On a PVM-style host nearly all of a short run's time are first touches, page by page.
//
// Interface: learnHotPages, HotPages.populate (host memory: before a fork runs at all), HotPages.touch (shadow page tables:
// when it is parked).

import { MADV_POPULATE_WRITE } from '../abi/linux/host.ts';
import type { Arena } from '../host/arena.ts';
import { HostError } from '../host/errors.ts';
import { adviseRanges } from '../host/advise.ts';
import { forEachPrivateRange } from '../host/pagemap.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { REG } from '../platform.ts';
import { AREA_BYTES } from '../vmm/layout.ts';
import type { KvmMachine } from '../vmm/machine.ts';
import { PageTables } from '../vmm/paging.ts';
import { addPage } from '../vmm/runs.ts';
import { TOUCH_ENTRY_BYTES, touch } from '../vmm/touch.ts';

const PAGE = 4096;
/** More would cost a parked fork more memory than it is worth: 4 MB. */
const WRITTEN_PAGES_MAX = 1024;
/**
 * KVM's shadow page tables: a fault maps the other entries of its aligned eight along, if their pages are private already (a page of a file
 * is not). Where so many of eight are touched, to make the others private is cheaper than a fault for each: 0.4 µs for a copy, 2.5 for a fault.
 */
const TOUCHED_OF_EIGHT_MIN = 4;
const EIGHT_BYTES = 8 * PAGE;

/** A fork of the template that has run to its end. */
export interface Rehearsed {
  readonly machine: KvmMachine;
  readonly kernel: Kernel;
}

export class HotPages {
  /** Pages written: first gpa, bytes, first gpa, bytes, … */
  private readonly written: readonly number[];
  /** What is worth keeping private from one fork's view of the template to the next: those, and neighbours of what is touched. As runs (vmm/runs.ts). */
  readonly kept: readonly number[];
  /** How many pages that is. */
  readonly keptPages: number;
  /** Addresses read, written or executed: a page each, 8 bytes each. */
  private readonly touched: Uint8Array;

  constructor(written: readonly number[], near: readonly number[], touched: BigUint64Array) {
    this.written = written;
    const pages = new Set(near);
    for (let i = 0; i < written.length; i += 2) for (let at = written[i]; at < written[i] + written[i + 1]; at += PAGE) pages.add(at);
    this.kept = runsOf(pages);
    this.keptPages = pages.size;
    this.touched = new Uint8Array(touched.buffer);
  }

  /** Copies the pages of a fresh fork's memory that it will write, all together, unless they are there. Hosts that cannot (before Linux 5.14) go without. */
  populate(machine: KvmMachine): void {
    const { hva, isPopulated } = machine.memory;
    if (isPopulated) return;
    const { written } = this;
    try {
      adviseRanges(hva, written, MADV_POPULATE_WRITE);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
    }
  }

  /**
   * Touches the pages inside the guest. Its main task must be blocked in a read(2) of a buffer: the list of addresses lies there
   * meanwhile.
   */
  touch({ machine, kernel }: Rehearsed): void {
    const task = kernel.main?.leader;
    if (!task) return;
    const { mm } = task.process;
    const buffer = Number(task.context.regs[REG.rsi]);
    const bytes = Math.min(this.touched.length, Number(task.context.regs[REG.rdx]));
    if (mm.copyOut(buffer, this.touched.subarray(0, bytes)) < 0) return;
    touch(machine, mm.space, buffer, Math.floor(bytes / TOUCH_ENTRY_BYTES));
  }
}

/** Nothing learned. */
export const NO_HOT_PAGES = new HotPages([], [], new BigUint64Array(0));

/** Makes a fork, calls `before`, runs it to its end, calls `after`, destroys it. */
export type Rehearse = (before: (fork: Rehearsed) => void, after: (fork: Rehearsed) => void) => void;

/**
 * What rehearsals touch of the template's `sizeBytes`. Two of them: looking for what is accessed changes page tables, and those
 * would count as written.
 */
export function learnHotPages(arena: Arena, sizeBytes: number, rehearse: Rehearse): HotPages {
  const written: number[] = [];
  rehearse(() => {}, ({ machine }) => {
    let pages = 0;
    const { hva } = machine.memory;
    forEachPrivateRange(arena, hva + AREA_BYTES, sizeBytes - AREA_BYTES, (start, bytes) => {
      pages += bytes / PAGE;
      if (pages <= WRITTEN_PAGES_MAX) written.push(start - hva, bytes);
    });
  });
  const touched: number[] = [];
  const near: number[] = [];
  rehearse((fork) => spaceOf(fork)?.clearAccessed(), (fork) => {
    const space = spaceOf(fork);
    space?.forEachAccessed((gva, gpa) => {
      if (gpa < sizeBytes) touched.push(gva);
    });
    if (space) near.push(...neighbours(space, touched, sizeBytes));
  });
  return new HotPages(written, near, BigUint64Array.from(touched, BigInt));
}

/** Pages (gpa) of those eights of which many are touched. */
function neighbours(space: PageTables, touched: readonly number[], sizeBytes: number): number[] {
  const counts = new Map<number, number>();
  for (const gva of touched) counts.set(Math.floor(gva / EIGHT_BYTES), (counts.get(Math.floor(gva / EIGHT_BYTES)) ?? 0) + 1);
  const near: number[] = [];
  for (const [eight, count] of counts) {
    if (count < TOUCHED_OF_EIGHT_MIN) continue;
    space.forEach(eight * EIGHT_BYTES, EIGHT_BYTES, (_gva, entry) => {
      const gpa = entry - (entry % PAGE);
      if (gpa >= AREA_BYTES && gpa < sizeBytes) near.push(gpa);
    });
  }
  return near.slice(0, WRITTEN_PAGES_MAX);
}

function runsOf(pages: ReadonlySet<number>): number[] {
  const runs: number[] = [];
  for (const gpa of [...pages].sort((a, b) => a - b)) addPage(runs, gpa);
  return runs;
}

function spaceOf({ kernel }: Rehearsed): PageTables | null {
  const space = kernel.main?.mm.space;
  return space instanceof PageTables ? space : null;
}
