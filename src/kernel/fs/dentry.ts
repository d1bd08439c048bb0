// Names in the tree: a dentry joins a name, its directory and an inode. Dentries of directories give "..", getcwd and
// renames of parents their meaning; mounts hang on dentries (path_resolution(7)).
//
// Interface: Dentry, Mount, childOf (one step down, across mounts), parentOf (".."), pathOf (text), isBelow.
// The tree is a cache of what the file systems hold, positive entries only; savefs stores just the dentries in use.

import { PATH_MAX } from '../../abi/linux/fcntl.ts';
import type { Task } from '../process/task.ts';
import type { Inode } from './inode.ts';

/** A file system attached to the tree. */
export interface Mount {
  readonly id: number;
  readonly type: string;
  readonly source: string;
  /** As /proc/mounts shows them: "rw,relatime". */
  readonly options: string;
  /** f_type of statfs(2). */
  readonly magic: number;
  readonly root: Dentry;
  /** The directory it covers; null for the root file system. */
  readonly at: Dentry | null;
}

export class Dentry {
  name: string;
  /** Null for the root of a file system and for objects without a name (pipes). */
  parent: Dentry | null;
  private found: Inode | (() => Inode);
  /** Children looked up so far. */
  children: Map<string, Dentry> | null = null;
  /** What is mounted on this directory. */
  mounted: Mount | null = null;
  /** Set on the root of a mounted file system. */
  mount: Mount | null = null;
  /** Its name is gone: unlinked, or replaced by a rename. */
  unlinked = false;

  /** `inode` may be made when it is first asked for: that of a mount point hardly ever is. */
  constructor(name: string, parent: Dentry | null, inode: Inode | (() => Inode)) {
    this.name = name;
    this.parent = parent;
    this.found = inode;
  }

  get inode(): Inode {
    if (typeof this.found === 'function') this.found = this.found();
    return this.found;
  }

  /** Enters a child into the cache. */
  adopt(child: Dentry): Dentry {
    this.children ??= new Map();
    this.children.set(child.name, child);
    child.parent = this;
    return child;
  }

  /** The cached child for `name`, made when it is not there; for a name just created. */
  instantiate(name: string, inode: Inode): Dentry {
    const known = this.children?.get(name);
    if (known && known.inode === inode) return known;
    const child = new Dentry(name, this, inode);
    return this.inode.isVolatile ? child : this.adopt(child);
  }

  /** The name was removed. The dentry lives on for those who hold it. */
  forget(name: string): void {
    const child = this.children?.get(name);
    if (!child) return;
    child.unlinked = true;
    this.children?.delete(name);
  }
}

/** The root of whatever is mounted on top of `dentry`, or itself. */
export function topOf(dentry: Dentry): Dentry {
  let top = dentry;
  while (top.mounted) top = top.mounted.root;
  return top;
}

/** The child named `name`, across mount points, or -errno. `dir` is a directory. */
export function childOf(dir: Dentry, name: string, task: Task | null): Dentry | number {
  const cached = dir.children?.get(name);
  if (cached && (cached.mounted || !dir.inode.isVolatile)) return topOf(cached);
  const inode = dir.inode.lookup(name, task);
  if (typeof inode === 'number') return inode;
  if (cached && cached.inode === inode) return cached;
  return dir.instantiate(name, inode);
}

/** "..": never above `root`, across mount points. */
export function parentOf(dir: Dentry, root: Dentry): Dentry {
  let at = dir;
  while (at !== root && !at.parent && at.mount?.at) at = at.mount.at;
  if (at === root || !at.parent) return at;
  return topOf(at.parent);
}

/**
 * Absolute path of a dentry as seen from `root`; null when it is not below root. Without " (deleted)". Of a path longer than
 * PATH_MAX only the end, itself longer than PATH_MAX: directories can lie so deep that no text should say it.
 */
export function pathBelow(dentry: Dentry, root: Dentry): string | null {
  let path = '';
  let at = dentry;
  while (at !== root && path.length < PATH_MAX) {
    if (!at.parent) {
      if (!at.mount?.at) return null;
      at = at.mount.at;
      continue;
    }
    path = `/${at.name}${path}`;
    at = at.parent;
  }
  return path === '' ? '/' : path;
}

/** True when the dentry or a directory above it has been removed. */
export function isUnlinked(dentry: Dentry): boolean {
  return dentry.unlinked;
}

/** Path for /proc/self/fd, maps and error messages: from the real root, " (deleted)" appended as Linux does. "//toolong" beyond PATH_MAX. */
export function pathOf(dentry: Dentry): string {
  const names: string[] = [];
  let length = 0;
  for (let at: Dentry | null = dentry; at;) {
    if (length >= PATH_MAX) return '//toolong';
    if (at.parent) {
      names.push(at.name);
      length += at.name.length + 1;
      at = at.parent;
    } else at = at.mount?.at ?? null;
  }
  names.push('');
  // Joined at once: who keeps it (each mapping of a file) keeps no string that is made of hundreds of others.
  const path = length === 0 ? '/' : names.reverse().join('/');
  return dentry.unlinked ? `${path} (deleted)` : path;
}

/** True when `dentry` is `above` or lies below it. */
export function isBelow(dentry: Dentry, above: Dentry): boolean {
  for (let at: Dentry | null = dentry; at; at = at.parent ?? at.mount?.at ?? null) if (at === above) return true;
  return false;
}
