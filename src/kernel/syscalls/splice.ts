// splice(2), tee(2), vmsplice(2): moving bytes in and out of pipes. Pages are copied, not handed over, which nobody can see.

import { EAGAIN, EBADF, EFAULT, EINVAL, EPIPE, ESPIPE } from '../../abi/linux/errno.ts';
import { O_APPEND, O_NONBLOCK } from '../../abi/linux/fcntl.ts';
import { SIGPIPE } from '../../abi/linux/signal.ts';
import type { File } from '../fs/file.ts';
import { PipeFile } from '../ipc/pipe.ts';
import type { Task } from '../process/task.ts';
import { sendSignalToTask } from '../signal/send.ts';
import { waitOn } from '../wait.ts';
import type { Wait } from '../wait.ts';
import { FD, FLAGS, FULL, IOVEC, OUT_BUF, SIZE, UINT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';
import { AT_POS, readInto, readIovec, scratchBytes, writeFrom } from './transfer.ts';

const SPLICE_F_NONBLOCK = 2, SPLICE_F_ALL = 0xf;
const CHUNK = 65536;
/** Files without a way to be spliced. */
const NEVER = new Set(['dir', 'epoll', 'eventfd', 'pidfd', 'signalfd', 'timerfd', 'path']);

interface Ends { readonly input: File; readonly output: File }

/** Both files, or -EBADF. */
function endsOf(task: Task, inFd: number, outFd: number): Ends | number {
  const { files } = task.process;
  const input = files.get(inFd), output = files.get(outFd);
  return input?.canRead() && output?.canWrite() ? { input, output } : -EBADF;
}

/** -EAGAIN or a Wait for what `file` tells its pollers. */
function later(file: File, dontWait: boolean): number | Wait {
  return dontWait ? -EAGAIN : waitOn(file.pollQueues());
}

/** What can be done at once with a file, whatever its O_NONBLOCK says. */
function atOnce(file: File, act: () => number | Wait): number {
  const { flags } = file;
  file.flags |= O_NONBLOCK;
  const result = act();
  file.flags = flags;
  return typeof result === 'number' ? result : -EAGAIN;
}

/** Waits for something in a pipe: 0 when there is, or the result of the call. */
function awaitBytes(input: PipeFile, dontWait: boolean): { readonly result: number | Wait } | null {
  if (input.pipe.length > 0) return null;
  return { result: input.pipe.hasWriters ? later(input, dontWait) : 0 };
}

function awaitRoom(task: Task, output: PipeFile, dontWait: boolean): { readonly result: number | Wait } | null {
  if (!output.pipe.hasReaders) {
    sendSignalToTask(task, SIGPIPE);
    return { result: -EPIPE };
  }
  return output.pipe.free > 0 ? null : { result: later(output, dontWait) };
}

function pipeToPipe(task: Task, input: PipeFile, output: PipeFile, length: number, flags: number, keep: boolean): number | Wait {
  if (input.pipe === output.pipe) return -EINVAL;
  const dontWait = (flags & SPLICE_F_NONBLOCK) !== 0 || ((input.flags | output.flags) & O_NONBLOCK) !== 0;
  const blocked = awaitBytes(input, dontWait) ?? awaitRoom(task, output, dontWait);
  if (blocked) return blocked.result;
  const bytes = scratchBytes(Math.min(length, CHUNK, output.pipe.free));
  const n = input.pipe.take(bytes, keep);
  output.pipe.put(bytes.subarray(0, n));
  return n;
}

/** An offset the caller gave by pointer, or AT_POS. */
function offsetAt(task: Task, file: File, gva: number): number {
  if (gva === 0) return AT_POS;
  if (!file.isSeekable()) return -EINVAL;
  const offset = task.process.mm.readAddr(gva);
  return offset === -EFAULT ? -EFAULT : offset < 2 ** 63 ? offset : -EINVAL;
}

function moved(task: Task, gva: number, offset: number, n: number): number {
  return gva !== 0 && n > 0 && task.process.mm.writeU64(gva, BigInt(offset + n)) < 0 ? -EFAULT : n;
}

function pipeToFile(task: Task, input: PipeFile, output: File, at: number, length: number, flags: number): number | Wait {
  const offset = offsetAt(task, output, at);
  if (offset < AT_POS) return offset;
  if (output.flags & O_APPEND || NEVER.has(output.kind)) return -EINVAL;
  const dontWait = ((flags & SPLICE_F_NONBLOCK) | (input.flags & O_NONBLOCK)) !== 0;
  let done = 0;
  while (done < length) {
    const blocked = awaitBytes(input, dontWait);
    if (blocked) return done > 0 ? done : blocked.result;
    const bytes = scratchBytes(Math.min(length - done, CHUNK));
    const ready = bytes.subarray(0, input.pipe.take(bytes, true));
    const n = atOnce(output, () => (at === 0 ? output.write(task, ready) : output.pwrite(task, ready, offset + done)));
    if (n < 0) return done > 0 ? moved(task, at, offset, done) : n === -EAGAIN ? later(output, (output.flags & O_NONBLOCK) !== 0) : n;
    input.pipe.take(scratchBytes(n));
    done += n;
    // What a pipe holds is one piece: more is only waited for before the first.
    if (input.pipe.length === 0 || n < ready.length) break;
  }
  return moved(task, at, offset, done);
}

function fileToPipe(task: Task, input: File, output: PipeFile, at: number, length: number, flags: number): number | Wait {
  const offset = offsetAt(task, input, at);
  if (offset < AT_POS) return offset;
  if (NEVER.has(input.kind)) return -EINVAL;
  const blocked = awaitRoom(task, output, ((flags & SPLICE_F_NONBLOCK) | (output.flags & O_NONBLOCK)) !== 0);
  if (blocked) return blocked.result;
  const bytes = scratchBytes(Math.min(length, CHUNK, output.pipe.free));
  const n = atOnce(input, () => (at === 0 ? input.read(task, bytes) : input.pread(task, bytes, offset)));
  if (n === -EAGAIN) return later(input, ((flags & SPLICE_F_NONBLOCK) | (input.flags & O_NONBLOCK)) !== 0);
  if (n > 0) output.pipe.put(bytes.subarray(0, n));
  return n < 0 ? n : moved(task, at, offset, n);
}

function splice(task: Task, inFd: number, inAt: number, outFd: number, outAt: number, length: number, flags: number): number | Wait {
  if (length === 0) return 0;
  if ((flags & ~SPLICE_F_ALL) !== 0) return -EINVAL;
  const ends = endsOf(task, inFd, outFd);
  if (typeof ends === 'number') return ends;
  const { input, output } = ends;
  if ((input instanceof PipeFile && inAt !== 0) || (output instanceof PipeFile && outAt !== 0)) return -ESPIPE;
  if (input instanceof PipeFile && output instanceof PipeFile) return pipeToPipe(task, input, output, length, flags, false);
  if (input instanceof PipeFile) return pipeToFile(task, input, output, outAt, length, flags);
  return output instanceof PipeFile ? fileToPipe(task, input, output, inAt, length, flags) : -EINVAL;
}

function tee(task: Task, inFd: number, outFd: number, length: number, flags: number): number | Wait {
  if ((flags & ~SPLICE_F_ALL) !== 0) return -EINVAL;
  if (length === 0) return 0;
  const ends = endsOf(task, inFd, outFd);
  if (typeof ends === 'number') return ends;
  const { input, output } = ends;
  return input instanceof PipeFile && output instanceof PipeFile ? pipeToPipe(task, input, output, length, flags, true) : -EINVAL;
}

function vmsplice(task: Task, fd: number, iov: number, count: number, flags: number): number | Wait {
  if ((flags & ~SPLICE_F_ALL) !== 0) return -EINVAL;
  const file = task.process.files.get(fd);
  if (!(file instanceof PipeFile)) return -EBADF;
  const segments = readIovec(task.process.mm, iov, count);
  if (typeof segments === 'number') return segments;
  if (segments.every(({ length }) => length === 0)) return 0;
  if (!file.canWrite()) return readInto(task, file, segments, AT_POS);
  const blocked = awaitRoom(task, file, ((flags & SPLICE_F_NONBLOCK) | (file.flags & O_NONBLOCK)) !== 0);
  // It takes what fits and does not wait for more.
  return blocked ? blocked.result : atOnce(file, () => writeFrom(task, file, segments, AT_POS));
}

export const rows: readonly SyscallRow[] = [
  sys(275, 'splice', splice, FULL, [FD, OUT_BUF, FD, OUT_BUF, SIZE, FLAGS]),
  sys(276, 'tee', tee, FULL, [FD, FD, SIZE, FLAGS]),
  sys(278, 'vmsplice', vmsplice, FULL, [FD, IOVEC, UINT, FLAGS]),
];
