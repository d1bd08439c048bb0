// Changing attributes: chmod(2), chown(2), utimensat(2) and relatives; extended attributes (xattr(7)) are in xattr.ts.

import { EACCES, EBADF, EFAULT, EINVAL, EOPNOTSUPP, EPERM } from '../../abi/linux/errno.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_PATH, PATH_MAX } from '../../abi/linux/fcntl.ts';
import { IN_ATTRIB } from '../../abi/linux/inotify.ts';
import { S_IALLUGO, S_ISGID, UTIME_NOW, UTIME_OMIT } from '../../abi/linux/stat.ts';
import { Dentry } from '../fs/dentry.ts';
import type { AttrChange } from '../fs/inode.ts';
import { notifyDentry } from '../fs/notify.ts';
import { lookupAt } from '../fs/path.ts';
import { inGroup, isOwner, MAY_WRITE, permission, strippedMode } from '../fs/perm.ts';
import type { Task } from '../process/task.ts';
import { ATFLAGS, DIRFD, FD, FULL, MODE, PATH, STRUCT, sys, UINT } from './row.ts';
import type { SyscallRow } from './row.ts';

const NS_PER_SEC = 1_000_000_000n;
/** uid or gid argument that means "leave it". */
const UNCHANGED = 0xffff_ffff;

/** What a path names, or -errno. `flags`: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH. */
function namedAt(task: Task, dirfd: number, pathAt: number, flags: number): Dentry | number {
  const path = task.process.mm.readCString(pathAt, PATH_MAX);
  if (typeof path === 'number') return path;
  return lookupAt(task, dirfd, path, flags);
}

function opened(task: Task, fd: number): Dentry | number {
  const file = task.process.files.get(fd);
  return file && (file.flags & O_PATH) === 0 ? file.dentry ?? new Dentry('', null, file.inode) : -EBADF;
}

function change(dentry: Dentry, attributes: AttrChange): number {
  const error = dentry.inode.setattr(attributes);
  if (error === 0) notifyDentry(dentry, IN_ATTRIB);
  return error;
}

function changeMode(task: Task, target: Dentry | number, mode: number): number {
  if (typeof target === 'number') return target;
  const { inode } = target;
  const ids = task.process.credentials;
  if (!isOwner(inode, ids)) return -EPERM;
  if (inode.isSymlink()) return -EOPNOTSUPP;
  const kept = ids.fsuid !== 0 && !inGroup(ids, inode.gid) ? mode & ~S_ISGID : mode;
  return change(target, { mode: kept & S_IALLUGO });
}

function chmod(task: Task, path: number, mode: number): number {
  return changeMode(task, namedAt(task, AT_FDCWD, path, 0), mode);
}

function fchmod(task: Task, fd: number, mode: number): number {
  return changeMode(task, opened(task, fd), mode);
}

function fchmodat(task: Task, dirfd: number, path: number, mode: number): number {
  return changeMode(task, namedAt(task, dirfd, path, 0), mode);
}

function fchmodat2(task: Task, dirfd: number, path: number, mode: number, flags: number): number {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  return changeMode(task, namedAt(task, dirfd, path, flags), mode);
}

function changeOwner(task: Task, target: Dentry | number, uid: number, gid: number): number {
  if (typeof target === 'number') return target;
  const { inode } = target;
  const ids = task.process.credentials;
  if (ids.fsuid !== 0) {
    const isMine = ids.fsuid === inode.uid;
    if (uid !== UNCHANGED && !(isMine && uid === inode.uid)) return -EPERM;
    if (gid !== UNCHANGED && !(isMine && (gid === inode.gid || inGroup(ids, gid)))) return -EPERM;
  }
  const attributes: AttrChange = {};
  if (uid !== UNCHANGED) attributes.uid = uid;
  if (gid !== UNCHANGED) attributes.gid = gid;
  if (!inode.isDirectory() && (inode.mode & 0o6000) !== 0) attributes.mode = strippedMode(inode.mode);
  return change(target, attributes);
}

function chown(task: Task, path: number, uid: number, gid: number): number {
  return changeOwner(task, namedAt(task, AT_FDCWD, path, 0), uid, gid);
}

function lchown(task: Task, path: number, uid: number, gid: number): number {
  return changeOwner(task, namedAt(task, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW), uid, gid);
}

function fchown(task: Task, fd: number, uid: number, gid: number): number {
  return changeOwner(task, opened(task, fd), uid, gid);
}

function fchownat(task: Task, dirfd: number, path: number, uid: number, gid: number, flags: number): number {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  return changeOwner(task, namedAt(task, dirfd, path, flags), uid, gid);
}

/** A time to set: nanoseconds, or what utimensat's special values say. */
type Wanted = bigint | 'now' | 'omit';

function changeTimes(task: Task, target: Dentry | number, atime: Wanted, mtime: Wanted): number {
  if (typeof target === 'number') return target;
  const { inode } = target;
  if (atime === 'omit' && mtime === 'omit') return 0;
  const ids = task.process.credentials;
  if (!isOwner(inode, ids)) {
    if (atime !== 'now' || mtime !== 'now') return -EPERM;
    if (permission(inode, MAY_WRITE, ids) < 0) return -EACCES;
  }
  const now = task.kernel.clock.realtimeNs();
  const attributes: AttrChange = { ctime: now };
  if (atime !== 'omit') attributes.atime = atime === 'now' ? now : atime;
  if (mtime !== 'omit') attributes.mtime = mtime === 'now' ? now : mtime;
  return change(target, attributes);
}

/** Reads two structs of two 64-bit words. */
function readPairs(task: Task, gva: number): BigInt64Array | number {
  const bytes = new BigInt64Array(4);
  return task.process.mm.copyIn(gva, new Uint8Array(bytes.buffer)) < 0 ? -EFAULT : bytes;
}

/** As far as 64 bits of nanoseconds go, to the year 2262: what our file systems can keep, as s_time_max says of Linux's. */
const SECONDS_MAX = 9_223_372_036n;

/** A time beyond that is its end. */
function kept(sec: bigint, nsec: bigint): bigint {
  if (sec >= SECONDS_MAX) return SECONDS_MAX * NS_PER_SEC;
  return sec <= -SECONDS_MAX ? -SECONDS_MAX * NS_PER_SEC : sec * NS_PER_SEC + nsec;
}

function wantedTime(sec: bigint, nsec: bigint): Wanted | null {
  if (nsec === BigInt(UTIME_NOW)) return 'now';
  if (nsec === BigInt(UTIME_OMIT)) return 'omit';
  return nsec < 0n || nsec >= NS_PER_SEC ? null : kept(sec, nsec);
}

function utimensat(task: Task, dirfd: number, pathAt: number, timesAt: number, flags: number): number {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  let atime: Wanted | null = 'now';
  let mtime: Wanted | null = 'now';
  if (timesAt !== 0) {
    const pairs = readPairs(task, timesAt);
    if (typeof pairs === 'number') return pairs;
    atime = wantedTime(pairs[0], pairs[1]);
    mtime = wantedTime(pairs[2], pairs[3]);
    if (atime === null || mtime === null) return -EINVAL;
    if (atime === 'omit' && mtime === 'omit') return 0;
  }
  // futimens(3): no path means the descriptor itself.
  if (pathAt === 0 && dirfd !== AT_FDCWD) return flags !== 0 ? -EINVAL : changeTimes(task, opened(task, dirfd), atime, mtime);
  return changeTimes(task, namedAt(task, dirfd, pathAt, flags), atime, mtime);
}

/** utimes(2), futimesat(2): struct timeval. */
function futimesat(task: Task, dirfd: number, pathAt: number, timesAt: number): number {
  let [atime, mtime]: Wanted[] = ['now', 'now'];
  if (timesAt !== 0) {
    const pairs = readPairs(task, timesAt);
    if (typeof pairs === 'number') return pairs;
    if ([pairs[1], pairs[3]].some((usec) => usec < 0n || usec >= 1_000_000n)) return -EINVAL;
    atime = kept(pairs[0], pairs[1] * 1000n);
    mtime = kept(pairs[2], pairs[3] * 1000n);
  }
  if (pathAt === 0 && dirfd !== AT_FDCWD) return changeTimes(task, opened(task, dirfd), atime, mtime);
  return changeTimes(task, namedAt(task, dirfd, pathAt, 0), atime, mtime);
}

function utimes(task: Task, path: number, times: number): number {
  return futimesat(task, AT_FDCWD, path, times);
}

/** struct utimbuf: two seconds. */
function utime(task: Task, path: number, timesAt: number): number {
  const inode = namedAt(task, AT_FDCWD, path, 0);
  if (timesAt === 0) return changeTimes(task, inode, 'now', 'now');
  const words = new BigInt64Array(2);
  if (task.process.mm.copyIn(timesAt, new Uint8Array(words.buffer)) < 0) return -EFAULT;
  return changeTimes(task, inode, kept(words[0], 0n), kept(words[1], 0n));
}

export const rows: readonly SyscallRow[] = [
  sys(90, 'chmod', chmod, FULL, [PATH, MODE]),
  sys(91, 'fchmod', fchmod, FULL, [FD, MODE]),
  sys(92, 'chown', chown, FULL, [PATH, UINT, UINT]),
  sys(93, 'fchown', fchown, FULL, [FD, UINT, UINT]),
  sys(94, 'lchown', lchown, FULL, [PATH, UINT, UINT]),
  sys(132, 'utime', utime, FULL, [PATH, STRUCT]),
  sys(235, 'utimes', utimes, FULL, [PATH, STRUCT]),
  sys(260, 'fchownat', fchownat, FULL, [DIRFD, PATH, UINT, UINT, ATFLAGS]),
  sys(261, 'futimesat', futimesat, FULL, [DIRFD, PATH, STRUCT]),
  sys(268, 'fchmodat', fchmodat, FULL, [DIRFD, PATH, MODE]),
  sys(280, 'utimensat', utimensat, FULL, [DIRFD, PATH, STRUCT, ATFLAGS]),
  sys(452, 'fchmodat2', fchmodat2, FULL, [DIRFD, PATH, MODE, ATFLAGS]),
];
