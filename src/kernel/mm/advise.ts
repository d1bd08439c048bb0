// madvise(2) and msync(2): mm/madvise.c and mm/msync.c of Linux.

import {
  EACCES, EBUSY, EFAULT, EINVAL, ENOMEM, EOPNOTSUPP,
} from '../../abi/linux/errno.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from '../../abi/linux/fcntl.ts';
import {
  MADV_COLD, MADV_DODUMP, MADV_DOFORK, MADV_DONTDUMP, MADV_DONTFORK, MADV_DONTNEED, MADV_DONTNEED_LOCKED, MADV_FREE,
  MADV_HUGEPAGE, MADV_KEEPONFORK, MADV_MERGEABLE, MADV_NOHUGEPAGE, MADV_NORMAL, MADV_PAGEOUT,
  MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_RANDOM, MADV_REMOVE, MADV_SEQUENTIAL, MADV_UNMERGEABLE,
  MADV_WILLNEED, MADV_WIPEONFORK, MAX_MAP_COUNT, MS_ASYNC, MS_INVALIDATE, MS_SYNC, PAGE_SIZE, PROT_WRITE, VM_DONTCOPY,
  VM_DONTDUMP, VM_HUGEPAGE, VM_LOCKED, VM_NOHUGEPAGE, VM_RAND_READ, VM_SEQ_READ, VM_WIPEONFORK,
} from '../../abi/linux/mman.ts';
import { Shmem } from './backing.ts';
import { populate } from './fault.ts';
import { isPageAligned, pageUp } from './gap.ts';
import type { Mm } from './mm.ts';
import { isPrivateAnonymous, isShared } from './vma.ts';
import type { Vma } from './vma.ts';

/** Advice that only changes flags: what it sets and what it clears. */
const FLAG_ADVICE = new Map<number, { set: number; clear: number }>([
  [MADV_NORMAL, { set: 0, clear: VM_RAND_READ | VM_SEQ_READ }],
  [MADV_RANDOM, { set: VM_RAND_READ, clear: VM_SEQ_READ }],
  [MADV_SEQUENTIAL, { set: VM_SEQ_READ, clear: VM_RAND_READ }],
  [MADV_DONTFORK, { set: VM_DONTCOPY, clear: 0 }],
  [MADV_DOFORK, { set: 0, clear: VM_DONTCOPY }],
  [MADV_WIPEONFORK, { set: VM_WIPEONFORK, clear: 0 }],
  [MADV_KEEPONFORK, { set: 0, clear: VM_WIPEONFORK }],
  [MADV_DONTDUMP, { set: VM_DONTDUMP, clear: 0 }],
  [MADV_DODUMP, { set: 0, clear: VM_DONTDUMP }],
  [MADV_HUGEPAGE, { set: VM_HUGEPAGE, clear: VM_NOHUGEPAGE }],
  [MADV_NOHUGEPAGE, { set: VM_NOHUGEPAGE, clear: VM_HUGEPAGE }],
]);

/** Advice that is right to do nothing about: there is no swap, no read-ahead and no page merging here. */
const NO_EFFECT = new Set<number>([MADV_WILLNEED, MADV_MERGEABLE, MADV_UNMERGEABLE]);

const ACTIONS = new Set<number>([
  MADV_DONTNEED, MADV_DONTNEED_LOCKED, MADV_FREE, MADV_REMOVE, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
]);

/** madvise(2): 0 or -errno. Unmapped parts are skipped and answered with -ENOMEM at the end. */
export function advise(mm: Mm, addr: number, length: number, advice: number): number {
  if (!FLAG_ADVICE.has(advice) && !NO_EFFECT.has(advice) && !ACTIONS.has(advice)) return -EINVAL;
  if (!isPageAligned(addr) || addr + pageUp(length) >= 2 ** 64) return -EINVAL;
  if (length === 0) return 0;
  const end = addr + pageUp(length);
  if (advice === MADV_POPULATE_READ || advice === MADV_POPULATE_WRITE) return populateChecked(mm, addr, end, advice);
  const areas = mm.list.clipped(addr, end);
  const change = FLAG_ADVICE.get(advice);
  if (change !== undefined) {
    const result = setFlags(mm, areas, advice, change);
    if (result !== 0) return result;
  }
  let hole = false;
  let at = addr;
  for (const vma of areas) {
    if (vma.start > at) hole = true;
    at = vma.end;
    const result = adviseArea(mm, vma, advice);
    if (result !== 0) return result;
  }
  return hole || at < end ? -ENOMEM : 0;
}

function adviseArea(mm: Mm, vma: Vma, advice: number): number {
  const locked = (vma.flags & VM_LOCKED) !== 0;
  switch (advice) {
    case MADV_DONTNEED:
      if (locked) return -EINVAL;
      break;
    case MADV_DONTNEED_LOCKED: break;
    case MADV_FREE:
      if (!isPrivateAnonymous(vma) || locked) return -EINVAL;
      break;
    case MADV_COLD: case MADV_PAGEOUT: return locked ? -EINVAL : 0;
    case MADV_REMOVE: return remove(vma, locked);
    default: return 0;
  }
  mm.pages.drop(vma.start, vma.end);
  return 0;
}

/** All areas at once up to the first that refuses. */
function setFlags(mm: Mm, areas: readonly Vma[], advice: number, change: { set: number; clear: number }): number {
  const fresh: Vma[] = [];
  let growth = 0;
  let result = 0;
  for (const vma of areas) {
    const flags = vma.flags & ~change.clear | change.set;
    if (flags !== vma.flags) growth += mm.list.growthIfCut(vma.start, vma.end, 1);
    if (advice === MADV_WIPEONFORK && !isPrivateAnonymous(vma)) result = -EINVAL;
    else if (flags !== vma.flags && mm.list.count + growth > MAX_MAP_COUNT + 1) result = -ENOMEM;
    if (result !== 0) break;
    fresh.push(flags === vma.flags ? vma : { ...vma, flags });
  }
  if (fresh.length > 0) mm.list.replace(fresh[0].start, fresh[fresh.length - 1].end, fresh);
  return result;
}

/** A hole in shared memory. Of a file it is one that other mappings see once they have lost its pages: the caller's part. */
function remove(vma: Vma, locked: boolean): number {
  if (locked || vma.inode === null) return -EINVAL;
  if (!isShared(vma) || (vma.maxProt & PROT_WRITE) === 0) return -EACCES;
  const bytes = vma.end - vma.start;
  if (vma.inode.fallocate) return vma.inode.fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, vma.offset, bytes);
  if (!(vma.inode instanceof Shmem)) return -EOPNOTSUPP;
  vma.inode.wipe(vma.offset / PAGE_SIZE, (vma.offset + bytes) / PAGE_SIZE);
  return 0;
}

/** MADV_POPULATE_*: -ENOMEM for holes, -EFAULT where the access is not permitted or the file ends. */
function populateChecked(mm: Mm, start: number, end: number, advice: number): number {
  const write = advice === MADV_POPULATE_WRITE;
  let at = start;
  for (const vma of mm.list.clipped(start, end)) {
    if (vma.start > at) return -ENOMEM;
    if (vma.prot === 0 || (write && (vma.prot & PROT_WRITE) === 0)) return -EINVAL;
    const result = populate(mm, vma.start, vma.end, write);
    if (result !== 0) return result === -ENOMEM ? -ENOMEM : -EFAULT;
    at = vma.end;
  }
  return at < end ? -ENOMEM : 0;
}

/** msync(2): memory is the file, so there is nothing to write; only the arguments are judged. */
export function sync(mm: Mm, addr: number, length: number, flags: number): number {
  if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) !== 0 || !isPageAligned(addr)) return -EINVAL;
  if ((flags & MS_ASYNC) !== 0 && (flags & MS_SYNC) !== 0) return -EINVAL;
  const end = addr + pageUp(length);
  if (end >= 2 ** 64) return -ENOMEM;
  if (end === addr) return 0;
  for (const vma of mm.list.overlapping(addr, end)) {
    if ((flags & MS_INVALIDATE) !== 0 && (vma.flags & VM_LOCKED) !== 0) return -EBUSY;
  }
  return mm.list.covers(addr, end) ? 0 : -ENOMEM;
}
