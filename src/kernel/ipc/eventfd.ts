// eventfd(2): a 64-bit counter as a file.
//
// Interface: EventFd. Reads and writes move 8 bytes; poll events as the man page lists them.

import { EAGAIN, EINVAL } from '../../abi/linux/errno.ts';
import { POLLERR, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../abi/linux/poll.ts';
import { File } from '../fs/file.ts';
import { AnonInode } from '../fs/pseudo.ts';
import type { Task } from '../process/task.ts';
import { waitOn } from '../wait.ts';
import type { Wait, WaitQueues } from '../wait.ts';

const O_RDWR = 2, O_NONBLOCK = 0o4000;
const COUNTER_MAX = 0xffff_ffff_ffff_fffen;

/** Plain data of an eventfd. */
export interface EventFdState {
  readonly readQueue: number;
  readonly writeQueue: number;
  readonly counter: bigint;
  readonly semaphore: boolean;
}

export class EventFd extends File {
  override readonly kind = 'eventfd';
  private readonly waits: WaitQueues;
  readonly readQueue: number;
  readonly writeQueue: number;
  readonly semaphore: boolean;
  counter: bigint;

  constructor(waits: WaitQueues, state: EventFdState, flags: number) {
    super(new AnonInode('anon_inode:[eventfd]', state.readQueue + 10_000), O_RDWR | (flags & O_NONBLOCK), 'anon_inode:[eventfd]');
    this.waits = waits;
    this.readQueue = state.readQueue;
    this.writeQueue = state.writeQueue;
    this.semaphore = state.semaphore;
    this.counter = state.counter;
  }

  /** `flags`: O_NONBLOCK. */
  static make(waits: WaitQueues, counter: bigint, semaphore: boolean, flags: number): EventFd {
    return new EventFd(waits, { readQueue: waits.newQueue(), writeQueue: waits.newQueue(), counter, semaphore }, flags);
  }

  override read(_task: Task, dst: Uint8Array): number | Wait {
    if (dst.length < 8) return -EINVAL;
    if (this.counter === 0n) return this.flags & O_NONBLOCK ? -EAGAIN : waitOn([this.readQueue]);
    const value = this.semaphore ? 1n : this.counter;
    this.counter -= value;
    new DataView(dst.buffer, dst.byteOffset, 8).setBigUint64(0, value, true);
    this.waits.wake(this.writeQueue);
    return 8;
  }

  override write(_task: Task, src: Uint8Array): number | Wait {
    if (src.length < 8) return -EINVAL;
    const value = new DataView(src.buffer, src.byteOffset, 8).getBigUint64(0, true);
    if (value > COUNTER_MAX) return -EINVAL;
    if (this.counter + value > COUNTER_MAX) return this.flags & O_NONBLOCK ? -EAGAIN : waitOn([this.writeQueue]);
    this.counter += value;
    this.waits.wake(this.readQueue);
    return 8;
  }

  /** Accepted and without effect (noop_llseek). */
  override seek(): number {
    return 0;
  }

  override poll(): number {
    let events = 0;
    if (this.counter > 0n) events |= POLLIN | POLLRDNORM;
    if (this.counter > COUNTER_MAX) events |= POLLERR;
    if (this.counter < COUNTER_MAX) events |= POLLOUT | POLLWRNORM;
    return events;
  }

  override pollQueues(): readonly number[] {
    return [this.readQueue, this.writeQueue];
  }

  save(): EventFdState {
    return { readQueue: this.readQueue, writeQueue: this.writeQueue, counter: this.counter, semaphore: this.semaphore };
  }
}
