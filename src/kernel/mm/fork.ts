// fork(2)'s half of memory: dup_mmap() of Linux. Private pages are shared read-only until either side writes; shared ones
// stay shared. Page tables are copied in full, because faulting pages in again costs more than an entry.
// Where few pages of an area are writable, which are those written since the last fork, both sides will most likely write them again: the
// child gets copies at once (under 1 us a page; a fault on a shared page costs 20 to 100 us, on both sides). So it does of pages that
// the caller knows it will write.

import { VM_DONTCOPY, VM_LOCKED, VM_LOCKONFAULT, VM_WIPEONFORK } from '../../abi/linux/mman.ts';
import { PAGE_WRITE } from '../../platform.ts';
import { dropRegion } from './map.ts';
import type { Mm } from './mm.ts';
import { entryGpa, pageProt } from './pages.ts';
import { isShared } from './vma.ts';
import type { Vma } from './vma.ts';

/** Pages one fork copies at most. */
const COPIED_PAGES_MAX = 256;
const NONE: ReadonlySet<number> = new Set();

/** Copies areas and pages of `parent` into the empty `child`, private ones of `hot` at once. False when memory for page tables ran out. */
export function copyAddressSpace(parent: Mm, child: Mm, hot: ReadonlySet<number>): boolean {
  for (const vma of parent.list.all) {
    if ((vma.flags & VM_DONTCOPY) !== 0) continue;
    child.list.replace(vma.start, vma.end, [unlocked(vma)]);
  }
  const { frames } = parent.kernel;
  const mayCopy = frames.freePages > Math.max(frames.limitPages / 2, 4 * COPIED_PAGES_MAX);
  let copiesLeft = mayCopy ? COPIED_PAGES_MAX : 0;
  for (const vma of parent.list.all) {
    if ((vma.flags & (VM_DONTCOPY | VM_WIPEONFORK)) !== 0) continue;
    const copied = copyPages(parent, child, vma, copiesLeft, mayCopy ? hot : NONE);
    if (copied < 0) return false;
    copiesLeft -= copied;
  }
  return true;
}

/** The area as a child has it: memory locks are not inherited. */
function unlocked(vma: Vma): Vma {
  const flags = vma.flags & ~(VM_LOCKED | VM_LOCKONFAULT);
  return flags === vma.flags ? vma : { ...vma, flags };
}

/** How many pages were copied rather than shared, at most `copiesMax`; -1: no memory for page tables. */
function copyPages(parent: Mm, child: Mm, vma: Vma, copiesMax: number, hot: ReadonlySet<number>): number {
  const isCow = !isShared(vma);
  const gvas: number[] = [];
  const entries: number[] = [];
  let writable = 0;
  parent.space.forEach(vma.start, vma.end - vma.start, (gva, entry) => {
    gvas.push(gva);
    entries.push(entry);
    if ((entry & PAGE_WRITE) !== 0) writable++;
  });
  const copies = isCow && writable <= copiesMax ? writable : 0;
  const isWritable = (pageProt(vma.prot) & PAGE_WRITE) !== 0;
  for (let i = 0; i < gvas.length; i++) {
    if (isCow && isWritable && hot.has(gvas[i])) {
      const own = parent.kernel.frames.allocCopy(entryGpa(entries[i]));
      if (own === 0 || !child.pages.install(gvas[i], own, pageProt(vma.prot), 0)) return -1;
    } else if (!copyPage(parent, child, gvas[i], entries[i], isCow ? copies > 0 : null)) return -1;
  }
  if (isCow && writable > copies) {
    parent.pages.flush();
    parent.space.protect(vma.start, vma.end - vma.start, pageProt(vma.prot) & ~PAGE_WRITE);
  }
  copyHidden(parent, child, vma);
  return copies;
}

/** Gives the child the page: a copy of a writable one when `copy` says so, else the same read-only; null: the same as it is. */
function copyPage({ kernel }: Mm, child: Mm, gva: number, entry: number, copy: boolean | null): boolean {
  const gpa = entryGpa(entry);
  if (copy === true && (entry & PAGE_WRITE) !== 0) {
    const own = kernel.frames.allocCopy(gpa);
    return own !== 0 && child.pages.install(gva, own, entry & 7, 0);
  }
  kernel.frames.ref(gpa);
  return child.pages.install(gva, gpa, copy === null ? entry & 7 : entry & 7 & ~PAGE_WRITE, 0);
}

function copyHidden(parent: Mm, child: Mm, vma: Vma): void {
  if (parent.pages.hidden.size === 0) return;
  for (const gva of parent.pages.hidden.in(vma.start, vma.end)) {
    const gpa = parent.pages.hidden.get(gva) as number;
    parent.kernel.frames.ref(gpa);
    child.pages.hidden.set(gva, gpa);
    child.pages.rss++;
  }
}

/** Private pages that can be written without a fault: those written since the address space was forked, up to `max`. */
export function writtenPages(mm: Mm, max: number): Set<number> {
  const found = new Set<number>();
  for (const vma of mm.list.all) {
    if (isShared(vma)) continue;
    mm.space.forEach(vma.start, vma.end - vma.start, (gva, entry) => {
      if ((entry & PAGE_WRITE) !== 0 && found.size < max) found.add(gva);
    });
  }
  return found;
}

/** Turns an address space into what its own child would have: see Mm.wipeOnFork. */
export function wipeOnFork(mm: Mm): void {
  for (const vma of mm.list.save()) {
    if ((vma.flags & VM_DONTCOPY) !== 0) dropRegion(mm, vma.start, vma.end);
    else if ((vma.flags & VM_WIPEONFORK) !== 0) mm.pages.drop(vma.start, vma.end);
    const kept = unlocked(vma);
    if (kept !== vma && (vma.flags & VM_DONTCOPY) === 0) mm.list.replace(vma.start, vma.end, [kept]);
  }
  mm.defaultFlags = 0;
}

