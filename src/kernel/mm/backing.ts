// What a mapping shows: an inode of a file system, shared anonymous memory, or pages of the kernel's own (vDSO, vvar).
//
// Interface: Backing is what mm asks of any of them, and a subset of fs/inode.ts; Shmem and SpecialPages are the two that
// mm brings itself. `users` counts open files and VMAs; at 0 with no links left `release()` gives the memory back.

import { EACCES, EFAULT, ENOMEM } from '../../abi/linux/errno.ts';
import { PAGE_SIZE } from '../../abi/linux/mman.ts';
import type { Frames } from './frames.ts';
import { PageMap } from './pagemap.ts';
import type { PageMapState } from './pagemap.ts';

/** Something that can be mapped. fs/inode.ts's Inode is one. */
export interface Backing {
  readonly dev: number;
  readonly ino: number;
  nlink: number;
  users: number;
  /** gpa of page `index` with a reference for the caller; -EFAULT beyond the end (SIGBUS), -ENOMEM, other -errno. */
  mapPage(index: number, forWrite: boolean): number;
  /** gpa of page `index` in the page cache, without a reference; 0 when it is not there. Of files. */
  cachedPage?(index: number): number;
  /** fallocate(2), of files. */
  fallocate?(mode: number, pos: number, length: number): number;
  release(): void;
}

export function holdBacking(backing: Backing): void {
  backing.users++;
}

export function dropBacking(backing: Backing): void {
  if (--backing.users === 0 && backing.nlink === 0) backing.release();
}

export interface ShmemState {
  readonly ino: number;
  readonly sizePages: number;
  readonly pages: PageMapState;
}

/** Shared anonymous memory: MAP_SHARED|MAP_ANONYMOUS, shown as "/dev/zero (deleted)". */
export class Shmem implements Backing {
  readonly dev = 1;
  readonly ino: number;
  readonly nlink = 0;
  users = 0;
  readonly sizePages: number;
  private readonly frames: Frames;
  private readonly pages: PageMap;

  constructor(frames: Frames, ino: number, sizePages: number, pages = new PageMap(frames)) {
    this.frames = frames;
    this.ino = ino;
    this.sizePages = sizePages;
    this.pages = pages;
  }

  mapPage(index: number, _forWrite: boolean): number {
    if (index >= this.sizePages) return -EFAULT;
    let gpa = this.pages.get(index);
    if (gpa === 0) {
      gpa = this.frames.alloc();
      if (gpa === 0) return -ENOMEM;
      this.pages.set(index, gpa);
    }
    this.frames.ref(gpa);
    return gpa;
  }

  /** MADV_REMOVE: the pages in [fromPage, toPage) read as zero. They stay, so that all who map them see it without being told. */
  wipe(fromPage: number, toPage: number): void {
    this.pages.forEach((gpa, index) => {
      if (index >= fromPage && index < toPage) this.frames.bytes(gpa).fill(0);
    });
  }

  release(): void {
    this.pages.deleteRange(0, this.sizePages, (gpa) => this.frames.unref(gpa));
  }

  save(): ShmemState {
    return { ino: this.ino, sizePages: this.sizePages, pages: this.pages.save() };
  }

  static restore(state: ShmemState, frames: Frames): Shmem {
    return new Shmem(frames, state.ino, state.sizePages, PageMap.restore(state.pages, frames));
  }
}

/** Fixed pages of the kernel: "[vdso]" in frames it allocated, "[vvar]" in the machine's own memory. */
export class SpecialPages implements Backing {
  readonly dev = 0;
  readonly ino = 0;
  readonly nlink = 0;
  users = 0;
  readonly pages: readonly number[];
  private readonly frames: Frames;

  /** Takes over one reference to each page (mapSpecial makes it; a restored one is counted already). */
  constructor(frames: Frames, pages: readonly number[]) {
    this.frames = frames;
    this.pages = pages;
  }

  mapPage(index: number, forWrite: boolean): number {
    if (forWrite) return -EACCES;
    if (index >= this.pages.length) return -EFAULT;
    this.frames.ref(this.pages[index]);
    return this.pages[index];
  }

  release(): void {
    for (const gpa of this.pages) this.frames.unref(gpa);
  }
}

/** Pages needed for so many bytes. */
export function pagesOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / PAGE_SIZE);
}
