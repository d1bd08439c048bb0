// Who is ended when a worker's sandboxes take too much of its heap together; with each step left out this fails.

import assert from 'node:assert/strict';
import * as heapguard from '../../src/engine/heapguard.ts';
import { testWithMistakes, type Checks } from './mutants.ts';

type Module = typeof heapguard;

class User {
  isLive = true;
  ended = 0;

  endForHeap(): void {
    this.ended++;
    this.isLive = false;
  }
}

const users = (): User[] => [new User(), new User(), new User()];

const CHECKS: Checks<Module> = {
  'the one with the most is ended when all have too much, and has nothing then; others that have ended have': ({ HeapGuard }) => {
    const guard = new HeapGuard(100);
    const [small, big, next] = users();
    const ended = (): number[] => [small, big, next].map((user) => user.ended);
    guard.note(small, 30);
    guard.note(big, 60);
    guard.note(next, 10);
    assert.deepEqual(ended(), [0, 0, 0]);
    guard.note(small, 31);
    assert.deepEqual(ended(), [0, 1, 0]);
    guard.note(next, 69);
    assert.deepEqual(ended(), [0, 1, 0]);
    next.isLive = false;
    guard.note(small, 32);
    assert.deepEqual(ended(), [1, 1, 0], 'it can give nothing back');
  },
  'one that is gone has nothing': ({ HeapGuard }) => {
    const guard = new HeapGuard(100);
    const [one, two] = users();
    guard.note(one, 50);
    guard.forget(one);
    guard.forget(one);
    guard.note(two, 100);
    assert.equal(two.ended, 0);
    guard.note(two, 101);
    assert.equal(two.ended, 1);
  },
};

testWithMistakes('engine/heapguard.ts', heapguard, CHECKS, [
  ['this.bytesOf.set(user, bytes);', ''],
  ['this.total += bytes - before;', 'this.total += bytes;'],
  ['this.total <= this.limitBytes', 'this.total < this.limitBytes'],
  ['other.isLive && ', ''],
  ['for (const [other, amount] of this.bytesOf)', 'for (const [other, amount] of [] as [HeapUser, number][])'],
  ['this.forget(biggest);', ''],
  ['this.total -= this.bytesOf.get(user) ?? 0;', ''],
  ['this.bytesOf.delete(user);', ''],
]);
