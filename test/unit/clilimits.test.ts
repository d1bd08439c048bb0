// The command line's limits in the library's units.

import assert from 'node:assert/strict';
import test from 'node:test';
import { UsageError } from '../../src/cli/fail.ts';
import { limitsOf } from '../../src/cli/limits.ts';

test('seconds, megabytes and counts', () => {
  assert.deepEqual(limitsOf({}), {});
  assert.deepEqual(limitsOf({ timeout: '1.5', cpuTime: '0.25', output: '2', disk: '0.5', processes: '10', files: '64', inodes: '100' }), {
    timeoutMs: 1500, cpuTimeMs: 250, outputBytes: 2 << 20, diskBytes: 1 << 19, processes: 10, files: 64, inodes: 100,
  });
});

test('what is no limit is refused, and the flag named', () => {
  for (const [flags, text] of [
    [{ timeout: '0' }, '--timeout needs a number above 0, not "0".'], [{ cpuTime: 'x' }, '--cpu-time needs a number above 0, not "x".'],
    [{ output: '' }, '--output needs a number above 0, not "".'], [{ disk: '-1' }, '--disk needs a number above 0, not "-1".'],
    [{ processes: '1.5' }, '--processes needs a whole number from 1, not "1.5".'], [{ files: '7' }, '--files needs a whole number from 8, not "7".'],
    [{ inodes: 'Infinity' }, '--inodes needs a number above 0, not "Infinity".'],
  ] as const) {
    assert.throws(() => limitsOf(flags), (error: Error) => error instanceof UsageError && error.message === text, text);
  }
});
