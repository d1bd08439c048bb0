// Cutting a regular file: truncate(2), ftruncate(2), O_TRUNC, holes. Pages that go leave the mappings too (SIGBUS afterwards).

import { EFBIG, EINVAL, EISDIR } from '../../abi/linux/errno.ts';
import { SIGXFSZ } from '../../abi/linux/signal.ts';
import type { Backing } from '../mm/backing.ts';
import type { Task } from '../process/task.ts';
import { sendSignalToTask } from '../signal/send.ts';
import type { Inode } from './inode.ts';
import { dropPrivileges } from './perm.ts';

const PAGE = 4096;
const RLIMIT_FSIZE = 1;

/** Sets the size of a regular file the caller may write. 0 or -errno. */
export function truncateFile(task: Task, inode: Inode, sizeBytes: number): number {
  if (inode.isDirectory()) return -EISDIR;
  if (!inode.isRegular() || sizeBytes < 0) return -EINVAL;
  if (sizeBytes > inode.sizeBytes && sizeBytes > (task.process.rlimits[RLIMIT_FSIZE]?.soft ?? Infinity)) {
    sendSignalToTask(task, SIGXFSZ);
    return -EFBIG;
  }
  dropPrivileges(inode, task.process.credentials);
  const before = inode.sizeBytes;
  const error = inode.truncate(sizeBytes);
  if (error === 0 && sizeBytes < before) zapMappings(task, inode, Math.ceil(sizeBytes / PAGE) * PAGE, Infinity);
  return error;
}

/** Takes the pages of a byte range (page-aligned) out of every address space. */
function zapMappings(task: Task, inode: Inode, from: number, to: number): void {
  // Open files alone do not need it: the holder that is opening or cutting it counts once.
  for (const process of task.kernel.processes.values()) process.mm.zap(inode, from, to);
}

/** The same before a hole is made there: private copies stay. */
export function punchMappings(task: Task, inode: Backing, from: number, to: number): void {
  for (const process of task.kernel.processes.values()) process.mm.punch(inode, from, to);
}

/** Whether some process has the file open for writing: it can't be executed (ETXTBSY). */
export function isWritten(task: Task, inode: Inode): boolean {
  let isWritten = false;
  for (const { files, exitStatus } of task.kernel.processes.values()) {
    if (exitStatus < 0) files.forEach((_fd, file) => { isWritten ||= file.inode === inode && file.canWrite(); });
  }
  return isWritten;
}

/** Whether some process runs this file: it can't be written (ETXTBSY). */
export function isRunning(task: Task, inode: Inode): boolean {
  for (const process of task.kernel.processes.values()) if (process.exeInode === inode && process.exitStatus < 0) return true;
  return false;
}
