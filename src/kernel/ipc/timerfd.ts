// timerfd_create(2): a timer whose expirations are read from a file.
//
// Interface: TimerFd. Time is the sandbox's CLOCK_MONOTONIC in nanoseconds; nothing runs when a timer expires: reads and
// polls compute the expirations from the clock, and `pollDeadlineNs` tells pollers when to look again. CLOCK_REALTIME
// timers are turned into monotonic ones when they are set (a sandbox cannot set its clock).

import { EAGAIN, EINVAL } from '../../abi/linux/errno.ts';
import { POLLIN, POLLRDNORM } from '../../abi/linux/poll.ts';
import { File } from '../fs/file.ts';
import { AnonInode } from '../fs/pseudo.ts';
import type { Task } from '../process/task.ts';
import { waitOn } from '../wait.ts';
import type { Wait, WaitQueues } from '../wait.ts';

const O_RDWR = 2, O_NONBLOCK = 0o4000;

/** The clock a timerfd needs (kernel.clock). */
export interface MonotonicClock { monotonicNs(): number }

/** Plain data of a timerfd. */
export interface TimerFdState {
  readonly queue: number;
  /** CLOCK_* it was created with. */
  readonly clockId: number;
  /** Next expiration; 0: disarmed. */
  readonly nextNs: number;
  readonly intervalNs: number;
  /** Expirations counted and not read. */
  readonly ticks: number;
}

export class TimerFd extends File {
  override readonly kind = 'timerfd';
  private readonly waits: WaitQueues;
  private readonly clock: MonotonicClock;
  /** Woken when the timer is set. */
  readonly queue: number;
  readonly clockId: number;
  private nextNs: number;
  private intervalNs: number;
  private ticks: number;

  constructor(waits: WaitQueues, clock: MonotonicClock, state: TimerFdState, flags: number) {
    super(new AnonInode('anon_inode:[timerfd]', state.queue + 10_000), O_RDWR | (flags & O_NONBLOCK), 'anon_inode:[timerfd]');
    this.waits = waits;
    this.clock = clock;
    this.queue = state.queue;
    this.clockId = state.clockId;
    this.nextNs = state.nextNs;
    this.intervalNs = state.intervalNs;
    this.ticks = state.ticks;
  }

  static make(waits: WaitQueues, clock: MonotonicClock, clockId: number, flags: number): TimerFd {
    return new TimerFd(waits, clock, { queue: waits.newQueue(), clockId, nextNs: 0, intervalNs: 0, ticks: 0 }, flags);
  }

  /** Arms for `nextNs` (absolute; 0 disarms) and every `intervalNs` after that (0: once). */
  set(nextNs: number, intervalNs: number): void {
    this.nextNs = nextNs;
    this.intervalNs = intervalNs;
    this.ticks = 0;
    this.waits.wake(this.queue);
  }

  /** Nanoseconds to the next expiration (0: disarmed) and the interval. */
  get(): { valueNs: number; intervalNs: number } {
    this.catchUp();
    const valueNs = this.nextNs === 0 ? 0 : Math.max(1, this.nextNs - this.clock.monotonicNs());
    return { valueNs, intervalNs: this.intervalNs };
  }

  /** Counts the expirations up to now. */
  private catchUp(): void {
    if (this.nextNs === 0) return;
    const late = this.clock.monotonicNs() - this.nextNs;
    if (late < 0) return;
    if (this.intervalNs === 0) {
      this.ticks++;
      this.nextNs = 0;
      return;
    }
    const passed = Math.floor(late / this.intervalNs) + 1;
    this.ticks += passed;
    this.nextNs += passed * this.intervalNs;
  }

  override read(_task: Task, dst: Uint8Array): number | Wait {
    if (dst.length < 8) return -EINVAL;
    this.catchUp();
    if (this.ticks === 0) {
      if (this.flags & O_NONBLOCK) return -EAGAIN;
      return waitOn([this.queue], { deadlineNs: this.nextNs === 0 ? Infinity : this.nextNs });
    }
    new DataView(dst.buffer, dst.byteOffset, 8).setBigUint64(0, BigInt(this.ticks), true);
    this.ticks = 0;
    return 8;
  }

  /** Accepted and without effect (noop_llseek). */
  override seek(): number {
    return 0;
  }

  override poll(): number {
    this.catchUp();
    return this.ticks > 0 ? POLLIN | POLLRDNORM : 0;
  }

  override pollQueues(): readonly number[] {
    return [this.queue];
  }

  override pollDeadlineNs(): number {
    this.catchUp();
    return this.nextNs === 0 ? Infinity : this.nextNs;
  }

  save(): TimerFdState {
    return { queue: this.queue, clockId: this.clockId, nextNs: this.nextNs, intervalNs: this.intervalNs, ticks: this.ticks };
  }
}
