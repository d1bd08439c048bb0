// Descriptors: dup(2), fcntl(2), flock(2), close_range(2).

import { EAGAIN, EBADF, EBUSY, EDEADLK, EFAULT, EINVAL, ENOTDIR, EOVERFLOW, EPERM, ESRCH } from '../../abi/linux/errno.ts';
import {
  CLOSE_RANGE_CLOEXEC, CLOSE_RANGE_UNSHARE, DN_MULTISHOT, F_ADD_SEALS, F_DUPFD, F_DUPFD_CLOEXEC, F_DUPFD_QUERY, F_GET_SEALS, F_GETFD, F_GETFL, F_GETLEASE,
  F_GETLK, F_GETOWN, F_GETOWN_EX, F_GETPIPE_SZ, F_GETSIG, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_RDLCK, F_SEAL_SEAL, F_SEAL_WRITE,
  F_NOTIFY, F_SETFD, F_SETFL, F_SETLK, F_SETLKW, F_SETOWN, F_SETOWN_EX, F_SETPIPE_SZ,
  F_UNLCK, F_WRLCK, FD_CLOEXEC, Flock, LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, O_APPEND, O_ASYNC, O_CLOEXEC, O_DIRECT, O_NOATIME, O_NONBLOCK,
  O_PATH, SEEK_CUR, SEEK_END, SEEK_SET,
} from '../../abi/linux/fcntl.ts';
import { PROT_WRITE } from '../../abi/linux/mman.ts';
import type { File } from '../fs/file.ts';
import type { Inode } from '../fs/inode.ts';
import type { RecordLock } from '../fs/locks.ts';
import { isOwner } from '../fs/perm.ts';
import { PipeFile } from '../ipc/pipe.ts';
import { isShared } from '../mm/vma.ts';
import type { Vma } from '../mm/vma.ts';
import type { Task } from '../process/task.ts';
import { waitOn } from '../wait.ts';
import type { Wait } from '../wait.ts';
import { ADDR, FD, FLAGS, FULL, INT, PARTIAL, sys, UINT } from './row.ts';
import type { SyscallRow } from './row.ts';

/** Status flags F_SETFL may change. */
const SETFL_MASK = O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME;
/** fcntl commands an O_PATH descriptor knows. */
const PATH_COMMANDS = new Set([F_DUPFD, F_DUPFD_CLOEXEC, F_DUPFD_QUERY, F_GETFD, F_SETFD, F_GETFL]);

function duplicate(task: Task, fd: number, minFd: number, cloexec: boolean): number {
  const { files } = task.process;
  const file = files.get(fd);
  if (!file) return -EBADF;
  const copy = files.install(file.ref(), minFd, cloexec);
  if (copy < 0) file.unref();
  return copy;
}

function dup(task: Task, fd: number): number {
  return duplicate(task, fd, 0, false);
}

function replace(task: Task, oldFd: number, newFd: number, cloexec: boolean): number {
  const { files } = task.process;
  const file = files.get(oldFd);
  if (!file || newFd < 0 || newFd >= files.limit) return -EBADF;
  return files.installAt(newFd, file.ref(), cloexec);
}

function dup2(task: Task, oldFd: number, newFd: number): number {
  if (oldFd === newFd) return task.process.files.get(oldFd) ? newFd : -EBADF;
  return replace(task, oldFd, newFd, false);
}

function dup3(task: Task, oldFd: number, newFd: number, flags: number): number {
  if ((flags & ~O_CLOEXEC) !== 0 || oldFd === newFd) return -EINVAL;
  return replace(task, oldFd, newFd, (flags & O_CLOEXEC) !== 0);
}

function fcntl(task: Task, fd: number, command: number, argument: number): number | Wait {
  const { files } = task.process;
  const file = files.get(fd);
  if (!file) return -EBADF;
  if ((file.flags & O_PATH) !== 0 && !PATH_COMMANDS.has(command)) return -EBADF;
  switch (command) {
    case F_DUPFD: case F_DUPFD_CLOEXEC: {
      const minFd = argument | 0;
      if (minFd < 0 || minFd >= files.limit) return -EINVAL;
      return duplicate(task, fd, minFd, command === F_DUPFD_CLOEXEC);
    }
    case F_DUPFD_QUERY: return files.get(argument | 0) === file ? 1 : files.get(argument | 0) ? 0 : -EBADF;
    case F_GETFD: return files.isCloexec(fd) ? FD_CLOEXEC : 0;
    case F_SETFD: files.setCloexec(fd, (argument & FD_CLOEXEC) !== 0); return 0;
    case F_GETFL: return file.flags;
    case F_SETFL: return setStatus(task, file, argument);
    case F_GETLK: case F_OFD_GETLK: return getLock(task, file, command, argument);
    case F_SETLK: case F_SETLKW: case F_OFD_SETLK: case F_OFD_SETLKW: return setLock(task, file, command, argument);
    case F_ADD_SEALS: return addSeals(task, file, argument | 0);
    case F_GET_SEALS: return file.inode.getSeals();
    case F_GETOWN: return file.owner;
    case F_GETOWN_EX: return getOwnerEx(task, file, argument);
    case F_SETOWN_EX: return setOwnerEx(task, file, argument);
    case F_SETOWN: return setOwner(task, file, argument | 0);
    case F_GETSIG: return 0;
    case F_GETPIPE_SZ: case F_SETPIPE_SZ: return file instanceof PipeFile ? file.fcntl(task, command, argument) : -EBADF;
    case F_GETLEASE: return F_UNLCK;
    case F_NOTIFY:
      if ((argument & ~DN_MULTISHOT) === 0) return 0; // nothing is watched any more
      task.kernel.count('fcntl F_NOTIFY');
      return file.inode.isDirectory() ? -EINVAL : -ENOTDIR;
    default: {
      const result = file.fcntl(task, command, argument);
      if (result === -EINVAL) task.kernel.count(`fcntl ${command}`);
      return result;
    }
  }
}

/** A file that somebody may write through a mapping cannot be sealed against writing. */
function addSeals(task: Task, file: File, seals: number): number {
  if (!file.canWrite()) return -EPERM;
  const { inode } = file;
  if ((seals & F_SEAL_WRITE) !== 0 && inode.getSeals() >= 0 && (inode.getSeals() & (F_SEAL_WRITE | F_SEAL_SEAL)) === 0) {
    for (const { mm, exitStatus } of task.kernel.processes.values()) {
      const isMapped = (vma: Vma): boolean => vma.inode === inode && isShared(vma) && (vma.maxProt & PROT_WRITE) !== 0;
      if (exitStatus < 0 && mm.list.all.some(isMapped)) return -EBUSY;
    }
  }
  return inode.addSeals(seals);
}

function setOwner(task: Task, file: File, owner: number): number {
  const exists = owner === 0 || (owner > 0 ? task.kernel.processes.has(owner) : [...task.kernel.processes.values()].some(({ pgid }) => pgid === -owner));
  if (!exists) return -ESRCH;
  file.owner = owner;
  return 0;
}

/** struct f_owner_ex: type and id. F_OWNER_TID counts as the process here: nothing is ever sent. */
function getOwnerEx(task: Task, file: File, gva: number): number {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, file.owner < 0 ? F_OWNER_PGRP : F_OWNER_PID, true);
  view.setInt32(4, Math.abs(file.owner), true);
  return task.process.mm.copyOut(gva, bytes);
}

function setOwnerEx(task: Task, file: File, gva: number): number {
  const bytes = task.process.mm.readBytes(gva, 8);
  if (typeof bytes === 'number') return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  const type = view.getInt32(0, true), id = view.getInt32(4, true);
  if (type < 0 || type > F_OWNER_PGRP || id < 0) return -EINVAL;
  return setOwner(task, file, type === F_OWNER_PGRP ? -id : id);
}

const F_OWNER_PID = 1, F_OWNER_PGRP = 2;

function setStatus(task: Task, file: File, argument: number): number {
  const flags = argument % 0x1_0000_0000 | 0;
  if ((flags & O_NOATIME) !== 0 && (file.flags & O_NOATIME) === 0 && !isOwner(file.inode, task.process.credentials)) return -EPERM;
  file.flags = (file.flags & ~SETFL_MASK) | (flags & SETFL_MASK);
  return 0;
}

function isOfd(command: number): boolean {
  return command >= F_OFD_GETLK && command <= F_OFD_SETLKW;
}

/** A struct flock as a lock of the caller: the lock, -EFAULT, -EINVAL, -EOVERFLOW. */
function readLock(task: Task, file: File, command: number, gva: number): RecordLock | number {
  const bytes = new Uint8Array(Flock.size);
  if (task.process.mm.copyIn(gva, bytes) < 0) return -EFAULT;
  const { l_type, l_whence, l_start, l_len, l_pid } = Flock.read(new DataView(bytes.buffer), 0);
  if (l_type < F_RDLCK || l_type > F_UNLCK) return -EINVAL;
  if (isOfd(command) && l_pid !== 0) return -EINVAL;
  const base = l_whence === SEEK_SET ? 0 : l_whence === SEEK_CUR ? file.pos : l_whence === SEEK_END ? file.inode.sizeBytes : NaN;
  if (Number.isNaN(base)) return -EINVAL;
  let start = base + l_start;
  let end = l_len === 0 ? Infinity : start + l_len;
  if (l_len < 0) [start, end] = [end, start];
  if (start < 0) return -EINVAL;
  if (end !== Infinity && end >= 2 ** 63) return -EOVERFLOW;
  const owner = isOfd(command) ? file : task.process.files;
  return { owner, pid: isOfd(command) ? -1 : task.process.pid, type: l_type, start, end };
}

function getLock(task: Task, file: File, command: number, gva: number): number {
  const wanted = readLock(task, file, command, gva);
  if (typeof wanted === 'number') return wanted;
  if (wanted.type === F_UNLCK) return -EINVAL;
  const held = file.inode.locks?.conflict(wanted) ?? null;
  const bytes = new Uint8Array(Flock.size);
  task.process.mm.copyIn(gva, bytes);
  Flock.write(new DataView(bytes.buffer), 0, held
    ? { l_type: held.type, l_whence: SEEK_SET, l_start: held.start, l_len: held.end === Infinity ? 0 : held.end - held.start, l_pid: held.pid }
    : { l_type: F_UNLCK });
  return task.process.mm.copyOut(gva, bytes);
}

function setLock(task: Task, file: File, command: number, gva: number): number | Wait {
  const wanted = readLock(task, file, command, gva);
  if (typeof wanted === 'number') return wanted;
  if (wanted.type === F_RDLCK && !file.canRead()) return -EBADF;
  if (wanted.type === F_WRLCK && !file.canWrite()) return -EBADF;
  const locks = task.kernel.vfs.locksOf(file.inode);
  const result = locks.setRecord(wanted);
  if (result !== -EAGAIN || command === F_SETLK || command === F_OFD_SETLK) return result;
  if (!isOfd(command) && wouldDeadlock(task, file.inode, wanted)) return -EDEADLK;
  const { dev, ino } = file.inode;
  const { type, start, end } = wanted;
  return waitOn([locks.queue], { memo: { lock: { dev, ino, type, start, end } } satisfies LockMemo });
}

/** What a task that waits for a POSIX lock wants. */
interface LockMemo { readonly lock: { readonly dev: number; readonly ino: number; readonly type: number; readonly start: number; readonly end: number } }

/** As Linux's MAX_DEADLK_ITERATIONS. */
const CHAIN_MAX = 10;

/** Whether whoever holds the lock waits, perhaps over several others, for one of the caller's. */
function wouldDeadlock(task: Task, inode: Inode, wanted: RecordLock): boolean {
  const { kernel, process } = task;
  let holder = inode.locks?.conflict(wanted)?.owner;
  for (let step = 0; holder && step < CHAIN_MAX; step++) {
    if (holder === process.files) return true;
    const owner: object = holder;
    const waiting = [...kernel.tasks.values()].find((other) => other.process.files === owner && lockMemo(other) !== null);
    const memo = waiting && lockMemo(waiting);
    const next = memo && kernel.vfs.loadInode({ dev: memo.lock.dev, ino: memo.lock.ino, key: null });
    holder = memo ? next?.locks?.conflict({ owner, pid: 0, ...memo.lock })?.owner : undefined;
  }
  return false;
}

function lockMemo(task: Task): LockMemo | null {
  const memo = task.wait?.memo as Partial<LockMemo> | null | undefined;
  return memo?.lock ? (memo as LockMemo) : null;
}

function flock(task: Task, fd: number, operation: number): number | Wait {
  const file = task.process.files.get(fd);
  if (!file || (file.flags & O_PATH) !== 0) return -EBADF;
  const mode = operation & ~LOCK_NB;
  if (mode !== LOCK_SH && mode !== LOCK_EX && mode !== LOCK_UN) return -EINVAL;
  const locks = task.kernel.vfs.locksOf(file.inode);
  if (mode === LOCK_UN) {
    locks.unlockWhole(file);
    return 0;
  }
  const result = locks.lockWhole(file, mode);
  return result === -EAGAIN && (operation & LOCK_NB) === 0 ? waitOn([locks.queue]) : result;
}

function closeRange(task: Task, first: number, last: number, flags: number): number {
  if ((flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) !== 0 || first > last) return -EINVAL;
  const { process } = task;
  if ((flags & CLOSE_RANGE_UNSHARE) !== 0 && process.files.refs > 1) {
    const own = process.files.clone();
    process.files.release();
    process.files = own;
  }
  const { files } = process;
  for (const fd of files.openBetween(first, last)) {
    if ((flags & CLOSE_RANGE_CLOEXEC) !== 0) files.setCloexec(fd, true);
    else files.close(fd);
  }
  return 0;
}

export const rows: readonly SyscallRow[] = [
  sys(32, 'dup', dup, FULL, [FD]),
  sys(33, 'dup2', dup2, FULL, [FD, FD]),
  sys(72, 'fcntl', fcntl, PARTIAL('no leases, no signal-driven I/O, no directory notification: EINVAL and counted'),
    [FD, UINT, ADDR]),
  sys(73, 'flock', flock, FULL, [FD, INT]),
  sys(292, 'dup3', dup3, FULL, [FD, FD, FLAGS]),
  sys(436, 'close_range', closeRange, FULL, [UINT, UINT, FLAGS]),
];
