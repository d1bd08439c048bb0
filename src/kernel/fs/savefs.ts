// Saving and restoring everything the processes see through descriptors: writable file systems, open files, descriptor
// tables, working directories, locks.
//
// Interface: saveFs, RestoredFs; registerFileKind for kinds of File that need more than position, flags and inode; registerFsPart for
// what no open file leads to.
// A state is plain data, frozen once made, and shared by all forks: restoring reads it and copies what will change. Objects that
// are shared (a File in two tables, a Pipe behind two Files) get a number in the state, so that they are one object again.
// The dentry tree is a cache: only dentries in use are saved, as chains of names.

import type { Kernel } from '../kernel.ts';
import { Dentry, topOf } from './dentry.ts';
import { DirFile } from './dirfile.ts';
import { FdTable } from './fdtable.ts';
import type { FdTableState } from './fdtable.ts';
import { File } from './file.ts';
import { FsContext } from './fscontext.ts';
import { LockList } from './locks.ts';
import type { LockOwner } from './locks.ts';
import { saveVfs } from './mounts.ts';
import type { VfsState } from './mounts.ts';
import { PathFile } from './open.ts';
import { RegFile } from './regfile.ts';
import type { InodeRef, Vfs } from './vfs.ts';

/** A dentry in a state. Parents come before their children. */
export interface DentryState {
  /** Index of the parent in FsState.dentries; -1: the root of mount number `mount`; -2: an object without a name. */
  readonly parent: number;
  readonly mount: number;
  readonly name: string;
  readonly unlinked: boolean;
  /** Found by its name: its parent's children have it. */
  readonly cached: boolean;
  readonly inode: InodeRef;
}

export interface FileState {
  readonly kind: string;
  readonly flags: number;
  readonly pos: number;
  readonly owner: number;
  readonly refs: number;
  readonly label: string;
  /** Index of its dentry, -1 without one. */
  readonly dentry: number;
  readonly inode: InodeRef;
  /** What its kind saved. */
  readonly extra: unknown;
}

export interface ContextState {
  readonly root: number;
  readonly cwd: number;
  readonly umask: number;
  readonly refs: number;
}

export interface LocksState {
  readonly inode: InodeRef;
  readonly queue: number;
  readonly records: readonly { owner: OwnerRef; pid: number; type: number; start: number; end: number }[];
  readonly whole: readonly { owner: OwnerRef; mode: number }[];
}

/** An index into files or tables. */
export interface OwnerRef { readonly file: number; readonly table: number }

export interface FsState {
  readonly vfs: VfsState;
  readonly dentries: readonly DentryState[];
  readonly files: readonly FileState[];
  /** What several files share, by number: Saver.object. */
  readonly objects: readonly unknown[];
  readonly tables: readonly FdTableState[];
  readonly contexts: readonly ContextState[];
  readonly processes: ReadonlyMap<number, { readonly table: number; readonly context: number }>;
  readonly locks: readonly LocksState[];
  /** What registerFsPart's parts saved, by name. */
  readonly parts: ReadonlyMap<string, unknown>;
}

/** How a kind of File is saved and made again. Position, flags, dentry and references are taken care of. */
export interface FileKind {
  /** Plain data besides the common part. */
  save(file: File, saver: Saver): unknown;
  /** A new File with the saved flags; `state.extra` is what save returned. */
  restore(state: FileState, loader: Loader): File;
  /** Second pass, when all files exist: links to other files. */
  link?(file: File, state: FileState, loader: Loader): void;
}

const kinds = new Map<string, FileKind>();

/** Called once per kind when its module is loaded. */
export function registerFileKind(kind: string, how: FileKind): void {
  kinds.set(kind, how);
}

/** Something that must survive although no descriptor leads to it. */
export interface FsPart {
  /** Plain data. */
  save(saver: Saver): unknown;
  restore(state: unknown, loader: Loader): void;
}

const parts = new Map<string, FsPart>();

/** Called once per part when its module is loaded. */
export function registerFsPart(name: string, part: FsPart): void {
  parts.set(name, part);
}

/** Numbers objects while a state is made. */
export class Saver {
  readonly kernel: Kernel;
  readonly dentries: DentryState[] = [];
  readonly files: FileState[] = [];
  readonly objects: unknown[] = [];
  private readonly dentryIds = new Map<Dentry, number>();
  private readonly fileIds = new Map<File, number>();
  private readonly objectIds = new Map<object, number>();

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  inode(inode: File['inode']): InodeRef {
    return this.kernel.vfs.saveInode(inode);
  }

  /** Number of an open file; it is saved too if it was not yet. */
  file(file: File): number {
    const known = this.fileIds.get(file);
    if (known !== undefined) return known;
    const id = this.files.length;
    this.fileIds.set(file, id);
    const state = {
      kind: file.kind, flags: file.flags, pos: file.pos, owner: file.owner, refs: file.refs, label: file.label,
      dentry: file.dentry ? this.dentry(file.dentry) : -1, inode: this.inode(file.inode), extra: null as unknown,
    };
    this.files.push(state);
    // After the push: what a kind saves may refer to this file again.
    state.extra = kinds.get(file.kind)?.save(file, this) ?? null;
    return id;
  }

  /** Number of something several files share; `save` is called the first time. */
  object(object: object, save: () => unknown): number {
    const known = this.objectIds.get(object);
    if (known !== undefined) return known;
    const id = this.objects.length;
    this.objectIds.set(object, id);
    this.objects.push(null);
    this.objects[id] = save();
    return id;
  }

  dentry(dentry: Dentry): number {
    const known = this.dentryIds.get(dentry);
    if (known !== undefined) return known;
    const { parent, mount } = dentry;
    const parentId = parent ? this.dentry(parent) : mount ? -1 : -2;
    const id = this.dentries.length;
    this.dentryIds.set(dentry, id);
    this.dentries.push({
      parent: parentId, mount: mount ? this.kernel.vfs.mounts.indexOf(mount) : -1, name: dentry.name, unlinked: dentry.unlinked,
      cached: parent?.children?.get(dentry.name) === dentry, inode: this.inode(dentry.inode),
    });
    return id;
  }

  owner(owner: LockOwner, tables: Map<FdTable, number>): OwnerRef {
    if (owner instanceof FdTable) return { file: -1, table: tables.get(owner) ?? -1 };
    return { file: owner instanceof File ? this.fileIds.get(owner) ?? -1 : -1, table: -1 };
  }
}

/** Everything of the file systems as plain data. The kernel may go on running: what it shares with the state it copies when it changes. */
export function saveFs(kernel: Kernel): FsState {
  const saver = new Saver(kernel);
  const tables = new Map<FdTable, number>();
  const contexts = new Map<FsContext, number>();
  const tableStates: FdTableState[] = [];
  const contextStates: ContextState[] = [];
  const processes = new Map<number, { table: number; context: number }>();
  for (const [pid, process] of kernel.processes) {
    const { files, fs } = process;
    if (!tables.has(files)) {
      tables.set(files, tableStates.length);
      tableStates.push(files.save((file) => saver.file(file)));
    }
    if (!contexts.has(fs)) {
      contexts.set(fs, contextStates.length);
      contextStates.push({ root: saver.dentry(fs.root), cwd: saver.dentry(fs.cwd), umask: fs.umask, refs: fs.refs });
    }
    processes.set(pid, { table: tables.get(files) ?? 0, context: contexts.get(fs) ?? 0 });
  }
  const locks = saveLocks(kernel.vfs, saver, tables);
  const partStates = new Map([...parts].map(([name, part]) => [name, part.save(saver)]));
  return {
    vfs: saveVfs(kernel.vfs), dentries: saver.dentries, files: saver.files, objects: saver.objects,
    tables: tableStates, contexts: contextStates, processes, locks, parts: partStates,
  };
}

function saveLocks(vfs: Vfs, saver: Saver, tables: Map<FdTable, number>): LocksState[] {
  const states: LocksState[] = [];
  for (const inode of vfs.locked) {
    if (!inode.locks || inode.locks.isEmpty) {
      vfs.locked.delete(inode);
      continue;
    }
    const { records, whole } = inode.locks.list();
    states.push({
      inode: saver.inode(inode), queue: inode.locks.queue,
      records: records.map(({ owner, pid, type, start, end }) => ({ owner: saver.owner(owner, tables), pid, type, start, end })),
      whole: [...whole].map(([owner, mode]) => ({ owner: saver.owner(owner, tables), mode })),
    });
  }
  return states;
}

/** Makes a state's objects again, each once, when they are first asked for. */
export class Loader {
  readonly kernel: Kernel;
  private readonly findVfs: () => Vfs;
  private readonly state: FsState;
  private readonly files: File[] = [];
  private readonly dentries: Dentry[] = [];
  private readonly objects = new Map<number, unknown>();

  constructor(kernel: Kernel, findVfs: () => Vfs, state: FsState) {
    this.kernel = kernel;
    this.findVfs = findVfs;
    this.state = state;
  }

  get vfs(): Vfs {
    return this.findVfs();
  }

  /** The inode of a ref; the root directory when it is gone (an inode of /proc whose process is not in the state). */
  inode(ref: InodeRef): File['inode'] {
    return this.vfs.loadInode(ref) ?? this.vfs.root.inode;
  }

  /** The open file with a number. Its reference count is the saved one: take no reference. */
  file(id: number): File {
    const known = this.files[id];
    if (known) return known;
    const state = this.state.files[id];
    const file = kinds.get(state.kind)?.restore(state, this) ?? new PathFile(this.inode(state.inode), state.flags, state.label);
    file.pos = state.pos;
    file.owner = state.owner;
    file.refs = state.refs;
    file.dentry = state.dentry < 0 ? null : this.dentry(state.dentry);
    this.files[id] = file;
    return file;
  }

  /** All files, for the second pass. */
  linkAll(): void {
    for (let id = 0; id < this.state.files.length; id++) {
      const state = this.state.files[id];
      kinds.get(state.kind)?.link?.(this.file(id), state, this);
    }
  }

  /** The shared object with a number; `restore` makes it from what Saver.object's `save` returned. */
  object<T>(id: number, restore: (state: unknown) => T): T {
    const known = this.objects.get(id);
    if (known !== undefined) return known as T;
    const made = restore(this.state.objects[id]);
    this.objects.set(id, made);
    return made;
  }

  dentry(id: number): Dentry {
    const known = this.dentries[id];
    if (known) return known;
    const made = this.makeDentry(this.state.dentries[id]);
    this.dentries[id] = made;
    return made;
  }

  private makeDentry(state: DentryState): Dentry {
    if (state.parent === -1) return this.vfs.mounts[state.mount]?.root ?? this.vfs.root;
    const inode = (): File['inode'] => this.inode(state.inode); // of a directory on the way, hardly ever asked for
    if (state.parent === -2) return new Dentry(state.name, null, inode);
    const parent = this.dentry(state.parent);
    const known = state.unlinked ? undefined : parent.children?.get(state.name);
    // A mount point: the dentry meant is the one below the mount.
    if (known?.mounted && known.inode !== inode()) return topOf(known);
    if (known) return known;
    const dentry = new Dentry(state.name, parent, inode);
    dentry.unlinked = state.unlinked;
    return state.cached ? parent.adopt(dentry) : dentry;
  }

  owner(ref: OwnerRef, tables: readonly FdTable[]): LockOwner | null {
    if (ref.table >= 0) return tables[ref.table] ?? null;
    return ref.file >= 0 ? this.file(ref.file) : null;
  }
}

/**
 * The same file systems and open files again, independent of any other restored from the state, made when they are looked at: a fork that
 * only reads and writes what it was given needs no file system. Sets `kernel.vfs` then. The kernel must have frames, host, clock, limits and waits (already
 * restored: queue numbers in the state are theirs).
 */
export class RestoredFs {
  private readonly state: FsState;
  private readonly loader: Loader;
  private readonly makeVfs: () => Vfs;
  private readonly finish: (vfs: Vfs) => void;
  private mounted: Vfs | null = null;
  private tables: FdTable[] | null = null;
  private contexts: FsContext[] | null = null;
  private isWhole = false;

  /** `makeVfs`: the mounts alone. `finish`: what else belongs to them; called once, before anybody sees them. */
  constructor(state: FsState, kernel: Kernel, makeVfs: () => Vfs, finish: (vfs: Vfs) => void = () => {}) {
    this.state = state;
    this.makeVfs = makeVfs;
    this.finish = finish;
    this.loader = new Loader(kernel, () => this.mounts(), state);
  }

  private mounts(): Vfs {
    return (this.mounted ??= this.makeVfs());
  }

  /** With all that is open, and all locks. */
  get vfs(): Vfs {
    const vfs = this.mounts();
    if (this.isWhole) return vfs;
    this.isWhole = true;
    this.loader.kernel.vfs = vfs;
    const tables = this.allTables();
    restoreLocks(this.state.locks, vfs, this.loader, tables);
    for (const [name, saved] of this.state.parts) parts.get(name)?.restore(saved, this.loader);
    this.finish(vfs);
    return vfs;
  }

  /** Descriptor table of a process that was saved. */
  filesOf(pid: number): FdTable {
    const table = this.allTables()[this.of(pid).table];
    if (this.mounted) void this.vfs; // one of the files is in a file system
    return table;
  }

  fsOf(pid: number): FsContext {
    void this.vfs;
    this.contexts ??= this.state.contexts.map(({ root, cwd, umask, refs }) => {
      const made = new FsContext(this.loader.dentry(root), this.loader.dentry(cwd), umask);
      made.refs = refs;
      return made;
    });
    return this.contexts[this.of(pid).context];
  }

  private allTables(): FdTable[] {
    if (this.tables) return this.tables;
    const { kernel } = this.loader;
    this.tables = this.state.tables.map((table) => FdTable.restore(table, (id) => this.loader.file(id), kernel.ipc));
    this.loader.linkAll();
    return this.tables;
  }

  private of(pid: number): { readonly table: number; readonly context: number } {
    return this.state.processes.get(pid) ?? { table: 0, context: 0 };
  }
}

function restoreLocks(states: readonly LocksState[], vfs: Vfs, loader: Loader, tables: readonly FdTable[]): void {
  for (const state of states) {
    const inode = vfs.loadInode(state.inode);
    if (!inode) continue;
    const records = state.records.flatMap(({ owner: ref, ...rest }) => {
      const owner = loader.owner(ref, tables);
      return owner ? [{ ...rest, owner }] : [];
    });
    const whole = new Map<LockOwner, number>();
    for (const { owner: ref, mode } of state.whole) {
      const owner = loader.owner(ref, tables);
      if (owner) whole.set(owner, mode);
    }
    inode.locks = new LockList(vfs.locks, records, whole, state.queue);
    vfs.locked.add(inode);
  }
}

registerFileKind('reg', { save: () => null, restore: (state, loader) => new RegFile(loader.inode(state.inode), state.flags, state.label) });
registerFileKind('dir', { save: () => null, restore: (state, loader) => new DirFile(loader.inode(state.inode), state.flags, state.label) });
registerFileKind('path', { save: () => null, restore: (state, loader) => new PathFile(loader.inode(state.inode), state.flags, state.label) });
