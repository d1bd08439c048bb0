// Files that the caller gave a sandbox: trees of the host, mounted read-only or copy-on-write. Names and attributes are there
// from the start; the contents of a file come when it is first opened: open(2) waits for them, as it does on a network file system.
//
// Interface: GivenFiles (Vfs.given): mount, deliver, save, restore. `onWant` asks whoever has the files; `deliver` is the answer.
// A tree is a MemFs over a Lower of its own. What the contents take is bounded: those of files nobody has open go first.
// The inode number of a file is its entry's, and one.

import { ENOENT, ENOMEM, ENOTDIR, ESTALE } from '../../abi/linux/errno.ts';
import { S_IFDIR, S_IFREG, TMPFS_MAGIC } from '../../abi/linux/stat.ts';
import { bug } from '../bug.ts';
import { waitOn } from '../wait.ts';
import type { Wait } from '../wait.ts';
import { childOf, topOf } from './dentry.ts';
import type { Dentry } from './dentry.ts';
import { Lower } from './imagefs.ts';
import type { ImageIndex } from './imageindex.ts';
import { MemFs } from './tmpfs.ts';
import type { MemFsState } from './tmpfs.ts';
import type { Vfs } from './vfs.ts';

/** Bytes of contents one sandbox may have at a time; a file that finds no room cannot be opened: ENOMEM. */
export const GIVEN_BYTES_MAX = 512 << 20;
/** st_dev of the first tree: makedev(0, n). */
const DEV_GIVEN = 0x40;

/** What is mounted. Names are byte strings. */
export interface GivenTree {
  /** Absolute path of the mount point; it is made when it is not there. */
  readonly path: string;
  readonly isReadOnly: boolean;
  /** The root directory's only entry is what is mounted: a file. */
  readonly isFile: boolean;
  /** Offsets mean nothing. */
  readonly index: ImageIndex;
  /** What has come, by inode number. */
  readonly contents: Map<number, Uint8Array>;
}

export interface GivenState {
  readonly tree: GivenTree;
  readonly queue: number;
  readonly fs: MemFsState;
}

class GivenLower extends Lower {
  private readonly contents: GivenTree['contents'];

  constructor({ index, contents }: GivenTree) {
    super(index, { blob: () => bug('given: no blob') });
    this.contents = contents;
  }

  override bytes(ino: number, pos: number, length: number): Uint8Array {
    return this.contents.get(ino)?.subarray(pos, pos + length) ?? bug(`given: inode ${ino} was not opened`);
  }
}

interface Mounted {
  readonly tree: GivenTree;
  readonly fs: MemFs;
  /** Who waits for contents. */
  readonly queue: number;
  readonly wanted: Set<number>;
  /** Errors that came instead of contents: told once. */
  readonly failed: Map<number, number>;
}

export class GivenFiles {
  private readonly vfs: Vfs;
  private readonly mounted: Mounted[] = [];
  /** Of contents that are here or on their way. */
  private bytes = 0;
  /** Asks for the contents of a file: number of the tree, inode number. */
  onWant: (tree: number, ino: number) => void = () => {};

  constructor(vfs: Vfs) {
    this.vfs = vfs;
  }

  /** The trees' file systems. */
  get fileSystems(): readonly MemFs[] {
    return this.mounted.map(({ fs }) => fs);
  }

  /** Mounts a tree: 0, or -errno when its place cannot be. */
  mount(tree: GivenTree): number {
    const at = this.mountPoint(tree);
    if (typeof at === 'number') return at;
    this.attach(tree, at, this.vfs.kernel.waits.newQueue(), null);
    return 0;
  }

  private attach(tree: GivenTree, at: Dentry, queue: number, state: MemFsState | null): void {
    const { kernel, budget } = this.vfs;
    const number = this.mounted.length;
    const fs = new MemFs(kernel, {
      dev: DEV_GIVEN + number, budget, lower: new GivenLower(tree), isReadOnly: tree.isReadOnly, gate: (ino) => this.gate(number, ino),
    }, state);
    const root = tree.isFile ? fs.inode(tree.index.inode[1]) : fs.root;
    this.mounted.push({ tree, fs, queue, wanted: new Set(), failed: new Map() });
    for (const content of tree.contents.values()) this.bytes += content.length;
    const options = tree.isReadOnly ? 'ro,nosuid,nodev,relatime' : 'rw,nosuid,nodev,relatime';
    this.vfs.mountOn(at, root ?? bug('given: no such file'), { type: 'tmpfs', source: 'offshoot', magic: TMPFS_MAGIC, options });
  }

  /** The last component is made as what will cover it. New directories belong to whom their parent belongs. */
  private mountPoint({ path, isFile }: GivenTree): Dentry | number {
    let dir = topOf(this.vfs.root);
    const names = path.split('/').filter((name) => name !== '');
    for (const [i, name] of names.entries()) {
      if (!dir.inode.isDirectory()) return -ENOTDIR;
      const isLast = i === names.length - 1;
      let next = childOf(dir, name, null);
      if (next === -ENOENT) {
        const { uid, gid } = dir.inode;
        const made = dir.inode.create(name, isLast && isFile ? S_IFREG | 0o644 : S_IFDIR | 0o755, uid, gid, 0);
        next = typeof made === 'number' ? made : dir.instantiate(name, made);
      }
      if (typeof next === 'number') return next;
      dir = next;
    }
    return dir.inode.isSymlink() || dir.inode.isDirectory() === isFile ? -ENOTDIR : dir;
  }

  /** Null when a file may be opened; a Wait for its contents; -errno when they cannot be had. */
  private gate(number: number, ino: number): Wait | number | null {
    const { tree, queue, wanted, failed } = this.mounted[number];
    if (tree.contents.has(ino)) return null;
    const error = failed.get(ino);
    if (error !== undefined) {
      failed.delete(ino);
      return error;
    }
    if (!wanted.has(ino)) {
      const sizeBytes = tree.index.sizeBytes[ino - 1];
      if (!this.reserve(sizeBytes)) return -ENOMEM;
      wanted.add(ino);
      this.onWant(number, ino);
    }
    return waitOn([queue], { uninterruptible: true });
  }

  /** The contents of a file, whole, or the -errno for which there are none. */
  deliver(number: number, ino: number, content: Uint8Array | number): void {
    const mounted = this.mounted[number];
    if (!mounted?.wanted.delete(ino)) return;
    const { tree, failed, queue } = mounted;
    const sizeBytes = tree.index.sizeBytes[ino - 1];
    if (typeof content !== 'number' && content.length === sizeBytes) tree.contents.set(ino, content);
    else {
      this.bytes -= sizeBytes;
      failed.set(ino, typeof content === 'number' ? content : -ESTALE);
    }
    this.vfs.kernel.waits.wake(queue);
  }

  /** Room for contents that are to come. */
  private reserve(sizeBytes: number): boolean {
    if (this.bytes + sizeBytes > GIVEN_BYTES_MAX) this.dropUnused();
    if (this.bytes + sizeBytes > GIVEN_BYTES_MAX) return false;
    this.bytes += sizeBytes;
    return true;
  }

  private dropUnused(): void {
    for (const { tree, fs } of this.mounted) {
      for (const [ino, content] of tree.contents) {
        if ((fs.inode(ino)?.users ?? 0) > 0) continue;
        tree.contents.delete(ino);
        this.bytes -= content.length;
      }
    }
  }

  /** In a branch: what was asked for will be told to the other half only. */
  askAgain(): void {
    for (const { queue } of this.mounted) this.vfs.kernel.waits.wake(queue);
  }

  save(): readonly GivenState[] {
    return this.mounted.map(({ tree, queue, fs }) => ({ tree: { ...tree, contents: new Map(tree.contents) }, queue, fs: fs.save() }));
  }

  restore(states: readonly GivenState[]): void {
    for (const { tree, queue, fs } of states) {
      const at = this.mountPoint(tree);
      if (typeof at === 'number') bug(`given: mount point ${tree.path} is gone`);
      this.attach({ ...tree, contents: new Map(tree.contents) }, at, queue, fs);
    }
  }
}
