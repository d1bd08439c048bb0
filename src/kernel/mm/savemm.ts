// Saving and restoring all address spaces of a kernel together, because they may share memory objects. Restoring is what
// every fork of a sandbox does: areas are shared as objects until somebody looks at one that maps something.
//
// Interface: saveMms, restoreMms. Inodes of file systems are named by the ids the caller gives them; `users` of what is
// mapped is counted again by restoring, so a restored inode must start without the users that VMAs are.

import { bug } from '../bug.ts';
import { Shmem, SpecialPages } from './backing.ts';
import type { Backing, ShmemState } from './backing.ts';
import { Mm } from './mm.ts';
import type { MmKernel, MmLayout, MmLimits } from './mm.ts';
import { VmaList } from './vma.ts';
import type { SavedVma, Vma, VmaTotals } from './vma.ts';

/** What an area shows: kind 0 is an inode of a file system, 1 a Shmem, 2 SpecialPages (indexes into MmsState). */
interface BackingRef {
  readonly kind: 0 | 1 | 2;
  readonly id: number;
}

export interface MmState {
  /** CR3: the page tables are in guest memory. */
  readonly root: number;
  readonly vmas: readonly SavedVma<BackingRef>[];
  readonly totals: VmaTotals;
  /** What is mapped, and by how many areas. */
  readonly backings: readonly { readonly ref: BackingRef; readonly users: number }[];
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
  const refer = (backing: Backing): BackingRef => {
    if (backing instanceof Shmem) return { kind: 1, id: indexIn(shmems, backing) };
    if (backing instanceof SpecialPages) return { kind: 2, id: indexIn(specials, backing) };
    return { kind: 0, id: inodeId(backing) };
  };
  const states = mms.map((mm) => saveMm(mm, refer));
  return { mms: states, shmems: shmems.map((shmem) => shmem.save()), specials: specials.map((special) => [...special.pages]) };
}

/** The inodes of file systems that are mapped, and by how many areas each. */
export function mappedInodes(state: MmsState): { readonly id: number; readonly users: number }[] {
  return state.mms.flatMap(({ backings }) => backings.flatMap(({ ref, users }) => (ref.kind === 0 ? [{ id: ref.id, users }] : [])));
}

/**
 * Address spaces in the order they were saved in, each with one user: call share() for further ones. `findInode` is asked for an inode of
 * a file system when somebody looks at an area of it; the caller adds the users (`mappedInodes`).
 */
export function restoreMms(state: MmsState, kernel: MmKernel, findInode: (id: number) => Backing): Mm[] {
  const shmems = state.shmems.map((shmem) => Shmem.restore(shmem, kernel.frames));
  const specials = state.specials.map((pages) => new SpecialPages(kernel.frames, pages));
  const find = (ref: BackingRef): Backing => {
    const found = ref.kind === 0 ? findInode(ref.id) : ref.kind === 1 ? shmems[ref.id] : specials[ref.id];
    return found ?? bug('mm: saved area refers to nothing');
  };
  for (const { backings } of state.mms) {
    for (const { ref, users } of backings) if (ref.kind !== 0) find(ref).users += users;
  }
  return state.mms.map((mm) => restoreMm(mm, kernel, find));
}

function indexIn<T>(list: T[], item: T): number {
  const at = list.indexOf(item);
  return at >= 0 ? at : list.push(item) - 1;
}

function saveMm(mm: Mm, refer: (backing: Backing) => BackingRef): MmState {
  const backings = new Map<Backing, { readonly ref: BackingRef; users: number }>();
  const vmas = mm.list.all.map((vma): SavedVma<BackingRef> => {
    if (vma.inode === null) return vma;
    const known = backings.get(vma.inode) ?? { ref: refer(vma.inode), users: 0 };
    known.users++;
    backings.set(vma.inode, known);
    return { ...vma, inode: null, ref: known.ref };
  });
  return {
    root: mm.space.root, vmas, totals: { ...mm.list.totals }, backings: [...backings.values()], hidden: new Map(mm.pages.hidden), rss: mm.pages.rss,
    mmapBase: mm.mmapBase, startBrk: mm.startBrk, brk: mm.brk, layout: { ...mm.layout }, limits: mm.limits,
    defaultFlags: mm.defaultFlags, peakPages: mm.peakPages, peakRss: mm.peakRss, shmemCount: mm.shmemCount,
  };
}

function restoreMm(state: MmState, kernel: MmKernel, find: (ref: BackingRef) => Backing): Mm {
  const space = kernel.machine.attachAddressSpace(state.root, kernel.frames);
  const list = VmaList.restore(state.vmas.slice(), state.totals, (saved) => withInode(saved, find((saved as SavedVma<BackingRef>).ref as BackingRef)));
  const mm = new Mm(kernel, space, list, state.hidden);
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

function withInode({ start, end, prot, maxProt, flags, offset, path }: Vma, inode: Backing): Vma {
  return { start, end, prot, maxProt, flags, inode, offset, path };
}
