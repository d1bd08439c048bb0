// An address space: areas (VmaList), pages (Pages), the heap's bounds and the limits. mm_struct of Linux.
//
// Interface: class Mm. It is shared by all threads of a process and after vfork or CLONE_VM by two processes: share() and
// release() count. User memory access comes from UserMemory (access.ts). What each operation does is in its own file: map.ts,
// remap.ts, advise.ts, lock.ts, fault.ts, fork.ts, describe.ts; savemm.ts saves all address spaces of a kernel together.

import { EAGAIN, EFAULT, ENOMEM, EPERM } from '../../abi/linux/errno.ts';
import {
  MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, PAGE_SIZE, PROT_READ, PROT_WRITE, TASK_SIZE_MAX, VM_DONTEXPAND, VM_GROWSDOWN,
  VM_LOCKED, VM_SHARED,
} from '../../abi/linux/mman.ts';
import type { AddressSpace, GuestMemory, Machine } from '../../platform.ts';
import { bug } from '../bug.ts';
import { UserMemory } from './access.ts';
import { advise } from './advise.ts';
import { SpecialPages } from './backing.ts';
import type { Backing } from './backing.ts';
import { handleFault } from './fault.ts';
import type { Fault } from './fault.ts';
import { copyAddressSpace, wipeOnFork } from './fork.ts';
import type { Frames } from './frames.ts';
import { findUnmapped, mmapBase, pageDown } from './gap.ts';
import { dropRegion, mapRegion, protectRegion, setBreak, unmapRegion } from './map.ts';
import type { MapRequest } from './map.ts';
import { Pages } from './pages.ts';
import { remapRegion } from './remap.ts';
import { VmaList, isShared } from './vma.ts';
import type { Vma } from './vma.ts';

/** What mm needs of the kernel around it. */
export interface MmKernel {
  readonly machine: Machine;
  readonly memory: GuestMemory;
  readonly frames: Frames;
}

/** The resource limits (soft) that rule an address space, in bytes; Infinity for none. */
export interface MmLimits {
  readonly asBytes: number;
  readonly dataBytes: number;
  readonly stackBytes: number;
  /** RLIMIT_MEMLOCK; Infinity with CAP_IPC_LOCK. */
  readonly memlockBytes: number;
}

export const DEFAULT_LIMITS: MmLimits = { asBytes: Infinity, dataBytes: Infinity, stackBytes: 8 << 20, memlockBytes: 8 << 20 };

/** Where execve put things, for /proc/PID/{maps,stat,cmdline,auxv}. All gvas. */
export interface MmLayout {
  startCode: number; endCode: number; startData: number; endData: number;
  startStack: number; argStart: number; argEnd: number; envStart: number; envEnd: number;
}

const NO_LAYOUT: MmLayout = {
  startCode: 0, endCode: 0, startData: 0, endData: 0, startStack: 0, argStart: 0, argEnd: 0, envStart: 0, envEnd: 0,
};

export class Mm extends UserMemory {
  readonly kernel: MmKernel;
  protected readonly memory: GuestMemory;
  readonly pages: Pages;
  readonly list: VmaList;
  /** Processes that use it. */
  users = 1;

  // copied at fork
  mmapBase = mmapBase(0, DEFAULT_LIMITS.stackBytes);
  startBrk = 0;
  brk = 0;
  layout: MmLayout = { ...NO_LAYOUT };
  limits: MmLimits = DEFAULT_LIMITS;
  /** VM_LOCKED | VM_LOCKONFAULT for new areas after mlockall(MCL_FUTURE); cleared by fork. */
  defaultFlags = 0;
  /** Most pages ever mapped (VmPeak) and resident (VmHWM), as far as somebody looked. */
  peakPages = 0;
  peakRss = 0;
  shmemCount = 0;

  // fault heuristics
  /** The page after those mapped by the last fault. */
  nextFault = -1;
  /** How many that were: the window of a sequential walk. */
  aheadPages = 0;
  spuriousPage = -1;
  spuriousChanges = 0;
  spuriousCount = 0;

  /** For `create`, `fork` and restore; `hidden` as Pages wants it. */
  constructor(kernel: MmKernel, space: AddressSpace, list = new VmaList(), hidden?: ReadonlyMap<number, number>) {
    super();
    this.kernel = kernel;
    this.memory = kernel.memory;
    this.list = list;
    this.pages = new Pages(space, kernel.frames, hidden);
  }

  /** An empty address space, or -ENOMEM. `random`: 32 random bits for mmap_base (28 are used). */
  static create(kernel: MmKernel, random = 0, limits: MmLimits = DEFAULT_LIMITS): Mm | number {
    const space = kernel.machine.newAddressSpace(kernel.frames);
    if (space === null) return -ENOMEM;
    const mm = new Mm(kernel, space);
    mm.limits = limits;
    mm.mmapBase = mmapBase(random, limits.stackBytes);
    return mm;
  }

  get space(): AddressSpace { return this.pages.space; }
  /** The areas, sorted. */
  get vmas(): readonly Vma[] { return this.list.all; }
  get rssPages(): number { return this.pages.rss; }
  get totalPages(): number { return this.list.totals.total; }

  share(): this {
    this.users++;
    return this;
  }

  /** Gives one user's hold back; the last one destroys it (process exit, execve). */
  release(): void {
    if (--this.users === 0) this.destroy();
  }

  /** mmap(2): address or -errno. */
  map(request: MapRequest): number { return mapRegion(this, request); }
  /** munmap(2). */
  unmap(addr: number, length: number): number { return unmapRegion(this, addr, length); }
  /** mprotect(2). */
  protect(addr: number, length: number, prot: number): number { return protectRegion(this, addr, length, prot); }
  /** mremap(2): address or -errno. */
  remap(addr: number, oldLength: number, newLength: number, flags: number, newAddr: number): number {
    return remapRegion(this, addr, oldLength, newLength, flags, newAddr);
  }
  /** brk(2): the break that holds afterwards. */
  setBrk(brk: number): number { return setBreak(this, brk); }
  /** madvise(2). */
  madvise(addr: number, length: number, advice: number): number { return advise(this, addr, length, advice); }
  /** A page fault of ring 3: 0 to run again, or the signal to send. `errorCode` as the processor pushes it. */
  handleFault(gva: number, errorCode: number): 0 | Fault { return handleFault(this, gva, errorCode); }
  /** MADV_WIPEONFORK and MADV_DONTFORK take effect: this address space becomes its own child (fork protocol of a template). */
  wipeOnFork(): void { wipeOnFork(this); }

  /** execve: the heap starts (empty) at this page-aligned gva. */
  setHeapStart(gva: number): void {
    this.startBrk = gva;
    this.brk = gva;
  }

  /**
   * Maps the kernel's own pages ("[vdso]", "[vvar]"): no write, no growing. The mapping holds references of its own to the
   * pages; the caller keeps what it has. Address or -errno; `addr` is a hint.
   */
  mapSpecial(addr: number, pages: readonly number[], prot: number, name: string): number {
    const length = pages.length * PAGE_SIZE;
    const start = findUnmapped(this.list, this.mmapBase, addr, length, 0);
    if (start < 0) return start;
    for (const gpa of pages) this.kernel.frames.ref(gpa);
    const inode = new SpecialPages(this.kernel.frames, pages);
    const maxProt = prot & ~PROT_WRITE | PROT_READ;
    this.list.replace(start, start + length, [{
      start, end: start + length, prot: prot & maxProt, maxProt, flags: VM_DONTEXPAND, inode, offset: 0, path: name,
    }]);
    return start;
  }

  override translate(gva: number, write: boolean): number {
    if (!(gva >= 0 && gva < TASK_SIZE_MAX)) return -EFAULT;
    const page = pageDown(gva);
    let gpa = this.pages.lookup(page, write);
    if (gpa === 0) {
      if (handleFault(this, gva, write ? 6 : 4) !== 0) return -EFAULT;
      gpa = this.pages.lookup(page, write);
      if (gpa === 0) bug('mm: resolved fault left no page');
    }
    // The machine's own pages (vvar) are not in the memory we can see.
    return this.kernel.frames.isForeign(gpa) ? -EFAULT : gpa + (gva - page);
  }

  /** fork(2): a copy with private memory copied on write, pages of `hot` at once. -ENOMEM. */
  fork(hot: ReadonlySet<number> = new Set()): Mm | number {
    const space = this.kernel.machine.newAddressSpace(this.kernel.frames);
    if (space === null) return -ENOMEM;
    const child = new Mm(this.kernel, space);
    child.mmapBase = this.mmapBase;
    child.startBrk = this.startBrk;
    child.brk = this.brk;
    child.layout = { ...this.layout };
    child.limits = this.limits;
    child.shmemCount = this.shmemCount;
    if (copyAddressSpace(this, child, hot)) return child;
    child.destroy();
    return -ENOMEM;
  }

  /** Drops every page and area and the page tables. */
  destroy(): void {
    dropRegion(this, 0, TASK_SIZE_MAX);
    this.space.destroy();
  }

  /** Whether gva lies in a shared mapping: futexes there are named by their frame. */
  isSharedAt(gva: number): boolean {
    const vma = this.list.find(gva);
    return vma !== null && isShared(vma);
  }

  /** A file was cut (truncate): its pages in the byte range leave the mappings, private copies too. */
  zap(inode: Backing, from: number, to: number): void {
    this.forEachMapping(inode, from, to, (_vma, start, end) => this.pages.drop(start, end));
  }

  /** A file is about to get a hole in the byte range: its pages leave the mappings, private copies of them stay. */
  punch(inode: Backing, from: number, to: number): void {
    this.forEachMapping(inode, from, to, (vma, start, end) => {
      if (isShared(vma)) this.pages.drop(start, end);
      else this.pages.dropThose(start, end, (gva, gpa) => inode.cachedPage?.((gva - vma.start + vma.offset) / PAGE_SIZE) === gpa);
    });
  }

  /** Calls back for each area that shows some of the byte range, with where: [start, end). */
  private forEachMapping(inode: Backing, from: number, to: number, visit: (vma: Vma, start: number, end: number) => void): void {
    for (const vma of this.list.all) {
      if (vma.inode !== inode) continue;
      const start = Math.max(vma.start, pageDown(vma.start + from - vma.offset));
      const end = Math.min(vma.end, vma.start + to - vma.offset);
      if (start < end) visit(vma, start, end);
    }
  }

  // limits, for map.ts, remap.ts, lock.ts

  /** may_expand_vm(): RLIMIT_AS and RLIMIT_DATA. */
  mayExpand(addedBytes: number, prot: number, flags: number): boolean {
    if (this.list.totals.total * PAGE_SIZE + addedBytes > this.limits.asBytes) return false;
    const isData = (prot & PROT_WRITE) !== 0 && (flags & (VM_SHARED | VM_GROWSDOWN)) === 0;
    return !isData || this.mayHoldData(addedBytes);
  }

  mayHoldData(addedBytes: number): boolean {
    return this.list.totals.data * PAGE_SIZE + addedBytes <= this.limits.dataBytes;
  }

  /** Heuristic overcommit: one request may not exceed all the memory there is. */
  mayCommit(bytes: number): boolean {
    return bytes / PAGE_SIZE <= this.kernel.frames.limitPages;
  }

  /** Whether new memory with these flags may be locked: 0, -EPERM, -EAGAIN. */
  checkLock(flags: number, addedBytes: number): number {
    if ((flags & VM_LOCKED) === 0) return 0;
    if (this.limits.memlockBytes === 0) return -EPERM;
    return this.list.totals.locked * PAGE_SIZE + addedBytes > this.limits.memlockBytes ? -EAGAIN : 0;
  }

  shmemIno(): number {
    return ++this.shmemCount + 1024;
  }

  /** A private anonymous area at a fixed place, as execve needs for bss and stack. Address or -errno. */
  mapAnonymousAt(addr: number, length: number, prot: number, flags: number): number {
    const fixed = flags | MAP_FIXED | MAP_ANONYMOUS | 2;
    return this.map({ addr, length, prot, flags: fixed & ~MAP_FIXED_NOREPLACE, inode: null, offset: 0 });
  }
}
