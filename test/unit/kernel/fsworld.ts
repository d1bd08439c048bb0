// A sandbox's file systems over a tiny image made in memory: what the fs tests act on. Calls go through the system-call rows;
// strings and bytes given as arguments are put into user memory.
//
// Interface: World (call, text, stat, names, fork), image().

import { AT_FDCWD } from '../../../src/abi/linux/fcntl.ts';
import { Stat } from '../../../src/abi/linux/stat.ts';
import { FdTable } from '../../../src/kernel/fs/fdtable.ts';
import { FsContext } from '../../../src/kernel/fs/fscontext.ts';
import { completeImageIndex } from '../../../src/kernel/fs/imageindex.ts';
import type { ImageIndex } from '../../../src/kernel/fs/imageindex.ts';
import { buildVfs } from '../../../src/kernel/fs/mounts.ts';
import { RestoredFs, saveFs } from '../../../src/kernel/fs/savefs.ts';
import type { FsState } from '../../../src/kernel/fs/savefs.ts';
import { syntheticMounts } from '../../../src/kernel/fs/synthetic.ts';
import { Kernel } from '../../../src/kernel/kernel.ts';
import { Frames } from '../../../src/kernel/mm/frames.ts';
import { Mm } from '../../../src/kernel/mm/mm.ts';
import { credentialsOf } from '../../../src/kernel/process/credentials.ts';
import { Process } from '../../../src/kernel/process/process.ts';
import { newContext, Task } from '../../../src/kernel/process/task.ts';
import { SignalState } from '../../../src/kernel/signal/state.ts';
import { ROWS } from '../../../src/kernel/syscalls/table.ts';
import type { Wait } from '../../../src/kernel/wait.ts';
import { FakeHost, FakeMachine } from '../fakemachine.ts';

const HANDLERS = new Map(ROWS.map((row) => [row.name, row.handler]));
const PAGE = 4096;

/** An entry of a test image: contents, a link target, or a directory's or file's mode and owner. */
export interface Entry { data?: string | Uint8Array; target?: string; mode?: number; uid?: number; sameAs?: string }

export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

interface Row { path: string; parent: number; name: string; entry: Entry }

/** Breadth-first rows with sorted names, parents made as needed. */
function rowsOf(tree: Record<string, Entry>): Row[] {
  const all = new Map<string, Entry>([['', { mode: 0o040755 }]]);
  for (const [path, entry] of Object.entries(tree)) {
    for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) {
      if (!all.has(path.slice(0, at))) all.set(path.slice(0, at), { mode: 0o040755 });
    }
    all.set(path, entry);
  }
  const rows: Row[] = [{ path: '', parent: 0, name: '', entry: all.get('') as Entry }];
  for (let at = 0; at < rows.length; at++) {
    const prefix = rows[at].path === '' ? '' : `${rows[at].path}/`;
    const children = [...all.keys()].filter((path) => path !== '' && path.startsWith(prefix) && !path.slice(prefix.length).includes('/')).sort();
    for (const path of children) rows.push({ path, parent: at, name: path.slice(prefix.length), entry: all.get(path) as Entry });
  }
  return rows;
}

/** An index and its blob. Paths are relative to the root. */
export function image(tree: Record<string, Entry>): { index: ImageIndex; blob: Uint8Array } {
  const rows = rowsOf(tree);
  const pieces: Uint8Array[] = [];
  let blobBytes = 0;
  const inode = new Uint32Array(rows.length);
  const offset = new Float64Array(rows.length);
  const size = new Float64Array(rows.length);
  const mode = new Uint32Array(rows.length);
  rows.forEach(({ entry }, i) => {
    const original = rows.findIndex((row) => row.path === entry.sameAs);
    if (original >= 0 && original < i) {
      [inode[i], offset[i], size[i], mode[i]] = [inode[original], offset[original], size[original], mode[original]];
      return;
    }
    const data = typeof entry.data === 'string' ? bytesOf(entry.data) : entry.data;
    inode[i] = i + 1;
    mode[i] = entry.target !== undefined ? 0o120777 : data ? 0o100000 | (entry.mode ?? 0o644) : entry.mode ?? 0o040755;
    size[i] = data?.length ?? entry.target?.length ?? 0;
    if (!data || data.length === 0) return;
    offset[i] = blobBytes;
    const padded = new Uint8Array(Math.ceil(data.length / PAGE) * PAGE);
    padded.set(data);
    pieces.push(padded);
    blobBytes += padded.length;
  });
  const column = (value: (row: Row) => number): Uint32Array => Uint32Array.from(rows, value);
  const index = completeImageIndex({
    blobSha256: '0'.repeat(64), blobSizeBytes: blobBytes, name: rows.map((row) => row.name), target: rows.map((row) => row.entry.target ?? ''),
    parent: column((row) => row.parent), mode, uid: column((row) => row.entry.uid ?? 0), gid: column(() => 0), rdev: column(() => 0),
    inode, mtimeNsec: column(() => 5), sizeBytes: size, offset, mtimeSec: Float64Array.from(rows, () => 1_600_000_000),
  });
  const blob = new Uint8Array(blobBytes);
  let at = 0;
  for (const piece of pieces) {
    blob.set(piece, at);
    at += piece.length;
  }
  return { index, blob };
}

export type StatValue = ReturnType<typeof Stat.read>;

export class World {
  readonly index: ImageIndex;
  readonly blob: Uint8Array;
  readonly host: FakeHost;
  readonly machine: FakeMachine;
  readonly kernel: Kernel;
  task!: Task;
  /** User memory: strings in the first half, results from `out` on. */
  private buffer = 0;
  private used = 0;

  constructor(tree: Record<string, Entry>, options: { uid?: number; diskBytesMax?: number; from?: World; state?: FsState; memoryBytes?: number } = {}) {
    const { from } = options;
    ({ index: this.index, blob: this.blob } = from ?? image(tree));
    this.host = new FakeHost(this.blob);
    this.machine = from?.machine.fork() ?? new FakeMachine(options.memoryBytes ?? 64 << 20);
    this.kernel = new Kernel({ machine: this.machine, host: this.host, limits: { diskBytesMax: options.diskBytesMax ?? 32 << 20 } });
    if (from && options.state) this.restore(from, options.state);
    else {
      this.kernel.vfs = buildVfs(this.kernel, this.index, [syntheticMounts(this.kernel)]);
      const root = this.kernel.vfs.root;
      this.addTask(2, options.uid ?? 0, new FdTable(), new FsContext(root, root));
    }
  }

  private restore(from: World, state: FsState): void {
    this.kernel.frames = Frames.restore(from.kernel.frames.save(), this.machine.memory);
    this.kernel.waits.restore(from.kernel.waits.save());
    const restored = new RestoredFs(state, this.kernel, () => buildVfs(this.kernel, this.index, [syntheticMounts(this.kernel)], state.vfs));
    this.kernel.vfs = () => restored.vfs;
    for (const [pid, process] of from.kernel.processes) {
      this.addTask(pid, process.credentials.fsuid, restored.filesOf(pid), restored.fsOf(pid));
    }
  }

  private addTask(pid: number, uid: number, files: FdTable, fs: FsContext): Task {
    const mm = Mm.create(this.kernel);
    if (typeof mm === 'number') throw new Error('no memory');
    const process = new Process(this.kernel, pid, 1, { mm, files, fs, signals: new SignalState(), credentials: credentialsOf(uid, uid) });
    this.task = new Task(this.kernel, pid, process, newContext(), 'test');
    process.tasks.push(this.task);
    this.kernel.processes.set(pid, process);
    this.kernel.tasks.set(pid, this.task);
    this.buffer = mm.map({ addr: 0, length: 4 << 20, prot: 3, flags: 0x22, inode: null, offset: 0 });
    return this.task;
  }

  /** Another process with its own (or the same) descriptors; it makes the calls from now on. */
  newProcess(pid: number, files = new FdTable()): Task {
    const { fs, credentials } = this.task.process;
    return this.addTask(pid, credentials.fsuid, files, fs.clone());
  }

  /** Other sandboxes restored from what this one is now; each independent. */
  fork(state = saveFs(this.kernel)): World {
    return new World({}, { from: this, state });
  }

  /** Who makes the calls from now on. */
  become(uid: number, gid = uid): this {
    this.task.process.credentials = credentialsOf(uid, gid);
    return this;
  }

  private place(value: string | Uint8Array): number {
    const bytes = typeof value === 'string' ? bytesOf(`${value}\0`) : value;
    if (this.used + bytes.length > 1 << 21) this.used = 0;
    const at = this.buffer + this.used;
    this.used += Math.ceil(bytes.length / 16) * 16;
    if (this.task.process.mm.copyOut(at, bytes) < 0) throw new Error('user memory');
    return at;
  }

  /** Where calls put their results. */
  get out(): number { return this.buffer + (1 << 21); }

  run(name: string, ...args: (number | string | Uint8Array)[]): number | Wait {
    this.used = 0;
    const handler = HANDLERS.get(name);
    if (!handler) throw new Error(`no call ${name}`);
    return handler(this.task, ...args.map((arg) => typeof arg === 'number' ? arg : this.place(arg)));
  }

  /** A call that does not block. */
  call(name: string, ...args: (number | string | Uint8Array)[]): number {
    const result = this.run(name, ...args);
    if (typeof result === 'object') throw new Error(`${name} blocks`);
    return result;
  }

  outBytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.task.process.mm.copyIn(this.out, bytes);
    return bytes;
  }

  open(path: string, flags = 0, mode = 0o644): number { return this.call('open', path, flags, mode); }

  /** Up to `max` bytes as text, or -errno. */
  read(fd: number, max = 1 << 20): string | number {
    const n = this.call('read', fd, this.out, max);
    return n < 0 ? n : Buffer.from(this.outBytes(n)).toString('latin1');
  }

  /** A whole file's text, or -errno. */
  text(path: string): string | number {
    const fd = this.open(path);
    if (fd < 0) return fd;
    const text = this.read(fd);
    this.call('close', fd);
    return text;
  }

  /** Makes or replaces a file. */
  write(path: string, data: string | Uint8Array, flags = 0o1101): number {
    const fd = this.open(path, flags);
    if (fd < 0) return fd;
    const bytes = typeof data === 'string' ? bytesOf(data) : data;
    const n = this.call('write', fd, bytes, bytes.length);
    this.call('close', fd);
    return n;
  }

  stat(path: string, flags = 0x100): StatValue {
    const result = this.call('newfstatat', AT_FDCWD, path, this.out, flags);
    if (result < 0) throw new Error(`stat ${path}: ${result}`);
    return Stat.read(new DataView(this.outBytes(Stat.size).buffer), 0);
  }

  /** Names in a directory without "." and "..", in the order getdents gives them. */
  names(path: string, bufferBytes = 4096): string[] {
    const fd = this.open(path, 0o200000);
    const names: string[] = [];
    for (;;) {
      const n = this.call('getdents64', fd, this.out, bufferBytes);
      if (n <= 0) break;
      const bytes = Buffer.from(this.outBytes(n));
      for (let at = 0; at < n; at += bytes.readUInt16LE(at + 16)) {
        names.push(bytes.toString('latin1', at + 19, bytes.indexOf(0, at + 19)));
      }
    }
    this.call('close', fd);
    return names.filter((name) => name !== '.' && name !== '..');
  }

  readlink(path: string): string | number {
    const n = this.call('readlink', path, this.out, 4096);
    return n < 0 ? n : Buffer.from(this.outBytes(n)).toString('latin1');
  }

  cwd(): string | number {
    const n = this.call('getcwd', this.out, 4096);
    return n < 0 ? n : Buffer.from(this.outBytes(n - 1)).toString('latin1');
  }
}
