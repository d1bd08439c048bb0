// Local sockets: unix(7) streams, datagrams and sequenced packets; TCP and UDP over the sandbox's own loopback behave the
// same way (there is no network, so nothing is lost or delayed).
//
// Interface: SocketFile: an endpoint's state, poll and end; socketio.ts moves data, socketname.ts knows addresses,
// syscalls/socket.ts is the system calls. Peers point at each other without holding each other open.

import {
  EAGAIN, ECONNABORTED, ECONNREFUSED, ECONNRESET, EINPROGRESS, EINVAL, EISCONN, ENOTCONN, EOPNOTSUPP, EPROTOTYPE,
} from '../../abi/linux/errno.ts';
import { FIONREAD, SIOCATMARK } from '../../abi/linux/ioctl.ts';
import { TIOCOUTQ } from '../../abi/linux/termios.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDHUP, POLLRDNORM, POLLWRBAND, POLLWRNORM } from '../../abi/linux/poll.ts';
import { AF_NETLINK, AF_UNIX, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, SOMAXCONN, SO_LINGER, SO_RCVBUF, SO_SNDBUF } from '../../abi/linux/socket.ts';
import { File } from '../fs/file.ts';
import { DEV_SOCKFS, PseudoInode, S_IFSOCK } from '../fs/pseudo.ts';
import type { Task } from '../process/task.ts';
import { waitOn } from '../wait.ts';
import type { Wait, WaitQueues } from '../wait.ts';
import { SOCKETS_MAX } from './budget.ts';
import type { IpcBudget } from './budget.ts';
import { DATAGRAMS_MAX, MESSAGE_OVERHEAD, O_NONBLOCK, SOCKET_BUFFER } from './message.ts';
import type { Message, Ucred } from './message.ts';
import { deviceIoctl } from './netdevice.ts';
import { receiveInto, sendBytes } from './socketio.ts';
import { anyAddress, asFamily } from './socketname.ts';
import type { SocketAddress } from './socketname.ts';
import type { SocketNames } from './socketnames.ts';

const O_RDWR = 2;
/** SO_LINGER with a time of 0 as sockopt.ts keeps it: close sends a reset. */
const LINGER_ABORTS = 1;

export type SocketPhase = 'new' | 'listening' | 'connected';

/** What the kernel gives to sockets. */
export interface SocketKernel { readonly waits: WaitQueues; readonly sockets: SocketNames; readonly ipc: IpcBudget }

/** Plain data; `F` stands for an open file (EpollState says why). */
export interface SocketState<F> {
  readonly domain: number;
  readonly type: number;
  readonly protocol: number;
  readonly readQueue: number;
  readonly writeQueue: number;
  readonly phase: SocketPhase;
  readonly local: SocketAddress;
  readonly remote: SocketAddress | null;
  readonly key: string;
  readonly peer: F | null;
  readonly peerCred: Ucred;
  readonly inbox: readonly (Omit<Message, 'files'> & { readonly files: readonly F[] })[];
  readonly backlog: readonly F[];
  readonly backlogMax: number;
  readonly inShut: boolean;
  readonly outShut: boolean;
  readonly error: number;
  readonly connecting: boolean;
  readonly urgentByte: number;
  readonly urgentMark: number;
  readonly options: ReadonlyMap<string, number>;
}

export class SocketFile extends File {
  override readonly kind = 'socket';
  readonly kernel: SocketKernel;
  readonly domain: number;
  readonly type: number;
  readonly protocol: number;
  /** Woken when there is something to read or accept, or the end came. */
  readonly readQueue: number;
  /** Woken when there is room to write. */
  readonly writeQueue: number;
  phase: SocketPhase = 'new';
  /** getsockname(2). */
  local: SocketAddress;
  /** getpeername(2); for datagrams the default destination. */
  remote: SocketAddress | null = null;
  /** Under which name it is found; '' while not bound. */
  key = '';
  peer: SocketFile | null = null;
  peerCred: Ucred = { pid: 0, uid: 0xffff_ffff, gid: 0xffff_ffff };
  inbox: Message[] = [];
  inboxCharge = 0;
  /** Connections not accepted yet, each held by one reference. */
  backlog: SocketFile[] = [];
  backlogMax = 0;
  /** RCV_SHUTDOWN and SEND_SHUTDOWN. */
  inShut = false;
  outShut = false;
  /** A connect of TCP that does not wait has been begun; the next connect tells how it went. */
  connecting = false;
  /** TCP's urgent byte: which one (-1: none, or taken), and how many bytes before it are still unread (-1: it has been passed). */
  urgentByte = -1;
  urgentMark = -1;
  /** SO_ERROR: positive errno, cleared when reported. */
  error = 0;
  /** The last reference is gone. */
  dead = false;
  /** What setsockopt stored, by "level:name". */
  options = new Map<string, number>();

  constructor(kernel: SocketKernel, domain: number, type: number, protocol: number, flags: number,
    queues = { read: kernel.waits.newQueue(), write: kernel.waits.newQueue() }) {
    const ino = queues.read + 10_000;
    super(new SocketInode(ino), O_RDWR | (flags & O_NONBLOCK), `socket:[${ino}]`);
    this.kernel = kernel;
    this.domain = domain;
    this.type = type;
    this.protocol = protocol;
    this.readQueue = queues.read;
    this.writeQueue = queues.write;
    this.local = anyAddress(domain);
    kernel.ipc.sockets++;
  }

  get isDatagram(): boolean { return this.type === SOCK_DGRAM || this.domain === AF_NETLINK; }
  get isStream(): boolean { return this.type === SOCK_STREAM; }

  /** Joins two fresh sockets (socketpair, accept). */
  static join(a: SocketFile, b: SocketFile, credOfA: Ucred, credOfB: Ucred): void {
    a.peer = b;
    b.peer = a;
    a.peerCred = credOfB;
    b.peerCred = credOfA;
    for (const end of [a, b]) {
      end.phase = 'connected';
      end.remote = asFamily((end.peer as SocketFile).local, end.domain);
    }
  }

  /** bind: enters `key` in the sandbox's names. */
  bindTo(key: string, local: SocketAddress): number {
    if (this.key !== '') return -EINVAL;
    const taken = this.kernel.sockets.check(key, this, local);
    if (taken < 0) return taken;
    this.kernel.sockets.enter(key, this);
    this.key = key;
    this.local = local;
    return 0;
  }

  listen(backlog: number, cred: Ucred): number {
    if (this.isDatagram) return -EOPNOTSUPP;
    if (this.phase === 'connected' || this.key === '') return -EINVAL;
    const taken = this.domain === AF_UNIX ? 0 : this.kernel.sockets.check(this.key, this, this.local);
    if (taken < 0) return taken;
    this.phase = 'listening';
    this.backlogMax = Math.min(backlog >>> 0, SOMAXCONN);
    this.peerCred = cred;
    return 0;
  }

  /** connect of a stream or sequenced-packet socket to a listener (null: nobody there). */
  connectTo(listener: SocketFile | null, cred: Ucred, remote: SocketAddress): number | Wait {
    if (this.connecting) return this.connected();
    if (this.phase === 'connected') return -EISCONN;
    if (this.phase === 'listening') return -EINVAL;
    if (this.domain !== AF_UNIX && this.flags & O_NONBLOCK) return this.beginConnect(listener, cred, remote);
    return this.join(listener, cred, remote);
  }

  /** inet_stream_connect with O_NONBLOCK: even over loopback the answer comes later, to poll, SO_ERROR or the next connect. */
  private beginConnect(listener: SocketFile | null, cred: Ucred, remote: SocketAddress): number {
    const result = this.join(listener, cred, remote);
    if (result === -EAGAIN) return result;
    this.connecting = true;
    if (typeof result === 'number' && result < 0) {
      this.error = -result;
      this.inShut = this.outShut = true;
      this.changed();
    }
    return -EINPROGRESS;
  }

  /** How a connect that was begun went. */
  private connected(): number {
    this.connecting = false;
    if (this.phase === 'connected') return 0;
    const failed = this.takeError();
    this.inShut = this.outShut = false;
    return failed || -ECONNABORTED;
  }

  private join(listener: SocketFile | null, cred: Ucred, remote: SocketAddress): number | Wait {
    if (!listener || listener.dead) return -ECONNREFUSED;
    if (listener.type !== this.type) return -EPROTOTYPE;
    if (listener.phase !== 'listening' || listener.inShut) return -ECONNREFUSED;
    if (listener.backlog.length > listener.backlogMax || this.kernel.ipc.sockets >= SOCKETS_MAX) {
      return this.flags & O_NONBLOCK ? -EAGAIN : waitOn([listener.writeQueue]);
    }
    const end = new SocketFile(this.kernel, listener.domain, this.type, this.protocol, 0);
    end.local = remote.family === AF_UNIX ? listener.local : asFamily(remote, listener.domain);
    for (const [name, value] of listener.options) end.options.set(name, value);
    SocketFile.join(this, end, cred, listener.peerCred);
    this.remote = remote;
    listener.backlog.push(end);
    this.kernel.waits.wake(listener.readQueue);
    this.kernel.waits.wake(this.writeQueue);
    return 0;
  }

  /** accept: the next connection, with its reference handed to the caller. */
  accept(): SocketFile | number | Wait {
    if (this.isDatagram) return -EOPNOTSUPP;
    if (this.phase !== 'listening') return -EINVAL;
    const next = this.backlog.shift();
    if (next) {
      this.kernel.waits.wake(this.writeQueue);
      return next;
    }
    if (this.inShut) return -EINVAL;
    return this.flags & O_NONBLOCK ? -EAGAIN : waitOn([this.readQueue]);
  }

  shutdown(read: boolean, write: boolean): number {
    if (this.domain !== AF_UNIX && this.phase !== 'connected' && this.phase !== 'listening') return -ENOTCONN;
    if (read) this.inShut = true;
    if (write) this.outShut = true;
    const { peer } = this;
    if (peer && !this.isDatagram) {
      if (read && this.domain === AF_UNIX) peer.outShut = true;
      if (write) peer.inShut = true;
      peer.changed();
    }
    this.changed();
    return 0;
  }

  /** Puts a message at the end of the receive queue. */
  receive(message: Message): void {
    this.inbox.push(message);
    this.account(message, 1);
  }

  /** Takes the first message out of the receive queue. */
  dropFirst(): void {
    this.account(this.inbox.shift() as Message, -1);
  }

  private account({ bytes, done }: Pick<Message, 'bytes' | 'done'>, sign: 1 | -1): void {
    const { ipc } = this.kernel;
    this.charge(sign * (bytes.length - done + MESSAGE_OVERHEAD));
    ipc.messages += sign;
    ipc.messageBytes += sign * bytes.length;
  }

  /** Accounts `bytes` more (or less) in the receive queue. */
  charge(bytes: number): void {
    this.inboxCharge += bytes;
    this.kernel.ipc.socketBytes += bytes;
  }

  /** Something pollers and blocked calls should look at. */
  changed(): void {
    this.kernel.waits.wake(this.readQueue);
    this.kernel.waits.wake(this.writeQueue);
  }

  /** Takes the pending error as -errno; 0 when there is none. */
  takeError(): number {
    const error = this.error;
    this.error = 0;
    return -error;
  }

  override read(task: Task, dst: Uint8Array): number | Wait {
    const got = receiveInto(this, task, dst, 0);
    return 'kind' in got ? got : got.result;
  }

  override write(task: Task, src: Uint8Array): number | Wait {
    return sendBytes(this, task, src, { flags: 0, to: null, files: [] });
  }

  override ioctl(task: Task, command: number, argument: number): number {
    if (command === TIOCOUTQ) return task.process.mm.writeU32(argument, this.peer?.inboxCharge ?? 0);
    if (command === SIOCATMARK && this.isStream) return task.process.mm.writeU32(argument, Number(this.urgentMark === 0));
    if (command !== FIONREAD) return deviceIoctl(task, command, argument);
    if (this.phase === 'listening') return -EINVAL;
    const readable = this.isStream ? this.inbox : this.inbox.slice(0, 1);
    return task.process.mm.writeU32(argument, readable.reduce((sum, m) => sum + m.bytes.length - m.done, 0));
  }

  /** Room for the peer to write: unix_writable's quarter rule, so that writers are not woken for every byte. */
  get hasRoom(): boolean {
    return this.isDatagram ? this.inbox.length <= DATAGRAMS_MAX : this.inboxCharge * 4 <= this.streamCapacity;
  }

  /** How much of a stream may be under way to this end: over the loopback both ends' buffers, where they were made small. */
  get streamCapacity(): number {
    if (this.domain === AF_UNIX) return SOCKET_BUFFER;
    const bytes = (socket: SocketFile | null, option: number): number => socket?.options.get(`${SOL_SOCKET}:${option}`) ?? SOCKET_BUFFER;
    return Math.min(SOCKET_BUFFER, bytes(this, SO_RCVBUF) + bytes(this.peer, SO_SNDBUF));
  }

  override poll(): number {
    let events = this.error ? POLLERR : 0;
    if (this.phase === 'listening') return events | (this.backlog.length > 0 ? POLLIN | POLLRDNORM : 0);
    if (this.inShut && this.outShut) events |= POLLHUP;
    if (this.inShut) events |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (this.inbox.length > 0) events |= POLLIN | POLLRDNORM;
    if (this.urgentByte >= 0) events |= POLLPRI;
    if (!this.isDatagram && this.phase === 'new') events |= POLLHUP;
    if (this.isDatagram || !this.peer || this.peer.hasRoom) {
      if (!this.isDatagram || !this.peer || this.peer.dead || this.peer.hasRoom) events |= POLLOUT | POLLWRNORM | POLLWRBAND;
    }
    return events;
  }

  override pollQueues(): readonly number[] {
    if (this.isDatagram && this.peer && this.peer !== this) return [this.readQueue, this.writeQueue, this.peer.writeQueue];
    return [this.readQueue, this.writeQueue];
  }

  override release(): void {
    this.dead = true;
    if (this.key !== '') this.kernel.sockets.leave(this.key, this);
    const { peer } = this;
    if (peer && !this.isDatagram) {
      peer.inShut = true;
      const isAborted = this.domain !== AF_UNIX && this.isStream && this.options.get(`${SOL_SOCKET}:${SO_LINGER}`) === LINGER_ABORTS;
      if (this.inbox.length > 0 || isAborted) peer.error = ECONNRESET;
      // A reset leaves the other side without a connection, but with what it has received.
      if (peer.error !== 0 && peer.domain !== AF_UNIX) peer.remote = null;
      // TCP has only said that nothing more comes: what the peer sends still goes out, and is answered with a reset.
      if (peer.domain === AF_UNIX || !peer.isStream || peer.error !== 0) peer.outShut = true;
      peer.peer = null;
      peer.changed();
    }
    if (this.isDatagram) this.changed();
    const { inbox, backlog } = this;
    this.backlog = [];
    this.inbox = [];
    for (const message of inbox) this.account(message, -1);
    this.kernel.ipc.sockets--;
    for (const pending of backlog) {
      if (pending.peer) pending.peer.error = pending.peer.domain === AF_UNIX ? ECONNRESET : ECONNABORTED;
      pending.unref();
    }
    for (const message of inbox) dropFiles(this, message.files);
    super.release();
  }

  save(): SocketState<File> {
    return {
      domain: this.domain, type: this.type, protocol: this.protocol, readQueue: this.readQueue, writeQueue: this.writeQueue,
      phase: this.phase, local: this.local, remote: this.remote, key: this.key, peer: this.peer?.dead ? null : this.peer,
      peerCred: this.peerCred, inbox: this.inbox.map((message) => ({ ...message })), backlog: this.backlog.slice(),
      backlogMax: this.backlogMax, inShut: this.inShut, outShut: this.outShut, error: this.error, connecting: this.connecting, urgentByte: this.urgentByte,
      urgentMark: this.urgentMark, options: new Map(this.options),
    };
  }

  /** A socket without its links to other files; `restoreLinks` adds them once all exist. */
  static restore(kernel: SocketKernel, state: SocketState<unknown>, flags: number): SocketFile {
    const queues = { read: state.readQueue, write: state.writeQueue };
    const socket = new SocketFile(kernel, state.domain, state.type, state.protocol, flags, queues);
    socket.phase = state.phase;
    socket.local = state.local;
    socket.remote = state.remote;
    socket.peerCred = state.peerCred;
    socket.backlogMax = state.backlogMax;
    socket.inShut = state.inShut;
    socket.outShut = state.outShut;
    socket.error = state.error;
    socket.connecting = state.connecting;
    socket.urgentByte = state.urgentByte;
    socket.urgentMark = state.urgentMark;
    socket.options = new Map(state.options);
    socket.key = state.key;
    if (state.key !== '') kernel.sockets.enter(state.key, socket);
    return socket;
  }

  restoreLinks(state: Pick<SocketState<File>, 'peer' | 'inbox' | 'backlog'>): void {
    this.peer = state.peer instanceof SocketFile ? state.peer : null;
    for (const message of state.inbox) this.receive({ ...message });
    this.kernel.ipc.filesInFlight += this.inbox.reduce((sum, m) => sum + m.files.length, 0);
    this.backlog = state.backlog.filter((file): file is SocketFile => file instanceof SocketFile);
  }
}

/** Gives back files that were on their way. */
function dropFiles(socket: SocketFile, files: readonly File[]): void {
  socket.kernel.ipc.filesInFlight -= files.length;
  for (const file of files) file.unref();
}

class SocketInode extends PseudoInode {
  constructor(ino: number) {
    super({ dev: DEV_SOCKFS, bootTime: 0n }, `socket:[${ino}]`, S_IFSOCK | 0o777, ino);
  }

  /** A socket cannot be opened by name: ENXIO. */
  open(): File | number { return -6; }
}
