// mmap(2), munmap(2), mprotect(2), brk(2): do_mmap(), do_vmi_munmap(), do_mprotect_pkey() and sys_brk() of Linux, errors in
// the same order. The argument layer is syscalls/mm.ts; execve calls mapRegion directly.

import {
  EACCES, EAGAIN, EEXIST, EINVAL, ENODEV, ENOMEM, EOPNOTSUPP, EOVERFLOW,
} from '../../abi/linux/errno.ts';
import {
  LEGACY_MAP_MASK, MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_GROWSDOWN, MAP_HUGETLB, MAP_LOCKED, MAP_NONBLOCK,
  MAP_NORESERVE, MAP_POPULATE, MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE, MAP_TYPE, MAX_MAP_COUNT, PAGE_SIZE, PROT_EXEC,
  PROT_GROWSDOWN, PROT_GROWSUP, PROT_READ, PROT_SEM, PROT_WRITE, TASK_SIZE_MAX, VM_ACCOUNT, VM_GROWSDOWN, VM_LOCKED,
  VM_LOCKONFAULT, VM_NORESERVE, VM_SHARED,
} from '../../abi/linux/mman.ts';
import { USER_END } from '../../platform.ts';
import { Shmem } from './backing.ts';
import type { Backing } from './backing.ts';
import { mapNew, mapProgramPart, populate } from './fault.ts';
import { findUnmapped, isPageAligned, pageUp } from './gap.ts';
import type { Mm } from './mm.ts';
import { clip, isShared, startWithGap } from './vma.ts';
import type { Vma } from './vma.ts';

/** Arguments of mmap(2), with the descriptor resolved. */
export interface MapRequest {
  readonly addr: number;
  readonly length: number;
  readonly prot: number;
  /** MAP_*. */
  readonly flags: number;
  /** What to map; ignored with MAP_ANONYMOUS. */
  readonly inode: Backing | null;
  readonly offset: number;
  /** For /proc/PID/maps. */
  readonly path?: string;
  /** How the file was opened; true when absent (execve). */
  readonly canRead?: boolean;
  readonly canWrite?: boolean;
}

const PROT_MASK = PROT_READ | PROT_WRITE | PROT_EXEC;
/** Largest file offset. */
const OFFSET_MAX = 2 ** 63;

/** mmap(2): the address, or -errno. */
export function mapRegion(mm: Mm, request: MapRequest): number {
  let { flags } = request;
  if (!isPageAligned(request.offset)) return -EINVAL;
  if (request.length === 0) return -EINVAL;
  if ((flags & MAP_HUGETLB) !== 0) return (flags & MAP_ANONYMOUS) !== 0 ? -ENOMEM : -EINVAL;
  if ((flags & MAP_FIXED_NOREPLACE) !== 0) flags |= MAP_FIXED;
  const length = pageUp(request.length);
  if (mm.list.count > MAX_MAP_COUNT) return -ENOMEM;
  const addr = findUnmapped(mm.list, mm.mmapBase, request.addr, length, flags);
  if (addr < 0) return addr;
  if ((flags & MAP_FIXED_NOREPLACE) !== 0 && !mm.list.isFree(addr, addr + length)) return -EEXIST;
  const area = makeArea(mm, request, flags, addr, length);
  if (typeof area === 'number') return area;
  const refused = checkLimits(mm, area, flags);
  if (refused !== 0) return refused;
  if (!mm.list.isFree(addr, addr + length)) dropRegion(mm, addr, addr + length);
  mm.list.replace(addr, addr + length, [withShmem(mm, area)]);
  const wantsPages = (flags & (MAP_POPULATE | MAP_NONBLOCK)) === MAP_POPULATE;
  if (wantsPages || (area.flags & (VM_LOCKED | VM_LOCKONFAULT)) === VM_LOCKED) populate(mm, addr, addr + length, 'as area');
  else if ((flags & MAP_FIXED) !== 0) mapPart(mm, clip(mm.list.find(addr) as Vma, addr, addr + length));
  return addr;
}

/**
 * A dynamic linker maps a whole file, and then its parts over that: the first part is what is left of the whole. `vma`: the part alone, not what is
 * behind it and was joined with it.
 */
function mapPart(mm: Mm, vma: Vma): void {
  if (vma.inode === null && (vma.flags & VM_GROWSDOWN) === 0) mapNew(mm, vma.start, vma.end);
  else mapProgramPart(mm, vma);
  const first = mm.list.at(mm.list.indexAbove(vma.start) - 1);
  if (first && first.end === vma.start && first.inode !== null && first.inode === vma.inode && first.offset === 0) mapProgramPart(mm, first);
}

/** The area a request describes, or -errno: the checks of do_mmap by kind of mapping. */
function makeArea(mm: Mm, request: MapRequest, flags: number, addr: number, length: number): Vma | number {
  const vmFlags = mm.defaultFlags | ((flags & MAP_GROWSDOWN) !== 0 ? VM_GROWSDOWN : 0) |
    ((flags & MAP_LOCKED) !== 0 ? VM_LOCKED : 0) | ((flags & MAP_NORESERVE) !== 0 ? VM_NORESERVE : 0);
  const locks = mm.checkLock(vmFlags, length);
  if (locks !== 0) return locks;
  const base = { start: addr, end: addr + length, prot: request.prot & PROT_MASK, maxProt: PROT_MASK, flags: vmFlags };
  const type = flags & MAP_TYPE;
  if ((flags & MAP_ANONYMOUS) === 0) {
    const maxProt = checkFile(request, flags, length);
    if (maxProt < 0) return maxProt;
    const shared = type === MAP_PRIVATE ? 0 : VM_SHARED;
    return { ...base, maxProt, flags: base.flags | shared, inode: request.inode, offset: request.offset, path: request.path ?? '' };
  }
  if (type === MAP_PRIVATE) return { ...base, inode: null, offset: 0, path: request.path ?? '' };
  if (type !== MAP_SHARED || (flags & MAP_GROWSDOWN) !== 0) return -EINVAL;
  return { ...base, flags: base.flags | VM_SHARED, inode: null, offset: 0, path: '/dev/zero' };
}

/** What mprotect may later give a mapping of this file, or -errno. */
function checkFile(request: MapRequest, flags: number, length: number): number {
  if (request.offset < 0 || request.offset > OFFSET_MAX - length) return -EOVERFLOW;
  const canRead = request.canRead ?? true;
  const canWrite = request.canWrite ?? true;
  let maxProt = PROT_MASK;
  const type = flags & MAP_TYPE;
  if (type === MAP_SHARED || type === MAP_SHARED_VALIDATE) {
    if (type === MAP_SHARED_VALIDATE && (flags & ~LEGACY_MAP_MASK & ~MAP_FIXED_NOREPLACE) !== 0) return -EOPNOTSUPP;
    if ((request.prot & PROT_WRITE) !== 0 && !canWrite) return -EACCES;
    if (!canWrite) maxProt &= ~PROT_WRITE;
  } else if (type !== MAP_PRIVATE) return -EINVAL;
  if (!canRead) return -EACCES;
  if (request.inode === null) return -ENODEV;
  return (flags & MAP_GROWSDOWN) !== 0 ? -EINVAL : maxProt;
}

function checkLimits(mm: Mm, area: Vma, flags: number): number {
  const length = area.end - area.start;
  let added = length;
  if ((flags & MAP_FIXED) !== 0) for (const vma of mm.list.clipped(area.start, area.end)) added -= vma.end - vma.start;
  if (!mm.mayExpand(added, area.prot, area.flags)) return -ENOMEM;
  if (mm.list.count + mm.list.growthIfCut(area.start, area.end, 1) > MAX_MAP_COUNT + 1) return -ENOMEM;
  const isShmem = isShared(area) && area.inode === null;
  return (isAccountable(area) || (isShmem && (area.flags & VM_NORESERVE) === 0)) && !mm.mayCommit(length) ? -ENOMEM : 0;
}

/** accountable_mapping(): private writable memory that reserves. */
function isAccountable(area: Vma): boolean {
  return (area.prot & PROT_WRITE) !== 0 && (area.flags & (VM_SHARED | VM_NORESERVE)) === 0;
}

/** Completes an area once nothing can refuse it any more. */
function withShmem(mm: Mm, area: Vma): Vma {
  if (isAccountable(area)) return { ...area, flags: area.flags | VM_ACCOUNT };
  if (!isShared(area) || area.inode !== null) return area;
  const pages = (area.end - area.start) / PAGE_SIZE;
  return { ...area, inode: new Shmem(mm.kernel.frames, mm.shmemIno(), pages) };
}

/** munmap(2): 0 or -errno. */
export function unmapRegion(mm: Mm, addr: number, length: number): number {
  if (!isPageAligned(addr) || addr > TASK_SIZE_MAX || length > TASK_SIZE_MAX - addr || length === 0) return -EINVAL;
  const end = addr + pageUp(length);
  if (mm.list.isFree(addr, end)) return 0;
  if (mm.list.count + mm.list.growthIfCut(addr, end, 0) > MAX_MAP_COUNT) return -ENOMEM;
  dropRegion(mm, addr, end);
  return 0;
}

/** Removes areas and pages of [start, end) without asking. */
export function dropRegion(mm: Mm, start: number, end: number): void {
  for (const vma of mm.list.clipped(start, end)) mm.pages.drop(vma.start, vma.end);
  mm.list.replace(start, end, []);
}

/** mprotect(2): 0 or -errno; what precedes the area that refuses has been changed. */
export function protectRegion(mm: Mm, addr: number, length: number, protection: number): number {
  const grows = protection & (PROT_GROWSDOWN | PROT_GROWSUP);
  const prot = protection & ~grows;
  if (grows === (PROT_GROWSDOWN | PROT_GROWSUP) || !isPageAligned(addr)) return -EINVAL;
  if (length === 0) return 0;
  const end = addr + pageUp(length);
  if (end > 2 ** 64) return -ENOMEM;
  if ((prot & ~(PROT_MASK | PROT_SEM)) !== 0) return -EINVAL;
  const first = mm.list.at(mm.list.indexAbove(addr));
  if (first === undefined) return -ENOMEM;
  let start = addr;
  if (grows === PROT_GROWSDOWN) {
    if (first.start >= end) return -ENOMEM;
    if ((first.flags & VM_GROWSDOWN) === 0) return -EINVAL;
    start = first.start;
  } else {
    if (first.start > addr) return -ENOMEM;
    if (grows === PROT_GROWSUP) return -EINVAL;
  }
  return protectAreas(mm, start, end, prot & PROT_MASK);
}

/** All areas are changed at once, after each was judged: one by one, tens of thousands of them would hold up the worker. */
function protectAreas(mm: Mm, start: number, end: number, prot: number): number {
  const areas: Vma[] = [];
  const changed: Vma[] = [];
  let at = start;
  let newData = 0;
  let growth = 0;
  let result = 0;
  for (const vma of mm.list.clipped(start, end)) {
    growth += mm.list.growthIfCut(vma.start, vma.end, 1);
    const area = vma.start === at ? protectedArea(mm, vma, prot, newData, growth) : -ENOMEM;
    if (typeof area === 'number') {
      result = area;
      break;
    }
    areas.push(area);
    if (area !== vma) changed.push(area);
    if ((area.prot & ~vma.prot & PROT_WRITE) !== 0 && !isShared(area)) newData += area.end - area.start;
    at = area.end;
  }
  if (changed.length > 0) mm.list.replace(start, at, areas);
  for (const area of changed) mm.pages.reprotect(area);
  return result === 0 && at < end ? -ENOMEM : result;
}

/** The area as it will be (itself when nothing changes), or -errno. `newData`, `growth`: bytes and areas the call has added so far. */
function protectedArea(mm: Mm, vma: Vma, prot: number, newData: number, growth: number): Vma | number {
  if ((prot & ~vma.maxProt) !== 0) return -EACCES;
  if (prot === vma.prot) return vma;
  let area: Vma = { ...vma, prot };
  if (isAccountable(area) && (vma.flags & VM_ACCOUNT) === 0 && (vma.prot & PROT_WRITE) === 0) {
    if (!mm.mayCommit(vma.end - vma.start)) return -ENOMEM;
    area = { ...area, flags: vma.flags | VM_ACCOUNT };
  }
  if (isAccountable(area) && (vma.prot & PROT_WRITE) === 0 && !mm.mayHoldData(newData + vma.end - vma.start)) return -ENOMEM;
  return mm.list.count + growth > MAX_MAP_COUNT + 1 ? -ENOMEM : area;
}

/** brk(2): the new break, or the old one when it cannot be had. */
export function setBreak(mm: Mm, brk: number): number {
  if (brk < mm.startBrk || brk > USER_END) return mm.brk;
  if (brk - mm.startBrk > mm.limits.dataBytes) return mm.brk;
  const oldEnd = pageUp(mm.brk);
  const newEnd = pageUp(brk);
  if (newEnd < oldEnd) {
    if (unmapRegion(mm, newEnd, oldEnd - newEnd) !== 0) return mm.brk;
  } else if (newEnd > oldEnd && growHeap(mm, oldEnd, newEnd) !== 0) return mm.brk;
  mm.brk = brk;
  return brk;
}

function growHeap(mm: Mm, start: number, end: number): number {
  const next = mm.list.at(mm.list.indexAbove(start));
  if (next !== undefined && end + PAGE_SIZE > startWithGap(next)) return -ENOMEM;
  const prot = PROT_READ | PROT_WRITE;
  const flags = mm.defaultFlags | VM_ACCOUNT;
  if (mm.checkLock(flags, end - start) !== 0) return -EAGAIN;
  if (!mm.mayExpand(end - start, prot, flags) || !mm.mayCommit(end - start) || mm.list.count > MAX_MAP_COUNT) return -ENOMEM;
  mm.list.replace(start, end, [{ start, end, prot, maxProt: PROT_MASK, flags, inode: null, offset: 0, path: '' }]);
  if ((flags & (VM_LOCKED | VM_LOCKONFAULT)) === VM_LOCKED) populate(mm, start, end, 'as area');
  else mapNew(mm, start, end);
  return 0;
}
