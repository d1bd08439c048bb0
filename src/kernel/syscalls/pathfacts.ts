// Path facts: stats of a few paths that the machine answers itself, because programs ask for the same ones again and again (an import in
// Python: those of the directories it searches).
//
// Interface: `learn` after a stat, `refresh` before ring 3 runs. What is known of a path holds until a directory of its file system changes, or the file;
// and for one set of ids and one root, because they decide who may walk there. Only paths without links or dots, below which nothing is mounted.

import type { Machine } from '../../platform.ts';
import { pathOf, type Dentry } from '../fs/dentry.ts';
import { MemInode } from '../fs/meminode.ts';
import type { Task } from '../process/task.ts';
import { encodeStat } from './stat.ts';

const SLOTS = 8;
const NO_STAT = new Uint8Array(0);

interface Known {
  readonly path: string;
  readonly inode: MemInode;
  readonly changes: number;
}

export class PathFacts {
  private readonly machine: Machine;
  private readonly slots: (Known | null)[] = new Array<Known | null>(SLOTS).fill(null);
  private used = 0;
  /** The slot that is filled next. */
  private next = 0;
  private directoryChanges = 0;
  private credentials: unknown = null;
  private root: Dentry | null = null;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** `path`, followed to its end, is `dentry` for this task. */
  learn(task: Task, path: string, dentry: Dentry): void {
    const { machine } = this;
    const { inode } = dentry;
    const { vfs } = task.kernel;
    if (!machine.setPath || machine.keepsPaths === undefined || task.kernel.tracer || !(inode instanceof MemInode) || inode.fs !== vfs.memory.root) return;
    if (!path.startsWith('/') || task.process.fs.root !== vfs.root || pathOf(dentry) !== path) return;
    if (!machine.keepsPaths || !this.isOf(task) || this.directoryChanges !== inode.fs.directoryChanges) this.restart(task, inode);
    if (this.slots.some((known) => known?.path === path)) return;
    if (!machine.setPath(this.next, path, encodeStat(inode))) return;
    if (!this.slots[this.next]) this.used++;
    this.slots[this.next] = { path, inode, changes: inode.changes };
    this.next = (this.next + 1) % SLOTS;
  }

  /** Forgets what does not hold any more, for this task. True: something is left. */
  refresh(task: Task): boolean {
    if (this.used === 0) return false;
    if (!this.isOf(task) || !this.machine.keepsPaths) return false; // `learn` starts anew
    const { slots } = this;
    for (let slot = 0; slot < SLOTS; slot++) {
      const known = slots[slot];
      if (known === null) continue;
      if (known.inode.changes !== known.changes || known.inode.fs.directoryChanges !== this.directoryChanges) this.drop(slot);
    }
    return this.used > 0;
  }

  private isOf(task: Task): boolean {
    return this.credentials === task.process.credentials && this.root === task.process.fs.root;
  }

  private restart(task: Task, { fs }: MemInode): void {
    for (let slot = 0; slot < SLOTS; slot++) if (this.slots[slot]) this.drop(slot);
    this.credentials = task.process.credentials;
    this.root = task.process.fs.root;
    this.directoryChanges = fs.directoryChanges;
  }

  private drop(slot: number): void {
    this.machine.setPath?.(slot, null, NO_STAT);
    this.slots[slot] = null;
    this.used--;
  }
}
