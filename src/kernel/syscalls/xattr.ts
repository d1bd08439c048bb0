// Extended attributes: xattr(7), getxattr(2), setxattr(2), listxattr(2), removexattr(2).
//
// user.* on regular files and directories of the file systems in memory; security.* and trusted.* for root; system.* (ACLs) are
// EOPNOTSUPP.

import { E2BIG, EBADF, EFAULT, EINVAL, ENODATA, EOPNOTSUPP, EPERM, ERANGE } from '../../abi/linux/errno.ts';
import {
  AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_PATH, PATH_MAX, XATTR_CREATE, XATTR_LIST_MAX, XATTR_NAME_MAX, XATTR_REPLACE, XATTR_SIZE_MAX,
} from '../../abi/linux/fcntl.ts';
import { IN_ATTRIB } from '../../abi/linux/inotify.ts';
import { Dentry } from '../fs/dentry.ts';
import type { Inode } from '../fs/inode.ts';
import { notifyDentry } from '../fs/notify.ts';
import { lookupAt } from '../fs/path.ts';
import { isOwner, MAY_READ, MAY_WRITE, permission } from '../fs/perm.ts';
import type { Task } from '../process/task.ts';
import { FD, FLAGS, FULL, IN_BUF, OUT_BUF, PATH, SIZE, STR, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

/** How the call names its file: a path (following links or not) or a descriptor. */
type Find = (task: Task, target: number) => Dentry | number;

function byPath(flags: number): Find {
  return (task, target) => {
    const path = task.process.mm.readCString(target, PATH_MAX);
    if (typeof path === 'number') return path;
    return lookupAt(task, AT_FDCWD, path, flags);
  };
}

const follow = byPath(0);
const nofollow = byPath(AT_SYMLINK_NOFOLLOW);
const byFd: Find = (task, fd) => {
  const file = task.process.files.get(fd | 0);
  return file && (file.flags & O_PATH) === 0 ? file.dentry ?? new Dentry('', null, file.inode) : -EBADF;
};

function readName(task: Task, gva: number): string | number {
  const name = task.process.mm.readCString(gva, XATTR_NAME_MAX + 1);
  if (typeof name === 'number') return name === -EFAULT ? -EFAULT : -ERANGE;
  return name === '' ? -ERANGE : name;
}

/** 0 when `ids` may read or write the attribute. */
function mayUse(task: Task, inode: Inode, name: string, mask: number): number {
  const isRead = mask === MAY_READ;
  const ids = task.process.credentials;
  if (name.startsWith('user.') && name.length > 5) {
    if (!inode.isRegular() && !inode.isDirectory()) return isRead ? -ENODATA : -EPERM;
    if (!isRead && inode.isDirectory() && (inode.mode & 0o1000) !== 0 && !isOwner(inode, ids)) return -EPERM;
    return permission(inode, mask, ids);
  }
  if (name.startsWith('trusted.')) return ids.fsuid === 0 ? 0 : isRead ? -ENODATA : -EPERM;
  if (name.startsWith('security.')) return ids.fsuid === 0 || isRead ? 0 : -EPERM;
  return name === 'user.' ? -EINVAL : -EOPNOTSUPP;
}

function get(find: Find) {
  return (task: Task, target: number, nameAt: number, value: number, size: number): number => {
    const name = readName(task, nameAt);
    if (typeof name === 'number') return name;
    const dentry = find(task, target);
    if (typeof dentry === 'number') return dentry;
    const { inode } = dentry;
    const denied = mayUse(task, inode, name, MAY_READ);
    if (denied < 0) return denied;
    const found = inode.getxattr(name);
    return typeof found === 'number' ? found : giveOut(task, found, value, size);
  };
}

/** Size 0 asks for the length only. */
function giveOut(task: Task, bytes: Uint8Array, buf: number, size: number): number {
  if (size === 0) return bytes.length;
  if (size < bytes.length) return -ERANGE;
  return task.process.mm.copyOut(buf, bytes) < 0 ? -EFAULT : bytes.length;
}

function set(find: Find) {
  return (task: Task, target: number, nameAt: number, value: number, size: number, flags: number): number => {
    if ((flags & ~(XATTR_CREATE | XATTR_REPLACE)) !== 0) return -EINVAL;
    const name = readName(task, nameAt);
    if (typeof name === 'number') return name;
    if (size > XATTR_SIZE_MAX) return -E2BIG;
    const bytes = task.process.mm.readBytes(value, size);
    if (typeof bytes === 'number') return -EFAULT;
    const dentry = find(task, target);
    if (typeof dentry === 'number') return dentry;
    const { inode } = dentry;
    const denied = mayUse(task, inode, name, MAY_WRITE);
    const result = denied < 0 ? denied : inode.setxattr(name, bytes, flags);
    if (result === 0) notifyDentry(dentry, IN_ATTRIB);
    return result;
  };
}

function list(find: Find) {
  return (task: Task, target: number, buf: number, size: number): number => {
    const dentry = find(task, target);
    if (typeof dentry === 'number') return dentry;
    const { inode } = dentry;
    const isRoot = task.process.credentials.fsuid === 0;
    const names = inode.listxattr().filter((name) => isRoot || !name.startsWith('trusted.'));
    const text = names.map((name) => `${name}\0`).join('');
    const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
    return giveOut(task, bytes, buf, Math.min(size, XATTR_LIST_MAX));
  };
}

function remove(find: Find) {
  return (task: Task, target: number, nameAt: number): number => {
    const name = readName(task, nameAt);
    if (typeof name === 'number') return name;
    const dentry = find(task, target);
    if (typeof dentry === 'number') return dentry;
    const { inode } = dentry;
    const denied = mayUse(task, inode, name, MAY_WRITE);
    const result = denied < 0 ? denied : inode.removexattr(name);
    if (result === 0) notifyDentry(dentry, IN_ATTRIB);
    return result;
  };
}

export const rows: readonly SyscallRow[] = [
  sys(188, 'setxattr', set(follow), FULL, [PATH, STR, IN_BUF, SIZE, FLAGS]),
  sys(189, 'lsetxattr', set(nofollow), FULL, [PATH, STR, IN_BUF, SIZE, FLAGS]),
  sys(190, 'fsetxattr', set(byFd), FULL, [FD, STR, IN_BUF, SIZE, FLAGS]),
  sys(191, 'getxattr', get(follow), FULL, [PATH, STR, OUT_BUF, SIZE]),
  sys(192, 'lgetxattr', get(nofollow), FULL, [PATH, STR, OUT_BUF, SIZE]),
  sys(193, 'fgetxattr', get(byFd), FULL, [FD, STR, OUT_BUF, SIZE]),
  sys(194, 'listxattr', list(follow), FULL, [PATH, OUT_BUF, SIZE]),
  sys(195, 'llistxattr', list(nofollow), FULL, [PATH, OUT_BUF, SIZE]),
  sys(196, 'flistxattr', list(byFd), FULL, [FD, OUT_BUF, SIZE]),
  sys(197, 'removexattr', remove(follow), FULL, [PATH, STR]),
  sys(198, 'lremovexattr', remove(nofollow), FULL, [PATH, STR]),
  sys(199, 'fremovexattr', remove(byFd), FULL, [FD, STR]),
];
