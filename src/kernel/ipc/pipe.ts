// Pipes and FIFOs: pipe(7), fifo(7). A byte buffer of `capacity` bytes with a read and a write end.
//
// Interface: newPipe() makes both ends; openFifo() opens a named one with its blocking rules; Pipe is the shared buffer,
// PipeFile an end. Writes of up to PIPE_BUF bytes are atomic; a longer blocking write remembers in its Wait how much is
// already in the pipe.

import { EAGAIN, EBUSY, EINVAL, ENOTTY, ENXIO, EPERM, EPIPE, ERESTARTSYS } from '../../abi/linux/errno.ts';
import { FIONREAD } from '../../abi/linux/ioctl.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../abi/linux/poll.ts';
import { SIGPIPE } from '../../abi/linux/signal.ts';
import { File } from '../fs/file.ts';
import type { Inode } from '../fs/inode.ts';
import { DEV_PIPEFS, PseudoInode, S_IFIFO } from '../fs/pseudo.ts';
import type { Task } from '../process/task.ts';
import { sendSignalToTask } from '../signal/send.ts';
import { waitOn } from '../wait.ts';
import type { Wait, WaitQueues } from '../wait.ts';
import { PIPE_PAGES_SOFT } from './budget.ts';
import type { IpcBudget } from './budget.ts';

export const PIPE_BUF = 4096;
export const PIPE_CAPACITY = 65536;
/** /proc/sys/fs/pipe-max-size. */
export const PIPE_CAPACITY_MAX = 1048576;

const O_ACCMODE = 3, O_WRONLY = 1, O_RDWR = 2, O_NONBLOCK = 0o4000;
const PAGE = 4096;
const F_SETPIPE_SZ = 1031, F_GETPIPE_SZ = 1032;
const NO_BYTES = new Uint8Array(0);

/** Plain data of a pipe. */
export interface PipeState {
  readonly readQueue: number;
  readonly writeQueue: number;
  readonly capacity: number;
  readonly content: Uint8Array;
  readonly writerOpens: number;
  readonly readerOpens: number;
  readonly readersComing: number;
  readonly writersComing: number;
}

/** What a blocked open of a FIFO remembers: how many had opened the other end. */
export interface FifoMemo { readonly fifo: 'reader' | 'writer'; readonly opens: number; readonly dev: number; readonly ino: number }
interface WriteMemo { readonly written: number }

/** What the kernel gives to pipes. */
export interface PipeKernel { readonly waits: WaitQueues; readonly ipc: IpcBudget }

export class Pipe {
  readonly waits: WaitQueues;
  private readonly budget: IpcBudget;
  /** Woken when there is something to read, or the last writer left. */
  readonly readQueue: number;
  /** Woken when there is room, or the last reader left. */
  readonly writeQueue: number;
  capacity: number;
  readers = 0;
  writers = 0;
  /** Opens ever, by end: a blocked opener sees that its partner came even if it has left again. */
  readerOpens = 0;
  writerOpens = 0;
  /** Openers that were let through but have not run yet: they count as readers and writers. */
  readersComing = 0;
  writersComing = 0;
  /** A ring: `length` bytes from `head`. Replaced, not changed, while `shared` with a saved state. */
  private ring: Uint8Array = NO_BYTES;
  private head = 0;
  private shared = false;
  length = 0;

  constructor(kernel: PipeKernel, state: Pick<PipeState, 'readQueue' | 'writeQueue' | 'capacity'> | null = null) {
    const { waits, ipc } = kernel;
    this.waits = waits;
    this.budget = ipc;
    this.readQueue = state ? state.readQueue : waits.newQueue();
    this.writeQueue = state ? state.writeQueue : waits.newQueue();
    this.capacity = state ? state.capacity : ipc.pipePages + PIPE_CAPACITY / PAGE > PIPE_PAGES_SOFT ? PAGE : PIPE_CAPACITY;
  }

  get free(): number { return Math.max(0, this.capacity - this.length); }
  /** True when a write of PIPE_BUF bytes would go through at once. */
  get writable(): boolean { return this.free >= PIPE_BUF; }
  get hasReaders(): boolean { return this.readers + this.readersComing > 0; }
  get hasWriters(): boolean { return this.writers + this.writersComing > 0; }

  /** Takes up to dst.length bytes out; with `peek` they stay. */
  take(dst: Uint8Array, peek = false): number {
    const n = Math.min(dst.length, this.length);
    const first = Math.min(n, this.ring.length - this.head);
    dst.set(this.ring.subarray(this.head, this.head + first));
    if (n > first) dst.set(this.ring.subarray(0, n - first), first);
    if (peek || n === 0) return n;
    const wasFull = !this.writable;
    this.length -= n;
    this.head = this.length === 0 ? 0 : (this.head + n) % this.ring.length;
    if (wasFull && this.writable) this.waits.wake(this.writeQueue);
    return n;
  }

  /** Puts bytes in; the caller has checked that they fit. */
  put(src: Uint8Array): void {
    this.makeRoom(this.length + src.length);
    const at = (this.head + this.length) % this.ring.length;
    const first = Math.min(src.length, this.ring.length - at);
    this.ring.set(src.subarray(0, first), at);
    if (first < src.length) this.ring.set(src.subarray(first), 0);
    this.length += src.length;
    this.waits.wake(this.readQueue);
  }

  private makeRoom(needed: number): void {
    if (needed <= this.ring.length && !this.shared) return;
    let size = 512;
    while (size < needed) size *= 2;
    const bigger = new Uint8Array(Math.max(size, this.shared ? 0 : this.ring.length));
    this.take(bigger.subarray(0, this.length), true);
    this.replaceRing(bigger);
    this.head = 0;
    this.shared = false;
  }

  private replaceRing(ring: Uint8Array): void {
    this.budget.pipeBytes += ring.length - this.ring.length;
    this.ring = ring;
  }

  /** fcntl(F_SETPIPE_SZ): the new capacity in bytes, -EBUSY, -EINVAL or -EPERM. */
  setCapacity(sizeBytes: number): number {
    if (sizeBytes < 0 || sizeBytes > 0x8000_0000) return -EINVAL;
    let size = PAGE;
    while (size < sizeBytes) size *= 2;
    const isTooMuch = size > PIPE_CAPACITY_MAX || this.budget.pipePages + (size - this.capacity) / PAGE > PIPE_PAGES_SOFT;
    if (isTooMuch && size > this.capacity) return -EPERM;
    if (size < this.length) return -EBUSY;
    const couldWrite = this.writable;
    if (this.isCounted) this.budget.pipePages += (size - this.capacity) / PAGE;
    this.capacity = size;
    if (!couldWrite && this.writable) this.waits.wake(this.writeQueue);
    return size;
  }

  /** Whether its pages are in the budget: while any end is open. */
  private isCounted = false;

  opened(canRead: boolean, canWrite: boolean): void {
    if (!this.isCounted) this.budget.pipePages += this.capacity / PAGE;
    this.isCounted = true;
    if (canRead) { this.readers++; this.readerOpens++; }
    if (canWrite) { this.writers++; this.writerOpens++; }
  }

  closed(canRead: boolean, canWrite: boolean): void {
    if (canRead) this.readers--;
    if (canWrite) this.writers--;
    if (this.hasReaders !== this.hasWriters) {
      this.waits.wake(this.readQueue);
      this.waits.wake(this.writeQueue);
    }
    if (!this.hasReaders && !this.hasWriters) {
      this.replaceRing(NO_BYTES);
      this.head = this.length = 0;
      if (this.isCounted) this.budget.pipePages -= this.capacity / PAGE;
      this.isCounted = false;
    }
  }

  save(): PipeState {
    const content = new Uint8Array(this.length);
    this.take(content, true);
    return {
      readQueue: this.readQueue, writeQueue: this.writeQueue, capacity: this.capacity, content,
      writerOpens: this.writerOpens, readerOpens: this.readerOpens,
      readersComing: this.readersComing, writersComing: this.writersComing,
    };
  }

  /** Ends are counted again as their files are restored. */
  static restore(state: PipeState, kernel: PipeKernel): Pipe {
    const pipe = new Pipe(kernel, state);
    pipe.replaceRing(state.content);
    pipe.shared = true;
    pipe.length = state.content.length;
    pipe.writerOpens = state.writerOpens;
    pipe.readerOpens = state.readerOpens;
    pipe.readersComing = state.readersComing;
    pipe.writersComing = state.writersComing;
    return pipe;
  }
}

/** The inode of an anonymous pipe. Opening it (through /proc/PID/fd) makes another end. */
export class PipeInode extends PseudoInode {
  readonly pipe: Pipe;

  constructor(pipe: Pipe, uid: number, gid: number, now: bigint) {
    super({ dev: DEV_PIPEFS, bootTime: now }, `pipe:[${pipe.readQueue + 10_000}]`, S_IFIFO | 0o600, pipe.readQueue + 10_000);
    this.pipe = pipe;
    this.uid = uid;
    this.gid = gid;
  }

  open(flags: number, _task: Task | null): File | number {
    return new PipeFile(this, flags, this.key, this.pipe);
  }
}

/** One end (or, for a FIFO opened O_RDWR, both). */
export class PipeFile extends File {
  override readonly kind = 'pipe';
  readonly pipe: Pipe;
  /** Opened O_NONBLOCK for reading before any writer came: no POLLHUP until there was one (writerOpens then; -1 otherwise). */
  hupAfter = -1;

  constructor(inode: Inode, flags: number, path: string, pipe: Pipe) {
    super(inode, flags, path);
    this.pipe = pipe;
    pipe.opened(this.canRead(), this.canWrite());
  }

  /** An end of a restored pipe: it counts as open, but is no new open. */
  static restore(inode: Inode, flags: number, label: string, pipe: Pipe, hupAfter: number): PipeFile {
    const { readerOpens, writerOpens } = pipe;
    const file = new PipeFile(inode, flags, label, pipe);
    pipe.readerOpens = readerOpens;
    pipe.writerOpens = writerOpens;
    file.hupAfter = hupAfter;
    return file;
  }

  override read(_task: Task, dst: Uint8Array): number | Wait {
    if (dst.length === 0) return 0;
    const pipe = this.pipe;
    if (pipe.length > 0) return pipe.take(dst);
    if (!pipe.hasWriters) return 0;
    return this.flags & O_NONBLOCK ? -EAGAIN : waitOn([pipe.readQueue]);
  }

  override write(task: Task, src: Uint8Array): number | Wait {
    if (src.length === 0) return 0;
    const pipe = this.pipe;
    let written = writtenBefore(task);
    const rest = src.subarray(written);
    if (!pipe.hasReaders) {
      sendSignalToTask(task, SIGPIPE);
      return written || -EPIPE;
    }
    const room = src.length <= PIPE_BUF && pipe.free < rest.length ? 0 : Math.min(pipe.free, rest.length);
    if (room > 0) pipe.put(rest.subarray(0, room));
    written += room;
    if (written === src.length) return written;
    if (this.flags & O_NONBLOCK) return written || -EAGAIN;
    return waitOn([pipe.writeQueue], { onSignal: written || -ERESTARTSYS, memo: { written } satisfies WriteMemo });
  }

  override ioctl(task: Task, command: number, argument: number): number | Wait {
    if (command !== FIONREAD) return -ENOTTY;
    return task.process.mm.writeU32(argument, this.pipe.length);
  }

  override fcntl(_task: Task, command: number, argument: number): number {
    if (command === F_GETPIPE_SZ) return this.pipe.capacity;
    return command === F_SETPIPE_SZ ? this.pipe.setCapacity(argument) : -EINVAL;
  }

  override poll(): number {
    const pipe = this.pipe;
    let events = 0;
    if (this.canRead()) {
      if (pipe.length > 0) events |= POLLIN | POLLRDNORM;
      if (!pipe.hasWriters && this.hupAfter !== pipe.writerOpens) events |= POLLHUP;
    }
    if (this.canWrite()) {
      if (pipe.writable) events |= POLLOUT | POLLWRNORM;
      if (!pipe.hasReaders) events |= POLLERR;
    }
    return events;
  }

  override pollQueues(): readonly number[] {
    if (this.canRead() && this.canWrite()) return [this.pipe.readQueue, this.pipe.writeQueue];
    return [this.canRead() ? this.pipe.readQueue : this.pipe.writeQueue];
  }

  override release(): void {
    this.pipe.closed(this.canRead(), this.canWrite());
    super.release();
  }
}

/** How much of a blocked write is done already (its Wait says), 0 for a new one. */
export function writtenBefore(task: Task): number {
  const memo = task.rerun?.memo as Partial<WriteMemo> | null | undefined;
  return typeof memo?.written === 'number' ? memo.written : 0;
}

/** pipe2(2): the read and the write end. `flags`: O_NONBLOCK. */
export function newPipe(task: Task, flags: number): [PipeFile, PipeFile] {
  const { fsuid, fsgid } = task.process.credentials;
  const inode = new PipeInode(new Pipe(task.kernel), fsuid, fsgid, task.kernel.clock.realtimeNs());
  inode.nlink = 1;
  const status = flags & O_NONBLOCK;
  return [new PipeFile(inode, status, inode.key, inode.pipe), new PipeFile(inode, status | O_WRONLY, inode.key, inode.pipe)];
}

/** The pipes behind FIFOs that are or were open. A cache by identity: what must survive is saved with open files and openers that wait. */
const fifos = new WeakMap<Inode, Pipe>();

/** The pipe of a FIFO that is open or being opened. */
export function fifoOf(inode: Inode): Pipe | undefined {
  return fifos.get(inode);
}

/** What a task that waits in the open of a FIFO, or was just let through, remembers; null for any other. */
export function fifoOpening(task: Task): FifoMemo | null {
  const memo = (task.wait ?? task.rerun)?.memo as Partial<FifoMemo> | null | undefined;
  return memo?.fifo ? (memo as FifoMemo) : null;
}

/** Ties a restored FIFO's inode to its pipe. */
export function adoptFifo(inode: Inode, pipe: Pipe): void {
  fifos.set(inode, pipe);
}

/**
 * Opens a FIFO as fifo(7) says: read-only waits for a writer, write-only for a reader (O_NONBLOCK: -ENXIO), O_RDWR for nobody.
 * The Wait reruns the open.
 */
export function openFifo(inode: Inode, flags: number, task: Task): PipeFile | number | Wait {
  let pipe = fifos.get(inode);
  if (!pipe) {
    pipe = new Pipe(task.kernel);
    fifos.set(inode, pipe);
  }
  const access = flags & O_ACCMODE;
  if (access === O_RDWR) return letIn(pipe, new PipeFile(inode, flags, '', pipe));
  return access === O_WRONLY ? openWriter(pipe, inode, flags, task) : openReader(pipe, inode, flags, task);
}

function openReader(pipe: Pipe, inode: Inode, flags: number, task: Task): PipeFile | number | Wait {
  const memo = fifoOpening(task);
  const met = memo !== null && pipe.writerOpens !== memo.opens;
  if (memo && met && pipe.readersComing > 0) pipe.readersComing--;
  if (!met && !pipe.hasWriters && openersOf(pipe, 'writer') === 0) {
    if (!(flags & O_NONBLOCK)) return waitForPartner(pipe, inode, 'reader');
    const file = new PipeFile(inode, flags, '', pipe);
    file.hupAfter = pipe.writerOpens;
    return letIn(pipe, file);
  }
  return letIn(pipe, new PipeFile(inode, flags, '', pipe));
}

function openWriter(pipe: Pipe, inode: Inode, flags: number, task: Task): PipeFile | number | Wait {
  const memo = fifoOpening(task);
  const met = memo !== null && pipe.readerOpens !== memo.opens;
  if (memo && met && pipe.writersComing > 0) pipe.writersComing--;
  if (!met && !pipe.hasReaders && openersOf(pipe, 'reader') === 0) {
    return flags & O_NONBLOCK ? -ENXIO : waitForPartner(pipe, inode, 'writer');
  }
  return letIn(pipe, new PipeFile(inode, flags, '', pipe));
}

function waitForPartner(pipe: Pipe, { dev, ino }: Inode, fifo: FifoMemo['fifo']): Wait {
  const opens = fifo === 'reader' ? pipe.writerOpens : pipe.readerOpens;
  return waitOn([fifo === 'reader' ? pipe.readQueue : pipe.writeQueue], { memo: { fifo, opens, dev, ino } satisfies FifoMemo });
}

function openersOf(pipe: Pipe, fifo: FifoMemo['fifo']): number {
  const queue = fifo === 'reader' ? pipe.readQueue : pipe.writeQueue;
  return pipe.waits.tasksOn(queue).filter((task) => (task.wait?.memo as Partial<FifoMemo> | null)?.fifo === fifo).length;
}

/** A new end is there: lets the blocked openers of the other end through, and counts them until they run. */
function letIn(pipe: Pipe, file: PipeFile): PipeFile {
  if (file.canWrite()) {
    pipe.readersComing = openersOf(pipe, 'reader');
    pipe.waits.wake(pipe.readQueue);
  }
  if (file.canRead()) {
    pipe.writersComing = openersOf(pipe, 'writer');
    pipe.waits.wake(pipe.writeQueue);
  }
  return file;
}
