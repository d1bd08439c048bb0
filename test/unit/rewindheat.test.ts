// Which pages a rewound machine keeps; with each rule left out this fails.

import assert from 'node:assert/strict';
import * as rewindheat from '../../src/engine/rewindheat.ts';
import { testWithMistakes, type Checks } from './mutants.ts';

type Module = typeof rewindheat;

const PAGE = 4096, PAGES = 5000;
const no = (): boolean => false, yes = (): boolean => true;

const pagesIn = (runs: readonly number[]): number => runs.reduce((sum, bytes, i) => sum + bytes * (i % 2 ? 1 : -1), 0) / PAGE;

/** A machine of a template, rewound again and again. */
class Machine {
  readonly #heat: InstanceType<Module['Heat']>;
  readonly kept: InstanceType<Module['KeptPages']>;
  mustKeep: (page: number) => boolean = no;
  differs: (page: number) => boolean = no;

  constructor({ KeptPages }: Module, heat: InstanceType<Module['Heat']>) {
    this.#heat = heat;
    this.kept = new KeptPages(PAGES);
  }

  /** Pages [first, end) are its own beside those it keeps. Which of them all it keeps now, and which it gives back; as ranges of pages. */
  rewind(first: number, end: number): { readonly keep: string; readonly giveBack: string; readonly count: number } {
    const runs: number[] = [];
    for (let page = 0; page < PAGES; page++) {
      if (this.kept.pages[page] === 0 && (page < first || page >= end)) continue;
      if (runs.at(-1) === page * PAGE) runs[runs.length - 1] += PAGE;
      else runs.push(page * PAGE, (page + 1) * PAGE);
    }
    const { keep, giveBack, keptPages } = this.#heat.divide(runs, this.kept, this.mustKeep, this.differs);
    const shown = (ranges: readonly number[]): string => ranges.map((bytes, i) => bytes / PAGE - i % 2).join(' ');
    assert.deepEqual([this.kept.runs, this.kept.count], [keep, keptPages]);
    assert.equal(this.kept.pages.reduce((sum, each) => sum + each, 0), keptPages);
    return { keep: shown(keep), giveBack: shown(giveBack), count: keptPages };
  }

  /** Rewinds of runs that write nothing, as though there had been no page fault. */
  rest(rewinds: number): void {
    for (let i = 0; i < rewinds; i++) {
      const before = this.kept.count;
      const { keep, giveBack, keptPages } = this.#heat.divide(this.kept.runs ?? [], this.kept, this.mustKeep, this.differs);
      assert.deepEqual([pagesIn(keep), keptPages, pagesIn(giveBack)], [this.kept.count, this.kept.count, before - this.kept.count]);
    }
  }

  /** Rewinds until the page is given back: how many. */
  restUntilGone(page: number, max = 2000): number {
    let rewinds = 0;
    for (; this.kept.pages[page] === 1 && rewinds < max; rewinds++) this.rest(1);
    return rewinds;
  }
}

const machine = (module: Module): Machine => new Machine(module, new module.Heat(PAGES));

const CHECKS: Checks<Module> = {
  'a page is kept that became private twice, in whichever machine': (module) => {
    const heat = new module.Heat(PAGES);
    const [one, two] = [new Machine(module, heat), new Machine(module, heat)];
    assert.deepEqual(one.rewind(10, 12), { keep: '', giveBack: '10 11', count: 0 });
    assert.deepEqual(two.rewind(11, 13), { keep: '11 11', giveBack: '12 12', count: 1 });
    assert.deepEqual(one.rewind(10, 13), { keep: '10 12', giveBack: '', count: 3 });
    assert.deepEqual(one.rewind(20, 21), { keep: '10 12', giveBack: '20 20', count: 3 }, 'kept ones stay');
    assert.deepEqual(one.rewind(0, 0), { keep: '10 12', giveBack: '', count: 3 });
  },
  'what must be kept always is': (module) => {
    const slot = machine(module);
    slot.mustKeep = (page) => page === 7;
    assert.deepEqual(slot.rewind(6, 9), { keep: '7 7', giveBack: '6 6 8 8', count: 1 });
    slot.rest(1000);
    assert.equal(slot.kept.pages[7], 1);
  },
  'a page that is as in the template at each review goes, later the more often it became private, in the end never much later': (module) => {
    const slot = machine(module);
    const held: number[] = [];
    slot.rewind(3, 4);
    for (let i = 0; i < 8; i++) {
      slot.rewind(3, 4);
      held.push(slot.restUntilGone(3));
    }
    // A review each eight rewinds: 4, 8, … 64 of them.
    for (const [i, rewinds] of held.entries()) {
      const wanted = 8 * Math.min(4 * 2 ** i, 64);
      assert.ok(rewinds > wanted - 8 && rewinds <= wanted, `${held}`);
    }
  },
  'a page that differs at reviews stays, and is held anew from there': (module) => {
    const slot = machine(module);
    slot.rewind(3, 5);
    slot.rewind(3, 5);
    slot.differs = (page) => page === 3;
    slot.rest(200);
    assert.deepEqual([slot.kept.pages[3], slot.kept.pages[4]], [1, 0]);
    slot.differs = no;
    const rewinds = slot.restUntilGone(3);
    assert.ok(rewinds > 24 && rewinds <= 32, `${rewinds}`);
  },
  'what is kept is not taken for what became private anew, and is looked at only now and then': (module) => {
    const slot = machine(module);
    slot.rewind(3, 4);
    slot.rewind(3, 4);
    let looks = 0;
    slot.differs = () => {
      looks++;
      return false;
    };
    for (let i = 0; i < 16; i++) slot.rewind(3, 4);
    assert.equal(looks, 2);
    const rewinds = slot.restUntilGone(3);
    assert.ok(rewinds <= 16, `${rewinds} after sixteen`);
  },
  'no more than 4096 pages are kept, but for those that must': (module) => {
    const slot = machine(module);
    slot.rewind(0, PAGES);
    assert.equal(slot.rewind(0, PAGES).count, 4096);
    slot.mustKeep = yes;
    assert.equal(slot.rewind(0, PAGES).count, PAGES);
  },
};

testWithMistakes('engine/rewindheat.ts', rewindheat, CHECKS, [
  ['changed === kept.runs && !review', 'changed === kept.runs'],
  ['giveBack: [], keptPages: kept.count', 'giveBack: kept.runs, keptPages: kept.count'],
  ['keptPages: kept.count }', 'keptPages: 0 }'],
  ['++kept.rewinds % REVIEW_PERIOD', 'kept.rewinds % REVIEW_PERIOD'],
  ['REVIEW_PERIOD = 8', 'REVIEW_PERIOD = 1'],
  ['if (kept.pages[page] === 0) this.#anew(page);\n        else if', 'if'],
  ['if (kept.pages[page] === 0) this.#anew(page);', 'this.#anew(page);\n        if (kept.pages[page] === 0) {}'],
  ['else if (review) this.#look(page, differs);', ''],
  ['else if (review) this.#look', 'else this.#look'],
  ['mustKeep(page) || ', ''],
  ['(this.#heat[page] > 0 && keptPages < KEPT_MAX)', 'false'],
  ['this.#heat[page] > 0 && keptPages', 'keptPages'],
  [' && keptPages < KEPT_MAX', ''],
  ['kept.pages[page] = stays ? 1 : 0;', ''],
  ['kept.pages[page] = stays ? 1 : 0;', 'kept.pages[page] = 1;'],
  ['kept.pages[page] = stays ? 1 : 0;', 'if (stays) kept.pages[page] = 1;'],
  ['if (stays) keptPages++;', ''],
  ['addPage(stays ? keep : giveBack, page * PAGE_SIZE);', 'addPage(keep, page * PAGE_SIZE);'],
  ['addPage(stays ? keep : giveBack, page * PAGE_SIZE);', 'if (stays) addPage(keep, page * PAGE_SIZE);'],
  ['addPage(stays ? keep : giveBack, page * PAGE_SIZE);', 'if (!stays) addPage(giveBack, page * PAGE_SIZE);'],
  ['kept.runs = keep;', ''],
  ['kept.count = keptPages;', ''],
  ['Math.min(this.#times[page] + 1, TIMES_MAX)', 'this.#times[page] + 1'],
  ['this.#times[page] = Math.min(this.#times[page] + 1, TIMES_MAX);', ''],
  ['if (this.#times[page] >= TIMES_MIN) this.#heat', 'this.#heat'],
  ['if (this.#times[page] >= TIMES_MIN) this.#heat[page] = 2 ** this.#times[page];', ''],
  ['if (differs(page)) this.#heat[page] = 2 ** this.#times[page];\n    else if', 'if'],
  ['else if (this.#heat[page] > 0) this.#heat[page]--;', ''],
]);
