// Every case natively, in a sandbox, and in a sandbox that is forked at a random system call: output, errors, exit code and
// signal of all must be equal, of both halves too. A head line `differs: reason` marks a known difference; then only the runs
// themselves are required. OFFSHOOT_SEED=n repeats the forks of an earlier run.
//
// Interface: testCases, for one of the files that share the cases among them; PARTS says which file has which. The emulated machine's
// smoke tests take a few of them by name (test/hwkvm/slice.ts).

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { availableParallelism, loadavg } from 'node:os';
import { build, loadCases, variantsOf, type Variant } from './cases.ts';
import { Forks } from './forked.ts';
import { IS_EMULATED, IS_RECORDED, type Job, type Outcome, cannotRunNatively, runNatively } from './native.ts';
import { Sandboxes } from './sandbox.ts';
import { SEED, fractionOf } from './seed.ts';

/** Which cases a test file runs, by their names; `others` takes the rest. */
const PARTS = {
  files: /^(file|many-(attr|io))/,
  events: /^(event|signal|time|many-(event|signal|time))/,
  programs: /^(py|sh)/,
} as const;

const HAS_GCC = IS_RECORDED || spawnSync('gcc', ['--version']).status === 0;

/** The sandboxes of one test file. */
interface Places { readonly sandboxes: Sandboxes; readonly forks: Forks }

/** Defines the tests of a part, or of the cases whose names match. */
export function testCases(part: keyof typeof PARTS | 'others' | RegExp): void {
  let places: Places;
  before(async () => {
    places = { sandboxes: await Sandboxes.open(), forks: await Forks.open() };
  });
  after(async () => {
    await places?.sandboxes.close();
  });
  const partOf = (name: string): string => Object.entries(PARTS).find(([, pattern]) => pattern.test(name))?.[0] ?? 'others';
  const isIn = (name: string): boolean => (part instanceof RegExp ? part.test(name) : part === partOf(name));
  // In there all of them forked would take an hour; the slice is.
  const isForked = !IS_EMULATED || part instanceof RegExp;
  describe('conformance', { concurrency: 2 }, () => {
    for (const variant of loadCases().flatMap(variantsOf).filter(({ name }) => isIn(name))) {
      const { uid, language } = variant.case;
      const skip = language === 'c' && !HAS_GCC ? 'gcc is missing' : (cannotRunNatively(uid) ?? false);
      test(variant.name, { skip }, async () => {
        try {
          await check(variant, places, isForked);
        } catch (error) {
          // Cases sleep and race a little: on a machine that has no time for them they get a second try. The emulated machine cannot see
          // what it shares the processor with.
          if (!IS_EMULATED && loadavg()[0] < 3 * availableParallelism()) throw error;
          await check(variant, places, isForked);
        }
      });
    }
  });
}

async function check(variant: Variant, { sandboxes, forks }: Places, isForked: boolean): Promise<void> {
  const { uid, timeoutMs, differs, language, part } = variant.case;
  const job = { program: await build(variant), language, part, uid, timeoutMs };
  const expected = await runNatively(job);
  const compare = (outcome: Outcome): void => {
    if (differs === null) assert.deepEqual(comparable(variant, outcome), comparable(variant, expected));
  };
  // The library's sandboxes have one user: cases of another run here.
  const { outcome, syscalls } = uid === 1000 ? await sandboxes.run(job) : await forks.run(job);
  compare(outcome);
  if (isForked) await checkForked(forks, job, variant.name, syscalls, compare);
}

/** An outcome without the lines that are not compared here. */
function comparable({ case: { emulated } }: Variant, outcome: Outcome): Outcome {
  if (!IS_EMULATED || emulated.length === 0) return outcome;
  const stdout = outcome.stdout.split('\n').filter((line) => !emulated.some((words) => line.startsWith(words))).join('\n');
  return { ...outcome, stdout };
}

async function checkForked(forks: Forks, job: Job, name: string, syscalls: number, compare: (outcome: Outcome) => void): Promise<void> {
  const { original, branch, atCall } = await forks.runForked(job, syscalls, fractionOf(name));
  const where = `forked at call ${atCall} of ${syscalls} (OFFSHOOT_SEED=${SEED})`;
  assert.ok(branch, `${where}: never there`);
  for (const [half, outcome] of Object.entries({ original, branch })) {
    try {
      compare(outcome);
    } catch (error) {
      if (error instanceof Error) error.message = `${half} ${where}: ${error.message}`;
      throw error;
    }
  }
}
