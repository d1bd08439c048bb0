// What every file system offers: an inode, as path_resolution(7) and inode(7) know it. Names and paths in the kernel are
// byte strings: one JavaScript character per byte (latin1), so any bytes a guest uses survive.
//
// Interface: Inode; file systems subclass it (MemFs, proc, dev, pipe). Operations return 0/positive or -errno. Permissions
// and path rules are the caller's business (vfs.ts, namei.ts): an inode does as it is told.

import { EINVAL, EISDIR, ENODATA, ENODEV, ENOTDIR, EOPNOTSUPP, EPERM, EROFS } from '../../abi/linux/errno.ts';
import type { Task } from '../process/task.ts';
import type { Wait } from '../wait.ts';
import type { Dentry } from './dentry.ts';
import type { File } from './file.ts';
import type { LockList } from './locks.ts';
import type { Watch } from './notify.ts';

/** A point in time as stat(2) shows it: nanoseconds since 1970. */
export type TimeNs = bigint;

export interface DirEntry {
  readonly name: string;
  readonly ino: number;
  /** DT_* of getdents64(2). */
  readonly type: number;
  /** Position after this entry, ≥ 1: stable while entries come and go. */
  readonly cookie: number;
}

/** What chmod, chown and utimensat change. */
export interface AttrChange {
  mode?: number;
  uid?: number;
  gid?: number;
  atime?: TimeNs;
  mtime?: TimeNs;
  ctime?: TimeNs;
}

/** An object of a file system. `mode` carries the S_IFMT type. */
export abstract class Inode {
  /** st_dev of its file system, st_ino within. */
  abstract readonly dev: number;
  abstract readonly ino: number;
  abstract mode: number;
  abstract uid: number;
  abstract gid: number;
  abstract nlink: number;
  abstract sizeBytes: number;
  abstract mtime: TimeNs;
  abstract ctime: TimeNs;
  abstract atime: TimeNs;
  /** st_rdev of a device node. */
  rdev = 0;
  /** Open files and mappings that keep it alive after the last unlink. Not saved: whoever holds one counts again. */
  users = 0;
  /** Record and flock locks, made when the first is taken. */
  locks: LockList | null = null;
  /** Who wants to hear what happens to it (notify.ts). Not saved: whoever watches does. */
  watches: Watch[] | null = null;

  /** Called when `users` and `nlink` are both 0: give memory back. */
  release(): void {}

  /** One more holder (an open file, a mapping, a working directory). */
  hold(): void { this.users++; }
  /** One less; the last holder of an unlinked inode frees it. */
  drop(): void {
    this.users--;
    if (this.users === 0 && this.nlink === 0) this.release();
  }

  // directories
  /** True when `lookup` may answer differently next time without anyone having called create, unlink, … (proc). */
  get isVolatile(): boolean { return true; }
  /** True on a file system mounted read-only. */
  get isReadOnly(): boolean { return false; }
  /** True when a missing name is an error even for who wants to create it (proc: ENOENT, not EACCES). */
  get hasFixedNames(): boolean { return false; }
  /** The child, or -ENOENT / -ENOTDIR / … */
  lookup(_name: string, _task: Task | null): Inode | number { return -ENOTDIR; }
  /** Entries after `cookie` (0: from the start), without "." and "..", ascending cookies, at most `max`. */
  readdir(_cookie: number, _max: number, _task: Task | null): readonly DirEntry[] | number { return -ENOTDIR; }
  /** Makes a file of any type but symlink: `mode` carries S_IFMT. */
  create(_name: string, _mode: number, _uid: number, _gid: number, _rdev: number): Inode | number { return -EROFS; }
  symlink(_name: string, _target: string, _uid: number, _gid: number): Inode | number { return -EROFS; }
  link(_name: string, _target: Inode): number { return -EPERM; }
  unlink(_name: string): number { return -EROFS; }
  /** -ENOTEMPTY when it has entries. */
  rmdir(_name: string): number { return -EROFS; }
  /** Moves this directory's `name` to `toDir`'s `toName`, replacing what is there; `exchange` swaps them. Same file system. */
  rename(_name: string, _toDir: Inode, _toName: string, _exchange: boolean): number { return -EPERM; }
  /** A regular file without a name (O_TMPFILE): nlink 0; `linkable`: linkat may give it one. */
  tmpfile(_mode: number, _uid: number, _gid: number, _linkable: boolean): Inode | number { return -EOPNOTSUPP; }

  // regular files
  /** Reads into `dst` at `pos`; returns bytes read, 0 at the end. */
  read(_pos: number, _dst: Uint8Array): number { return -EINVAL; }
  /** The bytes at `pos` without copying, at most `max`, when they lie in one piece (valid until the file changes); else null. */
  peek(_pos: number, _max: number): Uint8Array | null { return null; }
  /** Writes at `pos`, growing the file; returns bytes written (short when memory or a limit ends it) or -errno. */
  write(_pos: number, _src: Uint8Array): number { return -EINVAL; }
  truncate(_sizeBytes: number): number { return this.isDirectory() ? -EISDIR : -EINVAL; }
  /** fallocate(2): `mode` is FALLOC_FL_*. */
  fallocate(_mode: number, _pos: number, _length: number): number { return this.isDirectory() ? -EISDIR : -ENODEV; }
  /** lseek's SEEK_DATA (SEEK_HOLE when `hole`): position or -ENXIO. The default: all data, one hole at the end. */
  seekData(pos: number, hole: boolean): number { return pos < 0 || pos >= this.sizeBytes ? -6 : hole ? this.sizeBytes : pos; }
  /** st_blocks: 512-byte units in use. */
  blocks(): number { return 0; }
  /** F_SEAL_* of a memfd, -EINVAL for what cannot be sealed. */
  getSeals(): number { return -EINVAL; }
  addSeals(_seals: number): number { return -EINVAL; }
  /**
   * The frame (gpa) that caches page `index` of the file for a mapping, with one reference taken for the caller; -EFAULT beyond the end
   * (SIGBUS), -ENOMEM, or -ENODEV when it cannot be mapped. `forWrite`: the page will be changed through a shared mapping.
   */
  mapPage(_index: number, _forWrite: boolean): number { return -ENODEV; }

  /** Not null when the content is not there yet, or cannot be had: what open(2) and execve(2) return then. Asked before the first read. */
  pending(): Wait | number | null { return null; }

  // links
  readlink(_task: Task | null): string | number { return -EINVAL; }
  /** /proc/self/fd/N, /proc/self/exe: jump straight to the object (a Dentry where there is one). Null: follow the text of readlink. */
  follow(_task: Task): Dentry | Inode | null { return null; }

  // attributes
  /** Applies chmod / chown / utimensat. */
  setattr(_change: AttrChange): number { return -EROFS; }
  /** Called after a read; file systems with relatime update atime. */
  touched(): void {}
  getxattr(_name: string): Uint8Array | number { return -EOPNOTSUPP; }
  /** `flags` is 0, XATTR_CREATE or XATTR_REPLACE. */
  setxattr(_name: string, _value: Uint8Array, _flags: number): number { return -EOPNOTSUPP; }
  removexattr(_name: string): number { return -EOPNOTSUPP; }
  listxattr(): readonly string[] { return []; }

  /**
   * Makes the open file description for this inode. The caller has checked permissions. -errno on failure; a Wait when
   * opening must block (a FIFO without its other end).
   */
  abstract open(flags: number, task: Task | null): File | number | Wait;

  isDirectory(): boolean { return (this.mode & 0o170000) === 0o040000; }
  isRegular(): boolean { return (this.mode & 0o170000) === 0o100000; }
  isSymlink(): boolean { return (this.mode & 0o170000) === 0o120000; }
}

/** -ENODATA: the attribute is not there (shared by all file systems with xattrs). */
export const NO_XATTR = -ENODATA;
