// Telling watchers what happens to files: fsnotify of Linux (include/linux/fsnotify.h), as far as inotify(7) shows it.
//
// Interface: notifySelf, notifyName, notifyDentry, notifyFile, notifyMove, notifyGone. Watches hang on the inodes they watch: where nobody
// watches, an event costs two comparisons. Who watches is ipc/inotify.ts.

import { IN_ATTRIB, IN_DELETE_SELF, IN_ISDIR, IN_MOVED_FROM, IN_MOVED_TO, IN_MOVE_SELF } from '../../abi/linux/inotify.ts';
import type { Dentry } from './dentry.ts';
import type { File } from './file.ts';
import type { Inode } from './inode.ts';

/** One watch of one watcher. */
export interface Watch {
  readonly wd: number;
  /** IN_* that are wanted, and IN_ONESHOT, IN_EXCL_UNLINK. */
  mask: number;
  readonly watcher: Watcher;
}

/** Who gets events. */
export interface Watcher {
  event(watch: Watch, mask: number, cookie: number, name: string): void;
  /** The inode is gone, and with it the watch. */
  ended(watch: Watch): void;
}

function tell(inode: Inode, mask: number, cookie: number, name: string, isUnlinked = false): void {
  // A watch may go while the others are told (IN_ONESHOT).
  for (const watch of [...inode.watches ?? []]) watch.watcher.event(watch, mask, cookie, isUnlinked ? `\0${name}` : name);
}

function dirBit(inode: Inode): number {
  return inode.isDirectory() ? IN_ISDIR : 0;
}

/** Something happened to the inode: only its own watches hear of it. */
export function notifySelf(inode: Inode, mask: number): void {
  if (inode.watches !== null) tell(inode, (mask & (IN_DELETE_SELF | IN_MOVE_SELF)) !== 0 ? mask : mask | dirBit(inode), 0, '');
}

/** Something happened to the name of `child` in `dir`. */
export function notifyName(dir: Inode, name: string, child: Inode, mask: number, cookie = 0): void {
  if (dir.watches !== null) tell(dir, mask | dirBit(child), cookie, name);
}

/** Something happened to the inode behind a name: watches of its directory hear of it, then its own. */
export function notifyDentry(dentry: Dentry, mask: number): void {
  const dir = dentry.parent?.inode.watches ? dentry.parent.inode : null;
  const { inode } = dentry;
  if (dir !== null) tell(dir, mask | dirBit(inode), 0, dentry.name, dentry.unlinked);
  if (inode.watches !== null) tell(inode, mask | dirBit(inode), 0, '');
}

/** The same, through an open file. */
export function notifyFile(file: File, mask: number): void {
  if (file.dentry !== null) notifyDentry(file.dentry, mask);
  else if (file.inode.watches !== null) notifySelf(file.inode, mask);
}

/** Joins the two events of a move. Counts over all sandboxes: nothing but being different is asked of it. */
let lastCookie = 0;

/** `moved`, which has its new name by now, was `oldName` in `oldDir`; `replaced` lost its name to it. */
export function notifyMove(moved: Dentry, oldDir: Dentry, oldName: string, replaced: Inode | null): void {
  const cookie = lastCookie = lastCookie + 1 >>> 0 || 1;
  const { inode, parent, name } = moved;
  notifyName(oldDir.inode, oldName, inode, IN_MOVED_FROM, cookie);
  if (parent !== null) notifyName(parent.inode, name, inode, IN_MOVED_TO, cookie);
  if (replaced !== null) notifySelf(replaced, IN_ATTRIB);
  notifySelf(inode, IN_MOVE_SELF);
}

/** The inode has no name and no user any more. */
export function notifyGone(inode: Inode): void {
  if (inode.watches === null) return;
  notifySelf(inode, IN_DELETE_SELF);
  for (const watch of [...inode.watches ?? []]) watch.watcher.ended(watch);
  inode.watches = null;
}
