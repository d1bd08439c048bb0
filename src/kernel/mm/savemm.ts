// Saving and restoring all address spaces of a kernel together, because they may share memory objects. Restoring is what
// every fork of a sandbox does: areas of anonymous memory are shared as objects, the rest is copied field by field.
//
// Interface: saveMms, restoreMms. Inodes of file systems are named by the ids the caller gives them; `users` of what is
// mapped is counted again by restoring, so a restored inode must start without the users that VMAs are.

import { bug } from '../bug.ts';
import { Shmem, SpecialPages } from './backing.ts';
import type { Backing, ShmemState } from './backing.ts';
import { Mm } from './mm.ts';
import type { MmKernel, MmLayout, MmLimits } from './mm.ts';
import { VmaList } from './vma.ts';
import type { Vma } from './vma.ts';

/** What an area shows: kind 0 is an inode of a file system, 1 a Shmem, 2 SpecialPages (indexes into MmsState). */
interface BackingRef {
  readonly area: number;
  readonly kind: 0 | 1 | 2;
  readonly id: number;
}

export interface MmState {
  /** CR3: the page tables are in guest memory. */
  readonly root: number;
  /** Areas, with `inode` null. */
  readonly vmas: readonly Vma[];
  readonly backings: readonly BackingRef[];
  readonly hidden: ReadonlyMap<number, number>;
  readonly rss: number;
  readonly mmapBase: number;
  readonly startBrk: number;
  readonly brk: number;
  readonly layout: MmLayout;
  readonly limits: MmLimits;
  readonly defaultFlags: number;
  readonly peakPages: number;
  readonly peakRss: number;
  readonly shmemCount: number;
}

export interface MmsState {
  readonly mms: readonly MmState[];
  readonly shmems: readonly ShmemState[];
  /** gpas of each set of the kernel's own pages. */
  readonly specials: readonly (readonly number[])[];
}

/** Saves distinct address spaces; the state names them by their index. `inodeId` names an inode of a file system. */
export function saveMms(mms: readonly Mm[], inodeId: (inode: Backing) => number): MmsState {
  const shmems: Shmem[] = [];
  const specials: SpecialPages[] = [];
  const refer = (backing: Backing, area: number): BackingRef => {
    if (backing instanceof Shmem) return { area, kind: 1, id: indexIn(shmems, backing) };
    if (backing instanceof SpecialPages) return { area, kind: 2, id: indexIn(specials, backing) };
    return { area, kind: 0, id: inodeId(backing) };
  };
  const states = mms.map((mm) => saveMm(mm, refer));
  return { mms: states, shmems: shmems.map((shmem) => shmem.save()), specials: specials.map((special) => [...special.pages]) };
}

/** Address spaces in the order they were saved in, each with one user: call share() for further ones. */
export function restoreMms(state: MmsState, kernel: MmKernel, inodeById: (id: number) => Backing): Mm[] {
  const shmems = state.shmems.map((shmem) => Shmem.restore(shmem, kernel.frames));
  const specials = state.specials.map((pages) => new SpecialPages(kernel.frames, pages));
  const find = (ref: BackingRef): Backing => {
    const found = ref.kind === 0 ? inodeById(ref.id) : ref.kind === 1 ? shmems[ref.id] : specials[ref.id];
    return found ?? bug('mm: saved area refers to nothing');
  };
  return state.mms.map((mm) => restoreMm(mm, kernel, find));
}

function indexIn<T>(list: T[], item: T): number {
  const at = list.indexOf(item);
  return at >= 0 ? at : list.push(item) - 1;
}

function saveMm(mm: Mm, refer: (backing: Backing, area: number) => BackingRef): MmState {
  const backings: BackingRef[] = [];
  const vmas = mm.list.all.map((vma, area) => {
    if (vma.inode === null) return vma;
    backings.push(refer(vma.inode, area));
    return { ...vma, inode: null };
  });
  return {
    root: mm.space.root, vmas, backings, hidden: new Map(mm.pages.hidden), rss: mm.pages.rss,
    mmapBase: mm.mmapBase, startBrk: mm.startBrk, brk: mm.brk, layout: { ...mm.layout }, limits: mm.limits,
    defaultFlags: mm.defaultFlags, peakPages: mm.peakPages, peakRss: mm.peakRss, shmemCount: mm.shmemCount,
  };
}

function restoreMm(state: MmState, kernel: MmKernel, find: (ref: BackingRef) => Backing): Mm {
  const vmas = state.vmas.slice();
  for (const ref of state.backings) vmas[ref.area] = withInode(vmas[ref.area], find(ref));
  const space = kernel.machine.attachAddressSpace(state.root, kernel.frames);
  const mm = new Mm(kernel, space, VmaList.restore(vmas), state.hidden);
  mm.pages.rss = state.rss;
  mm.mmapBase = state.mmapBase;
  mm.startBrk = state.startBrk;
  mm.brk = state.brk;
  mm.layout = { ...state.layout };
  mm.limits = state.limits;
  mm.defaultFlags = state.defaultFlags;
  mm.peakPages = state.peakPages;
  mm.peakRss = state.peakRss;
  mm.shmemCount = state.shmemCount;
  return mm;
}

/** Written out field by field: every fork makes a few hundred, and a spread costs several times as much. */
function withInode({ start, end, prot, maxProt, flags, offset, path }: Vma, inode: Backing): Vma {
  return { start, end, prot, maxProt, flags, inode, offset, path };
}
