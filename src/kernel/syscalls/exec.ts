// execve(2), execveat(2): fetching argv and envp; process/exec.ts does the work.

import { E2BIG, EFAULT, EINVAL } from '../../abi/linux/errno.ts';
import { exec } from '../process/exec.ts';
import type { Task } from '../process/task.ts';
import { NO_RESULT } from '../wait.ts';
import type { Wait } from '../wait.ts';
import { ADDR, DIRFD, FULL, PATH, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const AT_FDCWD = -100, AT_EMPTY_PATH = 0x1000, AT_SYMLINK_NOFOLLOW = 0x100;
/** One argument or environment string: MAX_ARG_STRLEN. */
const STRING_MAX = 131072;
/** All strings together; the stack limit is checked later. */
const TOTAL_MAX = 8 << 20;
const COUNT_MAX = 1 << 20;

/** A NULL-terminated array of strings; a null pointer is an empty array. */
function readStrings(task: Task, gva: number): string[] | number {
  const strings: string[] = [];
  if (gva === 0) return strings;
  const { mm } = task.process;
  let total = 0;
  for (let i = 0; ; i++) {
    const pointer = mm.readAddr(gva + 8 * i);
    if (pointer < 0) return -EFAULT;
    if (pointer === 0) return strings;
    const text = mm.readCString(pointer, STRING_MAX);
    if (typeof text === 'number') return text === -EFAULT ? -EFAULT : -E2BIG;
    total += text.length + 9;
    if (total > TOTAL_MAX || i >= COUNT_MAX) return -E2BIG;
    strings.push(text);
  }
}

function execve(task: Task, path: number, argv: number, envp: number): number | Wait {
  return execveat(task, AT_FDCWD, path, argv, envp, 0);
}

function execveat(task: Task, dirfd: number, pathGva: number, argvGva: number, envpGva: number, flags: number): number | Wait {
  if ((flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) !== 0) return -EINVAL;
  const path = task.process.mm.readCString(pathGva, 4096);
  if (typeof path === 'number') return path;
  if (path === '' && (flags & AT_EMPTY_PATH) === 0) return -2;
  const argv = readStrings(task, argvGva);
  if (typeof argv === 'number') return argv;
  const envp = readStrings(task, envpGva);
  if (typeof envp === 'number') return envp;
  const result = exec(task, { dirfd, path, flags, argv, envp });
  return result === 0 ? NO_RESULT : result;
}

export const rows: SyscallRow[] = [
  sys(59, 'execve', execve, FULL, [PATH, ADDR, ADDR]),
  sys(322, 'execveat', execveat, FULL, [DIRFD, PATH, ADDR, ADDR, 'ATFLAGS']),
];
