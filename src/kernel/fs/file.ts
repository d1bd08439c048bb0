// An open file description: what open(2) makes and descriptors refer to. Shared by dup and fork; reference counted.
//
// Interface: File; each kind of object subclasses it (regular file, directory, pipe end, eventfd, host stream, …).

import { EBADF, EINVAL, ENODEV, ENOTDIR, ENOTTY, ESPIPE } from '../../abi/linux/errno.ts';
import { IN_CLOSE_NOWRITE, IN_CLOSE_WRITE } from '../../abi/linux/inotify.ts';
import { fileCost } from '../costs.ts';
import type { ErrnoLimits } from '../errnolimits.ts';
import type { Task } from '../process/task.ts';
import type { Wait } from '../wait.ts';
import type { Dentry } from './dentry.ts';
import { pathOf } from './dentry.ts';
import type { Inode } from './inode.ts';
import { notifyFile } from './notify.ts';

/** How many open file descriptions there are. */
export interface FileCount {
  files: number;
  /** What they take of our own memory. */
  fileBytes: number;
  readonly bounds: ErrnoLimits;
}

export abstract class File {
  readonly inode: Inode;
  /** O_ACCMODE and status flags (O_APPEND, O_NONBLOCK, …), without creation flags and O_CLOEXEC. */
  flags: number;
  /** File offset. */
  pos = 0;
  /** Where it was opened; null for pipes and other objects without a name. Set by vfs.open. */
  dentry: Dentry | null = null;
  /** Name of an object without a dentry ("pipe:[7]", "anon_inode:[eventfd]"). */
  readonly label: string;
  /** F_SETOWN: who would get SIGIO, a pid or minus a process group; remembered only. */
  owner = 0;
  /** Descriptors and calls under way that hold it. */
  refs = 1;
  private countedIn: FileCount | null = null;

  constructor(inode: Inode, flags: number, path: string) {
    this.inode = inode;
    this.flags = flags;
    this.label = path;
    inode.hold();
  }

  /** Which entry of savefs's registry saves and restores it: 'reg', 'dir', 'pipe', … */
  readonly kind: string = '';

  /** The path as it is now, for /proc/self/fd and maps: byte string, " (deleted)" when the name is gone. */
  get path(): string { return this.dentry ? pathOf(this.dentry) : this.label; }

  canRead(): boolean { return (this.flags & 1) === 0 && (this.flags & 0o10000000) === 0; }
  canWrite(): boolean { return ((this.flags + 1) & 2) !== 0 && (this.flags & 0o10000000) === 0; }

  /** Reads at and advances `pos`. Returns bytes (0 at end), -errno, or a Wait when it must block. */
  read(_task: Task, _dst: Uint8Array): number | Wait { return -EINVAL; }
  write(_task: Task, _src: Uint8Array): number | Wait { return -EINVAL; }
  pread(_task: Task, _dst: Uint8Array, _pos: number): number | Wait { return -ESPIPE; }
  pwrite(_task: Task, _src: Uint8Array, _pos: number): number | Wait { return -ESPIPE; }
  seek(_offset: number, _whence: number): number { return -ESPIPE; }
  ioctl(_task: Task, _command: number, _argument: number): number | Wait { return -ENOTTY; }
  /** Fills `dst` with struct linux_dirent64 records (struct linux_dirent when `legacy`); bytes, 0 at the end, -EINVAL: none fits. */
  getdents(_task: Task, _dst: Uint8Array, _legacy: boolean): number { return -ENOTDIR; }
  truncate(_sizeBytes: number): number { return -EINVAL; }
  /** The bytes at `pos` without copying when they lie in one piece, at most `max`; null: use pread. */
  peek(_pos: number, _max: number): Uint8Array | null { return null; }
  /** True when `pos` is kept and used (regular files, directories, block devices). */
  isSeekable(): boolean { return false; }
  /** fcntl(2) commands only this kind knows (F_GETPIPE_SZ); -EINVAL otherwise. */
  fcntl(_task: Task, _command: number, _argument: number): number { return -EINVAL; }
  /** open(2) made it, with all its flags. */
  opened(_task: Task, _flags: number): void {}
  /** A descriptor was closed (others may remain). */
  flush(): void {}

  /** POLLIN | POLLOUT | … that hold now. */
  poll(): number { return 5; /* POLLIN | POLLOUT: files are always ready */ }
  /** Wait queues woken when `poll()` may have changed. */
  pollQueues(): readonly number[] { return []; }
  /** When `poll()` will change by itself (timerfd): sandbox CLOCK_MONOTONIC, nanoseconds; Infinity for never. */
  pollDeadlineNs(): number { return Infinity; }

  /** The inode to map for mmap(2), or -ENODEV / -EACCES. */
  mmapInode(): Inode | number { return this.inode.isRegular() ? this.inode : -ENODEV; }

  /** The last reference is gone. Subclasses wake the other end; call super. */
  release(): void {
    notifyFile(this, this.canWrite() ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
    this.inode.locks?.releaseOwner(this);
    this.inode.drop();
  }

  ref(): this {
    this.refs++;
    return this;
  }

  unref(): void {
    if (--this.refs !== 0) return;
    if (this.countedIn) this.count(this.countedIn, -1);
    this.release();
  }

  get counted(): boolean { return this.countedIn !== null; }

  /** Counts it, until it is released. */
  countIn(counter: FileCount): void {
    this.countedIn = counter;
    this.count(counter, 1);
  }

  private count(counter: FileCount, sign: 1 | -1): void {
    counter.files += sign;
    counter.fileBytes += sign * fileCost(this.kind);
  }
}

/** A file to fail with: not readable. */
export const NOT_OPEN = -EBADF;
