// mlock(2), mlockall(2), mincore(2): mm/mlock.c and mm/mincore.c of Linux. Nothing is ever swapped out, so a lock is a flag
// and a limit, and what Linux does at once (bringing the pages in) we do too.

import { EAGAIN, EFAULT, EINVAL, ENOMEM, EPERM } from '../../abi/linux/errno.ts';
import {
  MAX_MAP_COUNT, MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT, PAGE_SIZE, TASK_SIZE_MAX, VM_LOCKED, VM_LOCKONFAULT,
} from '../../abi/linux/mman.ts';
import { populate } from './fault.ts';
import { isPageAligned, pageDown, pageUp } from './gap.ts';
import type { Mm } from './mm.ts';
import { entryGpa } from './pages.ts';
import type { Vma } from './vma.ts';

const LOCK_BITS = VM_LOCKED | VM_LOCKONFAULT;
/** Bytes of mincore's vector written at a time. */
const CHUNK_PAGES = 4096;

/** mlock(2), mlock2(2): `bits` is VM_LOCKED, perhaps with VM_LOCKONFAULT. */
export function lock(mm: Mm, addr: number, length: number, bits: number): number {
  const start = pageDown(addr);
  const end = start + wholePages(length + (addr - start));
  const limit = mm.limits.memlockBytes;
  if (limit === 0) return -EPERM;
  let already = 0;
  for (const vma of mm.list.clipped(start, end)) if ((vma.flags & VM_LOCKED) !== 0) already += vma.end - vma.start;
  if (mm.list.totals.locked * PAGE_SIZE + (end - start) - already > limit) return -ENOMEM;
  const result = setLock(mm, start, end, bits);
  if (result !== 0 || (bits & VM_LOCKONFAULT) !== 0) return result;
  const populated = mm.list.overlapping(start, end).some((vma) => vma.prot === 0) ? -EFAULT : populate(mm, start, end, 'as area');
  if (populated === 0) return 0;
  return populated === -EFAULT ? -ENOMEM : -EAGAIN;
}

/** PAGE_ALIGN in 64 bits: the largest lengths wrap to 0, as Linux lets them. */
function wholePages(length: number): number {
  return pageUp(length) % 2 ** 64;
}

/** munlock(2). */
export function unlock(mm: Mm, addr: number, length: number): number {
  const start = pageDown(addr);
  return setLock(mm, start, start + wholePages(length + (addr - start)), 0);
}

function setLock(mm: Mm, start: number, end: number, bits: number): number {
  if (end > 2 ** 64) return -EINVAL;
  if (end === start) return 0;
  const fresh: Vma[] = [];
  let at = start;
  let growth = 0;
  for (const vma of mm.list.clipped(start, end)) {
    const flags = vma.flags & ~LOCK_BITS | bits;
    if (flags !== vma.flags) growth += mm.list.growthIfCut(vma.start, vma.end, 1);
    if (vma.start > at || (flags !== vma.flags && mm.list.count + growth > MAX_MAP_COUNT + 1)) break;
    fresh.push(flags === vma.flags ? vma : { ...vma, flags });
    at = vma.end;
  }
  if (fresh.length > 0) mm.list.replace(start, at, fresh);
  return at < end ? -ENOMEM : 0;
}

/** mlockall(2). */
export function lockAll(mm: Mm, flags: number): number {
  if (flags === 0 || flags === MCL_ONFAULT || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) !== 0) return -EINVAL;
  const limit = mm.limits.memlockBytes;
  if (limit === 0) return -EPERM;
  if ((flags & MCL_CURRENT) !== 0 && mm.totalPages * PAGE_SIZE > limit) return -ENOMEM;
  const bits = VM_LOCKED | ((flags & MCL_ONFAULT) !== 0 ? VM_LOCKONFAULT : 0);
  mm.defaultFlags = (flags & MCL_FUTURE) !== 0 ? bits : 0;
  if ((flags & MCL_CURRENT) === 0) return 0;
  setAll(mm, bits);
  if ((flags & MCL_ONFAULT) === 0) populate(mm, 0, TASK_SIZE_MAX, 'as area');
  return 0;
}

/** munlockall(2). */
export function unlockAll(mm: Mm): number {
  mm.defaultFlags = 0;
  setAll(mm, 0);
  return 0;
}

function setAll(mm: Mm, bits: number): void {
  const fresh = mm.list.all.map((vma) => ({ ...vma, flags: vma.flags & ~LOCK_BITS | bits }));
  if (fresh.length > 0) mm.list.replace(fresh[0].start, fresh[fresh.length - 1].end, fresh);
}

/** mincore(2): one byte for each page, 1 when it is resident. */
export function inCore(mm: Mm, addr: number, length: number, vector: number): number {
  if (!isPageAligned(addr)) return -EINVAL;
  if (addr > TASK_SIZE_MAX || length > TASK_SIZE_MAX - addr) return -ENOMEM;
  if (vector > TASK_SIZE_MAX) return -EFAULT;
  const end = addr + pageUp(length);
  for (let start = addr; start < end; start += CHUNK_PAGES * PAGE_SIZE) {
    const stop = Math.min(end, start + CHUNK_PAGES * PAGE_SIZE);
    // A hole ends the answer: what precedes it is delivered.
    const holeAt = firstHole(mm, start, stop);
    const bytes = new Uint8Array((holeAt - start) / PAGE_SIZE);
    mm.pages.forEach(start, holeAt, (gva, entry) => {
      if (!mm.kernel.frames.isUntouched(entryGpa(entry))) bytes[(gva - start) / PAGE_SIZE] = 1;
    });
    if (mm.copyOut(vector + (start - addr) / PAGE_SIZE, bytes) < 0) return -EFAULT;
    if (holeAt < stop) return -ENOMEM;
  }
  return 0;
}

function firstHole(mm: Mm, start: number, end: number): number {
  let at = start;
  for (const vma of mm.list.overlapping(start, end)) {
    if (vma.start > at) return at;
    at = Math.min(end, vma.end);
  }
  return at;
}
