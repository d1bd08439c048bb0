// A descriptor table: small numbers to open file descriptions (files_struct). Shared under CLONE_FILES, copied by fork.
//
// Interface: FdTable. Each entry holds one reference of its File. Descriptors are always the lowest free one.

import { EBADF, EMFILE, ENFILE } from '../../abi/linux/errno.ts';
import { ErrnoLimits } from '../errnolimits.ts';
import type { File, FileCount } from './file.ts';

/** Linux's /proc/sys/fs/nr_open. */
export const NR_OPEN = 1_048_576;

/** Open file descriptions of a sandbox: they and what they hold live in the worker's heap. */
export const FILES_MAX = 65536;

/** Plain data; files are numbers savefs gave them. */
export interface FdTableState {
  readonly limit: number;
  readonly refs: number;
  readonly entries: readonly { readonly fd: number; readonly file: number; readonly cloexec: boolean }[];
}

export class FdTable {
  /** RLIMIT_NOFILE, soft: descriptors are below it. Kept up to date by whoever changes the limit. */
  limit: number;
  /** Processes that share it. */
  refs = 1;
  private readonly files: (File | null)[] = [];
  private readonly cloexec = new Set<number>();
  /** No descriptor below it is free. */
  private firstFree = 0;
  /** The open files of all tables of the sandbox. */
  private readonly counter: FileCount;

  constructor(limit = 1024, counter: FileCount = { files: 0, fileBytes: 0, bounds: new ErrnoLimits() }) {
    this.limit = limit;
    this.counter = counter;
  }

  /** The file, without a new reference; null when the descriptor is not open. */
  get(fd: number): File | null {
    return this.files[fd] ?? null;
  }

  /** Places, whether or not a descriptor is open there. */
  get size(): number {
    return this.files.length;
  }

  /** Number of open descriptors. */
  get count(): number {
    let open = 0;
    for (const file of this.files) if (file) open++;
    return open;
  }

  /** Whether install would find a descriptor: asked before something is made that would have to be undone. */
  hasRoom(minFd = 0): boolean {
    let fd = Math.max(minFd, this.firstFree);
    while (this.files[fd]) fd++;
    return fd < this.limit || this.full();
  }

  /** Takes over the caller's reference: the lowest free descriptor ≥ minFd, or -EMFILE, -ENFILE (the reference stays the caller's). */
  install(file: File, minFd = 0, cloexec = false): number {
    let fd = Math.max(minFd, this.firstFree);
    while (this.files[fd]) fd++;
    if (fd >= this.limit) {
      this.full();
      return -EMFILE;
    }
    if (!file.counted) {
      if (!this.counter.bounds.allow('files', this.counter.files + 1, FILES_MAX)) return -ENFILE;
      file.countIn(this.counter);
    }
    if (minFd <= this.firstFree) this.firstFree = fd + 1;
    this.put(fd, file, cloexec);
    return fd;
  }

  /** dup2(2): takes over the reference, closing what was there. fd, or -EBADF beyond the limit. */
  installAt(fd: number, file: File, cloexec = false): number {
    if (fd < 0 || fd >= this.limit) return -EBADF;
    const old = this.files[fd];
    this.put(fd, file, cloexec);
    if (old) this.dispose(old);
    return fd;
  }

  private full(): false {
    this.counter.bounds.meet('files');
    return false;
  }

  private put(fd: number, file: File, cloexec: boolean): void {
    while (this.files.length < fd) this.files.push(null);
    this.files[fd] = file;
    if (cloexec) this.cloexec.add(fd);
    else this.cloexec.delete(fd);
  }

  /** 0 or -EBADF. POSIX record locks this table holds on the file go (fcntl(2)). */
  close(fd: number): number {
    const file = this.files[fd];
    if (!file) return -EBADF;
    this.files[fd] = null;
    this.cloexec.delete(fd);
    if (fd < this.firstFree) this.firstFree = fd;
    this.dispose(file);
    return 0;
  }

  private dispose(file: File): void {
    file.inode.locks?.releaseOwner(this);
    file.flush();
    file.unref();
  }

  isCloexec(fd: number): boolean {
    return this.cloexec.has(fd);
  }

  setCloexec(fd: number, on: boolean): void {
    if (on) this.cloexec.add(fd);
    else this.cloexec.delete(fd);
  }

  closeOnExec(): void {
    for (const fd of [...this.cloexec]) this.close(fd);
  }

  /** Open descriptors in ascending order. */
  forEach(visit: (fd: number, file: File) => void): void {
    for (let fd = 0; fd < this.files.length; fd++) {
      const file = this.files[fd];
      if (file) visit(fd, file);
    }
  }

  /** Descriptors in [first, last] that are open, ascending. */
  openBetween(first: number, last: number): number[] {
    const found: number[] = [];
    for (let fd = first; fd <= last && fd < this.files.length; fd++) if (this.files[fd]) found.push(fd);
    return found;
  }

  /** A table for a forked child: same files, one more reference each. */
  clone(): FdTable {
    const copy = new FdTable(this.limit, this.counter);
    this.forEach((fd, file) => copy.put(fd, file.ref(), this.cloexec.has(fd)));
    copy.firstFree = this.firstFree;
    return copy;
  }

  /** One more process shares it (CLONE_FILES). */
  share(): this {
    this.refs++;
    return this;
  }

  /** One process less; the last one closes everything. */
  release(): void {
    if (--this.refs > 0) return;
    for (const fd of this.openBetween(0, this.files.length)) this.close(fd);
  }

  /** `idOf` numbers a file in the state. */
  save(idOf: (file: File) => number): FdTableState {
    const entries: { fd: number; file: number; cloexec: boolean }[] = [];
    this.forEach((fd, file) => entries.push({ fd, file: idOf(file), cloexec: this.cloexec.has(fd) }));
    return { limit: this.limit, refs: this.refs, entries };
  }

  /** `fileOf` gives the restored file, whose reference count already counts this table. */
  static restore(state: FdTableState, fileOf: (id: number) => File, counter?: FileCount): FdTable {
    const table = new FdTable(state.limit, counter);
    table.refs = state.refs;
    for (const { fd, file: id, cloexec } of state.entries) {
      const file = fileOf(id);
      if (!file.counted) file.countIn(table.counter);
      table.put(fd, file, cloexec);
    }
    while (table.files[table.firstFree]) table.firstFree++;
    return table;
  }
}
