// Moving bytes between user memory and open files for read(2), write(2) and their relatives.
//
// Interface: readInto, writeFrom take a list of user segments (one for read, many for readv). Partial counts are Linux's: what
// was moved before an error or a bad pointer is the result. A blocking write that got stuck half way remembers
// in its Wait how much is done (WriteProgress) and goes on there when it is run again.

import { EBADF, EFAULT, EINVAL, EISDIR } from '../../abi/linux/errno.ts';
import { IOV_MAX, MAX_RW_COUNT } from '../../abi/linux/fcntl.ts';
import type { File } from '../fs/file.ts';
import type { Mm } from '../mm/mm.ts';
import type { Task } from '../process/task.ts';
import type { Wait } from '../wait.ts';

/** A piece of user memory. */
export interface Segment { readonly base: number; readonly length: number }

/** Use the file's own position. */
export const AT_POS = -1;

/** Bytes handed to a file at once: more than any datagram. */
const CHUNK = 256 * 1024;

interface WriteProgress { readonly rwDone: number; readonly inner: unknown }

let scratch = new Uint8Array(4096);

/** A buffer of `length` ≤ CHUNK bytes, valid until the next call. */
export function scratchBytes(length: number): Uint8Array {
  if (scratch.length < length) scratch = new Uint8Array(Math.min(CHUNK, Math.max(length, scratch.length * 4)));
  return scratch.subarray(0, length);
}

/** One segment, its length cut to MAX_RW_COUNT as Linux does. */
export function oneSegment(base: number, length: number): readonly Segment[] {
  return [{ base, length: Math.min(length, MAX_RW_COUNT) }];
}

/** Reads an iovec array: segments, -EINVAL or -EFAULT. */
export function readIovec(mm: Mm, gva: number, count: number): readonly Segment[] | number {
  if (count < 0 || count > IOV_MAX) return -EINVAL;
  const bytes = mm.readBytes(gva, count * 16);
  if (typeof bytes === 'number') return -EFAULT;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const segments: Segment[] = [];
  let total = 0;
  for (let i = 0; i < count; i++) {
    const base = view.getUint32(16 * i, true) + view.getUint32(16 * i + 4, true) * 0x1_0000_0000;
    const length = view.getUint32(16 * i + 8, true) + view.getUint32(16 * i + 12, true) * 0x1_0000_0000;
    if (length >= 2 ** 63) return -EINVAL;
    const taken = Math.min(length, MAX_RW_COUNT - total);
    total += taken;
    segments.push({ base, length: taken });
  }
  return segments;
}

function totalOf(segments: readonly Segment[]): number {
  let total = 0;
  for (const { length } of segments) total += length;
  return total;
}

/** Copies to the segments from byte `skip` of them on; bytes copied. */
function scatter(mm: Mm, segments: readonly Segment[], skip: number, src: Uint8Array): number {
  let done = 0;
  let start = 0;
  for (const { base, length } of segments) {
    const within = skip + done - start;
    start += length;
    if (within >= length) continue;
    const wanted = Math.min(length - within, src.length - done);
    const copied = mm.copyOutPartial(base + within, src.subarray(done, done + wanted));
    done += copied;
    if (copied < wanted || done === src.length) break;
  }
  return done;
}

function gather(mm: Mm, segments: readonly Segment[], skip: number, dst: Uint8Array): number {
  let done = 0;
  let start = 0;
  for (const { base, length } of segments) {
    const within = skip + done - start;
    start += length;
    if (within >= length) continue;
    const wanted = Math.min(length - within, dst.length - done);
    const copied = mm.copyInPartial(base + within, dst.subarray(done, done + wanted));
    done += copied;
    if (copied < wanted || done === dst.length) break;
  }
  return done;
}

/** Reads into user memory at `pos` (AT_POS: at and advancing the file's position). */
export function readInto(task: Task, file: File, segments: readonly Segment[], pos: number): number | Wait {
  if (!file.canRead()) return -EBADF;
  const total = totalOf(segments);
  if (total === 0) return file.inode.isDirectory() ? -EISDIR : 0;
  if (file.kind === 'reg') return readRegular(task, file, segments, pos);
  const { mm } = task.process;
  let done = 0;
  while (done < total) {
    const chunk = scratchBytes(Math.min(CHUNK, total - done));
    // A bad buffer must not swallow what a pipe holds.
    if (done === 0 && !isWritable(mm, segments)) return -EFAULT;
    const got = pos === AT_POS ? file.read(task, chunk) : file.pread(task, chunk, pos + done);
    if (typeof got !== 'number' || got < 0) return done > 0 ? done : got;
    const copied = scatter(mm, segments, done, chunk.subarray(0, got));
    done += copied;
    if (copied < got) return done > 0 ? done : -EFAULT;
    if (got < chunk.length) break;
  }
  return done;
}

function isWritable(mm: Mm, segments: readonly Segment[]): boolean {
  const first = segments.find((segment) => segment.length > 0);
  return !first || mm.translate(first.base, true) >= 0;
}

/** Regular files: from the image's blob, or a frame, straight to user memory. */
function readRegular(task: Task, file: File, segments: readonly Segment[], pos: number): number {
  const start = pos === AT_POS ? file.pos : pos;
  let done = 0;
  for (const { base, length } of segments) {
    const got = readSegment(task, file, base, length, start + done);
    if (got < 0) return done > 0 ? done : got;
    done += got;
    if (pos === AT_POS) file.pos = start + done;
    if (got < length) break;
  }
  return done;
}

function readSegment(task: Task, file: File, base: number, length: number, start: number): number {
  const { mm } = task.process;
  let done = 0;
  while (done < length) {
    const left = Math.min(length, file.inode.sizeBytes - start) - done;
    if (left <= 0) break;
    const view = file.peek(start + done, left);
    const wanted = view ? view.length : Math.min(left, CHUNK);
    let error = 0;
    const copied = view ? mm.copyOutPartial(base + done, view) : mm.eachPage(base + done, wanted, true, (page) => {
      const got = file.pread(task, page, start + done);
      if (typeof got !== 'number' || got <= 0) {
        error = typeof got === 'number' ? got : 0;
        return 0;
      }
      done += got;
      return got;
    });
    if (view) done += copied;
    if (error < 0) return done > 0 ? done : error;
    if (copied < wanted) return done > 0 ? done : -EFAULT;
  }
  return done;
}

/** Writes from user memory at `pos` (AT_POS: at and advancing the file's position). */
export function writeFrom(task: Task, file: File, segments: readonly Segment[], pos: number): number | Wait {
  if (!file.canWrite()) return -EBADF;
  const total = totalOf(segments);
  const { mm } = task.process;
  return pump(task, total, {
    fill: (done, chunk) => {
      const got = gather(mm, segments, done, chunk);
      // Pipes and sockets take nothing of a piece with a bad pointer in it.
      return got < chunk.length && file.kind !== 'reg' ? -EFAULT : got;
    },
    drain: (done, chunk) => pos === AT_POS ? file.write(task, chunk) : file.pwrite(task, chunk, pos + done),
  });
}

/** Where bytes come from and go to. */
export interface Pump {
  /** Fills the chunk with what comes after `done` bytes: bytes, 0 at the end, or -errno. */
  readonly fill: (done: number, chunk: Uint8Array) => number;
  readonly drain: (done: number, chunk: Uint8Array) => number | Wait;
  /** What a fill of 0 bytes means; -EFAULT unless told. */
  readonly atEnd?: number;
}

/** Moves up to `total` bytes; keeps count in the Wait when `drain` blocks half way. */
export function pump(task: Task, total: number, { fill, drain, atEnd = -EFAULT }: Pump): number | Wait {
  let done = resume(task);
  if (total === 0) return drain(0, scratchBytes(0));
  while (done < total) {
    const chunk = scratchBytes(Math.min(CHUNK, total - done));
    const got = fill(done, chunk);
    if (got <= 0) return done > 0 ? done : got < 0 ? got : atEnd;
    const put = drain(done, chunk.subarray(0, got));
    task.rerun = null;
    if (typeof put !== 'number') return done > 0 ? keepCount(put, done) : put;
    if (put < 0) return done > 0 ? done : put;
    done += put;
    if (put < got || got < chunk.length) break;
  }
  return done;
}

/** Bytes done by an earlier run of this call; gives the file back the memo it wrote. */
function resume(task: Task): number {
  const memo = task.rerun?.memo as Partial<WriteProgress> | null | undefined;
  if (!task.rerun || typeof memo?.rwDone !== 'number') return 0;
  task.rerun = { ...task.rerun, memo: memo.inner };
  return memo.rwDone;
}

function keepCount(wait: Wait, done: number): Wait {
  return { ...wait, onSignal: done + Math.max(0, wait.onSignal), memo: { rwDone: done, inner: wait.memo } satisfies WriteProgress };
}
