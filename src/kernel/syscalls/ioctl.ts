// ioctl(2): the commands every descriptor knows; the rest goes to the file.

import { EBADF, EFAULT, ENOTTY } from '../../abi/linux/errno.ts';
import { FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIONREAD, TCGETS, TIOCGPGRP, TIOCGWINSZ } from '../../abi/linux/ioctl.ts';
import type { Task } from '../process/task.ts';
import type { Wait } from '../wait.ts';
import { ADDR, FD, PARTIAL, UINT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const O_NONBLOCK = 0o4000, O_ASYNC = 0o20000, O_PATH = 0o10000000;
/** Asked of any file to see whether it is a terminal: ENOTTY is the answer, not something missing. */
const PROBES = new Set([TCGETS, TIOCGWINSZ, TIOCGPGRP, FIONREAD]);

function ioctl(task: Task, fd: number, command: number, argument: number): number | Wait {
  const { files } = task.process;
  const file = files.get(fd);
  if (!file || (file.flags & O_PATH) !== 0) return -EBADF;
  switch (command) {
    case FIOCLEX: files.setCloexec(fd, true); return 0;
    case FIONCLEX: files.setCloexec(fd, false); return 0;
    case FIONBIO: return setFlag(task, fd, O_NONBLOCK, argument);
    case FIOASYNC: return setFlag(task, fd, O_ASYNC, argument);
  }
  const result = file.ioctl(task, command, argument);
  if (result === -ENOTTY && !PROBES.has(command)) task.kernel.count(`ioctl 0x${command.toString(16)}`);
  return result;
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

const NOTE = 'FIOCLEX FIONCLEX FIONBIO FIOASYNC FIONREAD and what each kind of file knows; others are ENOTTY and counted';

export const rows: readonly SyscallRow[] = [
  sys(16, 'ioctl', ioctl, PARTIAL(NOTE), [FD, UINT, ADDR]),
];
