// fork(2)'s half of memory: dup_mmap() of Linux. Private pages are shared read-only until either side writes; shared ones
// stay shared. Page tables are copied in full, because faulting pages in again costs more than an entry.

import { VM_DONTCOPY, VM_LOCKED, VM_LOCKONFAULT, VM_WIPEONFORK } from '../../abi/linux/mman.ts';
import { PAGE_WRITE } from '../../platform.ts';
import { dropRegion } from './map.ts';
import type { Mm } from './mm.ts';
import { entryGpa, pageProt } from './pages.ts';
import { isShared } from './vma.ts';
import type { Vma } from './vma.ts';

/** Copies areas and pages of `parent` into the empty `child`. False when memory for page tables ran out. */
export function copyAddressSpace(parent: Mm, child: Mm): boolean {
  for (const vma of parent.list.all) {
    if ((vma.flags & VM_DONTCOPY) !== 0) continue;
    child.list.replace(vma.start, vma.end, [unlocked(vma)]);
  }
  for (const vma of parent.list.all) {
    if ((vma.flags & (VM_DONTCOPY | VM_WIPEONFORK)) === 0 && !copyPages(parent, child, vma)) return false;
  }
  return true;
}

/** The area as a child has it: memory locks are not inherited. */
function unlocked(vma: Vma): Vma {
  const flags = vma.flags & ~(VM_LOCKED | VM_LOCKONFAULT);
  return flags === vma.flags ? vma : { ...vma, flags };
}

function copyPages(parent: Mm, child: Mm, vma: Vma): boolean {
  const isCow = !isShared(vma);
  const gvas: number[] = [];
  const entries: number[] = [];
  parent.space.forEach(vma.start, vma.end - vma.start, (gva, entry) => {
    gvas.push(gva);
    entries.push(entry);
  });
  let writable = false;
  for (let i = 0; i < gvas.length; i++) {
    const gpa = entryGpa(entries[i]);
    const prot = isCow ? entries[i] & 7 & ~PAGE_WRITE : entries[i] & 7;
    writable ||= (entries[i] & PAGE_WRITE) !== 0;
    parent.kernel.frames.ref(gpa);
    if (!child.pages.install(gvas[i], gpa, prot, 0)) return false;
  }
  if (isCow && writable) {
    parent.pages.flush();
    parent.space.protect(vma.start, vma.end - vma.start, pageProt(vma.prot) & ~PAGE_WRITE);
  }
  copyHidden(parent, child, vma);
  return true;
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

