// The open ends of a pseudo-terminal: the master (/dev/ptmx), and what programs have as their terminal (/dev/pts/N, /dev/tty).
//
// Interface: openMaster, openSlave, PtyMaster, TtyFile. ioctls are in ttyioctl.ts.

import { EAGAIN, EIO, ENOSPC, ENXIO, ERESTARTSYS } from '../../abi/linux/errno.ts';
import { AT_FDCWD } from '../../abi/linux/fcntl.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDNORM, POLLWRNORM } from '../../abi/linux/poll.ts';
import { TIOCGPTPEER, TIOCPKT_DATA, TOSTOP, VMIN, VTIME } from '../../abi/linux/termios.ts';
import { File } from '../fs/file.ts';
import type { Inode } from '../fs/inode.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../process/task.ts';
import { waitOn } from '../wait.ts';
import type { Wait } from '../wait.ts';
import { attach, hangUp, mayChange, mayRead, ttyOf } from './jobcontrol.ts';
import { receive, take, transmit } from './ldisc.ts';
import { OUTPUT_MAX, Pty } from './pty.ts';
import { masterIoctl, ttyIoctl } from './ttyioctl.ts';

const O_NONBLOCK = 0o4000, O_NOCTTY = 0o400, O_CLOEXEC = 0o2000000;
const TENTH_NS = 100_000_000;

/** What a blocked write remembers. */
interface WriteMemo { readonly written: number }

/** Writes as much as goes, and waits for the rest unless the file does not block. */
function writeAll(task: Task, pty: Pty, file: File, src: Uint8Array, send: (bytes: Uint8Array) => number): number | Wait {
  const before = (task.rerun?.memo as Partial<WriteMemo> | null)?.written ?? 0;
  const written = before + send(src.subarray(before));
  if (written === src.length) return written;
  if (file.flags & O_NONBLOCK) return written || -EAGAIN;
  return waitOn([pty.roomQueue], { onSignal: written || -ERESTARTSYS, memo: { written } satisfies WriteMemo });
}

/** The terminal emulator's end. */
export class PtyMaster extends File {
  override readonly kind = 'ptmx';
  readonly pty: Pty;
  private readonly kernel: Kernel;

  constructor(inode: Inode, flags: number, kernel: Kernel, pty: Pty) {
    super(inode, flags, '/dev/ptmx');
    this.kernel = kernel;
    this.pty = pty;
  }

  override read(_task: Task, dst: Uint8Array): number | Wait {
    const { pty } = this;
    if (dst.length === 0) return 0;
    if (pty.packet && pty.packetStatus !== TIOCPKT_DATA) {
      dst[0] = pty.packetStatus;
      pty.packetStatus = TIOCPKT_DATA;
      return 1;
    }
    if (pty.output.length > 0) return this.takeOutput(dst);
    if (pty.slaveClosed && pty.slaves === 0) return -EIO;
    return this.flags & O_NONBLOCK ? -EAGAIN : waitOn([pty.outputQueue]);
  }

  private takeOutput(dst: Uint8Array): number {
    const { pty } = this;
    const head = pty.packet ? 1 : 0;
    const bytes = pty.output.splice(0, dst.length - head);
    if (pty.packet) dst[0] = TIOCPKT_DATA;
    dst.set(bytes, head);
    if (pty.output.length < OUTPUT_MAX) pty.waits.wake(pty.roomQueue);
    return bytes.length + head;
  }

  override write(task: Task, src: Uint8Array): number | Wait {
    if (src.length === 0) return 0;
    if (this.pty.slaveClosed && this.pty.slaves === 0) return -EIO;
    return writeAll(task, this.pty, this, src, (bytes) => receive(this.kernel, this.pty, bytes));
  }

  override ioctl(task: Task, command: number, argument: number): number | Wait {
    return command === TIOCGPTPEER ? openPeer(task, this.pty, argument) : masterIoctl(task, this.pty, command, argument);
  }

  override poll(): number {
    const { pty } = this;
    let events = POLLOUT | POLLWRNORM;
    if (pty.output.length > 0) events |= POLLIN | POLLRDNORM;
    if (pty.packet && pty.packetStatus !== TIOCPKT_DATA) events |= POLLIN | POLLRDNORM | POLLPRI;
    if (pty.slaveClosed && pty.slaves === 0) events |= POLLHUP;
    return events;
  }

  override pollQueues(): readonly number[] {
    return [this.pty.outputQueue, this.pty.roomQueue];
  }

  override release(): void {
    const { pty } = this;
    hangUp(this.kernel, pty);
    for (const queue of [pty.inputQueue, pty.roomQueue, pty.outputQueue]) pty.waits.wake(queue);
    super.release();
  }
}

/** A program's terminal. */
export class TtyFile extends File {
  override readonly kind = 'pts';
  readonly pty: Pty;

  constructor(inode: Inode, flags: number, pty: Pty) {
    super(inode, flags, `/dev/pts/${pty.index}`);
    this.pty = pty;
    pty.slaves++;
  }

  /** Without O_NOCTTY the first terminal that a session's leader opens is the session's. */
  override opened({ process }: Task, flags: number): void {
    if ((flags & O_NOCTTY) === 0 && process.sid === process.pid && !ttyOf(process) && this.pty.session === 0) attach(this.pty, process, false);
  }

  override read(task: Task, dst: Uint8Array): number | Wait {
    const { pty } = this;
    if (pty.hungUp) return 0;
    const refused = mayRead(task, pty);
    if (refused !== 0) return refused;
    if (dst.length === 0) return 0;
    return pty.isCanonical ? this.readLine(dst) : this.readRaw(task, dst);
  }

  private readLine(dst: Uint8Array): number | Wait {
    const { pty } = this;
    if (pty.readable > 0) return take(pty, dst);
    return this.flags & O_NONBLOCK ? -EAGAIN : waitOn([pty.inputQueue]);
  }

  /** termios(3), "Canonical and noncanonical mode": MIN and TIME. */
  private readRaw(task: Task, dst: Uint8Array): number | Wait {
    const { pty } = this;
    const min = pty.settings.cc[VMIN], time = pty.settings.cc[VTIME];
    const wanted = Math.min(Math.max(min, 1), dst.length);
    const isOver = task.timedOut || (min === 0 && time === 0);
    if (pty.readable >= wanted || isOver) return take(pty, dst);
    if (this.flags & O_NONBLOCK) return pty.readable > 0 ? take(pty, dst) : -EAGAIN;
    // Between bytes the time counts anew; before the first one only where MIN is 0.
    const isTimed = time > 0 && (min === 0 || pty.readable > 0);
    const deadlineNs = isTimed ? task.kernel.clock.monotonicNs() + time * TENTH_NS : Infinity;
    return waitOn([pty.inputQueue], { deadlineNs: min === 0 ? Math.min(deadlineNs, task.rerun?.deadlineNs ?? Infinity) : deadlineNs });
  }

  override write(task: Task, src: Uint8Array): number | Wait {
    const { pty } = this;
    if (pty.hungUp) return -EIO;
    const refused = (pty.settings.lflag & TOSTOP) !== 0 ? mayChange(task, pty) : 0;
    if (refused !== 0) return refused;
    return writeAll(task, pty, this, src, (bytes) => transmit(pty, bytes));
  }

  override ioctl(task: Task, command: number, argument: number): number | Wait {
    return ttyIoctl(task, this.pty, command, argument);
  }

  override poll(): number {
    const { pty } = this;
    if (pty.hungUp) return POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM;
    const wanted = pty.isCanonical ? 1 : pty.settings.cc[VTIME] === 0 ? Math.max(1, pty.settings.cc[VMIN]) : 1;
    let events = 0;
    if (pty.readable >= wanted) events |= POLLIN | POLLRDNORM;
    if (!pty.stopped && pty.output.length < OUTPUT_MAX) events |= POLLOUT | POLLWRNORM;
    return events;
  }

  override pollQueues(): readonly number[] {
    return [this.pty.inputQueue, this.pty.roomQueue];
  }

  override release(): void {
    const { pty } = this;
    if (--pty.slaves === 0) {
      pty.slaveClosed = true;
      pty.waits.wake(pty.outputQueue);
    }
    super.release();
  }
}

/** TIOCGPTPEER: the other end, opened for who may not know its name. */
function openPeer(task: Task, pty: Pty, flags: number): number {
  const { kernel, process } = task;
  const dentry = kernel.vfs.lookup(task, AT_FDCWD, `/dev/pts/${pty.index}`);
  const file = typeof dentry === 'number' ? dentry : kernel.vfs.openDentry(task, dentry, flags & ~O_CLOEXEC);
  if (typeof file === 'number') return file;
  if (!(file instanceof File)) return -EIO;
  const fd = process.files.install(file, 0, (flags & O_CLOEXEC) !== 0);
  if (fd < 0) file.unref();
  return fd;
}

/** open("/dev/ptmx"). */
export function openMaster(inode: Inode, flags: number, task: Task): File | number {
  const { kernel } = task;
  const pty = kernel.ptys.make(kernel.waits, task.process.credentials.fsuid);
  return pty ? new PtyMaster(inode, flags, kernel, pty) : -ENOSPC;
}

/** open("/dev/pts/N"). */
export function openSlave(inode: Inode, flags: number, pty: Pty | undefined): File | number {
  if (!pty || pty.hungUp || pty.locked) return -EIO;
  pty.slaveClosed = false;
  return new TtyFile(inode, flags, pty);
}

/** open("/dev/tty"): the controlling terminal. */
export function openControlling(inode: Inode, flags: number, task: Task): File | number {
  const pty = ttyOf(task.process);
  return pty ? new TtyFile(inode, flags, pty) : -ENXIO;
}
