// inotify(7): a file to read what happens to other files.
//
// Interface: Inotify (watch, unwatch). What happens is told by fs/notify.ts. Limits are those /proc/sys/fs/inotify shows, the numbers of
// instances and watches by user; and all events that wait.

import { EAGAIN, EEXIST, EINVAL, ENOSPC, ENOTTY } from '../../abi/linux/errno.ts';
import {
  IN_ALL_EVENTS, IN_EXCL_UNLINK, IN_IGNORED, IN_ISDIR, IN_MASK_ADD, IN_MASK_CREATE, IN_ONESHOT, IN_Q_OVERFLOW, IN_UNMOUNT, INOTIFY_EVENT_BYTES,
} from '../../abi/linux/inotify.ts';
import { POLLIN, POLLRDNORM } from '../../abi/linux/poll.ts';
import { FIONREAD } from '../../abi/linux/ioctl.ts';
import { File } from '../fs/file.ts';
import type { Inode } from '../fs/inode.ts';
import type { Watch, Watcher } from '../fs/notify.ts';
import { AnonInode } from '../fs/pseudo.ts';
import type { Task } from '../process/task.ts';
import { waitOn } from '../wait.ts';
import type { Wait, WaitQueues } from '../wait.ts';
import type { IpcBudget } from './budget.ts';

const O_NONBLOCK = 0o4000;
const NAME = 'anon_inode:inotify';
/** /proc/sys/fs/inotify. */
export const INOTIFY_WATCHES_MAX = 8192, INOTIFY_INSTANCES_MAX = 128, INOTIFY_EVENTS_MAX = 16384;
/** Events that wait in all queues of a sandbox together: they are kept in the worker's heap. */
const SANDBOX_EVENTS_MAX = 4 * INOTIFY_EVENTS_MAX;
/** What of a watch's mask is kept. */
const KEPT = IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK;

/** What the kernel gives to it. */
export interface InotifyKernel { readonly waits: WaitQueues; readonly ipc: IpcBudget }

interface Event {
  readonly wd: number;
  readonly mask: number;
  readonly cookie: number;
  readonly name: string;
}

export interface InotifyState<I> {
  readonly queue: number;
  readonly uid: number;
  readonly lastWd: number;
  readonly events: readonly Event[];
  /** Null: an inode that no saved state can name (a pipe, /proc), and that nothing is told of anyway. */
  readonly watches: readonly { readonly wd: number; readonly mask: number; readonly inode: I | null }[];
}

export class Inotify extends File implements Watcher {
  override readonly kind = 'inotify';
  /** Whose limits it counts for. */
  readonly uid: number;
  private readonly waits: WaitQueues;
  private readonly queue: number;
  private lastWd: number;
  private readonly events: Event[];
  private readonly budget: IpcBudget;
  private readonly watched = new Map<number, { readonly watch: Watch; readonly inode: Inode | null }>();

  constructor({ waits, ipc }: InotifyKernel, state: InotifyState<Inode>, flags: number) {
    super(new AnonInode(NAME, state.queue + 10_000), flags & O_NONBLOCK, NAME);
    this.waits = waits;
    this.budget = ipc;
    this.queue = state.queue;
    this.uid = state.uid;
    this.lastWd = state.lastWd;
    this.events = [...state.events];
    ipc.inotifyEvents += this.events.length;
    for (const { wd, mask, inode } of state.watches) this.attach(inode, { wd, mask, watcher: this });
  }

  static make(kernel: InotifyKernel, uid: number, flags: number): Inotify {
    return new Inotify(kernel, { queue: kernel.waits.newQueue(), uid, lastWd: 0, events: [], watches: [] }, flags);
  }

  get watchCount(): number {
    return this.watched.size;
  }

  /** inotify_add_watch(2): a watch descriptor, -EEXIST, -ENOSPC. `mayAdd`: the user may have one more. */
  watch(inode: Inode, mask: number, mayAdd: () => boolean): number {
    const known = inode.watches?.find((watch) => watch.watcher === this);
    if (known) {
      if ((mask & IN_MASK_CREATE) !== 0) return -EEXIST;
      known.mask = (mask & IN_MASK_ADD) !== 0 ? known.mask | (mask & KEPT) : mask & KEPT;
      return known.wd;
    }
    if (!mayAdd()) return -ENOSPC;
    const wd = ++this.lastWd;
    this.attach(inode, { wd, mask: mask & KEPT, watcher: this });
    return wd;
  }

  private attach(inode: Inode | null, watch: Watch): void {
    if (inode !== null) (inode.watches ??= []).push(watch);
    this.watched.set(watch.wd, { watch, inode });
    this.budget.inotifyWatches++;
  }

  /** inotify_rm_watch(2): 0 or -EINVAL. */
  unwatch(wd: number): number {
    const found = this.watched.get(wd);
    if (!found) return -EINVAL;
    this.detach(found.inode, found.watch);
    this.ended(found.watch);
    return 0;
  }

  private detach(inode: Inode | null, watch: Watch): void {
    if (inode === null) return;
    const left = inode.watches?.filter((other) => other !== watch) ?? [];
    inode.watches = left.length > 0 ? left : null;
  }

  event(watch: Watch, mask: number, cookie: number, name: string): void {
    if ((watch.mask & mask & IN_ALL_EVENTS) === 0) return;
    const isUnlinked = name.startsWith('\0');
    if (isUnlinked && (watch.mask & IN_EXCL_UNLINK) !== 0) return;
    this.push({ wd: watch.wd, mask, cookie, name: isUnlinked ? name.slice(1) : name });
    if ((watch.mask & IN_ONESHOT) !== 0) this.unwatch(watch.wd);
  }

  ended(watch: Watch): void {
    if (this.watched.delete(watch.wd)) this.budget.inotifyWatches--;
    this.push({ wd: watch.wd, mask: IN_IGNORED, cookie: 0, name: '' });
  }

  /** What is the same as the last event is not said twice; beyond the limit only that something was lost. */
  private push(event: Event): void {
    const last = this.events.at(-1);
    if (last && last.wd === event.wd && last.mask === event.mask && last.cookie === event.cookie && last.name === event.name) return;
    const hasRoom = this.events.length < INOTIFY_EVENTS_MAX && this.budget.inotifyEvents < SANDBOX_EVENTS_MAX;
    if (!hasRoom && last?.mask === IN_Q_OVERFLOW) return;
    this.events.push(hasRoom ? event : { wd: -1, mask: IN_Q_OVERFLOW, cookie: 0, name: '' });
    this.budget.inotifyEvents++;
    this.waits.wake(this.queue);
  }

  override read(_task: Task, dst: Uint8Array): number | Wait {
    if (this.events.length === 0) return (this.flags & O_NONBLOCK) !== 0 ? -EAGAIN : waitOn([this.queue]);
    let done = 0;
    let taken = 0;
    for (const event of this.events) {
      if (done + sizeOf(event) > dst.length) break;
      encode(event, dst.subarray(done, done + sizeOf(event)));
      done += sizeOf(event);
      taken++;
    }
    if (taken === 0) return -EINVAL;
    this.events.splice(0, taken);
    this.budget.inotifyEvents -= taken;
    return done;
  }

  /** Accepted and without effect (noop_llseek). */
  override seek(): number {
    return 0;
  }

  override ioctl(task: Task, command: number, argument: number): number {
    if (command !== FIONREAD) return -ENOTTY;
    return task.process.mm.writeU32(argument, this.events.reduce((sum, event) => sum + sizeOf(event), 0));
  }

  override poll(): number {
    return this.events.length > 0 ? POLLIN | POLLRDNORM : 0;
  }

  override pollQueues(): readonly number[] {
    return [this.queue];
  }

  override release(): void {
    for (const { inode, watch } of this.watched.values()) this.detach(inode, watch);
    this.budget.inotifyWatches -= this.watched.size;
    this.watched.clear();
    this.budget.inotifyEvents -= this.events.length;
    super.release();
  }

  save(): InotifyState<Inode> {
    const watches = [...this.watched.values()].map(({ inode, watch: { wd, mask } }) => ({ wd, mask, inode }));
    return { queue: this.queue, uid: this.uid, lastWd: this.lastWd, events: this.events.slice(), watches };
  }
}

/** The name is padded with at least one zero to a multiple of the header. */
function sizeOf({ name }: Event): number {
  return INOTIFY_EVENT_BYTES + (name === '' ? 0 : Math.ceil((name.length + 1) / INOTIFY_EVENT_BYTES) * INOTIFY_EVENT_BYTES);
}

function encode(event: Event, into: Uint8Array): void {
  const view = new DataView(into.buffer, into.byteOffset, into.length);
  view.setInt32(0, event.wd, true);
  view.setUint32(4, event.mask & (IN_ALL_EVENTS | IN_ISDIR | IN_IGNORED | IN_UNMOUNT | IN_Q_OVERFLOW), true);
  view.setUint32(8, event.cookie, true);
  view.setUint32(12, into.length - INOTIFY_EVENT_BYTES, true);
  into.fill(0, INOTIFY_EVENT_BYTES);
  for (let i = 0; i < event.name.length; i++) into[INOTIFY_EVENT_BYTES + i] = event.name.charCodeAt(i);
}
