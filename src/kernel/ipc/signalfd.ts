// signalfd(2): pending signals as records to read. Reading takes them as sigwaitinfo(2) would.
//
// Interface: SignalFd. A read concerns the signals of whoever reads; readiness is that of the process that made it, because
// poll events are asked for without a reader. Its queue is the process's SignalState.fdQueue, which a fork shares.

import { EAGAIN, EINVAL } from '../../abi/linux/errno.ts';
import { POLLIN, POLLRDNORM } from '../../abi/linux/poll.ts';
import { SIGCHLD } from '../../abi/linux/signal.ts';
import { File } from '../fs/file.ts';
import { AnonInode } from '../fs/pseudo.ts';
import type { Process } from '../process/process.ts';
import type { Task } from '../process/task.ts';
import { takePending } from '../signal/state.ts';
import type { SigInfo } from '../signal/state.ts';
import { waitOn } from '../wait.ts';
import type { Wait } from '../wait.ts';

const O_RDWR = 2, O_NONBLOCK = 0o4000;
/** struct signalfd_siginfo. */
const RECORD_BYTES = 128;
const NAME = 'anon_inode:[signalfd]';

export interface SignalFdState {
  readonly pid: number;
  readonly queue: number;
  readonly mask: bigint;
}

/** What a SignalFd needs of the kernel. */
export interface SignalFdKernel {
  readonly processes: ReadonlyMap<number, Process>;
  readonly main: Process | null;
}

export class SignalFd extends File {
  override readonly kind = 'signalfd';
  private readonly kernel: SignalFdKernel;
  private readonly pid: number;
  private readonly queue: number;
  /** Changed by signalfd(2) on an open one. */
  mask: bigint;

  constructor(kernel: SignalFdKernel, state: SignalFdState, flags: number) {
    super(new AnonInode(NAME, state.queue + 10_000), O_RDWR | (flags & O_NONBLOCK), NAME);
    this.kernel = kernel;
    this.pid = state.pid;
    this.queue = state.queue;
    this.mask = state.mask;
  }

  override read(task: Task, dst: Uint8Array): number | Wait {
    if (dst.length < RECORD_BYTES) return -EINVAL;
    let done = 0;
    for (; done + RECORD_BYTES <= dst.length; done += RECORD_BYTES) {
      const info = takePending(task, this.mask) ?? takePending(task.process.signals, this.mask);
      if (!info) break;
      dst.set(encodeRecord(info), done);
    }
    if (done > 0) return done;
    if (this.flags & O_NONBLOCK) return -EAGAIN;
    const { signals } = task.process;
    if (signals.fdQueue === 0) signals.fdQueue = task.kernel.waits.newQueue();
    return waitOn([signals.fdQueue]);
  }

  override poll(): number {
    const owner = this.kernel.processes.get(this.pid) ?? this.kernel.main;
    let pending = owner?.signals.pending ?? 0n;
    for (const task of owner?.tasks ?? []) pending |= task.pending;
    return (pending & this.mask) !== 0n ? POLLIN | POLLRDNORM : 0;
  }

  override pollQueues(): readonly number[] {
    return [this.queue];
  }

  save(): SignalFdState {
    return { pid: this.pid, queue: this.queue, mask: this.mask };
  }
}

function encodeRecord(info: SigInfo): Uint8Array {
  const bytes = new Uint8Array(RECORD_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, info.signo, true);
  view.setInt32(4, info.errno, true);
  view.setInt32(8, info.code, true);
  view.setUint32(12, info.pid, true);
  view.setUint32(16, info.uid, true);
  view.setUint32(24, info.timerid, true);
  view.setUint32(32, info.overrun, true);
  if (info.signo === SIGCHLD) view.setInt32(40, info.status, true);
  view.setInt32(44, Number(BigInt.asIntN(32, info.value)), true);
  view.setBigUint64(48, info.value, true);
  view.setBigUint64(72, BigInt(info.addr), true);
  return bytes;
}
