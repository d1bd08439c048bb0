// What every file system offers: an inode, as path_resolution(7) and inode(7) know it. Names and paths in the kernel are
// byte strings: one JavaScript character per byte (latin1), so any bytes a guest uses survive.
//
// Interface: Inode; file systems subclass it (image, tmpfs, proc, dev, pipe). Operations return 0/positive or -errno.

import { EINVAL, EISDIR, ENOTDIR, EPERM, EROFS } from '../../abi/linux/errno.ts';
import type { File } from './file.ts';
import type { Task } from '../process/task.ts';

/** A point in time as stat(2) shows it: nanoseconds since 1970. */
export type TimeNs = bigint;

export interface DirEntry {
  readonly name: string;
  readonly ino: number;
  /** DT_* of getdents64(2). */
  readonly type: number;
  /** d_off: stable while entries come and go. */
  readonly cookie: number;
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
  /** Open files and mappings that keep it alive after the last unlink. */
  users = 0;

  /** Called when `users` and `nlink` are both 0: give memory back. */
  release(): void {}

  // directories
  /** The child, or -ENOENT / -ENOTDIR / … */
  lookup(_name: string, _task: Task | null): Inode | number { return -ENOTDIR; }
  /** Entries after `cookie` (0: from the start), without "." and "..", ascending cookies, at most `max`. */
  readdir(_cookie: number, _max: number, _task: Task | null): readonly DirEntry[] | number { return -ENOTDIR; }
  create(_name: string, _mode: number, _uid: number, _gid: number, _rdev: number): Inode | number { return -EROFS; }
  symlink(_name: string, _target: string, _uid: number, _gid: number): Inode | number { return -EROFS; }
  link(_name: string, _target: Inode): number { return -EPERM; }
  unlink(_name: string): number { return -EROFS; }
  rmdir(_name: string): number { return -EROFS; }

  // regular files
  /** Reads into `dst` at `pos`; returns bytes read, 0 at the end. */
  read(_pos: number, _dst: Uint8Array): number { return -EINVAL; }
  /** Writes at `pos`, growing the file; returns bytes written (short when memory or a limit ends it) or -errno. */
  write(_pos: number, _src: Uint8Array): number { return -EINVAL; }
  truncate(_sizeBytes: number): number { return this.isDirectory() ? -EISDIR : -EINVAL; }
  /**
   * The frame (gpa) that caches page `index` of the file for a mapping, with one reference taken for the caller; -EFAULT beyond the end
   * (SIGBUS), -ENOMEM, or -ENODEV when it cannot be mapped. `forWrite`: the page will be changed through a shared mapping.
   */
  mapPage(_index: number, _forWrite: boolean): number { return -19; }

  // links
  readlink(_task: Task | null): string | number { return -EINVAL; }
  /** /proc/self/fd/N, /proc/self/exe: jump straight to the object. Null: follow the text of readlink. */
  follow(_task: Task): Inode | null { return null; }

  /** Applies chmod / chown / utimensat. */
  setattr(_change: { mode?: number; uid?: number; gid?: number; atime?: TimeNs; mtime?: TimeNs; ctime?: TimeNs }): number { return -EROFS; }

  /** Makes the open file description for this inode. The caller has checked permissions. -errno on failure. */
  abstract open(flags: number, task: Task | null): File | number;

  isDirectory(): boolean { return (this.mode & 0o170000) === 0o040000; }
  isRegular(): boolean { return (this.mode & 0o170000) === 0o100000; }
  isSymlink(): boolean { return (this.mode & 0o170000) === 0o120000; }
}
