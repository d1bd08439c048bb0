// What runs of a template touch in any case, learned in each worker from rehearsals: forks of the template that run what was run
// last and are thrown away. On a PVM-style host nearly all of a short run's time are first touches, page by page.
//
// Interface: learnHotPages, HotPages.populate (host memory: before a fork runs at all), HotPages.touch (shadow page tables:
// when it is parked).

import { MADV_POPULATE_WRITE } from '../abi/linux/host.ts';
import type { Arena } from '../host/arena.ts';
import { HostError } from '../host/errors.ts';
import { madvise } from '../host/libc.ts';
import { forEachPrivateRange } from '../host/pagemap.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { REG } from '../platform.ts';
import { AREA_BYTES } from '../vmm/layout.ts';
import type { KvmMachine } from '../vmm/machine.ts';
import { PageTables } from '../vmm/paging.ts';
import { TOUCH_ENTRY_BYTES, touch } from '../vmm/touch.ts';

const PAGE = 4096;
/** More would cost a parked fork more memory than it is worth: 4 MB. */
const WRITTEN_PAGES_MAX = 1024;

/** A fork of the template that has run to its end. */
export interface Rehearsed {
  readonly machine: KvmMachine;
  readonly kernel: Kernel;
}

export class HotPages {
  /** Pages written: first gpa, bytes, first gpa, bytes, … */
  readonly written: readonly number[];
  /** How many pages that is. */
  readonly writtenPages: number;
  /** Addresses read, written or executed: a page each, 8 bytes each. */
  private readonly touched: Uint8Array;

  constructor(written: readonly number[], touched: BigUint64Array) {
    this.written = written;
    this.writtenPages = written.reduce((sum, value, i) => (i % 2 === 1 ? sum + value / PAGE : sum), 0);
    this.touched = new Uint8Array(touched.buffer);
  }

  /** Copies the pages of a fresh fork's memory that it will write, all together, unless they are there. Hosts that cannot (before Linux 5.14) go without. */
  populate(machine: KvmMachine): void {
    const { hva, isPopulated } = machine.memory;
    if (isPopulated) return;
    const { written } = this;
    try {
      for (let i = 0; i < written.length; i += 2) madvise(hva + written[i], written[i + 1], MADV_POPULATE_WRITE);
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
export const NO_HOT_PAGES = new HotPages([], new BigUint64Array(0));

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
  const touched: bigint[] = [];
  rehearse((fork) => spaceOf(fork)?.clearAccessed(), (fork) => {
    spaceOf(fork)?.forEachAccessed((gva, gpa) => {
      if (gpa < sizeBytes) touched.push(BigInt(gva));
    });
  });
  return new HotPages(written, BigUint64Array.from(touched));
}

function spaceOf({ kernel }: Rehearsed): PageTables | null {
  const space = kernel.main?.mm.space;
  return space instanceof PageTables ? space : null;
}
