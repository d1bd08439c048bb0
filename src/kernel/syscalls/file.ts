// open(2), close(2), lseek(2), truncate(2), fallocate(2), fsync(2), memfd_create(2) and relatives.

import {
  E2BIG, EBADF, EFAULT, EFBIG, EINVAL, EMFILE, ENODEV, EPERM, ESPIPE, ETXTBSY,
} from '../../abi/linux/errno.ts';
import {
  __O_TMPFILE, AT_FDCWD, FALLOC_FL_PUNCH_HOLE, MFD_ALLOW_SEALING, MFD_CLOEXEC, MFD_EXEC, MFD_HUGETLB, MFD_NAME_MAX, MFD_NOEXEC_SEAL,
  O_CLOEXEC, O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_TRUNC, O_WRONLY, PATH_MAX, POSIX_FADV_MAX,
} from '../../abi/linux/fcntl.ts';
import { RLIMIT_FSIZE } from '../../abi/linux/sched.ts';
import { SIGXFSZ } from '../../abi/linux/signal.ts';
import { File } from '../fs/file.ts';
import { hasUnknownFlags, openAt } from '../fs/open.ts';
import { lookupAt } from '../fs/path.ts';
import { MAY_WRITE, permission } from '../fs/perm.ts';
import { notifyDentry, notifyFile } from '../fs/notify.ts';
import { isRunning, punchMappings, truncateFile } from '../fs/truncate.ts';
import { IN_MODIFY } from '../../abi/linux/inotify.ts';
import type { Task } from '../process/task.ts';
import { sendSignalToTask } from '../signal/send.ts';
import type { Wait } from '../wait.ts';
import { DIRFD, FD, FLAGS, FULL, INT, MODE, OFF, OPEN, PARTIAL, PATH, SIZE, STR, STRUCT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const PAGE = 4096;
const RESOLVE_KNOWN = 0x3f;

function openPath(task: Task, dirfd: number, pathAt: number, flags: number, mode: number, resolve = 0): number | Wait {
  const path = task.process.mm.readCString(pathAt, PATH_MAX);
  if (typeof path === 'number') return path;
  const { files } = task.process;
  if (!files.hasRoom()) return -EMFILE;
  const file = openAt(task, dirfd, path, flags, mode, resolve);
  if (!(file instanceof File)) return file;
  const fd = files.install(file, 0, (flags & O_CLOEXEC) !== 0);
  if (fd < 0) file.unref();
  return fd;
}

function open(task: Task, path: number, flags: number, mode: number): number | Wait {
  return openPath(task, AT_FDCWD, path, flags, mode);
}

function openat(task: Task, dirfd: number, path: number, flags: number, mode: number): number | Wait {
  return openPath(task, dirfd, path, flags, mode);
}

function creat(task: Task, path: number, mode: number): number | Wait {
  return openPath(task, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

function openat2(task: Task, dirfd: number, path: number, how: number, size: number): number | Wait {
  if (size < 24) return -EINVAL;
  if (size > PAGE) return -E2BIG;
  const bytes = task.process.mm.readBytes(how, size);
  if (typeof bytes === 'number') return -EFAULT;
  if (bytes.subarray(24).some((byte) => byte !== 0)) return -E2BIG;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const [flags, mode, resolve] = [0, 8, 16].map((at) => view.getBigUint64(at, true));
  if (flags > 0x7fff_ffffn || mode > 0o7777n || resolve > BigInt(RESOLVE_KNOWN)) return -EINVAL;
  const bits = Number(flags);
  if (hasUnknownFlags(bits) || (mode !== 0n && (bits & (O_CREAT | __O_TMPFILE)) === 0)) return -EINVAL;
  if ((bits & O_PATH) !== 0 && (bits & ~(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) !== 0) return -EINVAL;
  // RESOLVE_BENEATH and RESOLVE_IN_ROOT contradict each other.
  if ((Number(resolve) & 0x18) === 0x18) return -EINVAL;
  return openPath(task, dirfd, path, bits, Number(mode), Number(resolve));
}

function close(task: Task, fd: number): number {
  return task.process.files.close(fd);
}

/** The file of a descriptor, unless it is an O_PATH one. */
function fileOf(task: Task, fd: number): File | null {
  const file = task.process.files.get(fd);
  return file && (file.flags & O_PATH) === 0 ? file : null;
}

function lseek(task: Task, fd: number, offset: number, whence: number): number {
  const file = fileOf(task, fd);
  return file ? file.seek(offset, whence) : -EBADF;
}

function truncate(task: Task, pathAt: number, length: number): number {
  if (length < 0) return -EINVAL;
  const path = task.process.mm.readCString(pathAt, PATH_MAX);
  if (typeof path === 'number') return path;
  const dentry = lookupAt(task, AT_FDCWD, path, 0);
  if (typeof dentry === 'number') return dentry;
  const { inode } = dentry;
  if (inode.isRegular()) {
    const denied = permission(inode, MAY_WRITE, task.process.credentials);
    if (denied < 0) return denied;
    if (isRunning(task, inode)) return -ETXTBSY;
  }
  const error = truncateFile(task, inode, length);
  if (error === 0) notifyDentry(dentry, IN_MODIFY);
  return error;
}

function ftruncate(task: Task, fd: number, length: number): number {
  const file = fileOf(task, fd);
  if (!file) return -EBADF;
  if (length < 0 || !file.inode.isRegular() || !file.canWrite()) return -EINVAL;
  const error = truncateFile(task, file.inode, length);
  if (error === 0) notifyFile(file, IN_MODIFY);
  return error;
}

function fallocate(task: Task, fd: number, mode: number, offset: number, length: number): number {
  const file = fileOf(task, fd);
  if (!file) return -EBADF;
  if (offset < 0 || length <= 0) return -EINVAL;
  if (!file.canWrite()) return -EBADF;
  if (file.kind === 'pipe') return -ESPIPE;
  if (!file.inode.isRegular()) return -ENODEV;
  if (offset + length > 2 ** 63) return -EFBIG;
  const grows = (mode & FALLOC_FL_PUNCH_HOLE) === 0 && offset + length > file.inode.sizeBytes;
  if (grows && offset + length > (task.process.rlimits[RLIMIT_FSIZE]?.soft ?? Infinity)) {
    sendSignalToTask(task, SIGXFSZ);
    return -EFBIG;
  }
  if ((mode & FALLOC_FL_PUNCH_HOLE) !== 0) {
    const first = Math.ceil(offset / PAGE) * PAGE;
    const last = Math.floor((offset + length) / PAGE) * PAGE;
    if (first < last) punchMappings(task, file.inode, first, last);
  }
  const error = file.inode.fallocate(mode, offset, length);
  if (error === 0) notifyFile(file, IN_MODIFY);
  return error;
}

/** Everything is in memory: there is nothing to write back, but the descriptor is checked. */
function fsync(task: Task, fd: number): number {
  const file = fileOf(task, fd);
  if (!file) return -EBADF;
  return file.isSeekable() ? 0 : -EINVAL;
}

function sync(): number {
  return 0;
}

function syncfs(task: Task, fd: number): number {
  return fileOf(task, fd) ? 0 : -EBADF;
}

function syncFileRange(task: Task, fd: number, offset: number, length: number, flags: number): number {
  const file = fileOf(task, fd);
  if (!file) return -EBADF;
  if (offset < 0 || length < 0 || (flags & ~7) !== 0) return -EINVAL;
  return file.isSeekable() ? 0 : -ESPIPE;
}

function fadvise64(task: Task, fd: number, _offset: number, length: number, advice: number): number {
  const file = fileOf(task, fd);
  if (!file) return -EBADF;
  if (!file.isSeekable()) return -ESPIPE;
  return advice < 0 || advice > POSIX_FADV_MAX || length < 0 ? -EINVAL : 0;
}

function readahead(task: Task, fd: number): number {
  const file = fileOf(task, fd);
  if (!file?.canRead()) return -EBADF;
  return file.inode.isRegular() ? 0 : -EINVAL;
}

function memfdCreate(task: Task, nameAt: number, flags: number): number {
  if ((flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC)) !== 0) {
    if ((flags & MFD_HUGETLB) !== 0) task.kernel.count('memfd_create MFD_HUGETLB');
    return -EINVAL;
  }
  if ((flags & (MFD_NOEXEC_SEAL | MFD_EXEC)) === (MFD_NOEXEC_SEAL | MFD_EXEC)) return -EINVAL;
  const name = task.process.mm.readCString(nameAt, MFD_NAME_MAX + 1);
  if (typeof name === 'number') return name === -EFAULT ? -EFAULT : -EINVAL;
  if (!task.process.files.hasRoom()) return -EMFILE;
  const file = task.kernel.vfs.memfd(task, name, flags);
  if (typeof file === 'number') return file;
  const fd = task.process.files.install(file, 0, (flags & MFD_CLOEXEC) !== 0);
  if (fd < 0) file.unref();
  return fd;
}

function openByHandleAt(): number {
  return -EPERM;
}

export const rows: readonly SyscallRow[] = [
  sys(2, 'open', open, FULL, [PATH, OPEN, MODE]),
  sys(3, 'close', close, FULL, [FD]),
  sys(8, 'lseek', lseek, FULL, [FD, OFF, INT]),
  sys(74, 'fsync', fsync, FULL, [FD]),
  sys(75, 'fdatasync', fsync, FULL, [FD]),
  sys(76, 'truncate', truncate, FULL, [PATH, OFF]),
  sys(77, 'ftruncate', ftruncate, FULL, [FD, OFF]),
  sys(85, 'creat', creat, FULL, [PATH, MODE]),
  sys(162, 'sync', sync, FULL, []),
  sys(187, 'readahead', readahead, FULL, [FD, OFF, SIZE]),
  sys(221, 'fadvise64', fadvise64, FULL, [FD, OFF, OFF, INT]),
  sys(257, 'openat', openat, FULL, [DIRFD, PATH, OPEN, MODE]),
  sys(277, 'sync_file_range', syncFileRange, FULL, [FD, OFF, OFF, FLAGS]),
  sys(285, 'fallocate', fallocate, PARTIAL('KEEP_SIZE and PUNCH_HOLE; the other modes are EOPNOTSUPP, as on tmpfs'), [FD, INT, OFF, OFF]),
  sys(304, 'open_by_handle_at', openByHandleAt, PARTIAL('always EPERM, as without CAP_DAC_READ_SEARCH'), [FD, STRUCT, OPEN]),
  sys(306, 'syncfs', syncfs, FULL, [FD]),
  sys(319, 'memfd_create', memfdCreate, PARTIAL('no MFD_HUGETLB'), [STR, FLAGS]),
  sys(437, 'openat2', openat2, PARTIAL('RESOLVE_CACHED is ignored: nothing blocks'), [DIRFD, PATH, STRUCT, SIZE]),
];
