// Path facts: stats of paths, and the working directory, that the machine answers itself, because programs ask for the same ones again and again
// (an import in Python: those of all it searches and reads).
//
// Interface: `learn` and `learnMissing` after a stat, `learnCwd` after getcwd, `refresh` before ring 3 runs. What is known of a path holds until the
// file changes, or a directory of its file system or of the root's; and for one set of ids and one root, because they decide who may walk
// there. Only paths without links or dots, in the file systems in memory that are mounted when a sandbox starts.

import { ENOENT } from '../../abi/linux/errno.ts';
import { AT_FDCWD } from '../../abi/linux/fcntl.ts';
import type { PathAnswers } from '../../platform.ts';
import { pathOf, type Dentry } from '../fs/dentry.ts';
import { MemInode } from '../fs/meminode.ts';
import { lookupAt } from '../fs/path.ts';
import type { MemFs } from '../fs/tmpfs.ts';
import type { Credentials } from '../process/credentials.ts';
import type { Task } from '../process/task.ts';
import { encodeStat } from './stat.ts';

interface Known {
  readonly path: string;
  /** The file; the directory that does not have it. */
  readonly inode: MemInode;
  readonly isThere: boolean;
}

/** A file system that paths are known of, and its count of changes then. */
interface Seen {
  readonly fs: MemFs;
  changes: number;
  /** Paths, and the working directory, that are known in it. */
  used: number;
}

export class PathFacts {
  private readonly answers: PathAnswers | undefined;
  private slots: (Known | null)[] = [];
  private readonly slotOf = new Map<string, number>();
  /** The slot that is filled next. */
  private next = 0;
  /** The root's file system first. */
  private seen: Seen[] = [];
  private credentials: Credentials | null = null;
  private root: Dentry | null = null;
  private cwd: Dentry | null = null;
  /** Files of which a stat is known and that changed since (meminode.ts). */
  private readonly changed: MemInode[] = [];

  constructor(answers: PathAnswers | undefined) {
    this.answers = answers;
  }

  /** `path`, followed to its end, is `dentry` for this task. */
  learn(task: Task, path: string, dentry: Dentry): void {
    const { inode } = dentry;
    if (!this.answers || !(inode instanceof MemInode) || !this.begin(task, path) || pathOf(dentry) !== path) return;
    this.add({ path, inode, isThere: true });
  }

  /** There is no `path` for this task. */
  learnMissing(task: Task, path: string): void {
    if (!this.answers || !this.begin(task, path)) return;
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    if (slash < 1 || name === '' || name === '.' || name === '..') return;
    const parent = lookupAt(task, AT_FDCWD, path.slice(0, slash), 0);
    if (typeof parent === 'number' || pathOf(parent) !== path.slice(0, slash)) return;
    const { inode } = parent;
    if (!(inode instanceof MemInode) || typeof inode.lookup(name, task) !== 'number') return; // a link that leads nowhere
    this.add({ path, inode, isThere: false });
  }

  /** `path` is what getcwd gave this task. */
  learnCwd(task: Task, path: string): void {
    const { cwd } = task.process.fs;
    if (!this.answers || !(cwd.inode instanceof MemInode) || !this.begin(task, path) || pathOf(cwd) !== path) return;
    const seen = this.seenOf(cwd.inode.fs);
    if (!seen || this.cwd === cwd) return;
    this.forgetCwd();
    this.answers.setCwd(path);
    this.cwd = cwd;
    seen.used++;
  }

  /** Forgets what does not hold any more, for this task. True: something is left. */
  refresh(task: Task): boolean {
    const { answers } = this;
    if (!answers || (this.slotOf.size === 0 && this.cwd === null)) return false;
    if (!answers.isKept || !this.isOf(task) || this.seen[0].fs.directoryChanges !== this.seen[0].changes) {
      this.restart(task);
      return false;
    }
    for (const seen of this.seen) if (seen.fs.directoryChanges !== seen.changes) this.forgetAllIn(seen);
    if (this.changed.length > 0) this.forgetChanged();
    if (this.cwd !== null && this.cwd !== task.process.fs.cwd) this.forgetCwd();
    return this.slotOf.size > 0 || this.cwd !== null;
  }

  /** Whether anything may be known of `path` by this task. */
  private begin(task: Task, path: string): boolean {
    const { kernel } = task;
    if (kernel.tracer || !path.startsWith('/') || task.process.fs.root !== kernel.vfs.root) return false;
    if (!this.answers?.isKept || !this.isOf(task)) this.restart(task);
    else this.refresh(task);
    return true;
  }

  private isOf(task: Task): boolean {
    const { credentials, fs } = task.process;
    if (this.root !== fs.root || this.credentials === null) return false;
    if (this.credentials === credentials) return true;
    if (!walksAs(this.credentials, credentials)) return false;
    this.credentials = credentials;
    return true;
  }

  private restart(task: Task): void {
    const { root, tmp, shm } = task.kernel.vfs.memory;
    this.answers?.clear();
    this.slots = new Array<Known | null>(this.answers?.slots ?? 0).fill(null);
    this.slotOf.clear();
    this.next = 0;
    this.cwd = null;
    this.changed.length = 0;
    this.credentials = task.process.credentials;
    this.root = task.process.fs.root;
    this.seen = [root, tmp, shm].map((fs) => ({ fs, changes: fs.directoryChanges, used: 0 }));
  }

  private seenOf(fs: MemFs): Seen | undefined {
    return this.seen.find((each) => each.fs === fs);
  }

  private add(known: Known): void {
    const { path, inode, isThere } = known;
    const seen = this.seenOf(inode.fs);
    if (!seen || this.slotOf.has(path)) return;
    const slot = this.next;
    this.drop(slot);
    if (!this.answers?.set(slot, path, isThere ? 0 : -ENOENT, isThere ? encodeStat(inode) : null)) return;
    this.next = (slot + 1) % this.slots.length;
    this.slots[slot] = known;
    this.slotOf.set(path, slot);
    seen.used++;
    if (isThere) inode.changedIn = this.changed;
  }

  private drop(slot: number): void {
    const known = this.slots[slot];
    if (!known) return;
    this.answers?.set(slot, null, 0, null);
    this.slots[slot] = null;
    this.slotOf.delete(known.path);
    (this.seenOf(known.inode.fs) as Seen).used--;
  }

  private forgetAllIn(seen: Seen): void {
    seen.changes = seen.fs.directoryChanges;
    if (seen.used === 0) return;
    for (let slot = 0; slot < this.slots.length; slot++) if (this.slots[slot]?.inode.fs === seen.fs) this.drop(slot);
    if ((this.cwd?.inode as MemInode | undefined)?.fs === seen.fs) this.forgetCwd();
  }

  private forgetChanged(): void {
    const changed = new Set(this.changed.splice(0));
    for (let slot = 0; slot < this.slots.length; slot++) {
      const known = this.slots[slot];
      if (known?.isThere && changed.has(known.inode)) this.drop(slot);
    }
  }

  private forgetCwd(): void {
    if (this.cwd === null) return;
    (this.seenOf((this.cwd.inode as MemInode).fs) as Seen).used--;
    this.answers?.setCwd(null);
    this.cwd = null;
  }
}

/** Whether all directories let both through, or none. */
function walksAs(a: Credentials, b: Credentials): boolean {
  return a.fsuid === b.fsuid && a.fsgid === b.fsgid && a.groups.length === b.groups.length && a.groups.every((group, i) => group === b.groups[i]);
}
