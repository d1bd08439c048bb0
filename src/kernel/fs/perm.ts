// Who may do what to an inode: path_resolution(7) "Permissions", credentials(7), capabilities(7). fsuid 0 has
// CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_CHOWN and CAP_FSETID; nobody else has any.

import { EACCES, EPERM, EROFS } from '../../abi/linux/errno.ts';
import type { Credentials } from '../process/credentials.ts';
import type { Inode } from './inode.ts';

export const MAY_EXEC = 1, MAY_WRITE = 2, MAY_READ = 4;

/** What permission checks need of Credentials. */
export type FsIds = Pick<Credentials, 'fsuid' | 'fsgid' | 'groups'>;

export function inGroup(ids: FsIds, gid: number): boolean {
  return ids.fsgid === gid || ids.groups.includes(gid);
}

/** 0, or -EACCES when `mask` (MAY_*) is not allowed; -EROFS where nobody may write. */
export function permission(inode: Inode, mask: number, ids: FsIds): number {
  if ((mask & MAY_WRITE) !== 0 && inode.isReadOnly && (inode.isRegular() || inode.isDirectory() || inode.isSymlink())) return -EROFS;
  const mode = inode.mode;
  if (ids.fsuid === 0) {
    return (mask & MAY_EXEC) !== 0 && (mode & 0o111) === 0 && !inode.isDirectory() ? -EACCES : 0;
  }
  const bits = ids.fsuid === inode.uid ? mode >> 6 : inGroup(ids, inode.gid) ? mode >> 3 : mode;
  return (mask & ~bits & 7) !== 0 ? -EACCES : 0;
}

/** May entries be made in or taken from this directory? */
export function mayModify(dir: Inode, ids: FsIds): number {
  return permission(dir, MAY_WRITE | MAY_EXEC, ids);
}

/** -EPERM when the sticky bit of `dir` keeps `ids` from removing `victim`. */
export function stickyCheck(dir: Inode, victim: Inode, ids: FsIds): number {
  if ((dir.mode & 0o1000) === 0 || ids.fsuid === 0) return 0;
  return ids.fsuid === victim.uid || ids.fsuid === dir.uid ? 0 : -EPERM;
}

export function isOwner(inode: Inode, ids: FsIds): boolean {
  return ids.fsuid === 0 || ids.fsuid === inode.uid;
}

/** A write by somebody without CAP_FSETID takes setuid, and setgid of group-executable files, away (inode(7)). */
export function dropPrivileges(inode: Inode, ids: FsIds): void {
  if ((inode.mode & 0o6000) === 0 || ids.fsuid === 0) return;
  const kept = strippedMode(inode.mode);
  if (kept !== inode.mode) inode.setattr({ mode: kept });
}

/** Mode without setuid, and without setgid where the group may execute. */
export function strippedMode(mode: number): number {
  return mode & ~0o4000 & ~((mode & 0o010) !== 0 ? 0o2000 : 0);
}
