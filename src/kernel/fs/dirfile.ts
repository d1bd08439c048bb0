// An open directory: getdents64(2), lseek on directories. Works on any inode that has readdir.
//
// Interface: DirFile. Its position counts "." as 0 and ".." as 1; from 2 on it is the inode's cookie + 2.

import { EINVAL, EISDIR, ENOENT } from '../../abi/linux/errno.ts';
import { SEEK_CUR, SEEK_END, SEEK_SET } from '../../abi/linux/fcntl.ts';
import { IN_ACCESS } from '../../abi/linux/inotify.ts';
import { DIRENT64_NAME, DIRENT_NAME, DT_DIR } from '../../abi/linux/stat.ts';
import type { Task } from '../process/task.ts';
import { parentOf } from './dentry.ts';
import { File } from './file.ts';
import type { DirEntry } from './inode.ts';
import { notifyFile } from './notify.ts';

/** Entries asked of an inode at a time: about what fits glibc's 32 KB buffer. */
const BATCH = 1024;

export class DirFile extends File {
  override readonly kind: string = 'dir';

  override read(): number { return -EISDIR; }
  override write(): number { return -EISDIR; }
  override pread(): number { return -EISDIR; }
  override pwrite(): number { return -EISDIR; }
  override truncate(): number { return -EISDIR; }
  override isSeekable(): boolean { return true; }

  override seek(offset: number, whence: number): number {
    const base = whence === SEEK_SET ? 0 : whence === SEEK_CUR ? this.pos : whence === SEEK_END ? this.inode.sizeBytes : NaN;
    const pos = base + offset;
    if (!(pos >= 0 && pos <= Number.MAX_SAFE_INTEGER)) return -EINVAL;
    this.pos = pos;
    return pos;
  }

  override getdents(task: Task, dst: Uint8Array, legacy: boolean): number {
    const { inode } = this;
    if (inode.nlink === 0) return -ENOENT;
    const view = new DataView(dst.buffer, dst.byteOffset, dst.length);
    let used = 0;
    for (const entry of this.dots(task)) {
      const length = put(view, used, { ...entry, cookie: entry.cookie }, legacy);
      if (length === 0) return used > 0 ? used : -EINVAL;
      used += length;
      this.pos = entry.cookie;
    }
    for (;;) {
      const entries = inode.readdir(this.pos - 2, BATCH, task);
      if (typeof entries === 'number') return used > 0 ? used : entries;
      for (const entry of entries) {
        const length = put(view, used, { ...entry, cookie: entry.cookie + 2 }, legacy);
        if (length === 0) return used > 0 ? used : -EINVAL;
        used += length;
        this.pos = entry.cookie + 2;
      }
      if (entries.length < BATCH) break;
    }
    inode.touched();
    notifyFile(this, IN_ACCESS);
    return used;
  }

  /** Whether no entry is left. */
  isAtEnd(): boolean {
    if (this.pos < 2) return false;
    const entries = this.inode.readdir(this.pos - 2, 1, null);
    return typeof entries !== 'number' && entries.length === 0;
  }

  /** "." and "..", as far as they are still to come. */
  private dots(task: Task): DirEntry[] {
    const dots: DirEntry[] = [];
    if (this.pos < 1) dots.push({ name: '.', ino: this.inode.ino, type: DT_DIR, cookie: 1 });
    if (this.pos < 2) {
      const parent = this.dentry ? parentOf(this.dentry, task.process.fs.root).inode : this.inode;
      dots.push({ name: '..', ino: parent.ino, type: DT_DIR, cookie: 2 });
    }
    return dots;
  }
}

/** Writes one record at `at`; its length, or 0 when it does not fit. */
function put(view: DataView, at: number, entry: DirEntry, legacy: boolean): number {
  const { name } = entry;
  const nameAt = legacy ? DIRENT_NAME : DIRENT64_NAME;
  const length = (nameAt + name.length + (legacy ? 2 : 1) + 7) & ~7;
  if (at + length > view.byteLength) return 0;
  put64(view, at, entry.ino);
  put64(view, at + 8, entry.cookie);
  view.setUint16(at + 16, length, true);
  for (let i = at + 18; i < at + length; i++) view.setUint8(i, 0);
  for (let i = 0; i < name.length; i++) view.setUint8(at + nameAt + i, name.charCodeAt(i));
  view.setUint8(legacy ? at + length - 1 : at + 18, entry.type);
  return length;
}

function put64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 0x1_0000_0000, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}
