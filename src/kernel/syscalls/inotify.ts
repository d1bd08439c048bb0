// inotify_init1(2), inotify_add_watch(2), inotify_rm_watch(2), and fanotify, which does not exist here.

import { EBADF, EINVAL, EMFILE, ENOTDIR } from '../../abi/linux/errno.ts';
import { AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_NONBLOCK, PATH_MAX } from '../../abi/linux/fcntl.ts';
import { ALL_INOTIFY_BITS, IN_DONT_FOLLOW, IN_MASK_ADD, IN_MASK_CREATE, IN_ONLYDIR } from '../../abi/linux/inotify.ts';
import { lookupAt } from '../fs/path.ts';
import { MAY_READ, permission } from '../fs/perm.ts';
import { INOTIFY_INSTANCES_MAX, INOTIFY_WATCHES_MAX, Inotify } from '../ipc/inotify.ts';
import type { Task } from '../process/task.ts';
import { ENOSYS, FD, FLAGS, INT, PARTIAL, PATH, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const AT_FDCWD = -100;

/** The instances of a user, each once. */
function instancesOf(task: Task, uid: number): Set<Inotify> {
  const found = new Set<Inotify>();
  for (const { files, exitStatus } of task.kernel.processes.values()) {
    if (exitStatus < 0) files.forEach((_fd, file) => { if (file instanceof Inotify && file.uid === uid) found.add(file); });
  }
  return found;
}

function inotifyInit1(task: Task, flags: number): number {
  if ((flags & ~(O_NONBLOCK | O_CLOEXEC)) !== 0) return -EINVAL;
  const { euid } = task.process.credentials;
  if (instancesOf(task, euid).size >= INOTIFY_INSTANCES_MAX) return -EMFILE;
  const file = Inotify.make(task.kernel, euid, flags);
  const fd = task.process.files.install(file, 0, (flags & O_CLOEXEC) !== 0);
  if (fd < 0) file.unref();
  return fd;
}

function inotifyInit(task: Task): number {
  return inotifyInit1(task, 0);
}

function inotifyAddWatch(task: Task, fd: number, pathAt: number, mask: number): number {
  if ((mask & ALL_INOTIFY_BITS) === 0) return -EINVAL;
  const file = task.process.files.get(fd);
  if (!file) return -EBADF;
  if ((mask & IN_MASK_ADD) !== 0 && (mask & IN_MASK_CREATE) !== 0) return -EINVAL;
  if (!(file instanceof Inotify)) return -EINVAL;
  const path = task.process.mm.readCString(pathAt, PATH_MAX);
  if (typeof path === 'number') return path;
  const dentry = lookupAt(task, AT_FDCWD, path, (mask & IN_DONT_FOLLOW) !== 0 ? AT_SYMLINK_NOFOLLOW : 0);
  if (typeof dentry === 'number') return dentry;
  if ((mask & IN_ONLYDIR) !== 0 && !dentry.inode.isDirectory()) return -ENOTDIR;
  const denied = permission(dentry.inode, MAY_READ, task.process.credentials);
  if (denied < 0) return denied;
  return file.watch(dentry.inode, mask, () => {
    let watches = 0;
    for (const { watchCount } of instancesOf(task, file.uid)) watches += watchCount;
    return watches < INOTIFY_WATCHES_MAX;
  });
}

function inotifyRmWatch(task: Task, fd: number, wd: number): number {
  const file = task.process.files.get(fd);
  if (!file) return -EBADF;
  return file instanceof Inotify ? file.unwatch(wd) : -EINVAL;
}

const NOTE = PARTIAL('of regular files, directories and links; not of FIFOs, devices and /proc');
const NO_FANOTIFY = 'needs privileges that nobody has here; programs use inotify';

export const rows: readonly SyscallRow[] = [
  sys(253, 'inotify_init', inotifyInit, NOTE, []),
  sys(254, 'inotify_add_watch', inotifyAddWatch, NOTE, [FD, PATH, FLAGS]),
  sys(255, 'inotify_rm_watch', inotifyRmWatch, NOTE, [FD, INT]),
  sys(294, 'inotify_init1', inotifyInit1, NOTE, [FLAGS]),
  ENOSYS(300, 'fanotify_init', NO_FANOTIFY),
  ENOSYS(301, 'fanotify_mark', NO_FANOTIFY),
];
