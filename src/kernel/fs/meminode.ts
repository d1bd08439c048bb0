// An inode of a MemFs: attributes, times, extended attributes. Symbolic links, FIFOs, sockets and device nodes are this
// class; regular files and directories extend it.
//
// Interface: MemInode, InodeState. `changed()` marks it as different from the image (and from the state it came from): every
// method that changes a field calls it. Times follow inode(7); atime is relatime (mount(8)).

import { EEXIST, ELOOP, ENODATA, ENOSPC, ENXIO, EOPNOTSUPP, EROFS } from '../../abi/linux/errno.ts';
import { XATTR_CREATE, XATTR_REPLACE } from '../../abi/linux/fcntl.ts';
import { S_IALLUGO, S_IFMT } from '../../abi/linux/stat.ts';
import { COST } from '../costs.ts';
import type { Task } from '../process/task.ts';
import type { Wait } from '../wait.ts';
import type { File } from './file.ts';
import type { FilePagesState } from './filepages.ts';
import { Inode } from './inode.ts';
import type { AttrChange } from './inode.ts';
import { notifyGone } from './notify.ts';
import type { MemFs } from './tmpfs.ts';

/** Plain data; frozen: shared by forks. */
export interface InodeState {
  readonly ino: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly rdev: number;
  readonly sizeBytes: number;
  readonly atime: bigint;
  readonly mtime: bigint;
  readonly ctime: bigint;
  readonly btime: bigint;
  readonly xattrs: ReadonlyMap<string, Uint8Array> | null;
  /** Symbolic links. */
  readonly target: string;
  /** Made by O_TMPFILE and not yet linked: linkat may give it a name although nlink is 0. */
  readonly isTemporary: boolean;
  // regular files
  /** Bytes of the image's content that still show through. */
  readonly lowerBytes: number;
  readonly pages: FilePagesState | null;
  readonly dirtyPages: number;
  /** F_SEAL_*; -1 when the file cannot be sealed. */
  readonly seals: number;
  // directories
  readonly dir: DirState | null;
}

/** What a directory has besides the image's entries, and without them. */
export interface DirState {
  readonly entries: ReadonlyMap<string, DirRecord>;
  /** Names of the image that are gone. */
  readonly removed: ReadonlySet<string>;
  readonly nextCookie: number;
}

export interface DirRecord {
  readonly ino: number;
  /** DT_*. */
  readonly type: number;
  readonly cookie: number;
}

const DAY_NS = 86_400_000_000_000n;
/** Bytes of names and values of extended attributes one inode may have. */
const XATTR_BYTES_MAX = 65536;

export class MemInode extends Inode {
  readonly fs: MemFs;
  readonly ino: number;
  readonly target: string;
  readonly btime: bigint;
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  sizeBytes: number;
  mtime: bigint;
  ctime: bigint;
  atime: bigint;
  isTemporary: boolean;
  private xattrs: ReadonlyMap<string, Uint8Array> | null;
  /** The state this inode is equal to; null when it has changed or is as in the image. */
  private saved: InodeState | null = null;
  private isChanged = false;
  /** Where to say, once, that something of it has changed (kernel/syscalls/pathfacts.ts); null: nobody asked. */
  changedIn: MemInode[] | null = null;

  constructor(fs: MemFs, state: InodeState) {
    super();
    this.fs = fs;
    this.ino = state.ino;
    this.mode = state.mode;
    this.uid = state.uid;
    this.gid = state.gid;
    this.nlink = state.nlink;
    this.rdev = state.rdev;
    this.sizeBytes = state.sizeBytes;
    this.atime = state.atime;
    this.mtime = state.mtime;
    this.ctime = state.ctime;
    this.btime = state.btime;
    this.xattrs = state.xattrs;
    this.target = state.target;
    this.isTemporary = state.isTemporary;
  }

  get dev(): number { return this.fs.dev; }
  override get isVolatile(): boolean { return false; }
  override get isReadOnly(): boolean { return this.fs.isReadOnly; }

  setSaved(state: InodeState | null): void {
    this.saved = state;
  }

  changed(): void {
    this.mark();
    if (this.isDirectory()) this.fs.directoryChanges++;
  }

  private mark(): void {
    this.saved = null;
    this.isChanged = true;
    this.changedIn?.push(this);
    this.changedIn = null;
  }

  /** Content changed: mtime and ctime are now. */
  modified(): void {
    this.mtime = this.ctime = this.fs.now();
    this.changed();
  }

  /** Attributes changed. */
  restamped(): void {
    this.ctime = this.fs.now();
    this.changed();
  }

  /** One name less. */
  unlinked(links = 1): void {
    this.nlink = Math.max(0, this.nlink - links);
    this.restamped();
    if (this.nlink === 0 && this.users === 0) this.release();
  }

  override release(): void {
    notifyGone(this);
    for (const name of this.listxattr()) this.fs.budget.giveMeta(name.length + (this.xattrs?.get(name)?.length ?? 0) + COST.xattr);
    this.xattrs = null;
    this.fs.free(this);
  }

  override readlink(): string | number {
    return this.isSymlink() ? this.target : super.readlink(null);
  }

  override touched(): void {
    if (this.isReadOnly) return;
    const now = this.fs.now();
    if (this.atime > this.mtime && this.atime > this.ctime && now - this.atime < DAY_NS) return;
    this.atime = now;
    this.mark();
  }

  override setattr(change: AttrChange): number {
    if (this.isReadOnly) return -EROFS;
    if (change.mode !== undefined) this.mode = (this.mode & S_IFMT) | (change.mode & S_IALLUGO);
    if (change.uid !== undefined) this.uid = change.uid;
    if (change.gid !== undefined) this.gid = change.gid;
    if (change.atime !== undefined) this.atime = change.atime;
    if (change.mtime !== undefined) this.mtime = change.mtime;
    this.ctime = change.ctime ?? this.fs.now();
    this.changed();
    return 0;
  }

  override getxattr(name: string): Uint8Array | number {
    return this.xattrs?.get(name) ?? (name.startsWith('system.') ? -EOPNOTSUPP : -ENODATA);
  }

  override listxattr(): readonly string[] {
    return this.xattrs ? [...this.xattrs.keys()] : [];
  }

  override setxattr(name: string, value: Uint8Array, flags: number): number {
    if (this.isReadOnly) return -EROFS;
    const old = this.xattrs?.get(name);
    if (old && (flags & XATTR_CREATE) !== 0) return -EEXIST;
    if (!old && (flags & XATTR_REPLACE) !== 0) return -ENODATA;
    let total = 0;
    for (const [key, bytes] of this.xattrs ?? []) total += key.length + bytes.length;
    const more = (old ? 0 : name.length) + value.length - (old?.length ?? 0);
    if (total + more > XATTR_BYTES_MAX) return -ENOSPC;
    const cost = more + (old ? 0 : COST.xattr);
    if (cost > 0 ? !this.fs.budget.takeMeta(cost) : (this.fs.budget.giveMeta(-cost), false)) return -ENOSPC;
    this.xattrs = new Map(this.xattrs ?? []).set(name, value.slice());
    this.restamped();
    return 0;
  }

  override removexattr(name: string): number {
    if (this.isReadOnly) return -EROFS;
    const old = this.xattrs?.get(name);
    if (!old) return -ENODATA;
    const rest = new Map(this.xattrs ?? []);
    rest.delete(name);
    this.xattrs = rest.size > 0 ? rest : null;
    this.fs.budget.giveMeta(name.length + old.length + COST.xattr);
    this.restamped();
    return 0;
  }

  /** FIFOs, sockets, devices: whoever serves them does. */
  open(flags: number, task: Task | null): File | number | Wait {
    if (this.isSymlink()) return -ELOOP;
    return task ? task.kernel.vfs.openSpecial(this, flags, task) : -ENXIO;
  }

  /** Null when it is as in the image. */
  save(): InodeState | null {
    if (!this.isChanged) return this.saved;
    this.saved ??= {
      ino: this.ino, mode: this.mode, uid: this.uid, gid: this.gid, nlink: this.nlink, rdev: this.rdev, sizeBytes: this.sizeBytes,
      atime: this.atime, mtime: this.mtime, ctime: this.ctime, btime: this.btime, xattrs: this.xattrs, target: this.target,
      isTemporary: this.isTemporary, ...this.saveContent(),
    };
    return this.saved;
  }

  protected saveContent(): Pick<InodeState, 'lowerBytes' | 'pages' | 'dirtyPages' | 'seals' | 'dir'> {
    return { lowerBytes: 0, pages: null, dirtyPages: 0, seals: -1, dir: null };
  }
}
