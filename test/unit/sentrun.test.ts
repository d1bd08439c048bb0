// A run's options arrive as they were, however little of them is said.

import assert from 'node:assert/strict';
import test from 'node:test';
import { RUN_LIMITS, type RunOptions } from '../../src/engine/protocol.ts';
import { USUAL_CWD, receivedRun, sentRun } from '../../src/engine/sentrun.ts';

const ENV = { HOME: '/home/user' };
const USUAL: RunOptions = {
  request: { kind: 'exec', argv: ['true'] }, env: ENV, cwd: USUAL_CWD, limits: RUN_LIMITS, strace: false, countPages: false,
};

function arrives(options: RunOptions): RunOptions {
  return receivedRun(JSON.parse(JSON.stringify(sentRun(options, ENV))), { ...ENV });
}

test('of a usual run only its program is said', () => {
  assert.deepEqual(sentRun(USUAL, ENV), { request: USUAL.request });
  assert.deepEqual(arrives(USUAL), USUAL);
});

const OTHERS: readonly Partial<RunOptions>[] = [
  { env: {} }, { env: { ...ENV } }, { env: { A: 'b' } }, { cwd: '/' }, { strace: true }, { countPages: true }, { noStdin: true }, { paced: true },
  { collect: { patterns: ['/tmp/*'], bytesMax: 5 } }, { given: [] },
  ...Object.keys(RUN_LIMITS).map((name) => ({ limits: { ...RUN_LIMITS, [name]: 17 } })),
  { limits: { ...RUN_LIMITS, timeoutMs: 1.5, memoryBytes: 1 << 30 }, cwd: '/tmp', strace: true },
];

for (const other of OTHERS) {
  test(`as it was: ${JSON.stringify(other)}`, () => assert.deepEqual(arrives({ ...USUAL, ...other }), { ...USUAL, ...other }));
}
