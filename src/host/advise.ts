// madvise(2) for many ranges in one call: process_madvise(2) on this process itself (PIDFD_SELF_THREAD_GROUP, Linux 6.15). Locks are taken
// once and translations flushed once, not for each range: 200 single pages are given back in 50 µs instead of 280. A host that has no such
// call, or does not permit it, gets one for each range.

import koffi from 'koffi';
import { MADV_DONTNEED, PIDFD_SELF_THREAD_GROUP } from '../abi/linux/host.ts';
import { SYS_process_madvise } from '../abi/linux/hostcalls.ts';
import { madvise } from './libc.ts';

const processMadvise = koffi.load('libc.so.6').func('syscall', 'long', ['long', 'long', 'void *', 'long', 'long', 'long']) as
  (nr: number, pidfd: number, iovecs: Uint8Array, count: number, advice: number, flags: number) => number;

/** IOV_MAX. */
const RANGES_MAX = 1024;
/** struct iovec, one after another: address and length as 32-bit words, low half first. */
const words = new Uint32Array(4 * RANGES_MAX);
const iovecs = new Uint8Array(words.buffer);
let works = true;

/** Ranges of memory: first byte, bytes, first byte, bytes, …; whole pages. */
export type Ranges = readonly number[];

/** Gives `advice` about each of `ranges`, which are offsets from `hva`. Throws HostError when the host refuses one. */
export function adviseRanges(hva: number, ranges: Ranges, advice: number): void {
  let done = 0;
  while (works && done < ranges.length) {
    const end = Math.min(ranges.length, done + 2 * RANGES_MAX);
    if (!adviseSome(hva, ranges, done, end, advice)) break;
    done = end;
  }
  for (; done < ranges.length; done += 2) madvise(hva + ranges[done], ranges[done + 1], advice);
}

/** Gives back what is private in `runs` of memory, offsets from `hva`: start, end, start, end, …; whole pages. */
export function discardRuns(hva: number, runs: readonly number[]): void {
  adviseRanges(hva, runs.map((at, i) => (i % 2 === 0 ? at : at - runs[i - 1])), MADV_DONTNEED);
}

/** For tests: whether process_madvise may be used. */
export function allowProcessMadvise(allowed: boolean): void {
  works = allowed;
}

/** False: not about all of them. What was done may be done again. */
function adviseSome(hva: number, ranges: Ranges, from: number, end: number, advice: number): boolean {
  let wanted = 0;
  for (let i = from, at = 0; i < end; i += 2) {
    const start = hva + ranges[i], bytes = ranges[i + 1];
    words[at++] = start % 2 ** 32;
    words[at++] = start / 2 ** 32;
    words[at++] = bytes % 2 ** 32;
    words[at++] = bytes / 2 ** 32;
    wanted += bytes;
  }
  const advised = processMadvise(SYS_process_madvise, PIDFD_SELF_THREAD_GROUP, iovecs, (end - from) / 2, advice, 0);
  if (advised < 0) works = false; // a refusal of the ranges shows again, where it is thrown
  return advised === wanted;
}
