// An open regular file: position, O_APPEND, RLIMIT_FSIZE, lseek(2), atime. Data is the inode's business.

import { EFBIG, EINVAL, ENOTTY, ENXIO } from '../../abi/linux/errno.ts';
import { O_APPEND, O_NOATIME, SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET } from '../../abi/linux/fcntl.ts';
import { FIONREAD } from '../../abi/linux/ioctl.ts';
import { IN_ACCESS, IN_MODIFY } from '../../abi/linux/inotify.ts';
import { SIGXFSZ } from '../../abi/linux/signal.ts';
import type { Task } from '../process/task.ts';
import { sendSignalToTask } from '../signal/send.ts';
import { File } from './file.ts';
import { notifyFile } from './notify.ts';
import { dropPrivileges } from './perm.ts';

const RLIMIT_FSIZE = 1;

export class RegFile extends File {
  override readonly kind: string = 'reg';

  override isSeekable(): boolean { return true; }

  override read(_task: Task, dst: Uint8Array): number {
    const n = this.pread(_task, dst, this.pos);
    if (n > 0) this.pos += n;
    return n;
  }

  override pread(_task: Task, dst: Uint8Array, pos: number): number {
    const n = this.inode.read(pos, dst);
    if ((this.flags & O_NOATIME) === 0) this.inode.touched();
    if (n > 0) notifyFile(this, IN_ACCESS);
    return n;
  }

  override peek(pos: number, max: number): Uint8Array | null {
    const bytes = this.inode.peek(pos, max);
    if (bytes && (this.flags & O_NOATIME) === 0) this.inode.touched();
    if (bytes) notifyFile(this, IN_ACCESS);
    return bytes;
  }

  override write(task: Task, src: Uint8Array): number {
    if ((this.flags & O_APPEND) !== 0) this.pos = this.inode.sizeBytes;
    const n = this.writeAt(task, src, this.pos);
    if (n > 0) this.pos += n;
    return n;
  }

  /** Linux appends with O_APPEND whatever the position (pwrite(2), BUGS). */
  override pwrite(task: Task, src: Uint8Array, pos: number): number {
    return this.writeAt(task, src, (this.flags & O_APPEND) !== 0 ? this.inode.sizeBytes : pos);
  }

  private writeAt(task: Task, src: Uint8Array, pos: number): number {
    if (src.length === 0) return 0;
    const room = (task.process.rlimits[RLIMIT_FSIZE]?.soft ?? Infinity) - pos;
    if (room <= 0) {
      sendSignalToTask(task, SIGXFSZ);
      return -EFBIG;
    }
    dropPrivileges(this.inode, task.process.credentials);
    const n = this.inode.write(pos, room < src.length ? src.subarray(0, room) : src);
    if (n > 0) notifyFile(this, IN_MODIFY);
    return n;
  }

  override seek(offset: number, whence: number): number {
    const pos = this.target(offset, whence);
    if (Number.isNaN(pos)) return -EINVAL;
    if (pos > Number.MAX_SAFE_INTEGER) return -EINVAL;
    if (pos < 0) return whence === SEEK_DATA || whence === SEEK_HOLE ? pos : -EINVAL;
    this.pos = pos;
    return pos;
  }

  private target(offset: number, whence: number): number {
    switch (whence) {
      case SEEK_SET: return offset;
      case SEEK_CUR: return this.pos + offset;
      case SEEK_END: return this.inode.sizeBytes + offset;
      case SEEK_DATA: return offset < 0 ? -ENXIO : this.inode.seekData(offset, false);
      case SEEK_HOLE: return offset < 0 ? -ENXIO : this.inode.seekData(offset, true);
      default: return NaN;
    }
  }

  override ioctl(task: Task, command: number, argument: number): number {
    if (command !== FIONREAD) return -ENOTTY;
    return task.process.mm.writeU32(argument, (this.inode.sizeBytes - this.pos) >>> 0);
  }

  override truncate(sizeBytes: number): number {
    return this.canWrite() ? this.inode.truncate(sizeBytes) : -EINVAL;
  }
}
