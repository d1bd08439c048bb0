// Runs of pages: [start, end, start, end, …], ascending, in bytes from where the memory begins.

import { PAGE_SIZE } from '../abi/x86/cpu.ts';

/** Adds the page at `at`, which lies behind all that are there. */
export function addPage(runs: number[], at: number): void {
  if (runs.length > 0 && runs[runs.length - 1] === at) runs[runs.length - 1] = at + PAGE_SIZE;
  else runs.push(at, at + PAGE_SIZE);
}
