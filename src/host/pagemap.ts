// Which pages of a private mapping are this process's own: PAGEMAP_SCAN of /proc/self/pagemap (Linux 6.7, Documentation/
// admin-guide/mm/pagemap.rst), or, where it is missing, a read of the pagemap's entries.

import { readSync } from 'node:fs';
import { addr, buffer, size, struct, u64 } from '../abi/struct.ts';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, O_CLOEXEC, PROT_READ, PROT_WRITE } from '../abi/linux/host.ts';
import type { Arena } from './arena.ts';
import { errnoName } from './errors.ts';
import * as libc from './libc.ts';

const PAGE = 4096;
/** _IOWR('f', 16, struct pm_scan_arg) */
export const PAGEMAP_SCAN = 0xc060_6610;
const PAGE_IS_FILE = 1n << 2n, PAGE_IS_PRESENT = 1n << 3n, PAGE_IS_SWAPPED = 1n << 4n;
/** Bits of a pagemap entry: present, swapped, file page or shared. */
const PM_PRESENT = 0x8000_0000, PM_SWAP = 0x4000_0000, PM_FILE = 0x2000_0000;
const REGIONS = 512;
const REGION_BYTES = 24;
/** Entries of a pagemap read at a time. */
const ENTRIES_MAX = 65536;

const ScanArg = struct('pm_scan_arg', 96, {
  size: u64, flags: u64, start: addr, end: addr, walk_end: addr, vec: addr, vec_len: size, max_pages: u64,
  category_inverted: u64, category_mask: u64, category_anyof_mask: u64, return_mask: u64,
});

let fd = -1;
let scanWorks = true;
let found: { readonly hva: number; readonly view: DataView } | null = null;
const arg = buffer(ScanArg.size);

/** Receives a run of pages. */
export type VisitRange = (hva: number, sizeBytes: number) => void;

/** Opens the pagemap: for a process that may not open it later. Throws HostError. */
export function openPagemap(): void {
  if (fd < 0) fd = libc.open('/proc/self/pagemap', O_CLOEXEC);
}

/** Whether this host's kernel has PAGEMAP_SCAN and lets us use it: null, or the name of the errno it answers with. */
export function pagemapScanProblem(): string | null {
  openPagemap();
  arg.u8.fill(0);
  ScanArg.set.size(arg.view, 0, BigInt(ScanArg.size)); // an empty range: nothing is looked at
  ScanArg.set.return_mask(arg.view, 0, PAGE_IS_PRESENT);
  const result = libc.ioctlTryPointer(fd, PAGEMAP_SCAN, arg.u8);
  return result < 0 ? errnoName(-result) : null;
}

/** How many pages of [hva, hva+sizeBytes) are anonymous: copied on write or written, present or swapped out. */
export function privatePages(arena: Arena, hva: number, sizeBytes: number): number {
  let bytes = 0;
  forEachPrivateRange(arena, hva, sizeBytes, (_start, length) => {
    bytes += length;
  });
  return bytes / PAGE;
}

/** Such pages of [hva+from, hva+to), as runs of offsets from `hva`: [start, end, start, end, …]. */
export function privateRuns(arena: Arena, hva: number, from: number, to: number): number[] {
  const runs: number[] = [];
  forEachPrivateRange(arena, hva + from, to - from, (start, length) => runs.push(start - hva, start - hva + length));
  return runs;
}

/** Calls back for each run of such pages, ascending. */
export function forEachPrivateRange(arena: Arena, hva: number, sizeBytes: number, visit: VisitRange): void {
  openPagemap();
  found ??= resultPages(arena);
  let start = hva;
  while (scanWorks && start < hva + sizeBytes) {
    const end = scan(found, start, hva + sizeBytes, visit);
    if (end <= start) scanWorks = false;
    else start = end;
  }
  if (start < hva + sizeBytes) readEntries(start, hva + sizeBytes - start, visit);
}

/** For tests: whether PAGEMAP_SCAN may be used. */
export function allowPagemapScan(allowed: boolean): void {
  scanWorks = allowed;
}

/** Where the kernel writes the regions it found: memory whose address is known. */
function resultPages(arena: Arena): { readonly hva: number; readonly view: DataView } {
  const region = arena.take(REGIONS * REGION_BYTES);
  libc.mmap(region.hva, region.sizeBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  return { hva: region.hva, view: new DataView(region.buffer, region.byteOffset, region.sizeBytes) };
}

/** One step of a walk from `start`: where it ended, or a negative errno. */
function scan(regions: { readonly hva: number; readonly view: DataView }, start: number, end: number, visit: VisitRange): number {
  arg.u8.fill(0);
  ScanArg.set.size(arg.view, 0, BigInt(ScanArg.size));
  ScanArg.set.start(arg.view, 0, start);
  ScanArg.set.end(arg.view, 0, end);
  ScanArg.set.vec(arg.view, 0, regions.hva);
  ScanArg.set.vec_len(arg.view, 0, REGIONS);
  ScanArg.set.category_inverted(arg.view, 0, PAGE_IS_FILE);
  ScanArg.set.category_mask(arg.view, 0, PAGE_IS_FILE);
  ScanArg.set.category_anyof_mask(arg.view, 0, PAGE_IS_PRESENT | PAGE_IS_SWAPPED);
  ScanArg.set.return_mask(arg.view, 0, PAGE_IS_PRESENT);
  const count = libc.ioctlTryPointer(fd, PAGEMAP_SCAN, arg.u8);
  if (count < 0) return count;
  for (let i = 0; i < count; i++) {
    const from = Number(regions.view.getBigUint64(i * REGION_BYTES, true));
    visit(from, Number(regions.view.getBigUint64(i * REGION_BYTES + 8, true)) - from);
  }
  return ScanArg.get.walk_end(arg.view, 0);
}

function readEntries(hva: number, sizeBytes: number, visit: VisitRange): void {
  const entries = new Uint32Array(2 * ENTRIES_MAX);
  for (let start = hva, end = hva + sizeBytes; start < end;) {
    const want = Math.min(entries.byteLength, ((end - start) / PAGE) * 8);
    const got = readSync(fd, entries, 0, want, (start / PAGE) * 8);
    if (got < 8 || got % 8 !== 0) throw new Error(`/proc/self/pagemap gave ${got} bytes`);
    for (let i = 1; i < got / 4; i += 2, start += PAGE) {
      if ((entries[i] & (PM_PRESENT | PM_SWAP)) !== 0 && (entries[i] & PM_FILE) === 0) visit(start, PAGE);
    }
  }
}
