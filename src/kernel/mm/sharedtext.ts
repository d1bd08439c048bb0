// Shared text: when a template is frozen, read-only parts of its program that fill aligned 2 MB of address space move to memory that
// every fork sees through one large page each, and that all forks of a process share. A fork then faults once where it would fault
// for every page of code it runs.
//
// Inside such a part all is executable, also what the file has beside its code: one entry has one permission (ARCHITECTURE.md). /proc/PID/maps
// and mprotect(2) keep to what was mapped; what a program changes becomes 4 KB pages of its own again.
//
// Interface: shareText.

import { PAGE_SIZE, PROT_READ, PROT_WRITE } from '../../abi/linux/mman.ts';
import { PAGE_EXEC, PAGE_READ } from '../../platform.ts';
import type { Mm } from './mm.ts';
import { entryGpa } from './pages.ts';
import { isShared, type Vma } from './vma.ts';

const LARGE_BYTES = 2 ** 21;
/** More is not worth the memory. */
const LARGE_PAGES_MAX = 8;
/** Fewer pages in use: a fork will hardly need them. */
const PRESENT_MIN = 128;

/** Guest-physical memory that is the same in all forks. */
export interface SharedText {
  readonly gpa: number;
  readonly sizeBytes: number;
}

/** Moves what can be moved, at least `gapBytes` above all memory in use. Null: nothing fits. Only while nothing will run before it is saved. */
export function shareText(mm: Mm, gapBytes: number): SharedText | null {
  mm.pages.flush();
  const gvas = candidates(mm).filter((gva) => present(mm, gva) >= PRESENT_MIN && isReadable(mm, gva)).slice(0, LARGE_PAGES_MAX);
  const { frames } = mm.kernel;
  const gpa = gvas.length === 0 ? 0 : frames.setSharedApart(gvas.length * LARGE_BYTES, gapBytes);
  if (gpa === 0) return null;
  gvas.forEach((gva, i) => move(mm, gva, gpa + i * LARGE_BYTES));
  return { gpa, sizeBytes: gvas.length * LARGE_BYTES };
}

/** Aligned addresses from which 2 MB are mapped, privately from files, and nowhere writable. */
function candidates(mm: Mm): number[] {
  const found: number[] = [];
  let start = 0;
  let end = 0;
  const close = (): void => {
    for (let gva = Math.ceil(start / LARGE_BYTES) * LARGE_BYTES; gva + LARGE_BYTES <= end; gva += LARGE_BYTES) found.push(gva);
  };
  for (const vma of mm.list.all) {
    if (!isText(vma)) continue;
    if (vma.start !== end) {
      close();
      start = vma.start;
    }
    end = vma.end;
  }
  close();
  return found;
}

function isText(vma: Vma): boolean {
  return vma.inode !== null && !isShared(vma) && (vma.prot & (PROT_READ | PROT_WRITE)) === PROT_READ;
}

function present(mm: Mm, gva: number): number {
  let pages = 0;
  mm.space.forEach(gva, LARGE_BYTES, () => pages++);
  return pages;
}

/** Brings all pages in; false when the file ends before the mapping. */
function isReadable(mm: Mm, gva: number): boolean {
  for (let at = gva; at < gva + LARGE_BYTES; at += PAGE_SIZE) if (mm.translate(at, false) < 0) return false;
  return true;
}

function move(mm: Mm, gva: number, gpa: number): void {
  const { frames } = mm.kernel;
  const { u8 } = frames.memory;
  mm.space.forEach(gva, LARGE_BYTES, (at, entry) => {
    u8.set(frames.bytes(entryGpa(entry)), gpa + (at - gva));
    frames.unref(entryGpa(entry));
  });
  mm.space.mapLarge(gva, gpa, PAGE_READ | PAGE_EXEC);
}
