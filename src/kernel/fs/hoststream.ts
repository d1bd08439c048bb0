// Descriptors 0, 1 and 2 of the first process, and of each program the engine starts beside it (process/programs.ts): pipes whose
// other end is the host. To a program they look like the ends of pipe(7)s: S_IFIFO, isatty(3) says ENOTTY, no seeking.
//
// Interface: HostStreams (one per program): `stdin` is the queue the engine pushes into; openStdin() and openOutput() make
// the files. What is written goes to `host.output` at once; a program's streams together honour a limit: what fits is delivered,
// then the sandbox ends with a limit reason, or, for a program beside the first, `onPassed` is called and the rest is dropped.

import { EACCES, EAGAIN, ENOTTY } from '../../abi/linux/errno.ts';
import { FIONREAD } from '../../abi/linux/ioctl.ts';
import { POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../abi/linux/poll.ts';
import type { EndReason } from '../end.ts';
import type { Task } from '../process/task.ts';
import type { Host } from '../../platform.ts';
import { waitOn } from '../wait.ts';
import type { Wait, WaitQueues } from '../wait.ts';
import { File } from './file.ts';
import { DEV_PIPEFS, PseudoInode, S_IFIFO } from './pseudo.ts';

const O_WRONLY = 1, O_NONBLOCK = 0o4000, O_ACCMODE = 3;

/** What the streams need of the kernel. */
export interface StreamKernel {
  readonly waits: WaitQueues;
  readonly host: Host;
  readonly limits: { readonly outputBytesMax: number };
  end(reason: EndReason): void;
}

/** Bytes on their way to the guest's standard input. */
export class StdinQueue {
  private readonly waits: WaitQueues;
  /** Woken when bytes or the end arrive. */
  readonly queue: number;
  /** Pieces in order; the first from `head` on. Pieces are never changed. */
  private pieces: Uint8Array[] = [];
  private head = 0;
  /** Bytes not read yet. */
  queuedBytes = 0;
  closed = false;

  constructor(waits: WaitQueues, queue = waits.newQueue()) {
    this.waits = waits;
    this.queue = queue;
  }

  /** Queues bytes; they must not be changed afterwards. Ignored after `close`. The engine watches `queuedBytes` for backpressure. */
  push(bytes: Uint8Array): void {
    if (this.closed || bytes.length === 0) return;
    this.pieces.push(bytes);
    this.queuedBytes += bytes.length;
    this.waits.wake(this.queue);
  }

  /** End of input: readers get 0 once everything is read. */
  close(): void {
    this.closed = true;
    this.waits.wake(this.queue);
  }

  take(dst: Uint8Array): number {
    let done = 0;
    while (done < dst.length && this.pieces.length > 0) {
      const piece = this.pieces[0];
      const n = Math.min(dst.length - done, piece.length - this.head);
      dst.set(piece.subarray(this.head, this.head + n), done);
      done += n;
      this.head += n;
      if (this.head === piece.length) {
        this.pieces.shift();
        this.head = 0;
      }
    }
    this.queuedBytes -= done;
    return done;
  }

  save(): StdinState {
    const bytes = new Uint8Array(this.queuedBytes);
    let at = 0;
    this.pieces.forEach((piece, index) => {
      const part = index === 0 ? piece.subarray(this.head) : piece;
      bytes.set(part, at);
      at += part.length;
    });
    return { queue: this.queue, bytes, closed: this.closed };
  }

  static restore(state: StdinState, waits: WaitQueues): StdinQueue {
    const stdin = new StdinQueue(waits, state.queue);
    if (state.bytes.length > 0) stdin.pieces.push(state.bytes);
    stdin.queuedBytes = state.bytes.length;
    stdin.closed = state.closed;
    return stdin;
  }
}

export interface StdinState {
  readonly queue: number;
  readonly bytes: Uint8Array;
  readonly closed: boolean;
}

export interface HostStreamsState {
  readonly id: number;
  readonly bytesMax: number | null;
  readonly stdin: StdinState;
  readonly outQueue: number;
  readonly outputBytes: number;
  readonly isClosed: boolean;
}

/** Programs' streams have numbers of their own for the host: this times the program's id, and 1 or 2. */
export const STREAMS = 4;

/** The three host streams of a program. */
export class HostStreams {
  readonly kernel: StreamKernel;
  /** 0: the first program's. */
  readonly id: number;
  /** Bytes that may be written; null: the sandbox's limit. */
  bytesMax: number | null = null;
  /** Nobody listens any more: what is written is lost. */
  isClosed = false;
  /** Writers wait, until `letGo`. Not saved. */
  isHeld = false;
  /** Called once when a program beside the first wrote too much. Not saved. */
  onPassed: (() => void) | null = null;
  stdin: StdinQueue;
  /** Bytes written to the output streams so far. */
  outputBytes = 0;
  /** Woken when writers that were held back may go on. */
  readonly outQueue: number;

  constructor(kernel: StreamKernel, state: HostStreamsState | null = null, id = 0) {
    this.kernel = kernel;
    this.id = state ? state.id : id;
    this.bytesMax = state ? state.bytesMax : null;
    this.stdin = state ? StdinQueue.restore(state.stdin, kernel.waits) : new StdinQueue(kernel.waits);
    this.outQueue = state ? state.outQueue : kernel.waits.newQueue();
    this.outputBytes = state ? state.outputBytes : 0;
    this.isClosed = state ? state.isClosed : false;
  }

  openStdin(): HostInputFile {
    return new HostInputFile(new HostStreamInode(this, 0), 0);
  }

  /** `stream`: 1 stdout, 2 stderr. */
  openOutput(stream: number): HostOutputFile {
    return new HostOutputFile(new HostStreamInode(this, stream), O_WRONLY);
  }

  /** Delivers what the limit still allows; the rest ends the sandbox, or is dropped. Returns bytes that count as written. */
  output(stream: number, bytes: Uint8Array): number {
    if (this.isClosed) return bytes.length;
    const max = this.bytesMax ?? this.kernel.limits.outputBytesMax;
    const n = Math.min(bytes.length, Math.max(0, max - this.outputBytes));
    this.outputBytes += n;
    if (n > 0) this.kernel.host.output(this.id * STREAMS + stream, n === bytes.length ? bytes : bytes.subarray(0, n));
    if (n === bytes.length) return n;
    if (this.id === 0) {
      this.kernel.end({ kind: 'limit', limit: 'output', detail: `more than ${max} bytes of output` });
      return n;
    }
    this.onPassed?.();
    return bytes.length;
  }

  /** Input starts anew: what nobody read of the old is dropped. */
  renewStdin(): void {
    this.stdin = new StdinQueue(this.kernel.waits, this.stdin.queue);
  }

  /** Writers that were held back go on. */
  letGo(): void {
    this.isHeld = false;
    this.kernel.waits.wake(this.outQueue);
  }

  save(): HostStreamsState {
    const { id, bytesMax, outQueue, outputBytes, isClosed } = this;
    return { id, bytesMax, stdin: this.stdin.save(), outQueue, outputBytes, isClosed };
  }
}

/** The pipe a host stream looks like: 0 stdin, 1 stdout, 2 stderr. Opening it (through /dev/stdout) gives another end. */
export class HostStreamInode extends PseudoInode {
  readonly streams: HostStreams;
  readonly stream: number;

  constructor(streams: HostStreams, stream: number) {
    const ino = streams.id * STREAMS + stream + 1001;
    super({ dev: DEV_PIPEFS, bootTime: 0n }, `pipe:[${ino}]`, S_IFIFO | 0o600, ino);
    this.streams = streams;
    this.stream = stream;
    // Any user of the sandbox may reopen its own streams through /dev/stdin and /dev/stdout.
    this.mode |= stream === 0 ? 0o044 : 0o022;
  }

  open(flags: number, _task: Task | null): File | number {
    const access = flags & O_ACCMODE;
    if (this.stream === 0) return access === 0 ? new HostInputFile(this, flags) : -EACCES;
    return access === 0 ? -EACCES : new HostOutputFile(this, flags);
  }
}

/** Standard input. */
export class HostInputFile extends File {
  override readonly kind = 'hostin';
  private readonly streams: HostStreams;

  constructor(inode: HostStreamInode, flags: number) {
    super(inode, flags, inode.key);
    this.streams = inode.streams;
  }

  /** Whose input it is. */
  get program(): number {
    return this.streams.id;
  }

  override read(_task: Task, dst: Uint8Array): number | Wait {
    const { stdin } = this.streams;
    if (dst.length === 0) return 0;
    if (stdin.queuedBytes > 0) return stdin.take(dst);
    if (stdin.closed) return 0;
    return this.flags & O_NONBLOCK ? -EAGAIN : waitOn([stdin.queue]);
  }

  override ioctl(task: Task, command: number, argument: number): number {
    if (command !== FIONREAD) return -ENOTTY;
    return task.process.mm.writeU32(argument, Math.min(this.streams.stdin.queuedBytes, 0x7fff_ffff));
  }

  override poll(): number {
    const { stdin } = this.streams;
    return (stdin.queuedBytes > 0 ? POLLIN | POLLRDNORM : 0) | (stdin.closed ? POLLHUP : 0);
  }

  override pollQueues(): readonly number[] {
    return [this.streams.stdin.queue];
  }
}

/** Standard output or standard error. */
export class HostOutputFile extends File {
  override readonly kind = 'hostout';
  private readonly streams: HostStreams;
  readonly stream: number;

  constructor(inode: HostStreamInode, flags: number) {
    super(inode, flags, inode.key);
    this.streams = inode.streams;
    this.stream = inode.stream;
  }

  override write(_task: Task, src: Uint8Array): number | Wait {
    if (!this.streams.isHeld) return this.streams.output(this.stream, src);
    return this.flags & O_NONBLOCK ? -EAGAIN : waitOn([this.streams.outQueue]);
  }

  /** Whose output it is. */
  get program(): number {
    return this.streams.id;
  }

  override ioctl(task: Task, command: number, argument: number): number {
    return command === FIONREAD ? task.process.mm.writeU32(argument, 0) : -ENOTTY;
  }

  override poll(): number {
    return this.streams.isHeld ? 0 : POLLOUT | POLLWRNORM;
  }

  override pollQueues(): readonly number[] {
    return [this.streams.outQueue];
  }
}
