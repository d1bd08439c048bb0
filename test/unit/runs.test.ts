// Runs of pages: neighbours are one run.

import assert from 'node:assert/strict';
import { testWithMistakes } from './mutants.ts';
import { PAGE_SIZE } from '../../src/abi/x86/cpu.ts';
import * as module from '../../src/vmm/runs.ts';

testWithMistakes('vmm/runs.ts', module, {
  'neighbours are one run, others are not': ({ addPage }) => {
    const runs: number[] = [];
    for (const page of [0, 1, 2, 5, 7, 8]) addPage(runs, page * PAGE_SIZE);
    assert.deepEqual(runs.map((at) => at / PAGE_SIZE), [0, 3, 5, 6, 7, 9]);
  },
}, [
  ['runs[runs.length - 1] === start', 'true'],
  ['runs[runs.length - 1] === start', 'false'],
  ['= end;', '= start;'],
  ['push(start, end)', 'push(start, start)'],
  ['at, at + PAGE_SIZE', 'at, at'],
]);
