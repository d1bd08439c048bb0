// The limits whose passing is an errno: who refuses, and what is told of it; with each check left out this fails.

import assert from 'node:assert/strict';
import * as errnolimits from '../../src/kernel/errnolimits.ts';
import type { Counted, OwnersBudget } from '../../src/kernel/errnolimits.ts';
import { testWithMistakes, type Checks } from './mutants.ts';

type Module = typeof errnolimits;

/** An owner that has room for so much, and writes down what it is asked. */
class Owner implements OwnersBudget {
  readonly asked: string[] = [];
  room = 10;

  hold(what: Counted, amount: number): boolean {
    this.asked.push(`${what} ${amount}`);
    return amount <= this.room;
  }

  note(): void {}
}

const CHECKS: Checks<Module> = {
  'a sandbox alone has what its own limit allows': ({ ErrnoLimits }) => {
    const limits = new ErrnoLimits();
    assert.deepEqual([limits.allow('files', 4, 5), limits.allow('files', 5, 5), limits.allow('files', 6, 5)], [true, true, false]);
    assert.deepEqual([...limits.met], [['files', 1]]);
  },
  'its owner is asked too, not when it may not have it anyway, and told apart': ({ ErrnoLimits }) => {
    const limits = new ErrnoLimits(), owner = new Owner();
    limits.owner = owner;
    assert.deepEqual([limits.allow('inodes', 10, 20), limits.allow('inodes', 11, 20), limits.allow('inodes', 21, 20)], [true, false, false]);
    assert.deepEqual(owner.asked, ['inodes 10', 'inodes 11']);
    assert.deepEqual([...limits.met], [['tenant.inodes', 1], ['inodes', 1]]);
  },
  'names are those that users know; only what is new since then is told': ({ ErrnoLimits }) => {
    const limits = new ErrnoLimits();
    limits.meet('diskPages');
    limits.meet('processes', false);
    assert.deepEqual(limits.namesSince(), ['diskBytes', 'tenant.processes']);
    const before = new Map(limits.met);
    assert.deepEqual(limits.namesSince(before), []);
    limits.meet('processes', false);
    assert.deepEqual(limits.namesSince(before), ['tenant.processes']);
  },
};

testWithMistakes('kernel/errnolimits.ts', errnolimits, CHECKS, [
  ['const isWithin = amount <= max;', 'const isWithin = true;'],
  ['amount <= max', 'amount < max'],
  ['this.owner === null || this.owner.hold(what, amount)', 'true'],
  ['this.owner === null || ', 'this.owner !== null && '],
  ['if (isWithin && (', 'if ((isWithin || this.owner !== null) && ('],
  ['this.meet(what, !isWithin);', ''],
  ['this.meet(what, !isWithin);', 'this.meet(what);'],
  ["what === 'diskPages' ? 'diskBytes' : what", 'what'],
  ['isOwn ? name : `tenant.${name}`', 'name'],
  ['this.met.set(full, (this.met.get(full) ?? 0) + 1);', ''],
  ['(this.met.get(full) ?? 0) + 1', '1'],
  ['.filter(([name, count]) => count > (before.get(name) ?? 0))', ''],
]);
