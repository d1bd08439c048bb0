// Copies of a stateful sandbox at each moment of its first interpreter's start: nobody sees what the interpreter is warmed with.

import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';
import { Side } from './sidehelp.ts';

afterEach(() => Side.closeAll());

const SLICE_NS = 100_000;
/** Nothing of ours looks between the start of a run and its end. */
const WHOLE_RUN_NS = 1_000_000_000;
const COPY_EACH = 2;

/** Looks at copies of one sandbox, made from its first slice until its interpreter waits. */
async function atEachMoment(look: (copy: Side, when: string) => void): Promise<void> {
  const source = await Side.start();
  let copies = 0;
  for (let i = 0; source.step(SLICE_NS); i++) {
    if (i % COPY_EACH !== 0) continue;
    const copy = source.branch();
    look(copy, `after ${i} slices`);
    copies++;
    copy.close();
  }
  assert.ok(copies > 5, `only ${copies} copies`);
  look(source, 'at the end');
}

test('a copy made while its interpreter starts says what its runs print, and nothing else', () => atEachMoment((copy, when) => {
  assert.equal(copy.run('print("copy")'), 'copy\n', when);
}));

test('an interpreter that has run something of its owner\'s is not warmed any more', () => atEachMoment((copy, when) => {
  copy.run('import builtins\ncalls = []\nprint = lambda *args: calls.append(args)', 'default', WHOLE_RUN_NS);
  while (copy.step(SLICE_NS));
  assert.equal(copy.run('builtins.print(calls)'), '[]\n', when);
}));
