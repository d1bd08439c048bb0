// Names: link(2), unlink(2), symlink(2), readlink(2), rename(2), mknod(2) and their *at forms.

import { EBADF, EFAULT, EINVAL, ENOENT } from '../../abi/linux/errno.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW, PATH_MAX } from '../../abi/linux/fcntl.ts';
import { linkAt, mknodAt, renameAt, rmdirAt, symlinkAt, unlinkAt } from '../fs/namei.ts';
import { dentryOfFd, lookupAt } from '../fs/path.ts';
import type { Task } from '../process/task.ts';
import { ATFLAGS, DIRFD, FLAGS, FULL, INT, MODE, OUT_BUF, PARTIAL, PATH, sys, UINT } from './row.ts';
import type { SyscallRow } from './row.ts';

function pathAt(task: Task, gva: number): string | number {
  return task.process.mm.readCString(gva, PATH_MAX);
}

function linkat(task: Task, oldfd: number, oldAt: number, newfd: number, newAt: number, flags: number): number {
  if ((flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const from = pathAt(task, oldAt);
  if (typeof from === 'number') return from;
  const to = pathAt(task, newAt);
  if (typeof to === 'number') return to;
  if (from === '' && (flags & AT_EMPTY_PATH) !== 0 && task.process.credentials.euid !== 0) return -ENOENT;
  return linkAt(task, oldfd, from, newfd, to, flags);
}

function link(task: Task, oldAt: number, newAt: number): number {
  return linkat(task, AT_FDCWD, oldAt, AT_FDCWD, newAt, 0);
}

function unlinkat(task: Task, dirfd: number, nameAt: number, flags: number): number {
  if ((flags & ~AT_REMOVEDIR) !== 0) return -EINVAL;
  const path = pathAt(task, nameAt);
  if (typeof path === 'number') return path;
  return (flags & AT_REMOVEDIR) !== 0 ? rmdirAt(task, dirfd, path) : unlinkAt(task, dirfd, path);
}

function unlink(task: Task, nameAt: number): number {
  return unlinkat(task, AT_FDCWD, nameAt, 0);
}

function symlinkat(task: Task, targetAt: number, dirfd: number, nameAt: number): number {
  const target = pathAt(task, targetAt);
  if (typeof target === 'number') return target;
  const path = pathAt(task, nameAt);
  return typeof path === 'number' ? path : symlinkAt(task, target, dirfd, path);
}

function symlink(task: Task, targetAt: number, nameAt: number): number {
  return symlinkat(task, targetAt, AT_FDCWD, nameAt);
}

function readlinkat(task: Task, dirfd: number, nameAt: number, buf: number, size: number): number {
  if (size <= 0) return -EINVAL;
  const path = pathAt(task, nameAt);
  if (typeof path === 'number') return path;
  const dentry = path === '' ? dentryOfFd(task, dirfd) : lookupAt(task, dirfd, path, AT_SYMLINK_NOFOLLOW);
  if (typeof dentry === 'number') return dentry === -EBADF && path === '' && dirfd === AT_FDCWD ? -ENOENT : dentry;
  if (!dentry.inode.isSymlink()) return path === '' ? -ENOENT : -EINVAL;
  const target = dentry.inode.readlink(task);
  if (typeof target === 'number') return target;
  dentry.inode.touched();
  const bytes = new Uint8Array(Math.min(size, target.length));
  for (let i = 0; i < bytes.length; i++) bytes[i] = target.charCodeAt(i);
  return task.process.mm.copyOut(buf, bytes) < 0 ? -EFAULT : bytes.length;
}

function readlink(task: Task, nameAt: number, buf: number, size: number): number {
  return readlinkat(task, AT_FDCWD, nameAt, buf, size);
}

function renameat2(task: Task, oldfd: number, oldAt: number, newfd: number, newAt: number, flags: number): number {
  const oldPath = pathAt(task, oldAt);
  if (typeof oldPath === 'number') return oldPath;
  const newPath = pathAt(task, newAt);
  return typeof newPath === 'number' ? newPath : renameAt(task, { oldfd, oldPath, newfd, newPath, flags });
}

function renameat(task: Task, oldfd: number, oldAt: number, newfd: number, newAt: number): number {
  return renameat2(task, oldfd, oldAt, newfd, newAt, 0);
}

function rename(task: Task, oldAt: number, newAt: number): number {
  return renameat2(task, AT_FDCWD, oldAt, AT_FDCWD, newAt, 0);
}

function mknodat(task: Task, dirfd: number, nameAt: number, mode: number, dev: number): number {
  const path = pathAt(task, nameAt);
  return typeof path === 'number' ? path : mknodAt(task, dirfd, path, mode, dev);
}

function mknod(task: Task, nameAt: number, mode: number, dev: number): number {
  return mknodat(task, AT_FDCWD, nameAt, mode, dev);
}

export const rows: readonly SyscallRow[] = [
  sys(82, 'rename', rename, FULL, [PATH, PATH]),
  sys(86, 'link', link, FULL, [PATH, PATH]),
  sys(87, 'unlink', unlink, FULL, [PATH]),
  sys(88, 'symlink', symlink, FULL, [PATH, PATH]),
  sys(89, 'readlink', readlink, FULL, [PATH, OUT_BUF, INT]),
  sys(133, 'mknod', mknod, FULL, [PATH, MODE, UINT]),
  sys(259, 'mknodat', mknodat, FULL, [DIRFD, PATH, MODE, UINT]),
  sys(263, 'unlinkat', unlinkat, FULL, [DIRFD, PATH, ATFLAGS]),
  sys(264, 'renameat', renameat, FULL, [DIRFD, PATH, DIRFD, PATH]),
  sys(265, 'linkat', linkat, FULL, [DIRFD, PATH, DIRFD, PATH, ATFLAGS]),
  sys(266, 'symlinkat', symlinkat, FULL, [PATH, DIRFD, PATH]),
  sys(267, 'readlinkat', readlinkat, FULL, [DIRFD, PATH, OUT_BUF, INT]),
  sys(316, 'renameat2', renameat2, PARTIAL('no RENAME_WHITEOUT'), [DIRFD, PATH, DIRFD, PATH, FLAGS]),
];
