// What the two sides of a unit say about each other.
//
// Interface: compare, Comparison.

import type { Outcome } from './job.ts';

/** `native`: it does not pass natively, so nothing is expected here. `slow`: its time was up here with no test wrong before. */
export type Standing = 'pass' | 'wrong' | 'slow' | 'native';

export interface Comparison {
  readonly standing: Standing;
  /** Tests that passed natively, and how many of them passed here. */
  readonly nativeOk: number;
  readonly ok: number;
  /** Tests that pass natively and do not here. */
  readonly wrong: readonly string[];
  /** Those that did not run here because time was up. */
  readonly unreached: number;
}

const PASSED = ['good', 'environment_changed'];

/** Whether the unit as a whole passed; a suite without a report of its own goes by the exit code. */
export function passed(outcome: Outcome): boolean {
  return outcome.file === null ? outcome.exitCode === 0 && Object.keys(outcome.tests).length === 0 : PASSED.includes(outcome.file);
}

/** Python's watchdog prints where all threads are and exits; printing while they run, it now and then dies of SIGSEGV (natively too). */
function isTimeout({ exitCode, tail }: Outcome): boolean {
  return (exitCode === 1 || exitCode === 139) && /^Timeout \(/m.test(tail);
}

export function compare(native: Outcome, here: Outcome): Comparison {
  const expected = Object.keys(native.tests).filter((name) => native.tests[name] === 'ok');
  const missed = expected.filter((name) => here.tests[name] !== 'ok');
  const isSlow = here.exitCode === null && here.reason === null || here.file === null && isTimeout(here);
  const wrong = isSlow ? missed.filter((name) => here.tests[name] !== undefined && here.tests[name] !== 'lost') : missed;
  const counts = { nativeOk: expected.length, ok: expected.length - missed.length, wrong, unreached: missed.length - wrong.length };
  if (!passed(native)) return { standing: 'native', ...counts };
  // A file that passes although a few of its tests were skipped only here is still one that passes; its tests are counted apart.
  if (passed(here)) return { standing: 'pass', ...counts };
  return { standing: isSlow && wrong.length === 0 ? 'slow' : 'wrong', ...counts };
}
