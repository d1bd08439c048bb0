// Runs of pages: [start, end, start, end, …], ascending, in bytes from where the memory begins; or of other units, by number.

import { PAGE_SIZE } from '../abi/x86/cpu.ts';

/** Adds what lies behind all that is there: [start, end). */
export function addRun(runs: number[], start: number, end: number): void {
  if (runs.length > 0 && runs[runs.length - 1] === start) runs[runs.length - 1] = end;
  else runs.push(start, end);
}

/** Adds the page at `at`, which lies behind all that are there. */
export function addPage(runs: number[], at: number): void {
  addRun(runs, at, at + PAGE_SIZE);
}
