// How the model checks use fast-check: a seed that a failure prints and OFFSHOOT_SEED repeats, a bound on time (OFFSHOOT_FUZZ=N: N times
// as many and as long), and a tape of numbers for models that draw as they go.
//
// Interface: check, tape, Drawer.

import fc from 'fast-check';

const SEED = process.env['OFFSHOOT_SEED'] === undefined ? Date.now() % 2 ** 31 : Number(process.env['OFFSHOOT_SEED']);
/** A slow machine makes fewer of them. */
const TIME_MS = 2000;
const TIMES = Number(process.env['OFFSHOOT_FUZZ'] ?? '1');

/** Checks the property with some hundred inputs; a failure says the seed and the smallest input found that fails. */
export function check<T>(property: fc.IRawProperty<T>, runs: number): void {
  fc.assert(property, { seed: SEED, numRuns: runs * TIMES, interruptAfterTimeLimit: TIME_MS * TIMES, markInterruptAsFailure: false });
}

/** Numbers to draw from: fast-check makes a failing one shorter and its numbers smaller. */
export function tape(length: number): fc.Arbitrary<number[]> {
  return fc.array(fc.nat(2 ** 30), { minLength: 10, maxLength: length, size: 'max' });
}

/** Draws from a tape; 0 once it has ended. */
export class Drawer {
  private readonly numbers: readonly number[];
  private at = 0;

  constructor(numbers: readonly number[]) {
    this.numbers = numbers;
  }

  get isOver(): boolean {
    return this.at >= this.numbers.length;
  }

  readonly below = (count: number): number => (this.numbers[this.at++] ?? 0) % count;

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}
