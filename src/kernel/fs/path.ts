// Path resolution: path_resolution(7), symlink(7), openat2(2).
//
// Interface: walk() resolves a path to its last component; lookupAt() to a dentry. Walking needs search permission on
// each directory, follows at most MAXSYMLINKS links, and never leaves the process's root.

import { EBADF, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EXDEV } from '../../abi/linux/errno.ts';
import {
  AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, MAXSYMLINKS, NAME_MAX, PATH_MAX,
  RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV,
} from '../../abi/linux/fcntl.ts';
import type { Task } from '../process/task.ts';
import { childOf, Dentry, parentOf } from './dentry.ts';
import type { Inode } from './inode.ts';
import { MAY_EXEC, permission } from './perm.ts';

/** What to do with a symbolic link as the last component. */
export type LastLink =
  /** Follow it. */
  | 'follow'
  /** Do not, unless a trailing slash asks for what it points to (lstat). */
  | 'nofollow'
  /** Never: the name itself is meant (unlink, mkdir, rename). */
  | 'parent'
  /** As 'follow', but a name with a slash after it, here or in a link, is -EISDIR at once (O_CREAT). */
  | 'create'
  /** As 'parent', with the same rule (O_CREAT | O_EXCL). */
  | 'createNew';

/** Where a path ends: `last` in `dir`. */
export interface Walked {
  readonly dir: Dentry;
  /** Last component; '' for "/" and after a jump through a /proc link, '.' and '..' as they are. */
  readonly last: string;
  /** What is there; null when nothing is. */
  readonly found: Dentry | null;
  /** The path ends with a slash: only a directory will do. */
  readonly slash: boolean;
}

/** State of one resolution. */
interface Walk {
  readonly task: Task;
  readonly root: Dentry;
  readonly start: Dentry;
  readonly resolve: number;
  links: number;
}

/** Resolves `path` from `start`. Errors of the last component other than its absence are errors of the walk. */
export function walk(task: Task, start: Dentry, path: string, lastLink: LastLink, resolve = 0): Walked | number {
  if (path === '') return -ENOENT;
  if (path.length >= PATH_MAX) return -ENAMETOOLONG;
  const root = (resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH)) !== 0 ? start : task.process.fs.root;
  if (path.startsWith('/') && (resolve & RESOLVE_BENEATH) !== 0) return -EXDEV;
  return steps({ task, root, start, resolve, links: 0 }, path, lastLink);
}

/** A path taken apart. */
interface Names {
  readonly isAbsolute: boolean;
  /** Its components, "." and ".." among them. */
  readonly names: readonly string[];
  /** It ends with a slash. */
  readonly slash: boolean;
}

/** Paths taken apart before: programs ask for the same ones again and again. Emptied when it is full. */
const known = new Map<string, Names>();
const KNOWN_MAX = 1024;
const KNOWN_LENGTH_MAX = 256;

function copyOf(name: string): string {
  return String.fromCharCode(...Array.from(name, (character) => character.charCodeAt(0)));
}

function namesOf(path: string): Names {
  const found = known.get(path);
  if (found !== undefined) return found;
  const names = path.split('/').filter((name) => name !== '');
  const made = { isAbsolute: path.startsWith('/'), names, slash: path.endsWith('/') };
  // V8 makes a part of a string a view of the whole, which a name that is kept would hold.
  if (path.length > KNOWN_LENGTH_MAX) return { ...made, names: names.map(copyOf) };
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(path, made);
  return made;
}

function steps(state: Walk, path: string, lastLink: LastLink): Walked | number {
  const { isAbsolute, names: first, slash: endsWithSlash } = namesOf(path);
  let names = first;
  let ends = endsWithSlash;
  let dir = isAbsolute ? state.root : state.start;
  for (let at = 0; at < names.length;) {
    const name = names[at++];
    const last = at === names.length;
    const slash = last && ends;
    const denied = mayStep(state, dir, name);
    if (denied < 0) return denied;
    if (slash && (lastLink === 'create' || lastLink === 'createNew') && name !== '.' && name !== '..') return -EISDIR;
    const next = step(state, dir, name);
    if (typeof next === 'number') {
      return next === -ENOENT && last && name !== '..' && !dir.inode.hasFixedNames ? { dir, last: name, found: null, slash } : next;
    }
    if (next.inode.isSymlink() && (!last || lastLink === 'follow' || lastLink === 'create' || (slash && lastLink === 'nofollow'))) {
      const jump = followLink(state, next.inode);
      if (typeof jump === 'number') return jump;
      if (typeof jump === 'string') {
        const target = namesOf(jump);
        ends ||= last && target.slash;
        names = last ? target.names : [...target.names, ...names.slice(at)];
        at = 0;
        if (target.isAbsolute) dir = state.root;
        continue;
      }
      if (last) return finish({ dir: jump.parent ?? jump, last: '', found: jump, slash }, lastLink);
      dir = jump;
      continue;
    }
    if (last) return finish({ dir: name === '.' || name === '..' ? next : dir, last: name, found: next, slash }, lastLink);
    dir = next;
  }
  return { dir, last: '', found: dir, slash: true }; // "/", or a link to it at the end
}

function finish(walked: Walked, lastLink: LastLink): Walked | number {
  if (walked.slash && lastLink !== 'parent' && walked.found && !walked.found.inode.isDirectory()) return -ENOTDIR;
  return walked;
}

function mayStep(state: Walk, dir: Dentry, name: string): number {
  if (!dir.inode.isDirectory()) return -ENOTDIR;
  const denied = permission(dir.inode, MAY_EXEC, state.task.process.credentials);
  if (denied < 0) return denied;
  return name.length > NAME_MAX ? -ENAMETOOLONG : 0;
}

function step(state: Walk, dir: Dentry, name: string): Dentry | number {
  if (name === '.') return dir;
  let next: Dentry | number;
  if (name === '..') {
    if (dir === state.root && (state.resolve & RESOLVE_BENEATH) !== 0) return -EXDEV;
    next = parentOf(dir, state.root);
  } else next = childOf(dir, name, state.task);
  if (typeof next === 'number') return next;
  if ((state.resolve & RESOLVE_NO_XDEV) !== 0 && next.inode.dev !== dir.inode.dev) return -EXDEV;
  return next;
}

/** Text to go on with, the dentry a /proc link jumps to, or -errno. */
function followLink(state: Walk, link: Inode): string | Dentry | number {
  if (++state.links > MAXSYMLINKS || (state.resolve & RESOLVE_NO_SYMLINKS) !== 0) return -ELOOP;
  const target = link.follow(state.task);
  if (target) {
    if ((state.resolve & RESOLVE_NO_MAGICLINKS) !== 0) return -ELOOP;
    if ((state.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_NO_XDEV)) !== 0) return -EXDEV;
    return target instanceof Dentry ? target : new Dentry('', null, target);
  }
  const text = link.readlink(state.task);
  if (typeof text === 'number') return text;
  if (text === '') return -ENOENT;
  if (text.startsWith('/') && (state.resolve & RESOLVE_BENEATH) !== 0) return -EXDEV;
  link.touched();
  return text;
}

/** The dentry a relative path of `dirfd` starts from, or -errno. */
export function startOf(task: Task, dirfd: number, path: string): Dentry | number {
  if (path.startsWith('/')) return task.process.fs.root;
  if (dirfd === AT_FDCWD) return task.process.fs.cwd;
  const file = task.process.files.get(dirfd);
  if (!file) return -EBADF;
  if (!file.inode.isDirectory()) return -ENOTDIR;
  return file.dentry ?? new Dentry('', null, file.inode);
}

/** walk() from a directory descriptor. */
export function walkAt(task: Task, dirfd: number, path: string, lastLink: LastLink, resolve = 0): Walked | number {
  if (path === '') return -ENOENT;
  const start = startOf(task, dirfd, (resolve & RESOLVE_IN_ROOT) !== 0 ? '' : path);
  return typeof start === 'number' ? start : walk(task, start, path, lastLink, resolve);
}

/** What a path names; -ENOENT when nothing. `flags`: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH. */
export function lookupAt(task: Task, dirfd: number, path: string, flags: number): Dentry | number {
  if (path === '' && (flags & AT_EMPTY_PATH) !== 0) return dentryOfFd(task, dirfd);
  const walked = walkAt(task, dirfd, path, (flags & AT_SYMLINK_NOFOLLOW) !== 0 ? 'nofollow' : 'follow');
  if (typeof walked === 'number') return walked;
  return walked.found ?? -ENOENT;
}

/** What a descriptor (or AT_FDCWD) refers to. */
export function dentryOfFd(task: Task, fd: number): Dentry | number {
  if (fd === AT_FDCWD) return task.process.fs.cwd;
  const file = task.process.files.get(fd);
  if (!file) return -EBADF;
  return file.dentry ?? new Dentry('', null, file.inode);
}
