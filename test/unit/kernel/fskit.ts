// A kernel with file systems, one process and user memory on the fake machine: calls are made through their rows, as dispatch
// makes them, and blocked calls can be run again.

import { FdTable } from '../../../src/kernel/fs/fdtable.ts';
import { FsContext } from '../../../src/kernel/fs/fscontext.ts';
import { completeImageIndex } from '../../../src/kernel/fs/imageindex.ts';
import type { ImageIndex } from '../../../src/kernel/fs/imageindex.ts';
import { buildVfs } from '../../../src/kernel/fs/mounts.ts';
import { syntheticMounts } from '../../../src/kernel/fs/synthetic.ts';
import { Kernel } from '../../../src/kernel/kernel.ts';
import { restoreKernel, saveKernel } from '../../../src/kernel/save.ts';
import { Mm } from '../../../src/kernel/mm/mm.ts';
import { credentialsOf } from '../../../src/kernel/process/credentials.ts';
import { Process } from '../../../src/kernel/process/process.ts';
import { Task, newContext } from '../../../src/kernel/process/task.ts';
import { SignalState } from '../../../src/kernel/signal/state.ts';
import { ROWS } from '../../../src/kernel/syscalls/table.ts';
import type { Handler } from '../../../src/kernel/syscalls/row.ts';
import type { Wait } from '../../../src/kernel/wait.ts';
import { FakeHost, FakeMachine } from '../fakemachine.ts';

const HANDLERS = new Map(ROWS.map((row) => [row.name, row.handler]));

/** An image with nothing but a root directory. */
export function emptyIndex(): ImageIndex {
  const one = Uint32Array.of(0);
  return completeImageIndex({
    blobSha256: '0'.repeat(64), blobSizeBytes: 0, name: [''], target: [''], parent: one, mode: Uint32Array.of(0o040755), uid: one, gid: one,
    rdev: one, inode: Uint32Array.of(1), mtimeNsec: one, sizeBytes: Float64Array.of(0), offset: Float64Array.of(0),
    mtimeSec: Float64Array.of(0),
  });
}

/** A sandbox with one process whose task makes calls. */
export class Kit {
  readonly host = new FakeHost();
  readonly machine: FakeMachine;
  readonly kernel: Kernel;
  readonly index = emptyIndex();
  /** Makes the calls that may block. */
  readonly task: Task;
  /** A process with the same descriptors and memory that makes the others. */
  readonly helper: Task;
  /** 1 MB of user memory. */
  readonly buffer: number;

  /** `from`: a fork of another kit's sandbox. */
  constructor(from: Kit | null = null) {
    this.machine = from ? from.machine.fork() : new FakeMachine(16 << 20);
    const options = { machine: this.machine, host: this.host, limits: { outputBytesMax: 100 } };
    if (from) {
      this.kernel = restoreKernel(saveKernel(from.kernel), { ...options, index: this.index });
      [this.task, this.helper] = [2, 3].map((tid) => this.kernel.tasks.get(tid) as Task);
      this.buffer = from.buffer;
      return;
    }
    this.kernel = new Kernel(options);
    this.kernel.vfs = buildVfs(this.kernel, this.index, [syntheticMounts(this.kernel)]);
    this.task = this.newTask(2);
    this.helper = this.newTask(3, this.task);
    const at = this.task.process.mm.map({ addr: 0, length: 1 << 20, prot: 3, flags: 0x22, inode: null, offset: 0 });
    if (at < 0) throw new Error(`mmap: ${at}`);
    this.buffer = at;
  }

  /** Another process; `parent`: it shares that task's address space and descriptors. */
  newTask(pid: number, parent: Task | null = null, uid = 0): Task {
    const { kernel } = this;
    const mm = parent ? parent.process.mm.share() : Mm.create(kernel);
    if (typeof mm === 'number') throw new Error('no memory');
    const root = kernel.vfs.root;
    const process = new Process(kernel, pid, 1, {
      mm, files: parent ? parent.process.files.share() : new FdTable(), fs: new FsContext(root, root), signals: new SignalState(),
      credentials: credentialsOf(uid, uid),
    });
    const task = new Task(kernel, pid, process, newContext(), `task${pid}`);
    process.tasks.push(task);
    kernel.processes.set(pid, process);
    kernel.tasks.set(pid, task);
    kernel.sched.enqueue(task);
    return task;
  }

  private handler(name: string): Handler {
    const handler = HANDLERS.get(name);
    if (!handler) throw new Error(`no call ${name}`);
    return handler;
  }

  /** Makes a call; a Wait blocks the task. */
  start(name: string, args: number[], task = this.task): number | Wait {
    const result = this.handler(name)(task, ...args);
    task.rerun = null;
    task.timedOut = false;
    task.interrupted = false;
    if (typeof result === 'object') this.kernel.block(task, result);
    return result;
  }

  /** Makes a call that must not block, by the helper: the task may be in another call. */
  call(name: string, ...args: number[]): number {
    const result = this.handler(name)(this.helper, ...args);
    if (typeof result === 'object') throw new Error(`${name} blocks`);
    return result;
  }

  /** Makes a call that must block. */
  blocks(name: string, args: number[], task = this.task): Wait {
    const result = this.start(name, args, task);
    if (typeof result === 'number') throw new Error(`${name} does not block: ${result}`);
    return result;
  }

  /** True when a blocked task has been woken and is to run its call again. */
  woken(task = this.task): boolean {
    return task.state === 'runnable' && task.rerun !== null;
  }

  /** Lets time pass, and timers expire. */
  advance(ns: number): void {
    this.host.nowNs += ns;
    this.kernel.timers.expire(this.kernel.clock.monotonicNs());
  }

  // user memory
  put(text: string | Uint8Array, offset = 0): number {
    const bytes = typeof text === 'string' ? Uint8Array.from(text, (char) => char.charCodeAt(0)) : text;
    if (this.task.process.mm.copyOut(this.buffer + offset, bytes) < 0) throw new Error('put');
    return this.buffer + offset;
  }

  putString(text: string, offset = 0): number {
    return this.put(`${text}\0`, offset);
  }

  bytes(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    if (this.task.process.mm.copyIn(this.buffer + offset, bytes) < 0) throw new Error('bytes');
    return bytes;
  }

  text(offset: number, length: number): string {
    return String.fromCharCode(...this.bytes(offset, length));
  }

  i32(offset: number): number {
    return new DataView(this.bytes(offset, 4).buffer).getInt32(0, true);
  }

  u64(offset: number): bigint {
    return new DataView(this.bytes(offset, 8).buffer).getBigUint64(0, true);
  }

  words(offset: number, ...values: (number | bigint)[]): number {
    return this.put(new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer), offset);
  }

  ints(offset: number, ...values: number[]): number {
    return this.put(new Uint8Array(Int32Array.from(values).buffer), offset);
  }

  // files
  pipe(flags = 0): [number, number] {
    const result = this.call('pipe2', this.buffer, flags);
    if (result !== 0) throw new Error(`pipe2: ${result}`);
    return [this.i32(0), this.i32(4)];
  }

  write(fd: number, text: string): number {
    return this.call('write', fd, this.put(text, 0x8000), text.length);
  }

  /** What read(2) gives, as text; a number is an error. */
  read(fd: number, length = 65536): string | number {
    const n = this.call('read', fd, this.buffer + 0x40000, length);
    return n < 0 ? n : this.text(0x40000, n);
  }

  open(path: string, flags = 0): number {
    return this.call('open', this.putString(path, 0x7000), flags, 0o644);
  }

  /** The whole text of a file. */
  cat(path: string): string {
    const fd = this.open(path);
    if (fd < 0) throw new Error(`open ${path}: ${fd}`);
    let text = '';
    for (;;) {
      const part = this.read(fd);
      if (typeof part === 'number') throw new Error(`read ${path}: ${part}`);
      if (part === '') break;
      text += part;
    }
    this.call('close', fd);
    return text;
  }
}
