// ioctl(2): the commands every descriptor knows; the rest goes to the file.

import { EBADF, EFAULT, EINVAL, EISDIR, ENOTTY, EOPNOTSUPP, EXDEV } from '../../abi/linux/errno.ts';
import {
  FICLONE, FICLONERANGE, FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIONREAD, MTIOCTOP,
} from '../../abi/linux/ioctl.ts';
import { TCGETS, TCSETS, TCSETSF, TCSETSW, TIOCGPGRP, TIOCGWINSZ, TIOCNOTTY, TIOCSCTTY, TIOCSPGRP, TIOCSWINSZ } from '../../abi/linux/termios.ts';
import type { File } from '../fs/file.ts';
import type { Task } from '../process/task.ts';
import type { Wait } from '../wait.ts';
import { ADDR, FD, PARTIAL, UINT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const O_APPEND = 0o2000, O_NONBLOCK = 0o4000, O_ASYNC = 0o20000, O_PATH = 0o10000000;
/** Asked of any file, which may be no terminal and is no tape: ENOTTY is the answer, not something missing. */
const PROBES = new Set([
  TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGWINSZ, TIOCSWINSZ, TIOCGPGRP, TIOCSPGRP, TIOCSCTTY, TIOCNOTTY, FIONREAD, MTIOCTOP,
]);

function ioctl(task: Task, fd: number, command: number, argument: number): number | Wait {
  const { files } = task.process;
  const file = files.get(fd);
  if (!file || (file.flags & O_PATH) !== 0) return -EBADF;
  switch (command) {
    case FIOCLEX: files.setCloexec(fd, true); return 0;
    case FIONCLEX: files.setCloexec(fd, false); return 0;
    case FIONBIO: return setFlag(task, fd, O_NONBLOCK, argument);
    case FICLONE: return clone(task, argument, file);
    case FICLONERANGE: return cloneRange(task, argument, file);
    case FIOASYNC: return setFlag(task, fd, O_ASYNC, argument);
  }
  const result = file.ioctl(task, command, argument);
  if (result === -ENOTTY && !PROBES.has(command)) task.kernel.count(`ioctl 0x${command.toString(16)}`);
  return result;
}

/** FICLONE: no file system here shares blocks between files, so all that is left are the errors, in Linux's order. */
function clone(task: Task, from: number, to: File): number {
  const source = task.process.files.get(from % 2 ** 32);
  if (!source || (source.flags & O_PATH) !== 0) return -EBADF;
  if (source.inode.dev !== to.inode.dev) return -EXDEV;
  if (source.inode.isDirectory() || to.inode.isDirectory()) return -EISDIR;
  if (!source.inode.isRegular() || !to.inode.isRegular()) return -EINVAL;
  if (!source.canRead() || !to.canWrite() || (to.flags & O_APPEND) !== 0) return -EBADF;
  return -EOPNOTSUPP;
}

/** FICLONERANGE: struct file_clone_range begins with the descriptor, as s64. */
function cloneRange(task: Task, argument: number, to: File): number {
  const range = new Uint8Array(32);
  if (task.process.mm.copyIn(argument, range) < 0) return -EFAULT;
  return clone(task, new DataView(range.buffer).getUint32(0, true), to);
}

/** Sets or clears a status flag by the int at `argument`. */
function setFlag(task: Task, fd: number, flag: number, argument: number): number {
  const on = task.process.mm.readU32(argument);
  if (on < 0) return -EFAULT;
  const file = task.process.files.get(fd);
  if (!file) return -EBADF;
  file.flags = on !== 0 ? file.flags | flag : file.flags & ~flag;
  return 0;
}

const NOTE = 'FIOCLEX FIONCLEX FIONBIO FIOASYNC FIONREAD FICLONE FICLONERANGE and what each kind of file knows; '
  + 'others are ENOTTY and counted';

export const rows: readonly SyscallRow[] = [
  sys(16, 'ioctl', ioctl, PARTIAL(NOTE), [FD, UINT, ADDR]),
];
