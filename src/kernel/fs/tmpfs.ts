// File systems in memory: tmpfs(5), memfd's, and, above a read-only image, the root file system.
//
// Interface: MemFs (inodes by number, their accounting, save and restore), DiskBudget. Inodes are meminode.ts (any type),
// memfile.ts (regular files), memdir.ts (directories).
//
// The root file system is a MemFs with a Lower: an inode of the image starts as a view of the image and keeps its
// number when it is changed. Nothing is copied up as a whole: attributes are copied when the inode is first looked at, file contents a
// page at a time when written or mapped, and a directory records additions and removals only. So hard links, open files and
// mappings of a file survive its first write, which overlayfs can't promise.
//
// A saved state holds the inodes that differ from the image, by number. A restored MemFs keeps that map untouched and
// makes an inode from it when somebody looks it up: restoring costs nothing per file, and forks share the map.

import { ENOSPC } from '../../abi/linux/errno.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../../abi/linux/stat.ts';
import type { Host } from '../../platform.ts';
import { bug } from '../bug.ts';
import { COST } from '../costs.ts';
import { ErrnoLimits } from '../errnolimits.ts';
import type { Limits } from '../limits.ts';
import type { Frames } from '../mm/frames.ts';
import type { Wait } from '../wait.ts';
import type { Lower } from './imagefs.ts';
import { MemDir } from './memdir.ts';
import { MemFile } from './memfile.ts';
import { MemInode } from './meminode.ts';
import type { InodeState } from './meminode.ts';

/** What file systems need of the kernel. Kernel has it. */
export interface FsParts {
  readonly frames: Pick<Frames, 'tryAlloc' | 'ref' | 'unref' | 'refs' | 'bytes' | 'reclaim' | 'freePages' | 'limitPages' | 'indexBytes'>;
  readonly host: Pick<Host, 'blob'>;
  readonly clock: { realtimeNs(): bigint };
}

/** Frames that file data leaves to programs: a full disk must not end the sandbox. */
const RESERVE_PAGES = 1024;

export type DiskLimits = Pick<Limits, 'diskBytesMax' | 'inodesMax'>;

export interface BudgetState {
  readonly usedPages: number;
  readonly metaBytes: number;
  readonly inodes: number;
}

/** What all writable file systems of a sandbox may hold together: Limits.diskBytesMax and inodesMax. */
export class DiskBudget {
  limitPages = 0;
  /** Bytes of names, inodes and attributes: these live in the host's heap. */
  metaBytesMax = 0;
  inodesMax = 0;
  usedPages: number;
  metaBytes: number;
  inodes: number;

  private readonly bounds: ErrnoLimits;

  constructor(limits: DiskLimits, bounds = new ErrnoLimits(), state: BudgetState = { usedPages: 0, metaBytes: 0, inodes: 0 }) {
    this.bounds = bounds;
    this.setLimits(limits);
    this.usedPages = state.usedPages;
    this.metaBytes = state.metaBytes;
    this.inodes = state.inodes;
  }

  setLimits({ diskBytesMax, inodesMax }: DiskLimits): void {
    this.limitPages = Math.floor(diskBytesMax / 4096);
    this.metaBytesMax = Math.min(diskBytesMax, 128 << 20);
    this.inodesMax = inodesMax;
  }

  /** Whether so many pages could be there at all. */
  fits(pages: number): boolean {
    if (pages > this.limitPages) this.bounds.meet('diskPages');
    return pages <= this.limitPages;
  }

  /** False when the disk is full. */
  takePage(): boolean {
    if (!this.bounds.allow('diskPages', this.usedPages + 1, this.limitPages)) return false;
    this.usedPages++;
    return true;
  }

  givePage(): void {
    this.usedPages--;
  }

  takeMeta(sizeBytes: number): boolean {
    if (this.metaBytes + sizeBytes > this.metaBytesMax) {
      this.bounds.meet('diskPages');
      return false;
    }
    this.metaBytes += sizeBytes;
    return true;
  }

  giveMeta(sizeBytes: number): void {
    this.metaBytes -= sizeBytes;
  }

  /** Room for one more inode, which takes `sizeBytes` of the host's heap. */
  takeInode(sizeBytes: number): boolean {
    if (!this.bounds.allow('inodes', this.inodes + 1, this.inodesMax) || !this.takeMeta(sizeBytes)) return false;
    this.inodes++;
    return true;
  }

  giveInode(sizeBytes: number): void {
    this.inodes--;
    this.giveMeta(sizeBytes);
  }

  save(): BudgetState {
    return { usedPages: this.usedPages, metaBytes: this.metaBytes, inodes: this.inodes };
  }
}

export interface MemFsState {
  readonly nextIno: number;
  /** Inodes that are not as in the image. Frozen. */
  readonly inodes: ReadonlyMap<number, InodeState>;
}

export interface MemFsOptions {
  readonly dev: number;
  readonly budget: DiskBudget;
  readonly lower?: Lower;
  /** Permission bits of a new root directory; 0o755. */
  readonly rootMode?: number;
  readonly isReadOnly?: boolean;
  /** Asked before a file of `lower` is opened: null, or what open(2) returns instead. */
  readonly gate?: (ino: number) => Wait | number | null;
}

export class MemFs {
  readonly dev: number;
  readonly parts: FsParts;
  readonly budget: DiskBudget;
  readonly lower: Lower | null;
  /** Nothing in it can be changed: EROFS. */
  readonly isReadOnly: boolean;
  readonly gate: MemFsOptions['gate'];
  /** Inodes in use by this sandbox. */
  private readonly live = new Map<number, MemInode>();
  /** Users of inodes that nobody has asked for yet: what maps them. */
  private readonly held = new Map<number, number>();
  /** Changed inodes as they were when this file system was restored; never changed. */
  private readonly base: ReadonlyMap<number, InodeState>;
  /** Numbers whose inode is gone: neither base nor image is asked again. */
  private readonly freed = new Set<number>();
  private nextIno: number;
  /** Counts changes of directories, but for their access times. */
  directoryChanges = 0;

  constructor(parts: FsParts, options: MemFsOptions, state: MemFsState | null = null) {
    this.parts = parts;
    this.dev = options.dev;
    this.budget = options.budget;
    this.lower = options.lower ?? null;
    this.isReadOnly = options.isReadOnly ?? false;
    this.gate = options.gate;
    this.base = state?.inodes ?? new Map<number, InodeState>();
    this.nextIno = state?.nextIno ?? (this.lower ? this.lower.inoMax + 1 : 1);
    if (!state && !this.lower) this.makeRoot(options.rootMode ?? 0o755);
  }

  private makeRoot(mode: number): void {
    const root = this.newInode(S_IFDIR | mode, 0, 0, 0);
    if (typeof root === 'number') bug('tmpfs: no room for a root directory');
    root.nlink = 2;
  }

  get root(): MemInode {
    return this.inode(this.lower ? this.lower.rootIno : 1) ?? bug('file system without a root');
  }

  now(): bigint {
    return this.parts.clock.realtimeNs();
  }

  /** The inode with this number, or null when there is none. */
  inode(ino: number): MemInode | null {
    const known = this.live.get(ino);
    if (known) return known;
    if (this.freed.has(ino)) return null;
    const saved = this.base.get(ino);
    const state = saved ?? this.lowerState(ino);
    return state ? this.adopt(state, saved ?? null) : null;
  }

  private lowerState(ino: number): InodeState | null {
    const { lower } = this;
    if (!lower?.has(ino)) return null;
    const { mode, uid, gid, nlink, sizeBytes, rdev, mtime } = lower.attributes(ino);
    return {
      ino, mode, uid, gid, nlink, rdev, mtime, sizeBytes, ctime: mtime, atime: mtime, btime: mtime, xattrs: null,
      target: lower.target(ino), lowerBytes: sizeBytes, pages: null, dirtyPages: 0, seals: -1, dir: null, isTemporary: false,
    };
  }

  private adopt(state: InodeState, saved: InodeState | null): MemInode {
    const type = state.mode & S_IFMT;
    const inode = type === S_IFREG ? new MemFile(this, state) : type === S_IFDIR ? new MemDir(this, state) : new MemInode(this, state);
    inode.setSaved(saved);
    this.live.set(state.ino, inode);
    const users = this.held.get(state.ino);
    if (users !== undefined) {
      inode.users += users;
      this.held.delete(state.ino);
    }
    return inode;
  }

  /** Inodes that are objects, and saved ones; and how many are known to be gone. */
  get counts(): { readonly inodes: number; readonly gone: number } {
    return { inodes: this.live.size + this.base.size, gone: this.freed.size };
  }

  /** Adds users to an inode, without making it. */
  hold(ino: number, users: number): void {
    const known = this.live.get(ino);
    if (known) known.users += users;
    else this.held.set(ino, (this.held.get(ino) ?? 0) + users);
  }

  /** A new inode without a name (nlink 0), or -ENOSPC. */
  newInode(mode: number, uid: number, gid: number, rdev: number, target = ''): MemInode | number {
    if (!this.budget.takeInode(COST.inode + target.length)) return -ENOSPC;
    const now = this.now();
    const inode = this.adopt({
      ino: this.nextIno++, mode, uid, gid, nlink: 0, rdev, sizeBytes: target.length, atime: now, mtime: now, ctime: now, btime: now,
      xattrs: null, target, lowerBytes: 0, pages: null, dirtyPages: 0, seals: -1, dir: null, isTemporary: false,
    }, null);
    inode.changed();
    return inode;
  }

  /** Forgets an inode that nobody names or uses. */
  free(inode: MemInode): void {
    if (this.freed.has(inode.ino)) return;
    this.live.delete(inode.ino);
    if (this.base.has(inode.ino) || this.lower?.has(inode.ino)) this.freed.add(inode.ino);
    if (!this.lower?.has(inode.ino)) this.budget.giveInode(COST.inode + inode.target.length);
  }

  takeEntry(name: string): boolean {
    return this.budget.takeMeta(COST.entry + name.length);
  }

  giveEntry(name: string): void {
    this.budget.giveMeta(COST.entry + name.length);
  }

  /** A frame for file data, charged to the disk; -ENOSPC when the disk is full, or memory so that programs would run out of it. */
  takeFrame(): number {
    if (!this.budget.takePage()) return -ENOSPC;
    const { frames } = this.parts;
    const reserve = Math.min(RESERVE_PAGES, frames.limitPages >> 4);
    if (frames.freePages < reserve) frames.reclaim?.();
    const gpa = frames.freePages < reserve ? 0 : this.takeCacheFrame();
    if (gpa > 0) return gpa;
    this.budget.givePage();
    return -ENOSPC;
  }

  /** A frame that caches a page of the image, not charged; 0 when memory is full. */
  takeCacheFrame(): number {
    const { frames } = this.parts;
    const gpa = frames.tryAlloc();
    if (gpa !== 0) return gpa;
    frames.reclaim?.();
    return frames.tryAlloc();
  }

  /** Gives back page-cache frames that nobody maps and that the image can fill again. Returns how many. */
  dropCaches(): number {
    let dropped = 0;
    // Inodes nobody has asked for since the restore hold frames too.
    for (const ino of this.base.keys()) this.inode(ino);
    for (const inode of this.live.values()) if (inode instanceof MemFile) dropped += inode.dropClean();
    return dropped;
  }

  /** The state of all inodes that are not as in the image. */
  save(): MemFsState {
    const inodes = new Map(this.base);
    for (const ino of this.freed) inodes.delete(ino);
    for (const inode of this.live.values()) {
      const state = inode.save();
      if (state) inodes.set(inode.ino, state);
    }
    return { nextIno: this.nextIno, inodes };
  }
}
