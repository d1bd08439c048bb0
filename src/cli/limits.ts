// The limits of `offshoot run` and `exec`, from the command line's units to the library's.

import type { LimitInit } from '../engine/run.ts';
import { UsageError } from './fail.ts';

/** As they are typed. */
export interface LimitFlags {
  readonly timeout?: string;
  readonly cpuTime?: string;
  readonly output?: string;
  readonly processes?: string;
  readonly files?: string;
  readonly disk?: string;
  readonly inodes?: string;
  readonly kernelMemory?: string;
}

const MB = 2 ** 20;

/** Limits of one run. Throws UsageError. */
export function limitsOf(flags: LimitFlags): LimitInit {
  const given: readonly (readonly [keyof LimitInit, number | undefined])[] = [
    ['timeoutMs', scaled(positive(flags.timeout, '--timeout'), 1000)], ['cpuTimeMs', scaled(positive(flags.cpuTime, '--cpu-time'), 1000)],
    ['outputBytes', scaled(positive(flags.output, '--output'), MB)], ['diskBytes', scaled(positive(flags.disk, '--disk'), MB)],
    ['processes', count(flags.processes, '--processes', 1)], ['files', count(flags.files, '--files', 8)],
    ['inodes', count(flags.inodes, '--inodes', 1)], ['kernelMemoryBytes', scaled(positive(flags.kernelMemory, '--kernel-memory'), MB)],
  ];
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

/** A number above 0, if the flag was given. Throws UsageError. */
export function positive(text: string | undefined, flag: string): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0) throw new UsageError(`${flag} needs a number above 0, not "${text}".`);
  return value;
}

function count(text: string | undefined, flag: string, min: number): number | undefined {
  const value = positive(text, flag);
  if (value !== undefined && !(Number.isInteger(value) && value >= min)) throw new UsageError(`${flag} needs a whole number from ${min}, not "${text}".`);
  return value;
}

function scaled(value: number | undefined, unit: number): number | undefined {
  return value === undefined ? undefined : Math.round(value * unit);
}
