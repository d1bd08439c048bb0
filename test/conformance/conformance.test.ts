// Every case natively, in a sandbox, and in a sandbox that is forked at a random system call: output, errors, exit code and
// signal of all must be equal, of both halves too. A head line `differs: reason` marks a known difference; then only the runs
// themselves are required. OFFSHOOT_SEED=n repeats the forks of an earlier run.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { build, loadCases, variantsOf } from './cases.ts';
import { Forks } from './forked.ts';
import { IS_RECORDED, type Job, type Outcome, cannotRunNatively, runNatively } from './native.ts';
import { Sandboxes } from './sandbox.ts';
import { SEED, fractionOf } from './seed.ts';

const HAS_GCC = IS_RECORDED || spawnSync('gcc', ['--version']).status === 0;
let sandboxes: Sandboxes;
let forks: Forks;

before(async () => {
  sandboxes = await Sandboxes.open();
  forks = await Forks.open();
});
after(async () => {
  await sandboxes?.close();
});

describe('conformance', { concurrency: 2 }, () => {
  for (const variant of loadCases().flatMap(variantsOf)) {
    const { uid, timeoutMs, differs, language } = variant.case;
    const skip = language === 'c' && !HAS_GCC ? 'gcc is missing' : (cannotRunNatively(uid) ?? false);
    test(variant.name, { skip }, async () => {
      const job = { program: await build(variant), language, uid, timeoutMs };
      const expected = await runNatively(job);
      // The library's sandboxes have one user: cases of another run here.
      const { outcome, syscalls } = uid === 1000 ? await sandboxes.run(job) : await forks.run(job);
      if (differs === null) assert.deepEqual(outcome, expected);
      await checkForked(job, variant.name, syscalls, differs === null ? expected : null);
    });
  }
});

async function checkForked(job: Job, name: string, syscalls: number, expected: Outcome | null): Promise<void> {
  const { original, branch, atCall } = await forks.runForked(job, syscalls, fractionOf(name));
  const where = `forked at call ${atCall} of ${syscalls} (OFFSHOOT_SEED=${SEED})`;
  assert.ok(branch, `${where}: never there`);
  if (!expected) return;
  for (const [half, outcome] of Object.entries({ original, branch })) {
    try {
      assert.deepEqual(outcome, expected);
    } catch (error) {
      if (error instanceof Error) error.message = `${half} ${where}: ${error.message}`;
      throw error;
    }
  }
}
