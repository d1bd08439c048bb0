// mremap(2): mm/mremap.c of Linux. Pages move with their frames; no byte is copied.

import { EFAULT, EINVAL, ENOMEM } from '../../abi/linux/errno.ts';
import {
  MAP_FIXED, MAX_MAP_COUNT, MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE, PAGE_SIZE, TASK_SIZE_MAX, VM_ACCOUNT,
  VM_DONTEXPAND, VM_LOCKED, VM_LOCKONFAULT,
} from '../../abi/linux/mman.ts';
import { USER_END } from '../../platform.ts';
import { populate } from './fault.ts';
import { findUnmapped, isPageAligned, pageUp } from './gap.ts';
import { dropRegion, unmapRegion } from './map.ts';
import type { Mm } from './mm.ts';
import { isShared, startWithGap } from './vma.ts';
import type { Vma } from './vma.ts';

/** The mapping's address afterwards, or -errno. */
export function remapRegion(mm: Mm, addr: number, oldSize: number, newSize: number, flags: number, newAddr: number): number {
  if ((flags & ~(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP)) !== 0) return -EINVAL;
  const mayMove = (flags & MREMAP_MAYMOVE) !== 0;
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0 && !mayMove) return -EINVAL;
  if ((flags & MREMAP_DONTUNMAP) !== 0 && oldSize !== newSize) return -EINVAL;
  if (!isPageAligned(addr)) return -EINVAL;
  const oldLength = pageUp(oldSize);
  const newLength = pageUp(newSize);
  if (newLength === 0) return -EINVAL;
  const vma = addr < TASK_SIZE_MAX ? mm.list.find(addr) : null;
  if (vma === null) return -EFAULT;
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0) return remapTo(mm, addr, oldLength, newLength, flags, newAddr);
  if (oldLength > vma.end - addr) return -EFAULT;
  if (oldLength >= newLength) {
    if (oldLength === newLength) return addr;
    const result = unmapRegion(mm, addr + newLength, oldLength - newLength);
    return result < 0 ? result : addr;
  }
  const refused = mayResize(mm, vma, addr, oldLength, newLength, flags);
  if (refused !== 0) return refused;
  if (oldLength === vma.end - addr && canExpand(mm, vma, newLength - oldLength)) {
    return expand(mm, vma, newLength - oldLength) ? addr : -ENOMEM;
  }
  if (!mayMove) return -ENOMEM;
  const to = findUnmapped(mm.list, mm.mmapBase, 0, newLength, 0);
  return to < 0 ? to : move(mm, vma, addr, oldLength, newLength, to, false);
}

function remapTo(mm: Mm, addr: number, oldLength: number, newLength: number, flags: number, newAddr: number): number {
  const isFixed = (flags & MREMAP_FIXED) !== 0;
  if (!isPageAligned(newAddr) || newLength > TASK_SIZE_MAX || newAddr > TASK_SIZE_MAX - newLength) return -EINVAL;
  if (addr + oldLength > newAddr && newAddr + newLength > addr) return -EINVAL;
  if (mm.list.count + 2 >= MAX_MAP_COUNT) return -ENOMEM;
  if (isFixed) {
    const to = findUnmapped(mm.list, mm.mmapBase, newAddr, newLength, MAP_FIXED);
    if (to < 0) return to;
    dropRegion(mm, newAddr, newAddr + newLength);
  }
  let length = oldLength;
  if (oldLength > newLength) {
    dropRegion(mm, addr + newLength, addr + oldLength);
    length = newLength;
  }
  const vma = mm.list.find(addr);
  if (vma === null) return -EFAULT;
  const refused = mayResize(mm, vma, addr, length, newLength, flags);
  if (refused !== 0) return refused;
  const keepOld = (flags & MREMAP_DONTUNMAP) !== 0;
  if (keepOld && !mm.mayExpand(length, vma.prot, vma.flags)) return -ENOMEM;
  const to = isFixed ? newAddr : findUnmapped(mm.list, mm.mmapBase, newAddr, newLength, 0);
  return to < 0 ? to : move(mm, vma, addr, length, newLength, to, keepOld);
}

/** vma_to_resize(): 0 or -errno. */
function mayResize(mm: Mm, vma: Vma, addr: number, oldLength: number, newLength: number, flags: number): number {
  if (oldLength === 0 && !isShared(vma)) return -EINVAL;
  if ((flags & MREMAP_DONTUNMAP) !== 0 && (vma.flags & VM_DONTEXPAND) !== 0) return -EINVAL;
  if (oldLength > vma.end - addr) return -EFAULT;
  if (oldLength === newLength) return 0;
  if ((vma.flags & VM_DONTEXPAND) !== 0) return -EFAULT;
  const locked = mm.checkLock(vma.flags, newLength - oldLength);
  if (locked !== 0) return locked;
  if (!mm.mayExpand(newLength - oldLength, vma.prot, vma.flags)) return -ENOMEM;
  return (vma.flags & VM_ACCOUNT) !== 0 && !mm.mayCommit(newLength - oldLength) ? -ENOMEM : 0;
}

function canExpand(mm: Mm, vma: Vma, delta: number): boolean {
  const end = vma.end + delta;
  if (end > USER_END) return false;
  const next = mm.list.at(mm.list.indexAbove(vma.end));
  return next === undefined || end <= startWithGap(next);
}

function expand(mm: Mm, vma: Vma, delta: number): boolean {
  const end = vma.end + delta;
  const offset = vma.inode === null ? 0 : vma.offset + (vma.end - vma.start);
  mm.list.replace(vma.end, end, [{ ...vma, start: vma.end, end, offset }]);
  populateLocked(mm, vma, vma.end, end);
  return true;
}

/** move_vma(): a new area at `to` with the pages of the old one. */
function move(mm: Mm, vma: Vma, addr: number, oldLength: number, newLength: number, to: number, keepOld: boolean): number {
  if (mm.list.count >= MAX_MAP_COUNT - 3) return -ENOMEM;
  const offset = vma.inode === null ? 0 : vma.offset + (addr - vma.start);
  if (!mm.pages.move(addr, to, oldLength)) return -ENOMEM;
  mm.list.replace(to, to + newLength, [{ ...vma, start: to, end: to + newLength, offset }]);
  if (keepOld) {
    const flags = vma.flags & ~(VM_LOCKED | VM_LOCKONFAULT);
    if (flags !== vma.flags) {
      const old = mm.list.clipped(addr, addr + oldLength).map((part) => ({ ...part, flags }));
      mm.list.replace(addr, addr + oldLength, old);
    }
  } else if (oldLength > 0) mm.list.replace(addr, addr + oldLength, []);
  populateLocked(mm, vma, to + oldLength, to + newLength);
  return to;
}

function populateLocked(mm: Mm, vma: Vma, start: number, end: number): void {
  if ((vma.flags & (VM_LOCKED | VM_LOCKONFAULT)) === VM_LOCKED && end - start >= PAGE_SIZE) populate(mm, start, end, 'as area');
}
