// The file system tree of one sandbox: what is mounted where, and the doors other parts of the kernel use.
//
// Interface: Vfs. `root` is the topmost directory; lookup() and open() resolve paths for a task (path.ts, open.ts do the work,
// namei.ts makes and removes names); mount() attaches a file system; saveInode()/loadInode() name an inode in a saved state.
// Standard mounts are made by mounts.ts, saving by savefs.ts.

import { ENOENT, ENXIO } from '../../abi/linux/errno.ts';
import { MFD_ALLOW_SEALING, MFD_EXEC, MFD_NOEXEC_SEAL, F_SEAL_EXEC, F_SEAL_SEAL, O_LARGEFILE, O_RDWR } from '../../abi/linux/fcntl.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../../abi/linux/stat.ts';
import { bug } from '../bug.ts';
import type { ErrnoLimits } from '../errnolimits.ts';
import type { Task } from '../process/task.ts';
import type { Wait, WaitQueues } from '../wait.ts';
import { childOf, Dentry, topOf } from './dentry.ts';
import type { Mount } from './dentry.ts';
import { File } from './file.ts';
import { GivenFiles } from './given.ts';
import type { Inode } from './inode.ts';
import { LockList } from './locks.ts';
import type { LockParts } from './locks.ts';
import { MemFile } from './memfile.ts';
import { openAt, openDentry } from './open.ts';
import { lookupAt } from './path.ts';
import { RegFile } from './regfile.ts';
import type { DiskBudget, DiskLimits, FsParts, MemFs } from './tmpfs.ts';

/** What the file systems need of the kernel. Kernel has it. */
export interface VfsKernel extends FsParts {
  readonly waits: WaitQueues;
  readonly limits: DiskLimits;
  readonly bounds?: ErrnoLimits;
}

/** Opens a FIFO or device node. */
export type SpecialOpener = (inode: Inode, flags: number, task: Task) => File | number | Wait;

export interface MountOptions {
  readonly type: string;
  readonly source?: string;
  readonly magic: number;
  readonly options?: string;
}

/** How a saved state names an inode. `key` is the path below its mount for file systems that have nothing else. */
export interface InodeRef {
  readonly dev: number;
  readonly ino: number;
  readonly key: string | null;
}

/** The writable file systems of a sandbox. */
export interface MemFileSystems {
  readonly root: MemFs;
  readonly tmp: MemFs;
  readonly shm: MemFs;
  /** Files without a name: memfd_create. */
  readonly memfd: MemFs;
}

/** What forks of a template have of its files together: of DiskBudget, and inodes that MemFs keeps saved. */
export interface SharedFiles {
  readonly metaBytes: number;
  readonly made: number;
  readonly saved: number;
}

/** Inodes without locks that are remembered in any case. */
const LOCKED_MIN = 64;

export class Vfs {
  readonly kernel: VfsKernel;
  readonly budget: DiskBudget;
  readonly memory: MemFileSystems;
  readonly root: Dentry;
  shared: SharedFiles = { metaBytes: 0, made: 0, saved: 0 };
  readonly mounts: Mount[] = [];
  /** Files of the host, given by the caller. */
  readonly given = new GivenFiles(this);
  /** Inodes that have, or had, locks. */
  readonly locked = new Set<Inode>();
  readonly locks: LockParts;
  /** When as many inodes are in `locked`, those that have none any more are taken out. */
  private lockedMax = LOCKED_MIN;
  private readonly openers = new Map<number, SpecialOpener>();
  /** Finds inodes of file systems that are not in memory, by st_dev. */
  private readonly finders = new Map<number, (ref: InodeRef) => Inode | null>();

  private readonly isRestored: boolean;

  constructor(kernel: VfsKernel, budget: DiskBudget, memory: MemFileSystems, isRestored = false) {
    this.isRestored = isRestored;
    this.kernel = kernel;
    this.locks = { waits: kernel.waits, held: { locks: 0 } };
    this.budget = budget;
    this.memory = memory;
    this.root = new Dentry('/', null, () => memory.root.root);
    this.addMount(this.root, null, { type: 'overlay', source: 'overlay', magic: 0x794c7630 });
    const reclaim = (): number => this.dropCaches();
    kernel.frames.reclaim = reclaim;
  }

  /** What a path names, or -errno. `flags`: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH. */
  lookup(task: Task, dirfd: number, path: string, flags = 0): Dentry | number {
    return lookupAt(task, dirfd, path, flags);
  }

  /** open(2): a File with one reference, -errno, or a Wait (a FIFO without its other end). */
  open(task: Task, dirfd: number, path: string, flags: number, mode = 0): File | number | Wait {
    return openAt(task, dirfd, path, flags, mode);
  }

  /** Opens what a lookup found, checking permissions. */
  openDentry(task: Task, dentry: Dentry, flags: number): File | number | Wait {
    return openDentry(task, dentry, flags);
  }

  /** Says who opens nodes of a type (S_IFIFO, S_IFCHR, S_IFBLK) in the file systems in memory. */
  setOpener(type: number, opener: SpecialOpener): void {
    this.openers.set(type, opener);
  }

  openSpecial(inode: Inode, flags: number, task: Task): File | number | Wait {
    return this.openers.get(inode.mode & S_IFMT)?.(inode, flags, task) ?? -ENXIO;
  }

  /**
   * Attaches a file system at an absolute path without links; makes the directory when the image has none. Its root is made when it is
   * first asked for.
   */
  mount(path: string, root: () => Inode, options: MountOptions): Mount {
    return this.mountOn(this.isRestored ? this.knownDirectory(path) : this.makeDirectories(path), root, options);
  }

  /** Attaches a file system, or one file of it, to what is there. */
  mountOn(at: Dentry, root: Inode | (() => Inode), options: MountOptions): Mount {
    const mount = this.addMount(new Dentry('/', null, root), at, options);
    at.mounted = mount;
    this.memory.root.directoryChanges++;
    // Pinned: a mount point must be found in the cache, also where children are looked up each time.
    at.parent?.adopt(at);
    return mount;
  }

  private addMount(root: Dentry, at: Dentry | null, options: MountOptions): Mount {
    const { type, source = type, magic, options: text = 'rw,relatime' } = options;
    const mount: Mount = { id: this.mounts.length + 1, type, source, options: text, magic, root, at };
    root.mount = mount;
    this.mounts.push(mount);
    return mount;
  }

  /** A directory that is there: the sandbox that was saved mounted something on it. */
  private knownDirectory(path: string): Dentry {
    let dir = this.root;
    for (const name of path.split('/')) {
      if (name === '') continue;
      const parent = dir;
      const inode = (): Inode => {
        const found = parent.inode.lookup(name, null);
        return typeof found === 'number' ? bug(`mount point ${path}: errno ${-found}`) : found;
      };
      dir = topOf(parent.children?.get(name) ?? parent.adopt(new Dentry(name, parent, inode)));
    }
    return dir;
  }

  private makeDirectories(path: string): Dentry {
    let dir = this.root;
    for (const name of path.split('/')) {
      if (name === '') continue;
      let next = childOf(dir, name, null);
      if (next === -ENOENT) {
        const made = dir.inode.create(name, S_IFDIR | 0o755, 0, 0, 0);
        next = typeof made === 'number' ? made : dir.instantiate(name, made);
      }
      if (typeof next === 'number') bug(`mount point ${path}: errno ${-next}`);
      dir = next;
    }
    return topOf(dir);
  }

  /** The mount an inode belongs to, for statfs; null for objects without one (pipes). */
  mountOf(inode: Inode): Mount | null {
    return this.mounts.find((mount) => mount.root.inode.dev === inode.dev) ?? null;
  }

  /** memfd_create(2): an open file in memory without a name. */
  memfd(task: Task, name: string, flags: number): File | number {
    const isExecutable = (flags & MFD_NOEXEC_SEAL) === 0 || (flags & MFD_EXEC) !== 0;
    const { fsuid, fsgid } = task.process.credentials;
    const inode = this.memory.memfd.newInode(S_IFREG | (isExecutable ? 0o777 : 0o666), fsuid, fsgid, 0);
    if (typeof inode === 'number') return inode;
    if (!(inode instanceof MemFile)) bug('memfd is not a regular file');
    const mayseal = (flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL)) !== 0;
    inode.allowSealing((mayseal ? 0 : F_SEAL_SEAL) | (isExecutable ? 0 : F_SEAL_EXEC));
    return new RegFile(inode, O_RDWR | O_LARGEFILE, `/memfd:${name} (deleted)`);
  }

  /** The lock list of an inode, made when it has none. */
  locksOf(inode: Inode): LockList {
    if (this.locked.size >= this.lockedMax) this.forgetUnlocked();
    this.locked.add(inode);
    return (inode.locks ??= new LockList(this.locks));
  }

  private forgetUnlocked(): void {
    for (const inode of this.locked) {
      if (inode.locks === null || (inode.locks.isEmpty && this.locks.waits.tasksOn(inode.locks.queue).length === 0)) this.locked.delete(inode);
    }
    this.lockedMax = Math.max(LOCKED_MIN, 2 * this.locked.size);
  }

  /** Gives back frames of the page cache that nobody maps: called when memory is short. Returns how many. */
  dropCaches(): number {
    return [...Object.values(this.memory), ...this.given.fileSystems].reduce((sum: number, fs: MemFs) => sum + fs.dropCaches(), 0);
  }

  private memFsOf(dev: number): MemFs | null {
    const { root, tmp, shm, memfd } = this.memory;
    if (dev === root.dev) return root; // nearly all
    return [tmp, shm, memfd, ...this.given.fileSystems].find((fs) => fs.dev === dev) ?? null;
  }

  /** Registers how inodes of another file system are found again in a restored state. */
  setFinder(dev: number, finder: (ref: InodeRef) => Inode | null): void {
    this.finders.set(dev, finder);
  }

  /** A name for an inode that loadInode understands in a restored sandbox. */
  saveInode(inode: Inode): InodeRef {
    const key = (inode as { readonly key?: unknown }).key;
    return { dev: inode.dev, ino: inode.ino, key: typeof key === 'string' ? key : null };
  }

  /** Adds users to the inode: areas that map it. False when there is none. */
  holdInode(ref: InodeRef, users: number): boolean {
    const fs = this.memFsOf(ref.dev);
    if (fs) {
      fs.hold(ref.ino, users);
      return true;
    }
    const inode = this.loadInode(ref);
    if (inode) inode.users += users;
    return inode !== null;
  }

  /** The inode, without a new hold; null when it is gone or its file system can't tell. */
  loadInode(ref: InodeRef): Inode | null {
    const fs = this.memFsOf(ref.dev);
    if (fs) return fs.inode(ref.ino);
    return this.finders.get(ref.dev)?.(ref) ?? null;
  }
}
