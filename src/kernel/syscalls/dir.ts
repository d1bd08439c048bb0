// Directories and where paths start: mkdir(2), rmdir(2), getdents64(2), chdir(2), getcwd(2), chroot(2), umask(2).

import { EBADF, EFAULT, EINVAL, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, ERANGE } from '../../abi/linux/errno.ts';
import { AT_FDCWD, PATH_MAX } from '../../abi/linux/fcntl.ts';
import { pathBelow } from '../fs/dentry.ts';
import type { Dentry } from '../fs/dentry.ts';
import { mkdirAt, rmdirAt } from '../fs/namei.ts';
import { lookupAt } from '../fs/path.ts';
import { MAY_EXEC, permission } from '../fs/perm.ts';
import type { Task } from '../process/task.ts';
import { DIRFD, FD, FULL, MODE, OUT_BUF, PARTIAL, PATH, SIZE, sys, UINT } from './row.ts';
import type { SyscallRow } from './row.ts';

/** Most bytes one getdents fills. */
const DENTS_MAX = 1 << 17;

function mkdirPath(task: Task, dirfd: number, pathAt: number, mode: number): number {
  const path = task.process.mm.readCString(pathAt, PATH_MAX);
  return typeof path === 'number' ? path : mkdirAt(task, dirfd, path, mode);
}

function mkdir(task: Task, path: number, mode: number): number {
  return mkdirPath(task, AT_FDCWD, path, mode);
}

function mkdirat(task: Task, dirfd: number, path: number, mode: number): number {
  return mkdirPath(task, dirfd, path, mode);
}

function rmdir(task: Task, pathAt: number): number {
  const path = task.process.mm.readCString(pathAt, PATH_MAX);
  return typeof path === 'number' ? path : rmdirAt(task, AT_FDCWD, path);
}

function listDirectory(task: Task, fd: number, buf: number, count: number, legacy: boolean): number {
  const file = task.process.files.get(fd);
  if (!file) return -EBADF;
  const before = file.pos;
  const bytes = new Uint8Array(Math.min(count, DENTS_MAX));
  const filled = file.getdents(task, bytes, legacy);
  if (filled <= 0 || task.process.mm.copyOut(buf, bytes.subarray(0, filled)) === 0) return filled;
  file.pos = before;
  return -EFAULT;
}

function getdents(task: Task, fd: number, buf: number, count: number): number {
  return listDirectory(task, fd, buf, count, true);
}

function getdents64(task: Task, fd: number, buf: number, count: number): number {
  return listDirectory(task, fd, buf, count, false);
}

/** 0 when a process may be in this directory. */
function mayEnter(task: Task, dir: Dentry): number {
  if (!dir.inode.isDirectory()) return -ENOTDIR;
  return permission(dir.inode, MAY_EXEC, task.process.credentials);
}

function chdir(task: Task, pathAt: number): number {
  const path = task.process.mm.readCString(pathAt, PATH_MAX);
  if (typeof path === 'number') return path;
  const dir = lookupAt(task, AT_FDCWD, path, 0);
  if (typeof dir === 'number') return dir;
  const denied = mayEnter(task, dir);
  if (denied === 0) task.process.fs.setCwd(dir);
  return denied;
}

function fchdir(task: Task, fd: number): number {
  const file = task.process.files.get(fd);
  if (!file) return -EBADF;
  if (!file.dentry) return -ENOTDIR;
  const denied = mayEnter(task, file.dentry);
  if (denied === 0) task.process.fs.setCwd(file.dentry);
  return denied;
}

function chroot(task: Task, pathAt: number): number {
  const path = task.process.mm.readCString(pathAt, PATH_MAX);
  if (typeof path === 'number') return path;
  const dir = lookupAt(task, AT_FDCWD, path, 0);
  if (typeof dir === 'number') return dir;
  const denied = mayEnter(task, dir);
  if (denied < 0) return denied;
  if (task.process.credentials.euid !== 0) return -EPERM;
  task.process.fs.setRoot(dir);
  return 0;
}

function getcwd(task: Task, buf: number, size: number): number {
  const { cwd, root } = task.process.fs;
  if (cwd.unlinked) return -ENOENT;
  const below = pathBelow(cwd, root);
  const path = below ?? `(unreachable)${pathBelow(cwd, task.kernel.vfs.root) ?? '/'}`;
  if (path.length >= PATH_MAX) return -ENAMETOOLONG;
  const bytes = new Uint8Array(path.length + 1);
  for (let i = 0; i < path.length; i++) bytes[i] = path.charCodeAt(i);
  if (bytes.length > size) return -ERANGE;
  if (task.process.mm.copyOut(buf, bytes) < 0) return -EFAULT;
  task.kernel.pathFacts.learnCwd(task, path);
  return bytes.length;
}

function umask(task: Task, mask: number): number {
  const { fs } = task.process;
  const before = fs.umask;
  fs.umask = mask & 0o777;
  return before;
}

function mount(task: Task): number {
  if (task.process.credentials.euid === 0) task.kernel.count('mount');
  return -EPERM;
}

function notMounted(task: Task): number {
  return task.process.credentials.euid === 0 ? -EINVAL : -EPERM;
}

const NO_MOUNTS = PARTIAL('always EPERM: the mounts of a sandbox are fixed');

export const rows: readonly SyscallRow[] = [
  sys(78, 'getdents', getdents, FULL, [FD, OUT_BUF, UINT]),
  sys(79, 'getcwd', getcwd, FULL, [OUT_BUF, SIZE]),
  sys(80, 'chdir', chdir, FULL, [PATH]),
  sys(81, 'fchdir', fchdir, FULL, [FD]),
  sys(83, 'mkdir', mkdir, FULL, [PATH, MODE]),
  sys(84, 'rmdir', rmdir, FULL, [PATH]),
  sys(95, 'umask', umask, FULL, [MODE]),
  sys(155, 'pivot_root', notMounted, PARTIAL('always EPERM, or EINVAL for root'), [PATH, PATH]),
  sys(161, 'chroot', chroot, FULL, [PATH]),
  sys(165, 'mount', mount, NO_MOUNTS, [PATH, PATH, PATH, SIZE, SIZE]),
  sys(166, 'umount2', notMounted, PARTIAL('always EPERM, or EINVAL for root'), [PATH, UINT]),
  sys(217, 'getdents64', getdents64, FULL, [FD, OUT_BUF, UINT]),
  sys(258, 'mkdirat', mkdirat, FULL, [DIRFD, PATH, MODE]),
];
