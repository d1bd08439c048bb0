// Page faults: exc_page_fault() and handle_mm_fault() of Linux, with the error code of SDM vol. 3, "Page-Fault Exceptions".
//
// Interface: handleFault for a trap, faultIn for one page of a known area, populate for a range, mapNew and mapProgramPart for a new area.
// A trap costs tens of microseconds and mapping a page less than one, so a fault maps neighbours as well: 64 KB around it
// while memory is plenty (of what the page cache has, 256 KB), ahead of it when memory is used in sequence. Frames never touched cost
// the host nothing. The data of a program or library is copied by 256 KB: relocation writes to most of it, in any order.

import { EFAULT, ENOMEM } from '../../abi/linux/errno.ts';
import {
  MMAP_MIN_ADDR, PAGE_SIZE, PROT_EXEC, PROT_WRITE, STACK_GUARD_GAP, TASK_SIZE_MAX, VM_GROWSDOWN, VM_RAND_READ,
} from '../../abi/linux/mman.ts';
import { PAGE_EXEC, PAGE_WRITE } from '../../platform.ts';
import { bug } from '../bug.ts';
import { Shmem } from './backing.ts';
import { pageDown } from './gap.ts';
import type { Mm } from './mm.ts';
import { entryGpa, pageProt } from './pages.ts';
import { clip, isShared } from './vma.ts';
import type { Vma } from './vma.ts';

/** The signal a fault ends in. Code 'oom': no memory is left; the kernel ends the sandbox with reason 'memory'. */
export interface Fault {
  readonly signo: number;
  readonly code: number | 'oom';
}

const SIGBUS = 7, SIGKILL = 9, SIGSEGV = 11;
const SEGV_MAPERR: Fault = { signo: SIGSEGV, code: 1 };
const SEGV_ACCERR: Fault = { signo: SIGSEGV, code: 2 };
const BUS_ADRERR: Fault = { signo: SIGBUS, code: 2 };
const OOM: Fault = { signo: SIGKILL, code: 'oom' };

/** Bits of a page fault's error code. */
const PF_WRITE = 2, PF_RSVD = 8, PF_INSTR = 16;
/** Pages a fault maps around itself. */
const AROUND_PAGES = 16;
/** The same where all they need is an entry, and of a program's data; a part of a program or library that is no larger is mapped at once. */
const AROUND_PAGES_CHEAP = 64;
/** A heap that grows by no more, or as much memory that a program's linker adds to its data, is used soon, most of it. */
const NEW_PAGES_MAX = 64;
/** A larger area is a file that somebody works on, not a program's data. */
const PROGRAM_DATA_BYTES_MAX = 2 << 20;
/** Pages a fault maps ahead at most, where anonymous memory is used in sequence: the window doubles from AROUND_PAGES. */
const AHEAD_PAGES_MAX = 256;
/** Keep so many frames out of the reach of optional mapping. */
const RESERVE_PAGES = 256;
/** Faults on one page that the page tables permit before we call it our own error. */
const SPURIOUS_MAX = 1000;

/** Resolves a page fault of ring 3 (or of the kernel's own access): 0 to retry, else the signal. */
export function handleFault(mm: Mm, gva: number, errorCode: number): 0 | Fault {
  if (!(gva >= 0 && gva < TASK_SIZE_MAX)) return SEGV_MAPERR;
  if ((errorCode & PF_RSVD) !== 0) bug(`mm: reserved bit in the page tables at ${gva.toString(16)}`);
  const page = pageDown(gva);
  const vma = mm.list.find(page) ?? growStack(mm, page);
  if (vma === null) return SEGV_MAPERR;
  const write = (errorCode & PF_WRITE) !== 0;
  const fetch = (errorCode & PF_INSTR) !== 0;
  if (vma.prot === 0 || (write && (vma.prot & PROT_WRITE) === 0) || (fetch && (vma.prot & PROT_EXEC) === 0)) return SEGV_ACCERR;
  const entry = mm.pages.space.entry(page);
  if (entry !== 0 && (!write || (entry & PAGE_WRITE) !== 0) && (!fetch || (entry & PAGE_EXEC) !== 0)) return spurious(mm, page);
  const result = faultIn(mm, vma, page, write);
  if (result === 0) return 0;
  return result === -ENOMEM ? OOM : BUS_ADRERR;
}

/** Makes one page of an area present for the access, which the area permits: 0, -ENOMEM, or -EFAULT (beyond the file). */
export function faultIn(mm: Mm, vma: Vma, page: number, write: boolean): number {
  if (mm.pages.hidden.size > 0 && mm.pages.hidden.has(page) && !mm.pages.unhide(vma, page)) return -ENOMEM;
  const entry = mm.pages.space.entry(page);
  if (entry !== 0 && (!write || (entry & PAGE_WRITE) !== 0)) return 0;
  const free = mm.kernel.frames.freePages - RESERVE_PAGES;
  const hasPlenty = isPlenty(mm);
  const isData = hasPlenty && isProgramData(mm, vma);
  const result = resolve(mm, vma, page, write || isData, entry, false);
  if (result !== 0) return result;
  const ahead = isData ? around(vma, page, AROUND_PAGES_CHEAP) : window(mm, vma, page, write, entry, free);
  mapNeighbours(mm, vma, ahead, write || isData);
  if (hasPlenty && !write && !isData && isFile(vma)) mapCached(mm, vma, around(vma, page, AROUND_PAGES_CHEAP));
  mm.nextFault = ahead.end;
  return 0;
}

function isPlenty({ kernel: { frames } }: Mm): boolean {
  return frames.freePages - RESERVE_PAGES >= frames.limitPages / 2;
}

/** A heap has just grown, or something was mapped at a place that was asked for. */
export function mapNew(mm: Mm, start: number, end: number): void {
  if (end - start > NEW_PAGES_MAX * PAGE_SIZE || !isPlenty(mm)) return;
  const vma = mm.list.find(start);
  if (vma !== null && vma.inode === null && (vma.prot & PROT_WRITE) !== 0) mapNeighbours(mm, vma, { start, end }, true);
}

/** A part of a program or library has just been mapped. What is small is used soon, from the page cache or as data of its own. */
export function mapProgramPart(mm: Mm, vma: Vma): void {
  if (!isFile(vma) || isShared(vma) || vma.prot === 0 || vma.end - vma.start > AROUND_PAGES_CHEAP * PAGE_SIZE || !isPlenty(mm)) return;
  if (isProgramData(mm, vma)) mapNeighbours(mm, vma, vma, true);
  else if ((vma.prot & PROT_WRITE) === 0) mapCached(mm, vma, vma);
}

function mapNeighbours(mm: Mm, vma: Vma, { start, end }: Range, write: boolean): void {
  if (vma.inode === null && mapZeroes(mm, vma, { start, end }, write)) return;
  for (let gva = start; gva < end; gva += PAGE_SIZE) {
    if (mm.pages.hidden.has(gva)) continue;
    const entry = mm.pages.space.entry(gva);
    if (entry !== 0 && (!write || (entry & PAGE_WRITE) !== 0)) continue;
    if (resolve(mm, vma, gva, write, entry, true) !== 0) return;
  }
}

/** Maps what the page cache has (filemap_map_pages() of Linux). */
function mapCached(mm: Mm, vma: Vma, { start, end }: Range): void {
  const { inode } = vma;
  if (!inode?.cachedPage) return;
  if ((vma.prot & PROT_WRITE) === 0) {
    const first = (vma.offset - vma.start) / PAGE_SIZE;
    const frameOf = (index: number): number => (inode.cachedPage?.(index) ? inode.mapPage(index, false) : 0);
    mapAbsent(mm, { start, end }, pageProt(vma.prot), (gva) => frameOf(first + gva / PAGE_SIZE));
    return;
  }
  for (let gva = start; gva < end; gva += PAGE_SIZE) {
    if (mm.pages.space.entry(gva) !== 0 || mm.pages.hidden.has(gva)) continue;
    if (!inode.cachedPage((vma.offset + gva - vma.start) / PAGE_SIZE)) continue;
    if (resolve(mm, vma, gva, false, 0, true) !== 0) return;
  }
}

/** What a page is, for mapping ahead. */
const ABSENT = 0, MAPPED = 1, READ_ONLY = 2;
const known = new Uint8Array(AHEAD_PAGES_MAX);

/** What the pages of a range are (in `known`, at most AHEAD_PAGES_MAX); false: one of them is read-only although it may be written. */
function look(mm: Mm, { start, end }: Range, write: boolean): boolean {
  known.fill(ABSENT);
  let isPlain = true;
  mm.pages.space.forEach(start, end - start, (gva, entry) => {
    const isReady = !write || (entry & PAGE_WRITE) !== 0;
    known[(gva - start) / PAGE_SIZE] = isReady ? MAPPED : READ_ONLY;
    isPlain &&= isReady;
  });
  if (mm.pages.hidden.size > 0) for (const gva of mm.pages.hidden.in(start, end)) known[(gva - start) / PAGE_SIZE] = MAPPED;
  return isPlain;
}

/** Maps zero pages where there are none. False: not all that is to be done in the range is of that kind, and nothing was. */
function mapZeroes(mm: Mm, vma: Vma, range: Range, write: boolean): boolean {
  const { frames } = mm.kernel;
  if (range.end - range.start > AHEAD_PAGES_MAX * PAGE_SIZE || !look(mm, range, write)) return false;
  mapRuns(mm, range, pageProt(vma.prot), () => {
    const gpa = frames.tryAlloc();
    if (gpa !== 0) frames.markAhead(gpa);
    return gpa === 0 ? -ENOMEM : gpa;
  });
  return true;
}

/** Maps what `frameOf` gives where nothing is mapped. */
function mapAbsent(mm: Mm, { start, end }: Range, prot: number, frameOf: (gva: number) => number): void {
  for (let at = start; at < end; at += AHEAD_PAGES_MAX * PAGE_SIZE) {
    const range = { start: at, end: Math.min(end, at + AHEAD_PAGES_MAX * PAGE_SIZE) };
    look(mm, range, false);
    mapRuns(mm, range, prot, frameOf);
  }
}

/** After `look`. A frame of 0: none there; of -errno: no more. */
function mapRuns(mm: Mm, { start, end }: Range, prot: number, frameOf: (gva: number) => number): void {
  let run: number[] = [];
  for (let gva = start; gva <= end; gva += PAGE_SIZE) {
    const gpa = gva < end && known[(gva - start) / PAGE_SIZE] === ABSENT ? frameOf(gva) : 0;
    if (gpa > 0) {
      run.push(gpa);
      continue;
    }
    if (run.length > 0 && !mm.pages.installRun(gva - run.length * PAGE_SIZE, run, prot)) return;
    if (gpa < 0) return;
    run = [];
  }
}

/** Faults in all of [start, end) that is mapped and accessible, as MAP_POPULATE does. 0, or the first error. */
export function populate(mm: Mm, start: number, end: number, write: 'as area' | boolean): number {
  for (const vma of mm.list.clipped(start, end)) {
    if (vma.prot === 0) continue;
    const forWrite = write === 'as area' ? (vma.prot & PROT_WRITE) !== 0 && !isShared(vma) : write;
    for (let page = vma.start; page < vma.end; page += PAGE_SIZE) {
      const present = mm.pages.lookup(page, forWrite);
      if (present !== 0) {
        mm.kernel.frames.markWanted(present);
        continue;
      }
      if (mm.kernel.frames.freePages < RESERVE_PAGES) return -ENOMEM;
      const result = faultIn(mm, mm.list.find(page) as Vma, page, forWrite);
      if (result !== 0) return result;
    }
  }
  return 0;
}

/** The page tables allow what faulted: a stale translation. Harmless, unless it never ends. */
function spurious(mm: Mm, page: number): 0 {
  if (mm.spuriousPage !== page || mm.spuriousChanges !== mm.pages.changes) mm.spuriousCount = 0;
  mm.spuriousPage = page;
  mm.spuriousChanges = mm.pages.changes;
  if (++mm.spuriousCount > SPURIOUS_MAX) bug(`mm: fault at ${page.toString(16)} without progress`);
  return 0;
}

/** The area that covers `page` after a stack above it grew down, or null. */
function growStack(mm: Mm, page: number): Vma | null {
  const at = mm.list.indexAbove(page);
  const next = mm.list.at(at);
  if (next === undefined || (next.flags & VM_GROWSDOWN) === 0 || page < MMAP_MIN_ADDR) return null;
  if (next.end - page > mm.limits.stackBytes) return null;
  const previous = mm.list.at(at - 1);
  if (previous !== undefined && previous.prot !== 0 && (previous.flags & VM_GROWSDOWN) === 0 &&
    page - previous.end < STACK_GUARD_GAP) return null;
  if (!mm.mayExpand(next.start - page, next.prot, next.flags)) return null;
  mm.list.replace(page, next.start, [{ ...next, start: page, end: next.start }]);
  return mm.list.find(page);
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** The pages worth mapping together with `page`; so many are `free`. */
function window(mm: Mm, vma: Vma, page: number, write: boolean, entry: number, free: number): Range {
  const { limitPages } = mm.kernel.frames;
  const walked = vma.inode === null && entry === 0 ? pagesBefore(mm, vma, page) : 0;
  const sequential = page === mm.nextFault || walked > 0;
  let pages = vma.inode === null && free >= limitPages / 2 ? AROUND_PAGES_CHEAP : AROUND_PAGES;
  if (free < AROUND_PAGES || (vma.flags & VM_RAND_READ) !== 0) pages = 1;
  else if (!sequential) {
    // Copies and pages of shared files cost more than a table entry: make them only for who goes through them in order.
    const costly = write && isFile(vma);
    if (costly || (write && entry !== 0) || free < limitPages / 4) pages = 1;
    else if (free < limitPages / 2) pages = 4;
  } else if (vma.inode === null) {
    const before = Math.max(walked, page === mm.nextFault ? mm.aheadPages : 0, AROUND_PAGES / 2);
    pages = Math.min(before * 2, AHEAD_PAGES_MAX, Math.max(AROUND_PAGES, free >> 3));
  }
  mm.aheadPages = pages;
  return sequential ? { start: page, end: Math.min(vma.end, page + pages * PAGE_SIZE) } : around(vma, page, pages);
}

/** The aligned block of so many pages that `page` is in, cut to the area. */
function around(vma: Vma, page: number, pages: number): Range {
  const start = page - page % (pages * PAGE_SIZE);
  return { start: Math.max(vma.start, start), end: Math.min(vma.end, start + pages * PAGE_SIZE) };
}

/** About how many pages are mapped right before `page`, at most half of AHEAD_PAGES_MAX; 0: less than AROUND_PAGES. */
function pagesBefore(mm: Mm, vma: Vma, page: number): number {
  let pages = 0;
  if (page === vma.start || mm.pages.space.entry(page - PAGE_SIZE) === 0) return 0;
  for (let at = AROUND_PAGES; at < AHEAD_PAGES_MAX && page - at * PAGE_SIZE >= vma.start; at *= 2) {
    if (mm.pages.space.entry(page - at * PAGE_SIZE) === 0) break;
    pages = at;
  }
  return pages;
}

function isFile(vma: Vma): boolean {
  return vma.inode !== null && !(vma.inode instanceof Shmem);
}

/**
 * Whether an area is the data of a program or library: private, writable, right behind other parts of the same file. Only there may pages be
 * copied that nobody wrote to, because a file that is not run may change meanwhile, and a private mapping shows that.
 */
function isProgramData(mm: Mm, vma: Vma): boolean {
  if (!isFile(vma) || isShared(vma) || (vma.prot & PROT_WRITE) === 0 || vma.end - vma.start > PROGRAM_DATA_BYTES_MAX) return false;
  const before = mm.list.at(mm.list.indexAbove(vma.start) - 1);
  return before !== undefined && before.end === vma.start && before.inode === vma.inode;
}

/** Makes one page present or writable; `entry` is what is mapped there now. `ahead`: nobody asked for it yet. */
function resolve(mm: Mm, vma: Vma, page: number, write: boolean, entry: number, ahead: boolean): number {
  if (vma.inode === null) return entry === 0 ? zeroPage(mm, vma, page, ahead) : breakCow(mm, vma, page, entry);
  if (isShared(vma)) return sharedPage(mm, vma, page, write, entry);
  return entry === 0 ? filePage(mm, vma, page, write) : breakCow(mm, vma, page, entry);
}

function zeroPage(mm: Mm, vma: Vma, page: number, ahead: boolean): number {
  const { frames } = mm.kernel;
  const gpa = ahead ? frames.tryAlloc() : frames.alloc();
  if (gpa === 0) return -ENOMEM;
  if (ahead) frames.markAhead(gpa);
  return mm.pages.install(page, gpa, pageProt(vma.prot), 0) ? 0 : -ENOMEM;
}

/** A write to a private page mapped read-only: it becomes ours, or a copy does. */
function breakCow(mm: Mm, vma: Vma, page: number, entry: number): number {
  const { frames } = mm.kernel;
  const old = entryGpa(entry);
  if (frames.refs(old) === 1) {
    const block = page - page % (AROUND_PAGES * PAGE_SIZE);
    mm.pages.reprotect(clip(vma, block, block + AROUND_PAGES * PAGE_SIZE));
    return 0;
  }
  const copy = copyFrame(mm, old);
  if (copy < 0) return copy;
  return mm.pages.install(page, copy, pageProt(vma.prot), entry) ? 0 : -ENOMEM;
}

function filePage(mm: Mm, vma: Vma, page: number, write: boolean): number {
  const { frames } = mm.kernel;
  const gpa = pageOf(vma, page, false);
  if (gpa < 0) return gpa;
  if (!write || frames.refs(gpa) === 1) return mm.pages.install(page, gpa, mm.pages.protFor(vma, gpa), 0) ? 0 : -ENOMEM;
  const copy = copyFrame(mm, gpa);
  frames.unref(gpa);
  if (copy < 0) return copy;
  return mm.pages.install(page, copy, pageProt(vma.prot), 0) ? 0 : -ENOMEM;
}

function sharedPage(mm: Mm, vma: Vma, page: number, write: boolean, entry: number): number {
  const gpa = pageOf(vma, page, write);
  if (gpa < 0) return gpa;
  if (entry !== 0 && entryGpa(entry) === gpa) {
    mm.kernel.frames.unref(gpa);
    mm.pages.setProt(page, pageProt(vma.prot));
    return 0;
  }
  return mm.pages.install(page, gpa, mm.pages.protFor(vma, gpa, write), entry) ? 0 : -ENOMEM;
}

function pageOf(vma: Vma, page: number, forWrite: boolean): number {
  const gpa = vma.inode === null ? bug('mm: no file') : vma.inode.mapPage((vma.offset + page - vma.start) / PAGE_SIZE, forWrite);
  return gpa < 0 && gpa !== -ENOMEM ? -EFAULT : gpa;
}

function copyFrame(mm: Mm, from: number): number {
  const { frames } = mm.kernel;
  if (frames.isForeign(from)) return -EFAULT;
  return frames.allocCopy(from) || -ENOMEM;
}
