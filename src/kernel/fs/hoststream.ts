// Descriptors 0, 1 and 2 of the first process: pipes whose other end is the host. To a program they look like the ends of
// pipe(7)s: S_IFIFO, isatty(3) says ENOTTY, no seeking.
//
// Interface: HostStreams (one per sandbox): `stdin` is the queue the engine pushes into; openStdin() and openOutput() make
// the files. What is written goes to `host.output` at once; all streams together honour limits.outputBytesMax: what fits
// is delivered, then the sandbox ends with a limit reason.

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
  readonly stdin: StdinState;
  readonly outQueue: number;
  readonly outputBytes: number;
}

/** The three host streams of a sandbox. */
export class HostStreams {
  readonly kernel: StreamKernel;
  stdin: StdinQueue;
  /** Bytes written to the output streams so far. */
  outputBytes = 0;
  /** Never woken: output is always ready, but epoll wants something to watch. */
  readonly outQueue: number;

  constructor(kernel: StreamKernel, state: HostStreamsState | null = null) {
    this.kernel = kernel;
    this.stdin = state ? StdinQueue.restore(state.stdin, kernel.waits) : new StdinQueue(kernel.waits);
    this.outQueue = state ? state.outQueue : kernel.waits.newQueue();
    this.outputBytes = state ? state.outputBytes : 0;
  }

  openStdin(): HostInputFile {
    return new HostInputFile(new HostStreamInode(this, 0), 0);
  }

  /** `stream`: 1 stdout, 2 stderr. */
  openOutput(stream: number): HostOutputFile {
    return new HostOutputFile(new HostStreamInode(this, stream), O_WRONLY);
  }

  /** Delivers what the limit still allows; the rest ends the sandbox. Returns bytes delivered. */
  output(stream: number, bytes: Uint8Array): number {
    const max = this.kernel.limits.outputBytesMax;
    const n = Math.min(bytes.length, Math.max(0, max - this.outputBytes));
    this.outputBytes += n;
    if (n > 0) this.kernel.host.output(stream, n === bytes.length ? bytes : bytes.subarray(0, n));
    if (n < bytes.length) this.kernel.end({ kind: 'limit', limit: 'output', detail: `more than ${max} bytes of output` });
    return n;
  }

  save(): HostStreamsState {
    return { stdin: this.stdin.save(), outQueue: this.outQueue, outputBytes: this.outputBytes };
  }
}

/** The pipe a host stream looks like: 0 stdin, 1 stdout, 2 stderr. Opening it (through /dev/stdout) gives another end. */
export class HostStreamInode extends PseudoInode {
  readonly streams: HostStreams;
  readonly stream: number;

  constructor(streams: HostStreams, stream: number) {
    super({ dev: DEV_PIPEFS, bootTime: 0n }, `pipe:[${stream + 1001}]`, S_IFIFO | 0o600, stream + 1001);
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

  override write(_task: Task, src: Uint8Array): number {
    return this.streams.output(this.stream, src);
  }

  override ioctl(task: Task, command: number, argument: number): number {
    return command === FIONREAD ? task.process.mm.writeU32(argument, 0) : -ENOTTY;
  }

  override poll(): number {
    return POLLOUT | POLLWRNORM;
  }

  override pollQueues(): readonly number[] {
    return [this.streams.outQueue];
  }
}
