// open(2), openat2(2): from a path and flags to an open file description.
//
// Interface: openAt, openDentry (what is already found), PathFile (O_PATH).

import {
  EACCES, EBADF, EEXIST, EINVAL, EISDIR, ELOOP, ENOENT, ENOTDIR, ENXIO, EPERM, ETXTBSY,
} from '../../abi/linux/errno.ts';
import {
  __O_TMPFILE, O_ACCMODE, O_APPEND, O_ASYNC, O_CLOEXEC, O_CREAT, O_DIRECT, O_DIRECTORY, O_DSYNC, O_EXCL, O_LARGEFILE, O_NOATIME,
  O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY, O_SYNC, O_TMPFILE, O_TRUNC,
} from '../../abi/linux/fcntl.ts';
import { IN_CREATE, IN_MODIFY, IN_OPEN } from '../../abi/linux/inotify.ts';
import { S_IFREG, S_IFSOCK, S_IFMT } from '../../abi/linux/stat.ts';
import type { Task } from '../process/task.ts';
import type { Wait } from '../wait.ts';
import { Dentry } from './dentry.ts';
import { File } from './file.ts';
import { newOwner } from './namei.ts';
import { notifyFile, notifyName } from './notify.ts';
import { walkAt } from './path.ts';
import type { LastLink, Walked } from './path.ts';
import { isOwner, MAY_EXEC, MAY_READ, MAY_WRITE, mayModify, permission } from './perm.ts';
import { isRunning, isWritten, truncateFile } from './truncate.ts';

/** Flags an open file description keeps (F_GETFL shows them). */
const KEPT = O_ACCMODE | O_APPEND | O_NONBLOCK | O_DSYNC | O_SYNC | O_ASYNC | O_DIRECT | O_LARGEFILE | O_NOATIME | O_DIRECTORY |
  O_NOFOLLOW | O_PATH | __O_TMPFILE;
const KNOWN = KEPT | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC;
/** All that counts beside O_PATH. */
const WITH_PATH = O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;

/** A descriptor that only names an object. */
export class PathFile extends File {
  override readonly kind: string = 'path';

  override read(): number { return -EBADF; }
  override write(): number { return -EBADF; }
  override pread(): number { return -EBADF; }
  override pwrite(): number { return -EBADF; }
  override seek(): number { return -EBADF; }
  override ioctl(): number { return -EBADF; }
  override getdents(): number { return -EBADF; }
  override truncate(): number { return -EBADF; }
  override poll(): number { return 0x20; /* POLLNVAL */ }
  override mmapInode(): number { return -EBADF; }
}

/** What open(2) drops silently and openat2(2) refuses. */
export function hasUnknownFlags(flags: number): boolean {
  return (flags & ~KNOWN) !== 0;
}

/** Opens a path; `resolve` is openat2's RESOLVE_*. A File with one reference, -errno, or a Wait (FIFO). */
export function openAt(task: Task, dirfd: number, path: string, openFlags: number, mode: number, resolve = 0): File | number | Wait {
  let flags = openFlags & KNOWN;
  if ((flags & O_PATH) !== 0) flags &= WITH_PATH;
  if ((flags & __O_TMPFILE) !== 0) return openTemporary(task, dirfd, path, flags, mode, resolve);
  if ((flags & (O_CREAT | O_DIRECTORY)) === (O_CREAT | O_DIRECTORY)) return -EINVAL;
  const at = walkAt(task, dirfd, path, lastLinkOf(flags), resolve);
  if (typeof at === 'number') return at;
  if ((flags & O_CREAT) !== 0) {
    if (at.found && (flags & O_EXCL) !== 0) return -EEXIST;
    if (at.found?.inode.isDirectory()) return -EISDIR;
    if (!at.found) return create(task, at, flags, mode);
  }
  if (!at.found) return -ENOENT;
  if (at.found.inode.isSymlink() && (flags & O_PATH) === 0) return (flags & O_DIRECTORY) !== 0 ? -ENOTDIR : -ELOOP;
  return openDentry(task, at.found, flags);
}

function lastLinkOf(flags: number): LastLink {
  const isNofollow = (flags & O_NOFOLLOW) !== 0;
  if ((flags & O_CREAT) === 0) return isNofollow ? 'nofollow' : 'follow';
  return isNofollow || (flags & O_EXCL) !== 0 ? 'createNew' : 'create';
}

function create(task: Task, at: Walked, flags: number, mode: number): File | number | Wait {
  if (at.dir.inode.nlink === 0) return -ENOENT;
  const denied = mayModify(at.dir.inode, task.process.credentials);
  if (denied < 0) return denied;
  const owner = newOwner(task, at.dir.inode, S_IFREG | (mode & 0o7777));
  const inode = at.dir.inode.create(at.last, owner.mode, owner.uid, owner.gid, 0);
  if (typeof inode === 'number') return inode;
  const made = at.dir.instantiate(at.last, inode);
  notifyName(at.dir.inode, at.last, inode, IN_CREATE);
  return finish(task, made, flags);
}

function openTemporary(task: Task, dirfd: number, path: string, flags: number, mode: number, resolve: number): File | number | Wait {
  if ((flags & O_TMPFILE) !== O_TMPFILE || (flags & O_CREAT) !== 0 || (flags & O_ACCMODE) === O_RDONLY) return -EINVAL;
  const at = walkAt(task, dirfd, path, 'follow', resolve);
  if (typeof at === 'number') return at;
  if (!at.found) return -ENOENT;
  const dir = at.found;
  if (!dir.inode.isDirectory()) return -ENOTDIR;
  const denied = mayModify(dir.inode, task.process.credentials);
  if (denied < 0) return denied;
  const owner = newOwner(task, dir.inode, S_IFREG | (mode & 0o7777));
  const inode = dir.inode.tmpfile(owner.mode, owner.uid, owner.gid, (flags & O_EXCL) === 0);
  if (typeof inode === 'number') return inode;
  const dentry = new Dentry(`#${inode.ino}`, dir, inode);
  dentry.unlinked = true;
  return finish(task, dentry, flags & ~O_TRUNC);
}

/** Opens what a path led to, after checking permissions. */
export function openDentry(task: Task, dentry: Dentry, flags: number): File | number | Wait {
  const { inode } = dentry;
  const isDir = inode.isDirectory();
  if ((flags & O_DIRECTORY) !== 0 && !isDir) return -ENOTDIR;
  if ((flags & O_PATH) !== 0) return finish(task, dentry, flags);
  if (isDir && ((flags & O_ACCMODE) !== O_RDONLY || (flags & O_TRUNC) !== 0)) return -EISDIR;
  if ((inode.mode & S_IFMT) === S_IFSOCK) return -ENXIO;
  const accmode = flags & O_ACCMODE;
  const mask = [MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE][accmode] | ((flags & O_TRUNC) !== 0 ? MAY_WRITE : 0);
  const ids = task.process.credentials;
  const denied = permission(inode, mask, ids);
  if (denied < 0) return denied;
  if ((mask & MAY_WRITE) !== 0 && inode.isRegular() && isRunning(task, inode)) return -ETXTBSY;
  if ((flags & O_NOATIME) !== 0 && !isOwner(inode, ids)) return -EPERM;
  if ((flags & O_DIRECT) !== 0 && !inode.isRegular() && isDir) return -EINVAL;
  if ((flags & O_TRUNC) !== 0 && inode.isRegular()) {
    const error = truncateFile(task, inode, 0);
    if (error < 0) return error;
  }
  const file = finish(task, dentry, flags);
  if ((flags & O_TRUNC) !== 0 && inode.isRegular() && file instanceof File) notifyFile(file, IN_MODIFY);
  return file;
}

function finish(task: Task, dentry: Dentry, flags: number): File | number | Wait {
  const kept = (flags & KEPT) | ((flags & O_PATH) === 0 ? O_LARGEFILE : 0);
  if ((flags & O_PATH) !== 0) {
    const file = new PathFile(dentry.inode, kept, '');
    file.dentry = dentry;
    return file;
  }
  const file = dentry.inode.open(kept, task);
  // An object without a name (a pipe reached through /proc/PID/fd) keeps its own label.
  if (file instanceof File && (dentry.parent || dentry.mount || file.label === '')) file.dentry ??= dentry;
  if (file instanceof File) {
    notifyFile(file, IN_OPEN);
    file.opened(task, flags);
  }
  return file;
}

/** May this file be executed (execve(2))? 0, -EACCES or -errno. */
export function mayExecute(task: Task, dentry: Dentry): number {
  if (!dentry.inode.isRegular()) return -EACCES;
  const denied = permission(dentry.inode, MAY_EXEC, task.process.credentials);
  return denied === 0 && isWritten(task, dentry.inode) ? -ETXTBSY : denied;
}

