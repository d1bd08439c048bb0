// Where cases are forked: a fraction of their calls for each case, from a seed that is new each time unless OFFSHOOT_SEED
// gives one; always the same under CI, where nobody is there to look at a new finding.

import { createHash, randomInt } from 'node:crypto';

/** The seed of this process: tests print it when they fail. */
const CI_SEED = '1';
export const SEED = process.env['OFFSHOOT_SEED'] ?? (process.env['CI'] ? CI_SEED : String(randomInt(2 ** 32)));

/** A number in [0, 1) for a case. */
export function fractionOf(name: string, seed = SEED): number {
  return createHash('sha256').update(`${seed} ${name}`).digest().readUInt32LE(0) / 2 ** 32;
}
