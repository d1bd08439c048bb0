// Importing this file makes later memory of the JavaScript heap lie together. It belongs first in a process that makes many VMs.
//
// V8 asks for each 256 KB of its heap at a random address below 2^46, so a heap is hundreds of mappings, and KVM_CREATE_VM takes a
// lock for each mapping of the process (mm_take_all_locks in mm/mmu_notifier.c): with 600 of them it takes 280 µs, with 200 170 µs.
// Where those addresses are taken, by mappings that nobody can touch and that cost nothing, Linux puts the pieces side by side
// and joins them. It stays at the default where Linux refuses that.

import { readFileSync } from 'node:fs';
import { MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE } from '../abi/linux/host.ts';
import { HostError } from './errors.ts';
import { mmap } from './libc.ts';

/** Below: the program, and its brk(2) heap, which grows. */
const FIRST = 2 ** 36;
const END = 2 ** 46;

/** NOREPLACE: other threads of V8 map memory meanwhile. */
const FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
/** And then it is tried again so often. */
const TRIES = 3;

/** Whether [start, end) is taken now. */
function fill(start: number, end: number): boolean {
  try {
    if (end > start) mmap(start, end - start, PROT_NONE, FLAGS, -1, 0);
    return true;
  } catch (error) {
    if (error instanceof HostError) return false;
    throw error;
  }
}

function fillLowAddresses(): boolean {
  let free = FIRST;
  let isFull = true;
  for (const [, start, end] of readFileSync('/proc/self/maps', 'latin1').matchAll(/^([0-9a-f]+)-([0-9a-f]+) /gm)) {
    const first = parseInt(start, 16), last = parseInt(end, 16);
    if (first >= END) break;
    isFull = fill(free, first) && isFull;
    free = Math.max(free, last);
  }
  return fill(free, END) && isFull;
}

for (let tries = 0; tries < TRIES && !fillLowAddresses(); tries++);
