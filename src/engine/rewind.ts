// Rewind: brings a machine that ran back to the template it was forked from, at a cost that follows what the run changed.
//
// Interface: one RewindBase for each template and process; `rewind(machine, kept, base)` after each run. The kernel is restored
// afterwards, from the template's state, as at a fork. Afterwards no byte, no register and no *translation* of the run is left
// (test/kvm/rewind*.test.ts); if that cannot be had, `rewind` says so and the machine must be destroyed.
//
// Memory: pages that became the process's own are copied back; all but a learned hot set are given back to the host, so that
// one huge run does not make all later rewinds slow. When this thread took no page fault since the last rewind, no page can have become
// the process's own, and nothing needs to be looked for (kvm's faults of a guest's page are faults of the thread that runs it; no other
// thread writes guest memory). Translations: a page-table entry that is about to change is stored again
// inside the guest, as any change is (vmm/paging.ts); with too many of them, or when memory had grown, the memory slot is made
// anew, which drops all of them, wanted ones too.

import { PAGE_SIZE } from '../abi/x86/cpu.ts';
import type { Arena } from '../host/arena.ts';
import { threadFaults } from '../host/faults.ts';
import { mapFile } from '../host/mapfile.ts';
import type { MappedFile } from '../host/mapfile.ts';
import { privateRuns } from '../host/pagemap.ts';
import { AREA_BYTES, QUEUE_GPA } from '../vmm/layout.ts';
import type { KvmMachine } from '../vmm/machine.ts';
import { Paging } from '../vmm/paging.ts';
import { Heat, type KeptPages } from './rewindheat.ts';

/** More runs of entries than this are not worth storing one by one: each costs about 4 µs where ring 0 is emulated. */
const REPLAY_RUNS_MAX = 400;

/** What rewinding needs of a template: its memory as it is in the file, and where its page tables are. */
export class RewindBase {
  readonly arena: Arena;
  readonly u8: Uint8Array;
  readonly words: Uint32Array;
  /** CR3 of an address space of the template, for the entries' stores. */
  readonly root: number;
  readonly heat: Heat;
  readonly #isTable: Uint8Array;
  readonly #file: MappedFile;

  /** `fd`: a file that holds gpa x at offset x up to `sizeBytes`. `roots`: CR3 of each of its address spaces, at least one. */
  constructor(arena: Arena, fd: number, sizeBytes: number, roots: readonly number[]) {
    this.arena = arena;
    this.#file = mapFile(arena, fd, sizeBytes);
    this.u8 = this.#file.bytes;
    this.words = new Uint32Array(this.u8.buffer, this.u8.byteOffset, sizeBytes / 4);
    this.root = roots[0];
    this.heat = new Heat(sizeBytes / PAGE_SIZE);
    this.#isTable = new Uint8Array(sizeBytes / PAGE_SIZE);
    new Paging(this, false).forEachTable(roots, (gpa) => {
      this.#isTable[gpa / PAGE_SIZE] = 1;
    });
  }

  /** Whether the template's frame number `page` is a page table, in use or free. */
  isTable(page: number): boolean {
    return this.#isTable[page] === 1;
  }

  /** Unmaps the template's memory. Slots can't be rewound any more. */
  release(): void {
    this.#file.release();
  }
}

/** What one rewind did. */
export interface RewindReport {
  /** Pages that were the machine's own, and how many of them it keeps. */
  readonly privatePages: number;
  readonly keptPages: number;
  /** Runs of page-table entries stored again; -1: the memory slot was made anew. */
  readonly replayedRuns: number;
  /** Whether pages that became the machine's own were looked for. */
  readonly searched: boolean;
}

/** One rewind under way. Ranges are in bytes, from gpa 0: [start, end, start, end, …]. */
interface Rewinding {
  readonly machine: KvmMachine;
  readonly base: RewindBase;
  /** Pages that are the machine's own; then which of them to copy back and which to give back. */
  changed: readonly number[];
  keep: readonly number[];
  giveBack: readonly number[];
  /** KVM has dropped all translations, so none needs to be looked for. */
  allDropped: boolean;
  replayedRuns: number;
  readonly replayRunsMax: number;
  failure: string | null;
}

/** What only tests do. */
export interface RewindTuning {
  /** A step left out. */
  readonly without?: RewindStep;
  /** Instead of REPLAY_RUNS_MAX. */
  readonly replayRunsMax?: number;
  /** As though there had been no page fault since the last rewind. */
  readonly overlooksFaults?: boolean;
}

/** The steps of a rewind, in order. None can be left out: the tests do, one at a time, and must notice. */
const STEPS = {
  /** Half an `out`, half an MMIO access would go on with the next run's registers. */
  abandonExit: ({ machine }: Rewinding): void => machine.abandonExit(),

  dropGrowth(at: Rewinding): void {
    at.allDropped = at.machine.memory.shrink(at.base.u8.length);
  },

  /** The page-table entries of which a translation may be in use and that are about to change: those of the template's tables… */
  queueTables: (at: Rewinding): void => queueEntries(at),

  /**
   * …and all of those frames that became page tables: the next run may make them tables again, or data. While KVM shadows one as a table, it
   * emulates each store there, and of some instructions (AVX-512) it cannot.
   */
  queueNewTables({ machine: { paging }, base, allDropped }: Rewinding): void {
    if (allDropped) return;
    for (const gpa of paging.made) if (!base.isTable(gpa / PAGE_SIZE)) paging.allChanged(gpa);
  },

  copyBack: ({ machine: { memory }, base, keep }: Rewinding): void => forRuns(keep, (start, end) => {
    memory.u8.set(base.u8.subarray(start, end), start);
  }),

  giveBack: ({ machine: { memory }, giveBack }: Rewinding): void => memory.discardRuns(giveBack),

  dropTranslations(at: Rewinding): void {
    const { paging, memory } = at.machine;
    at.replayedRuns = paging.pending.length / 2;
    if (at.allDropped || at.replayedRuns > at.replayRunsMax) {
      if (!at.allDropped) memory.forgetTranslations();
      at.replayedRuns = -1;
      return;
    }
    const trap = at.machine.replayPending(at.base.root);
    if (trap !== null) at.failure = trap.kind === 'failed' ? trap.reason : trap.kind;
  },

  /** The stores' own list lies in guest memory. */
  clearQueue: ({ machine: { memory }, base }: Rewinding): void => {
    memory.u8.set(base.u8.subarray(QUEUE_GPA, QUEUE_GPA + PAGE_SIZE), QUEUE_GPA);
  },

  forgetTables({ machine: { paging } }: Rewinding): void {
    paging.pending.length = 0;
    paging.made.length = 0;
  },

  resetVcpu: ({ machine }: Rewinding): void => machine.reset(),
} as const satisfies Record<string, (at: Rewinding) => void>;

/** Names of the steps: for the tests. */
export type RewindStep = keyof typeof STEPS;
export const REWIND_STEPS = Object.keys(STEPS) as RewindStep[];

/**
 * Brings `machine`, a fork of `base`'s template, back to where it was forked; `kept` is what it keeps between rewinds. No
 * kernel may use the machine meanwhile; one is restored on it afterwards. Returns what was done, or, when the machine is of no
 * use any more and must be destroyed, why.
 */
export function rewind(machine: KvmMachine, kept: KeptPages, base: RewindBase, tuning: RewindTuning = {}): RewindReport | string {
  const at: Rewinding = {
    machine, base, changed: [], keep: [], giveBack: [], allDropped: false, replayedRuns: 0, failure: null,
    replayRunsMax: tuning.replayRunsMax ?? REPLAY_RUNS_MAX,
  };
  let report = { privatePages: 0, keptPages: 0, searched: true };
  for (const step of REWIND_STEPS) {
    if (step === 'queueTables') report = findChanged(at, kept, tuning.overlooksFaults === true);
    if (step !== tuning.without) STEPS[step](at);
    if (at.failure !== null) return at.failure;
  }
  return { ...report, replayedRuns: at.replayedRuns };
}

/** Finds the machine's own pages and what is to become of each. */
function findChanged(at: Rewinding, kept: KeptPages, overlooksFaults: boolean): Omit<RewindReport, 'replayedRuns'> {
  const { machine: { memory }, base } = at;
  kept.checkMapping(memory.mappedTimes);
  const faults = threadFaults();
  const known = kept.faults === faults || overlooksFaults ? kept.runs : null;
  at.changed = known ?? privateRuns(base.arena, memory.hva, AREA_BYTES, base.u8.length);
  kept.faults = faults; // what becomes private from here on, or became so before the search ended, counts as one more
  const differs = (page: number): boolean => {
    const start = page * PAGE_SIZE;
    return Buffer.compare(memory.u8.subarray(start, start + PAGE_SIZE), base.u8.subarray(start, start + PAGE_SIZE)) !== 0;
  };
  const divided = base.heat.divide(at.changed, kept, (page) => base.isTable(page), differs);
  at.keep = divided.keep;
  at.giveBack = divided.giveBack;
  let bytes = 0;
  forRuns(at.changed, (start, end) => {
    bytes += end - start;
  });
  return { privatePages: bytes / PAGE_SIZE, keptPages: divided.keptPages, searched: known === null };
}

function queueEntries({ machine: { paging }, base, changed, allDropped }: Rewinding): void {
  if (allDropped) return;
  forRuns(changed, (start, end) => {
    for (let page = start / PAGE_SIZE; page < end / PAGE_SIZE; page++) if (base.isTable(page)) paging.changing(page * PAGE_SIZE, base.words);
  });
}

function forRuns(runs: readonly number[], visit: (start: number, end: number) => void): void {
  for (let i = 0; i < runs.length; i += 2) visit(runs[i], runs[i + 1]);
}
