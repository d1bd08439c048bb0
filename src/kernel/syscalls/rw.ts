// read(2), write(2), pread(2), readv(2), preadv2(2) and relatives; sendfile(2), copy_file_range(2).

import { EBADF, EFAULT, EINVAL, EISDIR, EOPNOTSUPP, ESPIPE, EXDEV } from '../../abi/linux/errno.ts';
import { MAX_RW_COUNT, O_APPEND, RWF_APPEND, RWF_DSYNC, RWF_HIPRI, RWF_NOWAIT, RWF_SYNC } from '../../abi/linux/fcntl.ts';
import { TASK_SIZE_MAX } from '../../abi/linux/mman.ts';
import type { File } from '../fs/file.ts';
import type { Task } from '../process/task.ts';
import type { Wait } from '../wait.ts';
import { ADDR, FD, FLAGS, FULL, IN_BUF, INT, IOVEC, OFF, OUT_BUF, PARTIAL, SIZE, sys, UINT } from './row.ts';
import type { SyscallRow } from './row.ts';
import { AT_POS, oneSegment, pump, readInto, readIovec, writeFrom } from './transfer.ts';

/** A buffer that reaches beyond the user's half is refused as a whole (access_ok). */
function isOutside(buf: number, count: number): boolean {
  return buf + count > TASK_SIZE_MAX;
}

function read(task: Task, fd: number, buf: number, count: number): number | Wait {
  const file = task.process.files.get(fd);
  if (!file || !file.canRead()) return -EBADF;
  return isOutside(buf, count) ? -EFAULT : readInto(task, file, oneSegment(buf, count), AT_POS);
}

function write(task: Task, fd: number, buf: number, count: number): number | Wait {
  const file = task.process.files.get(fd);
  if (!file || !file.canWrite()) return -EBADF;
  return isOutside(buf, count) ? -EFAULT : writeFrom(task, file, oneSegment(buf, count), AT_POS);
}

function pread64(task: Task, fd: number, buf: number, count: number, pos: number): number | Wait {
  if (pos < 0) return -EINVAL;
  const file = task.process.files.get(fd);
  return file ? readInto(task, file, oneSegment(buf, count), pos) : -EBADF;
}

/** A pipe, a socket: writing at a position fails before the data is looked at. */
function hasNoPosition(task: Task, file: File, pos: number): boolean {
  return pos >= 0 && file.canWrite() && file.pwrite(task, NO_BYTES, pos) === -ESPIPE;
}

const NO_BYTES = new Uint8Array(0);

function pwrite64(task: Task, fd: number, buf: number, count: number, pos: number): number | Wait {
  if (pos < 0) return -EINVAL;
  const file = task.process.files.get(fd);
  return file ? writeFrom(task, file, oneSegment(buf, count), pos) : -EBADF;
}

function vectored(task: Task, fd: number, iov: number, count: number, pos: number, move: typeof readInto): number | Wait {
  const file = task.process.files.get(fd);
  if (!file) return -EBADF;
  if (move === writeFrom && hasNoPosition(task, file, pos)) return -ESPIPE;
  const segments = readIovec(task.process.mm, iov, count);
  return typeof segments === 'number' ? segments : move(task, file, segments, pos);
}

function readv(task: Task, fd: number, iov: number, count: number): number | Wait {
  return vectored(task, fd, iov, count, AT_POS, readInto);
}

function writev(task: Task, fd: number, iov: number, count: number): number | Wait {
  return vectored(task, fd, iov, count, AT_POS, writeFrom);
}

function preadv(task: Task, fd: number, iov: number, count: number, pos: number): number | Wait {
  return pos < 0 ? -EINVAL : vectored(task, fd, iov, count, pos, readInto);
}

function pwritev(task: Task, fd: number, iov: number, count: number, pos: number): number | Wait {
  return pos < 0 ? -EINVAL : vectored(task, fd, iov, count, pos, writeFrom);
}

function preadv2(task: Task, fd: number, iov: number, count: number, pos: number, _high: number, flags: number): number | Wait {
  if ((flags & ~(RWF_HIPRI | RWF_NOWAIT)) !== 0) return -EOPNOTSUPP;
  return pos === -1 ? readv(task, fd, iov, count) : preadv(task, fd, iov, count, pos);
}

function pwritev2(task: Task, fd: number, iov: number, count: number, pos: number, _high: number, flags: number): number | Wait {
  if ((flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND)) !== 0) return -EOPNOTSUPP;
  const file = task.process.files.get(fd);
  if ((flags & RWF_APPEND) !== 0 && file?.kind === 'reg' && (pos === -1 || pos >= 0)) {
    const saved = file.flags;
    file.flags |= O_APPEND;
    const result = vectored(task, fd, iov, count, pos, writeFrom);
    file.flags = saved;
    return result;
  }
  return pos === -1 ? writev(task, fd, iov, count) : pwritev(task, fd, iov, count, pos);
}

function sendfile(task: Task, outFd: number, inFd: number, offsetAt: number, count: number): number | Wait {
  const { files, mm } = task.process;
  const input = files.get(inFd);
  const output = files.get(outFd);
  if (!input?.canRead()) return -EBADF;
  if (offsetAt !== 0 && !input.isSeekable() && !input.inode.isDirectory()) return -ESPIPE;
  const offset = offsetAt === 0 ? input.pos : mm.readAddr(offsetAt);
  if (offset === -EFAULT) return -EFAULT;
  if (!output?.canWrite()) return -EBADF;
  if (!(offset < 2 ** 63) || (output.flags & O_APPEND) !== 0) return -EINVAL;
  if (input.inode.isDirectory()) return -EINVAL;
  if (!input.isSeekable()) return -EINVAL;
  // A rerun finds the position already moved by what is done.
  let begun = -1;
  const result = pump(task, Math.min(count, MAX_RW_COUNT), {
    fill: (done, chunk) => {
      if (begun < 0) begun = offsetAt === 0 ? input.pos - done : offset;
      return numberOr(input.pread(task, chunk, begun + done), -EINVAL);
    },
    drain: (_done, chunk) => {
      const put = output.write(task, chunk);
      if (typeof put === 'number' && put > 0 && offsetAt === 0) input.pos += put;
      return put;
    },
    atEnd: 0,
  });
  if (typeof result === 'number' && result > 0 && offsetAt !== 0 && mm.writeAddr(offsetAt, offset + result) < 0) return -EFAULT;
  return result;
}

function numberOr(value: number | Wait, fallback: number): number {
  return typeof value === 'number' ? value : fallback;
}

function copyFileRange(task: Task, inFd: number, inAt: number, outFd: number, outAt: number, count: number, flags: number): number | Wait {
  const { files } = task.process;
  const input = files.get(inFd);
  const output = files.get(outFd);
  if (!input || !output) return -EBADF;
  if (flags !== 0) return -EINVAL;
  if (input.inode.isDirectory() || output.inode.isDirectory()) return -EISDIR;
  if (input.kind !== 'reg' || output.kind !== 'reg') return input.inode.isRegular() && output.inode.isRegular() ? -EXDEV : -EINVAL;
  if (!input.canRead() || !output.canWrite() || (output.flags & O_APPEND) !== 0) return -EBADF;
  return copyRange(task, { input, inAt, output, outAt }, Math.min(count, MAX_RW_COUNT));
}

interface Range { readonly input: File; readonly inAt: number; readonly output: File; readonly outAt: number }

function copyRange(task: Task, { input, inAt, output, outAt }: Range, count: number): number | Wait {
  const { mm } = task.process;
  const from = inAt === 0 ? input.pos : mm.readAddr(inAt);
  const to = outAt === 0 ? output.pos : mm.readAddr(outAt);
  if (from < 0 || to < 0) return -EFAULT;
  if (!(from < 2 ** 53 && to < 2 ** 53)) return -EINVAL;
  if (input.inode === output.inode && from < to + count && to < from + count) return -EINVAL;
  const copied = pump(task, count, {
    fill: (done, chunk) => numberOr(input.pread(task, chunk, from + done), -EINVAL),
    drain: (done, chunk) => output.pwrite(task, chunk, to + done),
    atEnd: 0,
  });
  if (typeof copied !== 'number' || copied <= 0) return copied;
  if (inAt === 0) input.pos = from + copied;
  else if (mm.writeAddr(inAt, from + copied) < 0) return -EFAULT;
  if (outAt === 0) output.pos = to + copied;
  else if (mm.writeAddr(outAt, to + copied) < 0) return -EFAULT;
  return copied;
}

export const rows: readonly SyscallRow[] = [
  sys(0, 'read', read, FULL, [FD, OUT_BUF, SIZE]),
  sys(1, 'write', write, FULL, [FD, IN_BUF, SIZE]),
  sys(17, 'pread64', pread64, FULL, [FD, OUT_BUF, SIZE, OFF]),
  sys(18, 'pwrite64', pwrite64, FULL, [FD, IN_BUF, SIZE, OFF]),
  sys(19, 'readv', readv, FULL, [FD, IOVEC, INT]),
  sys(20, 'writev', writev, FULL, [FD, IOVEC, INT]),
  sys(40, 'sendfile', sendfile, FULL, [FD, FD, ADDR, SIZE]),
  sys(295, 'preadv', preadv, FULL, [FD, IOVEC, INT, OFF, ADDR]),
  sys(296, 'pwritev', pwritev, FULL, [FD, IOVEC, INT, OFF, ADDR]),
  sys(326, 'copy_file_range', copyFileRange, FULL, [FD, ADDR, FD, ADDR, SIZE, UINT]),
  sys(327, 'preadv2', preadv2, PARTIAL('RWF_NOWAIT never fails: files do not block'), [FD, IOVEC, INT, OFF, ADDR, FLAGS]),
  sys(328, 'pwritev2', pwritev2, PARTIAL('RWF_NOWAIT never fails: files do not block'), [FD, IOVEC, INT, OFF, ADDR, FLAGS]),
];
