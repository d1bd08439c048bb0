// Making, removing and moving names: mkdir(2), mknod(2), symlink(2), link(2), unlink(2), rmdir(2), rename(2).
//
// Interface: one function per call, given a task, directory descriptors and byte-string paths. Permissions, sticky bits,
// mount points, "." and ".." are judged here; the directories' inodes do the work; dentries follow.

import {
  EBUSY, EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, EROFS, EXDEV,
} from '../../abi/linux/errno.ts';
import { AT_EMPTY_PATH, AT_SYMLINK_FOLLOW, RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../abi/linux/fcntl.ts';
import { IN_ATTRIB, IN_CREATE, IN_DELETE } from '../../abi/linux/inotify.ts';
import { S_IALLUGO, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK, S_ISGID } from '../../abi/linux/stat.ts';
import type { Task } from '../process/task.ts';
import { isBelow } from './dentry.ts';
import type { Dentry } from './dentry.ts';
import type { Inode } from './inode.ts';
import { notifyMove, notifyName, notifySelf } from './notify.ts';
import { dentryOfFd, walkAt } from './path.ts';
import type { Walked } from './path.ts';
import { MAY_WRITE, mayModify, permission, stickyCheck } from './perm.ts';

/** Mode and group of a new file in `dir`: umask, and a setgid directory hands its group on. */
export function newOwner(task: Task, dir: Inode, mode: number): { mode: number; uid: number; gid: number } {
  const { fsuid, fsgid } = task.process.credentials;
  const perm = mode & S_IALLUGO & ~task.process.fs.umask;
  const type = mode & S_IFMT;
  if ((dir.mode & S_ISGID) === 0) return { mode: type | perm, uid: fsuid, gid: fsgid };
  return { mode: type | perm | (type === S_IFDIR ? S_ISGID : 0), uid: fsuid, gid: dir.gid };
}

/** Walks to a name that must not be there; -EEXIST, and -ENOENT for "x/" unless a directory is to be made. */
function walkToAbsent(task: Task, dirfd: number, path: string, forDirectory: boolean): Walked | number {
  const at = walkAt(task, dirfd, path, 'parent');
  if (typeof at === 'number') return at;
  if (at.found) return -EEXIST;
  return (at.slash && !forDirectory) || at.dir.inode.nlink === 0 ? -ENOENT : at;
}

/** The same, in a directory that may be written. */
function walkToNew(task: Task, dirfd: number, path: string, forDirectory: boolean): Walked | number {
  const at = walkToAbsent(task, dirfd, path, forDirectory);
  if (typeof at === 'number') return at;
  const denied = mayModify(at.dir.inode, task.process.credentials);
  return denied < 0 ? denied : at;
}

/** Makes a directory. */
export function mkdirAt(task: Task, dirfd: number, path: string, mode: number): number {
  const at = walkToNew(task, dirfd, path, true);
  if (typeof at === 'number') return at;
  const { uid, gid, mode: full } = newOwner(task, at.dir.inode, S_IFDIR | (mode & 0o1777));
  return added(at, at.dir.inode.create(at.last, full, uid, gid, 0));
}

/** Makes a regular file, FIFO, socket or (CAP_MKNOD) device; `mode` without a type makes a regular file. */
export function mknodAt(task: Task, dirfd: number, path: string, mode: number, rdev: number): number {
  const made = makeNode(task, dirfd, path, mode, rdev);
  return typeof made === 'number' ? made : 0;
}

/** As mknodAt, giving the inode: what bind(2) of a unix socket needs. */
export function makeNode(task: Task, dirfd: number, path: string, mode: number, rdev: number): Dentry | number {
  const type = (mode & S_IFMT) || S_IFREG;
  if (type === S_IFDIR) return -EPERM;
  if (![S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK].includes(type)) return -EINVAL;
  const at = walkToNew(task, dirfd, path, false);
  if (typeof at === 'number') return at;
  if ((type === S_IFCHR || type === S_IFBLK) && task.process.credentials.fsuid !== 0) return -EPERM;
  const { uid, gid, mode: full } = newOwner(task, at.dir.inode, type | (mode & S_IALLUGO));
  const isDevice = type === S_IFCHR || type === S_IFBLK;
  const inode = at.dir.inode.create(at.last, full, uid, gid, isDevice ? rdev : 0);
  if (typeof inode === 'number') return inode;
  const made = at.dir.instantiate(at.last, inode);
  notifyName(at.dir.inode, at.last, inode, IN_CREATE);
  return made;
}

export function symlinkAt(task: Task, target: string, dirfd: number, path: string): number {
  if (target === '') return -ENOENT;
  const at = walkToNew(task, dirfd, path, false);
  if (typeof at === 'number') return at;
  const { uid, gid } = newOwner(task, at.dir.inode, 0);
  return added(at, at.dir.inode.symlink(at.last, target, uid, gid));
}

function added(at: Walked, inode: Inode | number): number {
  if (typeof inode === 'number') return inode;
  at.dir.instantiate(at.last, inode);
  notifyName(at.dir.inode, at.last, inode, IN_CREATE);
  return 0;
}

/** `flags`: AT_SYMLINK_FOLLOW, AT_EMPTY_PATH. */
export function linkAt(task: Task, oldfd: number, oldPath: string, newfd: number, newPath: string, flags: number): number {
  const old = oldPath === '' && (flags & AT_EMPTY_PATH) !== 0
    ? dentryOfFd(task, oldfd)
    : foundAt(walkAt(task, oldfd, oldPath, (flags & AT_SYMLINK_FOLLOW) !== 0 ? 'follow' : 'nofollow'));
  if (typeof old === 'number') return old;
  const at = walkToAbsent(task, newfd, newPath, false);
  if (typeof at === 'number') return at;
  if (old.inode.dev !== at.dir.inode.dev) return -EXDEV;
  if (!mayHardlink(task, old.inode)) return -EPERM;
  const denied = mayModify(at.dir.inode, task.process.credentials);
  if (denied < 0) return denied;
  const error = old.inode.isDirectory() ? -EPERM : at.dir.inode.link(at.last, old.inode);
  if (error < 0) return error;
  at.dir.instantiate(at.last, old.inode);
  notifySelf(old.inode, IN_ATTRIB);
  notifyName(at.dir.inode, at.last, old.inode, IN_CREATE);
  return 0;
}

/** fs.protected_hardlinks=1 (the other fs.protected_* are 0, the kernel's default): only to what one owns or could write safely. */
function mayHardlink(task: Task, inode: Inode): boolean {
  const ids = task.process.credentials;
  if (ids.fsuid === 0 || ids.fsuid === inode.uid) return true;
  const special = !inode.isRegular() || (inode.mode & 0o4000) !== 0 || (inode.mode & 0o2010) === 0o2010;
  return !special && permission(inode, 6, ids) === 0;
}

function foundAt(walked: Walked | number): Dentry | number {
  return typeof walked === 'number' ? walked : walked.found ?? -ENOENT;
}

/** May `victim` be taken out of its directory? */
function mayRemove(task: Task, at: Walked, victim: Dentry): number {
  const ids = task.process.credentials;
  const denied = mayModify(at.dir.inode, ids);
  return denied < 0 ? denied : stickyCheck(at.dir.inode, victim.inode, ids);
}

function isMountPoint(dentry: Dentry): boolean {
  return dentry.mounted !== null || dentry.mount !== null;
}

export function unlinkAt(task: Task, dirfd: number, path: string): number {
  const at = walkAt(task, dirfd, path, 'parent');
  if (typeof at === 'number') return at;
  if (at.last === '' || at.last === '.' || at.last === '..') return -EISDIR;
  if (at.dir.inode.isReadOnly) return -EROFS;
  if (!at.found) return -ENOENT;
  if (at.slash) return at.found.inode.isDirectory() ? -EISDIR : -ENOTDIR;
  const denied = mayRemove(task, at, at.found);
  if (denied < 0) return denied;
  if (at.found.inode.isDirectory()) return -EISDIR;
  if (isMountPoint(at.found)) return -EBUSY;
  return removed(at, at.found.inode, (dir) => dir.unlink(at.last));
}

export function rmdirAt(task: Task, dirfd: number, path: string): number {
  const at = walkAt(task, dirfd, path, 'parent');
  if (typeof at === 'number') return at;
  if (at.last === '') return -EBUSY;
  if (at.last === '.') return -EINVAL;
  if (at.last === '..') return -ENOTEMPTY;
  if (at.dir.inode.isReadOnly) return -EROFS;
  if (!at.found) return -ENOENT;
  const denied = mayRemove(task, at, at.found);
  if (denied < 0) return denied;
  if (!at.found.inode.isDirectory()) return -ENOTDIR;
  if (isMountPoint(at.found)) return -EBUSY;
  return removed(at, at.found.inode, (dir) => dir.rmdir(at.last));
}

/** Takes a name away. Watchers hear of the inode first, also that it is gone, then of the name. */
function removed(at: Walked, inode: Inode, remove: (dir: Inode) => number): number {
  inode.hold();
  const error = remove(at.dir.inode);
  if (error === 0) {
    at.dir.forget(at.last);
    if (!inode.isDirectory()) notifySelf(inode, IN_ATTRIB);
  }
  inode.drop();
  if (error === 0) notifyName(at.dir.inode, at.last, inode, IN_DELETE);
  return error;
}

export interface RenameArguments {
  readonly oldfd: number;
  readonly oldPath: string;
  readonly newfd: number;
  readonly newPath: string;
  /** RENAME_*. */
  readonly flags: number;
}

export function renameAt(task: Task, args: RenameArguments): number {
  if ((args.flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) !== 0) return -EINVAL;
  if (args.flags === (RENAME_NOREPLACE | RENAME_EXCHANGE)) return -EINVAL;
  const from = walkAt(task, args.oldfd, args.oldPath, 'parent');
  if (typeof from === 'number') return from;
  const to = walkAt(task, args.newfd, args.newPath, 'parent');
  if (typeof to === 'number') return to;
  const misplaced = checkRename(from, to, args.flags);
  if (misplaced !== 0) return misplaced;
  // Two names of one file: nothing happens, whatever the permissions.
  if (!from.found || to.found?.inode === from.found.inode) return 0;
  const exchange = (args.flags & RENAME_EXCHANGE) !== 0;
  const denied = mayReplace(task, from, to, from.found, exchange);
  if (denied !== 0) return denied;
  const victim = to.found;
  victim?.inode.hold();
  const done = from.dir.inode.rename(from.last, to.dir.inode, to.last, exchange);
  if (done === 0) {
    moveDentries(from, to, exchange);
    notifyMove(from.found, from.dir, from.last, exchange ? null : victim?.inode ?? null);
    if (exchange && victim) notifyMove(victim, to.dir, to.last, null);
  }
  victim?.inode.drop();
  return done;
}

/** What is wrong with the names themselves. */
function checkRename(from: Walked, to: Walked, flags: number): number {
  if (isDots(from) || isDots(to)) return (flags & RENAME_NOREPLACE) !== 0 && isDots(to) ? -EEXIST : -EBUSY;
  if (from.dir.inode.dev !== to.dir.inode.dev) return -EXDEV;
  if (from.dir.inode.isReadOnly) return -EROFS;
  const victim = to.found;
  const moved = from.found;
  if (!moved) return -ENOENT;
  if ((flags & RENAME_NOREPLACE) !== 0 && victim) return -EEXIST;
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  if (exchange && !victim) return -ENOENT;
  const isDir = moved.inode.isDirectory();
  if (!isDir && (from.slash || (!exchange && to.slash))) return -ENOTDIR;
  if (exchange && to.slash && !victim?.inode.isDirectory()) return -ENOTDIR;
  // A directory can't go below itself, nor replace one of its ancestors.
  if (isBelow(to.dir, moved)) return -EINVAL;
  if (victim && isBelow(from.dir, victim)) return exchange ? -EINVAL : -ENOTEMPTY;
  return 0;
}

function mayReplace(task: Task, from: Walked, to: Walked, moved: Dentry, exchange: boolean): number {
  const victim = to.found;
  const ids = task.process.credentials;
  let error = mayRemove(task, from, moved);
  if (error === 0) error = victim ? mayRemove(task, to, victim) : mayModify(to.dir.inode, ids);
  if (error < 0) return error;
  if (to.dir.inode.nlink === 0) return -ENOENT;
  if (victim && !exchange) {
    if (moved.inode.isDirectory() && !victim.inode.isDirectory()) return -ENOTDIR;
    if (!moved.inode.isDirectory() && victim.inode.isDirectory()) return -EISDIR;
  }
  if (isMountPoint(moved) || (victim && isMountPoint(victim))) return -EBUSY;
  // ".." of a directory that gets another parent changes: that needs write permission on the directory itself.
  if (from.dir === to.dir) return 0;
  if (moved.inode.isDirectory()) error = permission(moved.inode, MAY_WRITE, ids);
  if (error === 0 && exchange && victim?.inode.isDirectory()) error = permission(victim.inode, MAY_WRITE, ids);
  return error;
}

function isDots(at: Walked): boolean {
  return at.last === '' || at.last === '.' || at.last === '..';
}

function moveDentries(from: Walked, to: Walked, exchange: boolean): void {
  const moved = from.found;
  const victim = to.found;
  if (!moved) return;
  from.dir.children?.delete(from.last);
  if (victim && exchange) {
    victim.name = from.last;
    from.dir.adopt(victim);
  } else to.dir.forget(to.last);
  moved.name = to.last;
  to.dir.adopt(moved);
}
