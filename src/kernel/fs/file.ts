// An open file description: what open(2) makes and descriptors refer to. Shared by dup and fork; reference counted.
//
// Interface: File; each kind of object subclasses it (regular file, directory, pipe end, eventfd, host stream, …).

import { EBADF, EINVAL, ENODEV, ENOTDIR, ENOTTY, ESPIPE } from '../../abi/linux/errno.ts';
import type { Task } from '../process/task.ts';
import type { Wait } from '../wait.ts';
import type { Inode } from './inode.ts';

export abstract class File {
  readonly inode: Inode;
  /** O_ACCMODE and status flags (O_APPEND, O_NONBLOCK, …), without creation flags and O_CLOEXEC. */
  flags: number;
  /** File offset. */
  pos = 0;
  /** The path it was opened by (resolved), for /proc/self/fd and maps: byte string. */
  path: string;
  /** Descriptors and calls under way that hold it. */
  refs = 1;

  constructor(inode: Inode, flags: number, path: string) {
    this.inode = inode;
    this.flags = flags;
    this.path = path;
    inode.users++;
  }

  canRead(): boolean { return (this.flags & 3) !== 1 && (this.flags & 0o10000000) === 0; }
  canWrite(): boolean { return (this.flags & 3) !== 0 && (this.flags & 0o10000000) === 0; }

  /** Reads at and advances `pos`. Returns bytes (0 at end), -errno, or a Wait when it must block. */
  read(_task: Task, _dst: Uint8Array): number | Wait { return -EINVAL; }
  write(_task: Task, _src: Uint8Array): number | Wait { return -EINVAL; }
  pread(_task: Task, _dst: Uint8Array, _pos: number): number | Wait { return -ESPIPE; }
  pwrite(_task: Task, _src: Uint8Array, _pos: number): number | Wait { return -ESPIPE; }
  seek(_offset: number, _whence: number): number { return -ESPIPE; }
  ioctl(_task: Task, _command: number, _argument: number): number | Wait { return -ENOTTY; }
  getdents(_task: Task, _max: number): number { return -ENOTDIR; }
  truncate(_sizeBytes: number): number { return -EINVAL; }

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
    this.inode.users--;
    if (this.inode.users === 0 && this.inode.nlink === 0) this.inode.release();
  }

  ref(): this {
    this.refs++;
    return this;
  }

  unref(): void {
    if (--this.refs === 0) this.release();
  }
}

/** A file to fail with: not readable. */
export const NOT_OPEN = -EBADF;
