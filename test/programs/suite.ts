// Declares the tests of a group of programs: each natively and in a sandbox, whose output and exit code must be equal.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Case, cannotRun, Sides } from './cases.ts';

/** One test for each case. Images are made when the first case needs them, so that only this costs a download. */
export function compareAll(name: string, cases: readonly Case[]): void {
  const sides = new Map<string, Promise<Sides>>();
  const skip = cannotRun() ?? false;
  describe(name, () => {
    for (const one of cases) {
      test(one.name, { skip }, async () => {
        const opened = sides.get(one.image) ?? Sides.open(one.image);
        sides.set(one.image, opened);
        const expected = await (await opened).native(one);
        assert.equal(expected.outcome.exitCode, one.exitCode, `natively: ${expected.outcome.stderr}`); // two that fail alike prove nothing
        const actual = await (await opened).sandbox(one);
        assert.deepEqual(actual.outcome, expected.outcome);
      });
    }
  });
}
