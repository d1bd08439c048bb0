// epoll(7): interest list, ready list, level- and edge-triggered and one-shot events.
//
// Interface: EpollFile: `control` (epoll_ctl), `collect` (epoll_wait). Each item watches the wait queues of its file; a wake
// puts it on the ready list, as ep_poll_callback does in Linux, so edges are seen whether or not anyone waits. An item does
// not keep its file open: items of closed files are dropped when met.

import { EBADF, EEXIST, EINVAL, ELOOP, ENOENT, ENOSPC, EPERM } from '../../abi/linux/errno.ts';
import {
  EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT, EPOLLWAKEUP, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EP_MAX_NESTS,
} from '../../abi/linux/epoll.ts';
import { POLLERR, POLLHUP, POLLIN, POLLRDNORM } from '../../abi/linux/poll.ts';
import { File } from '../fs/file.ts';
import { AnonInode } from '../fs/pseudo.ts';
import type { QueueWatcher, WaitQueues } from '../wait.ts';
import type { MonotonicClock } from './timerfd.ts';

/** Queues watched by all epoll instances of a sandbox (Linux: /proc/sys/fs/epoll/max_user_watches). */
const WATCHES_MAX = 65536;
/** Epoll instances one may contain, and be contained in: with the depth this bounds the ways a wake or a poll can take. */
const NESTED_MAX = 16;
/** The flags that survive a fired EPOLLONESHOT. */
const PRIVATE_BITS = (EPOLLWAKEUP | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLET) >>> 0;

/** One registered (descriptor, open file). */
class Item implements QueueWatcher {
  readonly owner: EpollFile;
  readonly fd: number;
  readonly file: File;
  events: number;
  data: bigint;
  /** When the file's poll state changes by itself next (timerfd); an edge is due then. */
  edgeNs = Infinity;
  /** The queues it watches. */
  private queues: readonly number[] = [];

  constructor(owner: EpollFile, fd: number, file: File, events: number, data: bigint) {
    this.owner = owner;
    this.fd = fd;
    this.file = file;
    this.events = events;
    this.data = data;
  }

  watch(waits: WaitQueues): void {
    this.queues = this.file.pollQueues();
    for (const id of this.queues) waits.watch(id, this);
    this.edgeNs = this.file.pollDeadlineNs();
  }

  unwatch(waits: WaitQueues): void {
    for (const id of this.queues) waits.unwatch(id, this);
    this.queues = [];
  }

  queueWoken(_id: number): void {
    this.edgeNs = Math.min(this.edgeNs, this.file.pollDeadlineNs());
    this.owner.itemWoken(this);
  }

  /** The events to report now; 0 when disabled. */
  pending(): number {
    return this.file.poll() & this.events & ~PRIVATE_BITS;
  }
}

/** What epoll_wait(2) hands out. */
export interface EpollEvent { readonly events: number; readonly data: bigint }

/** Plain data; `F` stands for the open file: File while saving, whatever savefs puts in its place in a state. */
export interface EpollState<F> {
  readonly queue: number;
  readonly items: readonly EpollItemState<F>[];
}

export interface EpollItemState<F> {
  readonly fd: number;
  readonly file: F;
  readonly events: number;
  readonly data: bigint;
  readonly ready: boolean;
  /** When an edge is due that nobody has seen; Infinity for none. */
  readonly edgeNs: number;
}

export class EpollFile extends File {
  override readonly kind = 'epoll';
  private readonly waits: WaitQueues;
  private readonly clock: MonotonicClock;
  /** Woken when an item becomes ready. */
  readonly queue: number;
  private readonly items: Item[] = [];
  /** The instances this one is in, once for each time. */
  private readonly parents: EpollFile[] = [];
  private readonly ready = new Set<Item>();

  constructor(waits: WaitQueues, clock: MonotonicClock, queue = waits.newQueue()) {
    super(new AnonInode('anon_inode:[eventpoll]', queue + 10_000), 2, 'anon_inode:[eventpoll]');
    this.waits = waits;
    this.clock = clock;
    this.queue = queue;
  }

  /** epoll_ctl(2). `events` is a u32. 0 or -errno. */
  control(op: number, fd: number, file: File, events: number, data: bigint): number {
    if (file === this) return -EINVAL;
    if (file.pollQueues().length === 0) return -EPERM;
    const item = this.items.find((i) => i.file === file && i.fd === fd);
    switch (op) {
      case EPOLL_CTL_ADD: return item ? -EEXIST : this.add(fd, file, events, data);
      case EPOLL_CTL_MOD: return item ? this.modify(item, events, data) : -ENOENT;
      case EPOLL_CTL_DEL:
        if (!item) return -ENOENT;
        this.remove(item);
        return 0;
      default: return -EINVAL;
    }
  }

  private add(fd: number, file: File, events: number, data: bigint): number {
    if (file instanceof EpollFile) {
      if ((events & EPOLLEXCLUSIVE) !== 0) return -EINVAL;
      if (file.reaches(this, 0) || file.depth(0) + this.height(0) >= EP_MAX_NESTS) return -ELOOP;
      const nested = this.items.filter((item) => item.file instanceof EpollFile).length;
      if (file.parents.length >= NESTED_MAX || nested >= NESTED_MAX) return -EINVAL;
      file.parents.push(this);
    }
    this.prune();
    if (this.waits.watchCount >= WATCHES_MAX) return -ENOSPC;
    const item = new Item(this, fd, file, (events | POLLERR | POLLHUP) >>> 0, data);
    this.items.push(item);
    item.watch(this.waits);
    if (item.pending() !== 0) this.itemWoken(item);
    return 0;
  }

  private modify(item: Item, events: number, data: bigint): number {
    if (((events | item.events) & EPOLLEXCLUSIVE) !== 0) return -EINVAL;
    item.events = (events | POLLERR | POLLHUP) >>> 0;
    item.data = data;
    if (item.pending() !== 0) this.itemWoken(item);
    return 0;
  }

  private remove(item: Item): void {
    item.unwatch(this.waits);
    this.forgetIn(item);
    this.ready.delete(item);
    this.items.splice(this.items.indexOf(item), 1);
  }

  /** This is no longer a parent of the item's file. */
  private forgetIn({ file }: Item): void {
    if (!(file instanceof EpollFile)) return;
    const at = file.parents.indexOf(this);
    if (at >= 0) file.parents.splice(at, 1);
  }

  /** Drops the items whose files were closed. */
  private prune(): void {
    for (const item of [...this.items]) if (item.file.refs <= 0) this.remove(item);
  }

  /** True when `target` is this instance or inside it. */
  private reaches(target: EpollFile, level: number): boolean {
    if (this === target || level > EP_MAX_NESTS) return true;
    return this.items.some((item) => item.file instanceof EpollFile && item.file.refs > 0 && item.file.reaches(target, level + 1));
  }

  /** How many epoll instances are nested below. */
  private depth(level: number): number {
    let depth = level;
    for (const { file } of this.items) if (file instanceof EpollFile && file.refs > 0) depth = Math.max(depth, file.depth(level + 1));
    return depth;
  }

  /** How many epoll instances are nested above. */
  private height(level: number): number {
    return this.parents.reduce((height, parent) => Math.max(height, parent.height(level + 1)), level);
  }

  /** Its file may have changed: onto the ready list, and wake who waits here. */
  itemWoken(item: Item): void {
    if ((item.events & ~PRIVATE_BITS) === 0) return;
    this.ready.add(item);
    this.waits.wake(this.queue);
  }

  /** Files that change by themselves: those whose time has come are ready. */
  private checkDeadlines(): void {
    const now = this.clock.monotonicNs();
    for (const item of this.items) {
      if (item.edgeNs > now) continue;
      this.ready.add(item);
      item.edgeNs = item.file.pollDeadlineNs();
    }
  }

  /** Takes up to `max` events: epoll_wait(2) without waiting. */
  collect(max: number): EpollEvent[] {
    this.checkDeadlines();
    const out: EpollEvent[] = [];
    const again: Item[] = [];
    for (const item of this.ready) {
      if (out.length >= max) break;
      this.ready.delete(item);
      if (item.file.refs <= 0) {
        this.remove(item);
        continue;
      }
      const events = item.pending();
      if (events === 0) continue;
      out.push({ events, data: item.data });
      if ((item.events & EPOLLONESHOT) !== 0) item.events = (item.events & PRIVATE_BITS) >>> 0;
      else if ((item.events & EPOLLET) === 0) again.push(item);
    }
    for (const item of again) this.ready.add(item);
    return out;
  }

  /** Accepted and without effect (noop_llseek). */
  override seek(): number {
    return 0;
  }

  override poll(): number {
    this.checkDeadlines();
    for (const item of this.ready) {
      if (item.file.refs > 0 && item.pending() !== 0) return POLLIN | POLLRDNORM;
    }
    return 0;
  }

  override pollQueues(): readonly number[] {
    return [this.queue];
  }

  override pollDeadlineNs(): number {
    let earliest = Infinity;
    for (const item of this.items) earliest = Math.min(earliest, item.edgeNs);
    return earliest;
  }

  /** Lines of /proc/PID/fdinfo/FD beyond pos, flags, mnt_id and ino. */
  fdinfo(): string {
    return this.items.filter((item) => item.file.refs > 0).map((item) =>
      `tfd: ${String(item.fd).padStart(8)} events: ${item.events.toString(16).padStart(8)} data: ${item.data.toString(16).padStart(16)} `
      + ` pos:${item.file.pos} ino:${item.file.inode.ino.toString(16)} sdev:${item.file.inode.dev.toString(16)}\n`).join('');
  }

  override release(): void {
    for (const item of this.items) {
      item.unwatch(this.waits);
      this.forgetIn(item);
    }
    this.items.length = 0;
    this.ready.clear();
    super.release();
  }

  save(): EpollState<File> {
    this.prune();
    const items = this.items.map((item) => ({
      fd: item.fd, file: item.file, events: item.events, data: item.data, ready: this.ready.has(item), edgeNs: item.edgeNs,
    }));
    return { queue: this.queue, items };
  }

  /** Fills a new instance (made with the saved queue) once all files exist. */
  restoreItems(items: EpollState<File>['items']): void {
    for (const saved of items) {
      const item = new Item(this, saved.fd, saved.file, saved.events, saved.data);
      this.items.push(item);
      item.watch(this.waits);
      item.edgeNs = saved.edgeNs;
      if (saved.file instanceof EpollFile) saved.file.parents.push(this);
      if (saved.ready) this.ready.add(item);
    }
  }
}

/** The instance behind a descriptor: -EINVAL when it is another kind of file, -EBADF when there is none. */
export function epollOf(file: File | null): EpollFile | number {
  if (!file) return -EBADF;
  return file instanceof EpollFile ? file : -EINVAL;
}
