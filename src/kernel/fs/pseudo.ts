// Base inodes of the synthetic file systems (proc, sysfs, dev, pipes, anonymous inodes): nothing on a disk, everything
// made when looked at. seq_file semantics as in the Linux kernel's Documentation/filesystems/seq_file.rst.
//
// Interface: PseudoInode (an inode with plain fields), TextInode (a file whose text is generated at the first read of
// each open and again after a seek to 0), PseudoDir (entries by name), LinkInode, AnonInode (eventfd and the like).
// Each PseudoInode of a mounted file system has a `key`, its path below the mount, by which savefs finds it again.

import { EACCES, EINVAL, ENODEV, ENOENT, ENXIO } from '../../abi/linux/errno.ts';
import type { Task } from '../process/task.ts';
import type { Wait } from '../wait.ts';
import { DirFile } from './dirfile.ts';
import { File } from './file.ts';
import { Inode } from './inode.ts';
import type { DirEntry } from './inode.ts';

export const S_IFIFO = 0o010000, S_IFCHR = 0o020000, S_IFDIR = 0o040000, S_IFREG = 0o100000, S_IFLNK = 0o120000;
export const S_IFSOCK = 0o140000;

/** st_dev of the file systems without a device: makedev(0, n). */
export const DEV_DEVTMPFS = 5, DEV_SOCKFS = 8, DEV_PIPEFS = 13, DEV_ANON = 14, DEV_PROC = 21, DEV_SYSFS = 22;

/** What a synthetic file system's inodes need to know of it. */
export interface PseudoFs {
  readonly dev: number;
  /** Time stamp of everything in it. */
  readonly bootTime: bigint;
  /** The open files that keep a large text, the latest used last: not all of them, or descriptors on smaps would fill our memory. */
  largeTexts?: TextFile[];
}

/** An inode number from a key: stable across forks and restarts (FNV-1a; 31 bits, never 0). */
export function inoOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193) >>> 0;
  return (hash & 0x7fff_ffff) || 1;
}

/** DT_* of a mode: the type bits shifted. */
export function dtypeOf(mode: number): number {
  return (mode >> 12) & 15;
}

/** An inode whose attributes are plain fields. */
export abstract class PseudoInode extends Inode {
  readonly fs: PseudoFs;
  readonly dev: number;
  readonly ino: number;
  readonly key: string;
  mode: number;
  uid = 0;
  gid = 0;
  nlink = 1;
  sizeBytes = 0;
  mtime: bigint;
  ctime: bigint;
  atime: bigint;

  constructor(fs: PseudoFs, key: string, mode: number, ino = inoOf(key)) {
    super();
    this.fs = fs;
    this.dev = fs.dev;
    this.key = key;
    this.ino = ino;
    this.mode = mode;
    this.mtime = this.ctime = this.atime = fs.bootTime;
  }
}

/** Generates a file's bytes as `task` (null: the kernel itself) sees them; a byte string, or -errno. */
export type Generate = (task: Task | null) => string | Uint8Array | number;
/** Takes what was written in one write(2): bytes taken or -errno. */
export type Store = (task: Task, bytes: Uint8Array) => number;

/** A generated regular file. Without `store` writing gives EACCES at open (mode) or EINVAL. */
export class TextInode extends PseudoInode {
  private readonly generate: Generate;
  private readonly store: Store | null;

  constructor(fs: PseudoFs, key: string, generate: Generate, options: { mode?: number; store?: Store } = {}) {
    super(fs, key, S_IFREG | (options.mode ?? 0o444));
    this.generate = generate;
    this.store = options.store ?? null;
  }

  /** O_TRUNC on a generated file does nothing (shell redirections use it). */
  override truncate(): number { return 0; }
  override read(pos: number, dst: Uint8Array): number {
    const bytes = this.snapshot(null);
    if (typeof bytes === 'number') return bytes;
    return copyFrom(bytes, pos, dst);
  }

  snapshot(task: Task | null): Uint8Array | number {
    const made = this.generate(task);
    return typeof made === 'string' ? bytesOf(made) : made;
  }

  take(task: Task, bytes: Uint8Array): number {
    return this.store ? this.store(task, bytes) : -EINVAL;
  }

  open(flags: number, _task: Task | null): File | number {
    if ((flags & 3) !== 0 && !this.store) return -EACCES;
    return new TextFile(this, flags, '');
  }
}

/** Beyond this a text is large; no text is longer than TEXT_MAX, and large ones have LARGE_TEXTS_MAX bytes together. */
const LARGE_TEXT = 65536, TEXT_MAX = 16 << 20, LARGE_TEXTS_MAX = 32 << 20;

/** An open generated file. The text is made at the first read from position 0 and kept for the reads that follow. */
export class TextFile extends File {
  override readonly kind = 'text';
  declare readonly inode: TextInode;
  /** null: not generated yet. Shared by forks: never changed in place. */
  text: Uint8Array | null = null;

  override read(task: Task, dst: Uint8Array): number {
    const n = this.readAt(task, dst, this.pos);
    if (n > 0) this.pos += n;
    return n;
  }

  override pread(task: Task, dst: Uint8Array, pos: number): number {
    return this.readAt(task, dst, pos);
  }

  private readAt(task: Task, dst: Uint8Array, pos: number): number {
    if (!this.text || pos === 0) {
      const made = this.inode.snapshot(task);
      if (typeof made === 'number') return made;
      this.keep(made.length > TEXT_MAX ? made.subarray(0, TEXT_MAX) : made);
    }
    return copyFrom(this.text as Uint8Array, pos, dst);
  }

  /** Keeps the text for the next read; large ones take the place of others, which are then generated again. */
  private keep(text: Uint8Array): void {
    this.forget();
    this.text = text;
    const { fs } = this.inode;
    if (text.length <= LARGE_TEXT) return;
    const kept = fs.largeTexts ??= [];
    let bytes = kept.reduce((sum, other) => sum + (other.text?.length ?? 0), text.length);
    while (bytes > LARGE_TEXTS_MAX) {
      const oldest = kept.shift();
      if (!oldest) break;
      bytes -= oldest.text?.length ?? 0;
      oldest.text = null;
    }
    kept.push(this);
  }

  private forget(): void {
    const kept = this.inode.fs.largeTexts;
    const at = kept ? kept.indexOf(this) : -1;
    if (at >= 0) kept?.splice(at, 1);
  }

  override release(): void {
    this.forget();
    super.release();
  }

  override write(task: Task, src: Uint8Array): number | Wait {
    const n = this.inode.take(task, src);
    if (n > 0) this.pos += n;
    return n;
  }

  override pwrite(task: Task, src: Uint8Array): number | Wait {
    return this.inode.take(task, src);
  }

  override seek(offset: number, whence: number): number {
    const base = whence === 0 ? 0 : whence === 1 ? this.pos : -1;
    // seq_lseek knows no SEEK_END.
    if (base < 0 || base + offset < 0) return -EINVAL;
    this.pos = base + offset;
    return this.pos;
  }

  override isSeekable(): boolean { return true; }
  override mmapInode(): Inode | number { return -ENODEV; }
}

function copyFrom(bytes: Uint8Array, pos: number, dst: Uint8Array): number {
  if (pos >= bytes.length) return 0;
  const n = Math.min(dst.length, bytes.length - pos);
  dst.set(bytes.subarray(pos, pos + n));
  return n;
}

/** A directory of computed entries. */
export abstract class PseudoDir extends PseudoInode {
  constructor(fs: PseudoFs, key: string, mode = 0o555, ino = inoOf(key)) {
    super(fs, key, S_IFDIR | mode, ino);
    this.nlink = 2;
  }

  override get hasFixedNames(): boolean { return this.dev === DEV_PROC; }

  /** The child or null. */
  abstract child(name: string, task: Task | null): Inode | null;
  /** Names in a stable order. */
  abstract names(task: Task | null): readonly string[];
  /** The child as it was when a state was saved, whether or not it exists now. */
  restoreChild(name: string): Inode | null { return this.child(name, null); }
  /** Called for a name that is not there. */
  protected missed(_name: string, _task: Task | null): void {}

  childKey(name: string): string {
    return this.key === '' ? name : `${this.key}/${name}`;
  }

  override lookup(name: string, task: Task | null): Inode | number {
    const found = this.child(name, task);
    if (found) return found;
    this.missed(name, task);
    return -ENOENT;
  }

  override readdir(cookie: number, max: number, task: Task | null): readonly DirEntry[] | number {
    const names = this.names(task);
    const entries: DirEntry[] = [];
    for (let i = cookie; i < names.length && entries.length < max; i++) {
      const inode = this.child(names[i], task);
      if (inode) entries.push({ name: names[i], ino: inode.ino, type: dtypeOf(inode.mode), cookie: i + 1 });
    }
    return entries;
  }

  override create(): number { return -EACCES; }
  override symlink(): number { return -EACCES; }
  override unlink(): number { return -EACCES; }
  override rmdir(): number { return -EACCES; }

  open(flags: number, _task: Task | null): File | number {
    return new DirFile(this, flags, '');
  }
}

/** A directory of fixed entries from a literal tree; the tree and the inodes are made when first needed. */
export class TreeDir extends PseudoDir {
  private tree: Tree | (() => Tree);
  private readonly cache = new Map<string, Inode>();
  private readonly onMiss: ((key: string) => void) | null;

  /** `onMiss` hears the keys of names that are not there. */
  constructor(fs: PseudoFs, key: string, tree: Tree | (() => Tree), onMiss: ((key: string) => void) | null = null) {
    super(fs, key);
    this.tree = tree;
    this.onMiss = onMiss;
  }

  private get entries(): Tree {
    if (typeof this.tree === 'function') this.tree = this.tree();
    return this.tree;
  }

  override get isVolatile(): boolean { return false; }

  override child(name: string): Inode | null {
    const known = this.cache.get(name);
    if (known) return known;
    const { entries } = this;
    if (!Object.hasOwn(entries, name)) return null;
    const inode = makeEntry(this.fs, this.childKey(name), entries[name], this.onMiss);
    this.cache.set(name, inode);
    return inode;
  }

  override names(): readonly string[] {
    return Object.keys(this.entries);
  }

  protected override missed(name: string): void {
    this.onMiss?.(this.childKey(name));
  }
}

/** A tree in a literal: text by value or function, directories as nested trees, anything else by `make`. */
export interface Tree { readonly [name: string]: string | (() => string) | EntryMaker | Tree }
/** An entry that makes its own inode. */
export interface EntryMaker { readonly make: (fs: PseudoFs, key: string) => Inode }

function makeEntry(fs: PseudoFs, key: string, value: Tree[string], onMiss: ((key: string) => void) | null): Inode {
  if (typeof value === 'string') return new TextInode(fs, key, () => value);
  if (typeof value === 'function') return new TextInode(fs, key, value);
  return isMaker(value) ? value.make(fs, key) : new TreeDir(fs, key, value, onMiss);
}

function isMaker(value: Tree | EntryMaker): value is EntryMaker {
  return typeof value.make === 'function' && Object.keys(value).length === 1;
}

/** A symbolic link whose text is computed. */
export class LinkInode extends PseudoInode {
  private readonly target: (task: Task | null) => string | number;

  constructor(fs: PseudoFs, key: string, target: string | ((task: Task | null) => string | number), mode = 0o777) {
    super(fs, key, S_IFLNK | mode);
    this.target = typeof target === 'string' ? () => target : target;
  }

  override readlink(task: Task | null): string | number {
    return this.target(task);
  }

  open(): File | number { return -ENXIO; }
}

/** The inode of a file that has no name: eventfd, timerfd, epoll. `label` is what /proc/PID/fd shows after "anon_inode:". */
export class AnonInode extends PseudoInode {
  constructor(label: string, ino: number, now = 0n) {
    super({ dev: DEV_ANON, bootTime: now }, label, 0o600, ino);
    this.nlink = 1;
  }

  open(): File | number { return -ENXIO; }
}

/** Byte string → bytes. */
export function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Bytes → byte string. */
export function textOf(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return text;
}

/**
 * The inode a saved key names below `root`, made without asking whether it exists now (the processes of a restored kernel come
 * later); null when the key makes no sense.
 */
export function restoreInode(root: PseudoDir, key: string): Inode | null {
  let inode: Inode = root;
  for (const name of key === '' ? [] : key.split('/')) {
    const next: Inode | null = inode instanceof PseudoDir ? inode.restoreChild(name) : null;
    if (!next) return null;
    inode = next;
  }
  return inode;
}
