// Which pages a rewound machine keeps as its own: those that runs of the template change again and again. A kept page costs
// every rewind a copy (0.15 µs), a page given back costs the next run that needs it a fault (5 µs and more).
//
// A page that became private in two runs is kept, for some reviews; the more often it became private anew, the longer: most pages a
// run writes are the template's again when it ends (reference counts that went up and down), so no review sees that they are in use.
// Machines share what is learned about their template.

import { PAGE_SIZE } from '../abi/x86/cpu.ts';
import { addPage } from '../vmm/runs.ts';

/** A page that became private so often is kept … */
const TIMES_MIN = 2;
/** … for 2 ** times reviews; it counts up to here. */
const TIMES_MAX = 6;
/** Most pages a machine keeps. */
const KEPT_MAX = 4096;
/** Every so many rewinds, kept pages are compared with the template. */
const REVIEW_PERIOD = 8;

/** Byte ranges: [start, end, start, end, …]. */
type Runs = number[];

/** What one machine keeps. */
export class KeptPages {
  /** One byte for each page of the template: 1 for those that are the machine's own. */
  readonly pages: Uint8Array;
  rewinds = 0;
  /** The same as ranges: all that is the machine's own when nothing was written since. Null: not known yet. */
  runs: Runs | null = null;
  /** How many pages they are. */
  count = 0;
  /** The thread's page faults (host/faults.ts) when that was found out. */
  faults = -1;
  /** The machine's memory was mapped so often then (Memory.mappedTimes). */
  private mappedTimes = 0;

  constructor(pages: number) {
    this.pages = new Uint8Array(pages);
  }

  /** Nothing is known of the pages of memory that was folded since. */
  checkMapping(mappedTimes: number): void {
    if (this.mappedTimes === mappedTimes) return;
    this.mappedTimes = mappedTimes;
    this.pages.fill(0);
    this.runs = null;
    this.count = 0;
    this.faults = -1;
  }
}

export class Heat {
  /** Reviews that a page is still kept for, unless it is seen to differ. */
  readonly #heat: Uint8Array;
  /** How often it became private anew. */
  readonly #times: Uint8Array;

  /** `pages`: of the template. */
  constructor(pages: number) {
    this.#heat = new Uint8Array(pages);
    this.#times = new Uint8Array(pages);
  }

  /**
   * Divides the pages that are a machine's own into those to copy back and those to give back, and notes it in `kept`.
   * `mustKeep(page)`: never give it back. `differs(page)`: whether it is not as in the template.
   */
  divide(
    changed: readonly number[], kept: KeptPages, mustKeep: (page: number) => boolean, differs: (page: number) => boolean,
  ): { readonly keep: Runs; readonly giveBack: Runs; readonly keptPages: number } {
    const review = ++kept.rewinds % REVIEW_PERIOD === 0;
    if (changed === kept.runs && !review) return { keep: kept.runs, giveBack: [], keptPages: kept.count };
    const keep: Runs = [];
    const giveBack: Runs = [];
    let keptPages = 0;
    for (let i = 0; i < changed.length; i += 2) {
      for (let page = changed[i] / PAGE_SIZE; page < changed[i + 1] / PAGE_SIZE; page++) {
        if (kept.pages[page] === 0) this.#anew(page);
        else if (review) this.#look(page, differs);
        const stays = mustKeep(page) || (this.#heat[page] > 0 && keptPages < KEPT_MAX);
        kept.pages[page] = stays ? 1 : 0;
        if (stays) keptPages++;
        addPage(stays ? keep : giveBack, page * PAGE_SIZE);
      }
    }
    kept.runs = keep;
    kept.count = keptPages;
    return { keep, giveBack, keptPages };
  }

  #anew(page: number): void {
    this.#times[page] = Math.min(this.#times[page] + 1, TIMES_MAX);
    if (this.#times[page] >= TIMES_MIN) this.#heat[page] = 2 ** this.#times[page];
  }

  #look(page: number, differs: (page: number) => boolean): void {
    if (differs(page)) this.#heat[page] = 2 ** this.#times[page];
    else if (this.#heat[page] > 0) this.#heat[page]--;
  }
}
