// A directory of a MemFs. A directory of the image shows the image's entries but for the removed ones, and its own
// additions after them; any other has only its own.
//
// Interface: MemDir (Inode's directory operations; the caller has checked permissions and types). Cookies: image entries
// have their position, additions a counter that goes on after them, so readdir may go on while entries come and go.

import { EEXIST, EMLINK, ENOENT, ENOSPC, ENOTDIR, ENOTEMPTY, EXDEV } from '../../abi/linux/errno.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../abi/linux/stat.ts';
import { bug } from '../bug.ts';
import { DirFile } from './dirfile.ts';
import type { File } from './file.ts';
import type { DirEntry, Inode } from './inode.ts';
import { MemInode } from './meminode.ts';
import type { DirRecord, InodeState } from './meminode.ts';
import type { MemFs } from './tmpfs.ts';

/** Names one inode may have (ext4's limit). */
const LINK_MAX = 65000;
/** st_size of a tmpfs directory: so much per entry, "." and ".." included. */
const TMPFS_ENTRY_BYTES = 20;

export class MemDir extends MemInode {
  private entries: Map<string, DirRecord>;
  private removed: Set<string>;
  private nextCookie: number;
  /** `entries` and `removed` belong to a state too: copy before changing. */
  private shared: boolean;
  /** Entries the image has here. */
  private readonly lowerCount: number;

  constructor(fs: MemFs, state: InodeState) {
    super(fs, state);
    this.lowerCount = fs.lower?.has(this.ino) ? fs.lower.childCount(this.ino) : 0;
    this.entries = (state.dir?.entries as Map<string, DirRecord> | undefined) ?? new Map();
    this.removed = (state.dir?.removed as Set<string> | undefined) ?? new Set();
    this.nextCookie = state.dir?.nextCookie ?? this.lowerCount + 1;
    this.shared = state.dir !== null;
    this.resize();
  }

  override open(flags: number): File | number {
    return new DirFile(this, flags, '');
  }

  /** Number of entries. */
  get count(): number {
    return this.lowerCount - this.removed.size + this.entries.size;
  }

  private resize(): void {
    this.sizeBytes = this.fs.lower ? 4096 : (this.count + 2) * TMPFS_ENTRY_BYTES;
  }

  /** Inode number of a name, 0 when there is none. */
  private find(name: string): number {
    const own = this.entries.get(name);
    if (own) return own.ino;
    if (this.lowerCount === 0 || this.removed.has(name)) return 0;
    return this.fs.lower?.lookup(this.ino, name) ?? 0;
  }

  override lookup(name: string): MemInode | number {
    const ino = this.find(name);
    if (ino === 0) return -ENOENT;
    return this.fs.inode(ino) ?? bug(`memfs: entry of free inode ${ino}`);
  }

  override readdir(cookie: number, max: number): readonly DirEntry[] {
    const found: DirEntry[] = [];
    for (let at = cookie; at < this.lowerCount && found.length < max; at++) {
      const entry = this.fs.lower?.child(this.ino, at);
      if (entry && !this.removed.has(entry.name)) found.push(entry);
    }
    if (found.length >= max) return found;
    for (const [name, record] of this.entries) {
      if (record.cookie <= cookie) continue;
      found.push({ name, ino: record.ino, type: record.type, cookie: record.cookie });
      if (found.length >= max) break;
    }
    return found;
  }

  override create(name: string, mode: number, uid: number, gid: number, rdev: number): MemInode | number {
    return this.add(name, () => this.fs.newInode(mode, uid, gid, rdev));
  }

  override symlink(name: string, target: string, uid: number, gid: number): MemInode | number {
    return this.add(name, () => this.fs.newInode(S_IFLNK | 0o777, uid, gid, 0, target));
  }

  private add(name: string, make: () => MemInode | number): MemInode | number {
    if (this.nlink === 0) return -ENOENT;
    if (this.find(name) !== 0) return -EEXIST;
    if (!this.fs.takeEntry(name)) return -ENOSPC;
    const inode = make();
    if (typeof inode === 'number') {
      this.fs.giveEntry(name);
      return inode;
    }
    inode.nlink = inode.isDirectory() ? 2 : 1;
    this.insert(name, inode);
    return inode;
  }

  override tmpfile(mode: number, uid: number, gid: number, linkable: boolean): Inode | number {
    const inode = this.fs.newInode(S_IFREG | (mode & 0o7777), uid, gid, 0);
    if (typeof inode !== 'number') inode.isTemporary = linkable;
    return inode;
  }

  override link(name: string, target: Inode): number {
    if (!(target instanceof MemInode) || target.fs !== this.fs) return -EXDEV;
    if (this.nlink === 0 || (target.nlink === 0 && !target.isTemporary)) return -ENOENT;
    if (this.find(name) !== 0) return -EEXIST;
    if (target.nlink >= LINK_MAX) return -EMLINK;
    if (!this.fs.takeEntry(name)) return -ENOSPC;
    target.isTemporary = false;
    target.nlink++;
    target.restamped();
    this.insert(name, target);
    return 0;
  }

  override unlink(name: string): number {
    const inode = this.lookup(name);
    if (typeof inode === 'number') return inode;
    this.erase(name, inode);
    inode.unlinked();
    return 0;
  }

  override rmdir(name: string): number {
    const inode = this.lookup(name);
    if (typeof inode === 'number') return inode;
    if (!(inode instanceof MemDir)) return -ENOTDIR;
    if (inode.count > 0) return -ENOTEMPTY;
    this.erase(name, inode);
    inode.unlinked(2);
    return 0;
  }

  override rename(name: string, toDir: Inode, toName: string, exchange: boolean): number {
    if (!(toDir instanceof MemDir) || toDir.fs !== this.fs) return -EXDEV;
    if (toDir.nlink === 0) return -ENOENT;
    const inode = this.lookup(name);
    if (typeof inode === 'number') return inode;
    const victim = toDir.lookup(toName);
    if (victim === inode) return 0;
    if (!exchange && victim instanceof MemDir && victim.count > 0) return -ENOTEMPTY;
    if (!this.payFor(name, toDir, toName, exchange)) return -ENOSPC;
    if (typeof victim !== 'number') toDir.erase(toName, victim, true);
    this.erase(name, inode, exchange);
    toDir.insert(toName, inode);
    inode.restamped();
    if (exchange && typeof victim !== 'number') {
      this.insert(name, victim);
      victim.restamped();
      return 0;
    }
    if (typeof victim !== 'number') victim.unlinked(victim.isDirectory() ? 2 : 1);
    return 0;
  }

  /** Room for what a rename enters; names of the image are not paid for. */
  private payFor(name: string, toDir: MemDir, toName: string, exchange: boolean): boolean {
    const isPaid = toDir.entries.has(toName);
    if (!isPaid && !this.fs.takeEntry(toName)) return false;
    if (!exchange || this.entries.has(name) || this.fs.takeEntry(name)) return true;
    if (!isPaid) this.fs.giveEntry(toName);
    return false;
  }

  /** Enters a name that is not there, and is paid for. The inode's own link count is the caller's business. */
  private insert(name: string, inode: MemInode): void {
    this.own();
    this.entries.set(name, { ino: inode.ino, type: (inode.mode & S_IFMT) >> 12, cookie: this.nextCookie++ });
    if ((inode.mode & S_IFMT) === S_IFDIR) this.nlink++;
    this.resize();
    this.modified();
  }

  /** `staysPaid`: it will be entered again. */
  private erase(name: string, inode: MemInode, staysPaid = false): void {
    this.own();
    if (!this.entries.delete(name)) this.removed.add(name);
    else if (!staysPaid) this.fs.giveEntry(name);
    if ((inode.mode & S_IFMT) === S_IFDIR) this.nlink--;
    this.resize();
    this.modified();
  }

  private own(): void {
    if (!this.shared) return;
    this.entries = new Map(this.entries);
    this.removed = new Set(this.removed);
    this.shared = false;
  }

  protected override saveContent(): Pick<InodeState, 'lowerBytes' | 'pages' | 'dirtyPages' | 'seals' | 'dir'> {
    const isPlain = this.entries.size === 0 && this.removed.size === 0 && this.nextCookie === this.lowerCount + 1;
    if (!isPlain) this.shared = true;
    const dir = isPlain ? null : { entries: this.entries, removed: this.removed, nextCookie: this.nextCookie };
    return { lowerBytes: 0, pages: null, dirtyPages: 0, seals: -1, dir };
  }
}
