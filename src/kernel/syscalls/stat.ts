// stat(2), statx(2), access(2), statfs(2) and relatives.

import { EBADF, EINVAL, ENOENT } from '../../abi/linux/errno.ts';
import {
  AT_EACCESS, AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_STATX_SYNC_TYPE, AT_SYMLINK_NOFOLLOW, NAME_MAX, PATH_MAX,
} from '../../abi/linux/fcntl.ts';
import {
  majorOf, minorOf, PIPEFS_MAGIC, ANON_INODE_FS_MAGIC, S_IFIFO, S_IFMT, S_IFSOCK, SOCKFS_MAGIC, ST_RDONLY, ST_RELATIME, ST_VALID, Stat, Statfs, Statx,
  STATX__RESERVED, STATX_ATTR_MOUNT_ROOT, STATX_BASIC_STATS, STATX_BTIME, STATX_MNT_ID, TMPFS_MAGIC,
} from '../../abi/linux/stat.ts';
import { COST } from '../costs.ts';
import type { Dentry } from '../fs/dentry.ts';
import type { Inode } from '../fs/inode.ts';
import { MemInode } from '../fs/meminode.ts';
import { dentryOfFd, lookupAt } from '../fs/path.ts';
import { permission } from '../fs/perm.ts';
import type { Task } from '../process/task.ts';
import { ATFLAGS, DIRFD, FD, FLAGS, FULL, INT, PATH, STRUCT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const NS_PER_SEC = 1_000_000_000n;
const BLOCK_SIZE = 4096;
/** What a file with a short name costs: f_files of statfs. */
const INODE_BYTES = COST.inode + COST.entry + 10;

interface TimeParts { readonly sec: bigint; readonly nsec: bigint }

/** struct timespec of a time: two divisions of a bigint would be the dearest part of a stat. */
function putTime(view: DataView, at: number, ns: bigint): void {
  view.setBigInt64(at, ns, true);
  const low = view.getInt32(at, true);
  let sec = Math.floor((view.getInt32(at + 4, true) * 2 ** 32 + (low >>> 0)) / 1e9);
  // The quotient is right to within one; the remainder is below 2^32 then and can be had from the low words alone.
  let nsec = low - Math.imul(sec, 1e9) | 0;
  if (nsec < 0) {
    sec--;
    nsec += 1e9;
  } else if (nsec >= 1e9) {
    sec++;
    nsec -= 1e9;
  }
  view.setInt32(at, sec, true);
  view.setInt32(at + 4, Math.floor(sec / 2 ** 32), true);
  view.setUint32(at + 8, nsec, true);
  view.setUint32(at + 12, 0, true);
}

/** Seconds and nanoseconds, the latter never negative. */
function split(ns: bigint): TimeParts {
  const nsec = ((ns % NS_PER_SEC) + NS_PER_SEC) % NS_PER_SEC;
  return { sec: (ns - nsec) / NS_PER_SEC, nsec };
}

const statBytes = new Uint8Array(Stat.size);
const statView = new DataView(statBytes.buffer);

/** struct stat of an inode: the same bytes each time, to be copied at once. */
export function encodeStat(inode: Inode): Uint8Array {
  const view = statView;
  const { set } = Stat;
  set.st_dev(view, 0, inode.dev);
  set.st_ino(view, 0, inode.ino);
  set.st_nlink(view, 0, inode.nlink);
  set.st_mode(view, 0, inode.mode);
  set.st_uid(view, 0, inode.uid);
  set.st_gid(view, 0, inode.gid);
  set.st_rdev(view, 0, inode.rdev);
  set.st_size(view, 0, inode.sizeBytes);
  set.st_blksize(view, 0, BLOCK_SIZE);
  set.st_blocks(view, 0, inode.blocks());
  putTime(view, Stat.offset.st_atime, inode.atime);
  putTime(view, Stat.offset.st_mtime, inode.mtime);
  putTime(view, Stat.offset.st_ctime, inode.ctime);
  return statBytes;
}

function statAt(task: Task, dirfd: number, pathAt: number, buf: number, flags: number): number {
  const path = task.process.mm.readCString(pathAt, PATH_MAX);
  if (typeof path === 'number') return path;
  const dentry = lookupAt(task, dirfd, path, flags);
  if (typeof dentry === 'number') {
    if (dentry === -ENOENT && flags === 0) task.kernel.pathFacts.learnMissing(task, path);
    return dentry;
  }
  if (flags === 0) task.kernel.pathFacts.learn(task, path, dentry);
  return task.process.mm.copyOut(buf, encodeStat(dentry.inode));
}

function stat(task: Task, path: number, buf: number): number {
  return statAt(task, AT_FDCWD, path, buf, 0);
}

function lstat(task: Task, path: number, buf: number): number {
  return statAt(task, AT_FDCWD, path, buf, AT_SYMLINK_NOFOLLOW);
}

function fstat(task: Task, fd: number, buf: number): number {
  const file = task.process.files.get(fd);
  return file ? task.process.mm.copyOut(buf, encodeStat(file.inode)) : -EBADF;
}

function newfstatat(task: Task, dirfd: number, path: number, buf: number, flags: number): number {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  return statAt(task, dirfd, path, buf, flags);
}

function statxTime(ns: bigint): { tv_sec: bigint; tv_nsec: number; pad0: number } {
  const { sec, nsec } = split(ns);
  return { tv_sec: sec, tv_nsec: Number(nsec), pad0: 0 };
}

function encodeStatx(task: Task, dentry: Dentry): Uint8Array {
  const { inode } = dentry;
  const bytes = new Uint8Array(Statx.size);
  const view = new DataView(bytes.buffer);
  const mount = task.kernel.vfs.mountOf(inode);
  const isTimed = inode instanceof MemInode;
  Statx.write(view, 0, {
    stx_mask: STATX_BASIC_STATS | (mount ? STATX_MNT_ID : 0) | (isTimed ? STATX_BTIME : 0), stx_blksize: BLOCK_SIZE,
    stx_attributes: dentry.mount ? STATX_ATTR_MOUNT_ROOT : 0, stx_attributes_mask: STATX_ATTR_MOUNT_ROOT,
    stx_nlink: inode.nlink, stx_uid: inode.uid, stx_gid: inode.gid, stx_mode: inode.mode,
    stx_ino: inode.ino, stx_size: inode.sizeBytes, stx_blocks: inode.blocks(),
    stx_atime: statxTime(inode.atime), stx_ctime: statxTime(inode.ctime), stx_mtime: statxTime(inode.mtime),
    stx_btime: statxTime(isTimed ? inode.btime : 0n),
    stx_rdev_major: majorOf(inode.rdev), stx_rdev_minor: minorOf(inode.rdev),
    stx_dev_major: majorOf(inode.dev), stx_dev_minor: minorOf(inode.dev), stx_mnt_id: mount?.id ?? 0,
  });
  return bytes;
}

function statx(task: Task, dirfd: number, pathAt: number, flags: number, mask: number, buf: number): number {
  if ((mask & STATX__RESERVED) !== 0 || (flags & AT_STATX_SYNC_TYPE) === AT_STATX_SYNC_TYPE) return -EINVAL;
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)) !== 0) return -EINVAL;
  // Linux 6.11: a null path with AT_EMPTY_PATH is an empty one.
  const path = pathAt === 0 && (flags & AT_EMPTY_PATH) !== 0 ? '' : task.process.mm.readCString(pathAt, PATH_MAX);
  if (typeof path === 'number') return path;
  const dentry = lookupAt(task, dirfd, path, flags);
  return typeof dentry === 'number' ? dentry : task.process.mm.copyOut(buf, encodeStatx(task, dentry));
}

function mayAccess(task: Task, dirfd: number, pathAt: number, mode: number, flags: number): number {
  if ((mode & ~7) !== 0 || (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const path = task.process.mm.readCString(pathAt, PATH_MAX);
  if (typeof path === 'number') return path;
  const { process } = task;
  const effective = process.credentials;
  // The whole call, its walk too, is made by the real ids.
  if ((flags & AT_EACCESS) === 0 && (effective.ruid !== effective.fsuid || effective.rgid !== effective.fsgid)) {
    process.credentials = { ...effective, fsuid: effective.ruid, fsgid: effective.rgid };
  }
  const dentry = lookupAt(task, dirfd, path, flags);
  const result = typeof dentry === 'number' ? dentry : mode === 0 ? 0 : permission(dentry.inode, mode, process.credentials);
  process.credentials = effective;
  return result;
}

function access(task: Task, path: number, mode: number): number {
  return mayAccess(task, AT_FDCWD, path, mode, 0);
}

function faccessat(task: Task, dirfd: number, path: number, mode: number): number {
  return mayAccess(task, dirfd, path, mode, 0);
}

function faccessat2(task: Task, dirfd: number, path: number, mode: number, flags: number): number {
  return mayAccess(task, dirfd, path, mode, flags);
}

/** f_type of an object outside of the tree. */
function anonymousMagic(inode: Inode, task: Task): number {
  const type = inode.mode & S_IFMT;
  if (inode.dev === task.kernel.vfs.memory.memfd.dev) return TMPFS_MAGIC;
  return type === S_IFIFO ? PIPEFS_MAGIC : type === S_IFSOCK ? SOCKFS_MAGIC : ANON_INODE_FS_MAGIC;
}

function putStatfs(task: Task, inode: Inode, buf: number): number {
  const { vfs } = task.kernel;
  const mount = vfs.mountOf(inode);
  const isMemory = inode instanceof MemInode;
  const { limitPages, usedPages, metaBytes, metaBytesMax, inodes, inodesMax } = vfs.budget;
  // The image lies under the writable layer: its pages are taken.
  const imagePages = isMemory ? Math.ceil((inode.fs.lower?.index.blobSizeBytes ?? 0) / BLOCK_SIZE) : 0;
  const free = isMemory ? Math.max(0, limitPages - usedPages) : 0;
  const bytes = new Uint8Array(Statfs.size);
  Statfs.write(new DataView(bytes.buffer), 0, {
    f_type: mount?.magic ?? anonymousMagic(inode, task), f_bsize: BLOCK_SIZE, f_blocks: isMemory ? limitPages + imagePages : 0,
    f_bfree: free, f_bavail: free, f_files: isMemory ? Math.min(inodesMax, Math.floor(metaBytesMax / INODE_BYTES)) : 0,
    f_ffree: isMemory ? Math.max(0, Math.min(inodesMax - inodes, Math.floor((metaBytesMax - metaBytes) / INODE_BYTES))) : 0,
    f_namelen: NAME_MAX, f_frsize: BLOCK_SIZE, f_flags: ST_VALID | ST_RELATIME | (inode.isReadOnly ? ST_RDONLY : 0),
  });
  return task.process.mm.copyOut(buf, bytes);
}

function statfs(task: Task, pathAt: number, buf: number): number {
  const path = task.process.mm.readCString(pathAt, PATH_MAX);
  if (typeof path === 'number') return path;
  const dentry = lookupAt(task, AT_FDCWD, path, 0);
  return typeof dentry === 'number' ? dentry : putStatfs(task, dentry.inode, buf);
}

function fstatfs(task: Task, fd: number, buf: number): number {
  const dentry = dentryOfFd(task, fd);
  if (fd < 0 || typeof dentry === 'number') return -EBADF;
  return putStatfs(task, dentry.inode, buf);
}

export const rows: readonly SyscallRow[] = [
  sys(4, 'stat', stat, FULL, [PATH, STRUCT]),
  sys(5, 'fstat', fstat, FULL, [FD, STRUCT]),
  sys(6, 'lstat', lstat, FULL, [PATH, STRUCT]),
  sys(21, 'access', access, FULL, [PATH, INT]),
  sys(137, 'statfs', statfs, FULL, [PATH, STRUCT]),
  sys(138, 'fstatfs', fstatfs, FULL, [FD, STRUCT]),
  sys(262, 'newfstatat', newfstatat, FULL, [DIRFD, PATH, STRUCT, ATFLAGS]),
  sys(269, 'faccessat', faccessat, FULL, [DIRFD, PATH, INT]),
  sys(332, 'statx', statx, FULL, [DIRFD, PATH, ATFLAGS, FLAGS, STRUCT]),
  sys(439, 'faccessat2', faccessat2, FULL, [DIRFD, PATH, INT, ATFLAGS]),
];
