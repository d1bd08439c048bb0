// The channel between the engine and the agent program inside: messages, as a connected SOCK_SEQPACKET pair would carry
// them. It is a descriptor of its own, so nothing a program prints can be mistaken for a message.
//
// Interface: ControlChannel: engine side `send`, `onMessage`, `isParked`, `close`; `openFile` makes the guest's descriptor.
// read(2) gives exactly one message (the rest of a longer one is lost), write(2) sends one. Who reads the last one has no descriptor any
// more: close(2) would be a trap on the way of each short run.

import { EAGAIN, EMSGSIZE, EPERM, EPIPE } from '../../abi/linux/errno.ts';
import { POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRNORM } from '../../abi/linux/poll.ts';
import type { Task } from '../process/task.ts';
import { waitOn } from '../wait.ts';
import type { Wait, WaitQueues } from '../wait.ts';
import { File } from './file.ts';
import { DEV_SOCKFS, PseudoInode, S_IFSOCK } from './pseudo.ts';

/** Bytes of one message, either way. */
export const CONTROL_MESSAGE_MAX = 65536;
/** Messages of the guest kept while nobody listens. */
const OUTBOX_MAX = 64;
/** Bytes of messages to the guest not read yet (a program's source travels this way). */
const INBOX_BYTES_MAX = 128 << 20;
const O_RDWR = 2, O_NONBLOCK = 0o4000;

export interface ControlState {
  readonly id: number;
  readonly ownerPid: number;
  readonly readQueue: number;
  readonly writeQueue: number;
  readonly inbox: readonly Uint8Array[];
  readonly outbox: readonly Uint8Array[];
  readonly hasLast: boolean;
  readonly closed: boolean;
}

export class ControlChannel {
  private readonly waits: WaitQueues;
  /** The program it belongs to (process/programs.ts); 0: the first. */
  readonly id: number;
  /** Only the first thread of this process may read and write it: no other, and no child that inherited it. 0: all may. */
  ownerPid: number;
  readonly readQueue: number;
  readonly writeQueue: number;
  private inbox: Uint8Array[];
  private inboxBytes: number;
  /** The message queued last is the last ever. */
  private hasLast: boolean;
  private outbox: Uint8Array[];
  private listener: ((bytes: Uint8Array) => void) | null = null;
  private closed: boolean;
  /** Guest files open on it; 0 again: the agent has closed its end. */
  openFiles = 0;

  constructor(waits: WaitQueues, state: ControlState | null = null, id = 0) {
    this.waits = waits;
    this.id = state ? state.id : id;
    this.ownerPid = state ? state.ownerPid : 0;
    this.readQueue = state ? state.readQueue : waits.newQueue();
    this.writeQueue = state ? state.writeQueue : waits.newQueue();
    this.inbox = state ? state.inbox.slice() : [];
    this.inboxBytes = this.inbox.reduce((sum, bytes) => sum + bytes.length, 0);
    this.hasLast = state ? state.hasLast : false;
    this.outbox = state ? state.outbox.slice() : [];
    this.closed = state ? state.closed : false;
  }

  /**
   * Queues one message for the guest; with `isLast` its reader's descriptor is closed. False: it is too long or too many wait. The
   * bytes must not be changed afterwards.
   */
  send(bytes: Uint8Array, isLast = false): boolean {
    if (this.closed || bytes.length > CONTROL_MESSAGE_MAX || this.inboxBytes + bytes.length > INBOX_BYTES_MAX) return false;
    this.inbox.push(bytes);
    this.inboxBytes += bytes.length;
    this.hasLast ||= isLast;
    this.waits.wake(this.readQueue);
    return true;
  }

  /** Forgets what the guest has not read. */
  purge(): void {
    this.inbox = [];
    this.inboxBytes = 0;
  }

  /** The engine's end is closed: the guest reads 0 after the last message, and EPIPE when it writes. */
  close(): void {
    this.closed = true;
    this.waits.wake(this.readQueue);
    this.waits.wake(this.writeQueue);
  }

  /** Who hears the guest's messages; those that came before are delivered at once. Not saved. */
  onMessage(listener: (bytes: Uint8Array) => void): void {
    this.listener = listener;
    const waiting = this.outbox;
    this.outbox = [];
    for (const bytes of waiting) listener(bytes);
    if (waiting.length > 0) this.waits.wake(this.writeQueue);
  }

  /** True while a task is blocked in read(2) here and there is nothing for it. */
  get isParked(): boolean {
    return this.inbox.length === 0 && !this.closed && this.waits.tasksOn(this.readQueue).some((task) => task.wait?.memo === 'control');
  }

  openFile(): ControlFile {
    return new ControlFile(this, O_RDWR);
  }

  /** One message into dst; null: none there. */
  receive(dst: Uint8Array): number | null {
    const message = this.inbox.shift();
    if (!message) return this.closed ? 0 : null;
    this.inboxBytes -= message.length;
    const n = Math.min(message.length, dst.length);
    dst.set(message.subarray(0, n));
    return n;
  }

  /** The last message has been received. */
  get isOver(): boolean {
    return this.hasLast && this.inbox.length === 0;
  }

  /** A message of the guest. False: nobody listens and the queue is full. */
  deliver(src: Uint8Array): boolean {
    if (!this.listener && this.outbox.length >= OUTBOX_MAX) return false;
    const bytes = src.slice();
    if (this.listener) this.listener(bytes);
    else this.outbox.push(bytes);
    return true;
  }

  get events(): number {
    let events = this.inbox.length > 0 ? POLLIN | POLLRDNORM : 0;
    if (this.closed) events |= POLLIN | POLLRDHUP | POLLHUP;
    if (this.listener || this.outbox.length < OUTBOX_MAX) events |= POLLOUT | POLLWRNORM;
    return events;
  }

  get isClosed(): boolean {
    return this.closed;
  }

  save(): ControlState {
    const { id, ownerPid, readQueue, writeQueue, hasLast, closed } = this;
    return { id, ownerPid, readQueue, writeQueue, inbox: this.inbox.slice(), outbox: this.outbox.slice(), hasLast, closed };
  }
}

/** The guest's end. */
export class ControlFile extends File {
  override readonly kind = 'control';
  private readonly channel: ControlChannel;

  constructor(channel: ControlChannel, flags: number) {
    const ino = channel.readQueue + 10_000;
    super(new ControlInode(ino), flags, `socket:[${ino}]`);
    this.channel = channel;
    channel.openFiles++;
  }

  /** Whose channel it is. */
  get program(): number {
    return this.channel.id;
  }

  override read(task: Task, dst: Uint8Array): number | Wait {
    if (this.isForeign(task)) return -EPERM;
    const n = this.channel.receive(dst);
    if (n !== null) {
      if (this.channel.isOver) this.closeIn(task);
      return n;
    }
    return this.flags & O_NONBLOCK ? -EAGAIN : waitOn([this.channel.readQueue], { memo: 'control' });
  }

  override write(task: Task, src: Uint8Array): number | Wait {
    if (this.isForeign(task)) return -EPERM;
    if (this.channel.isClosed) return -EPIPE;
    if (src.length > CONTROL_MESSAGE_MAX) return -EMSGSIZE;
    if (this.channel.deliver(src)) return src.length;
    return this.flags & O_NONBLOCK ? -EAGAIN : waitOn([this.channel.writeQueue]);
  }

  private closeIn({ process: { files } }: Task): void {
    const mine: number[] = [];
    files.forEach((fd, file) => file === this && mine.push(fd));
    for (const fd of mine) files.close(fd);
  }

  private isForeign(task: Task): boolean {
    const { ownerPid } = this.channel;
    return ownerPid !== 0 && task.tid !== ownerPid;
  }

  override poll(): number {
    return this.channel.events;
  }

  override pollQueues(): readonly number[] {
    return [this.channel.readQueue, this.channel.writeQueue];
  }

  override release(): void {
    this.channel.openFiles--;
    super.release();
  }
}

class ControlInode extends PseudoInode {
  constructor(ino: number) {
    super({ dev: DEV_SOCKFS, bootTime: 0n }, `socket:[${ino}]`, S_IFSOCK | 0o777, ino);
  }

  /** A socket cannot be opened by name: ENXIO. */
  open(): File | number { return -6; }
}
