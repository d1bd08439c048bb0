// devpts, the file system of /dev/pts: a node for each pseudo-terminal whose master is open.
//
// Interface: ptsTree.

import { S_IFCHR, S_IFDIR } from '../../abi/linux/stat.ts';
import type { File } from '../fs/file.ts';
import type { AttrChange, Inode } from '../fs/inode.ts';
import { PseudoDir, PseudoInode, type PseudoFs } from '../fs/pseudo.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../process/task.ts';
import { openMaster, openSlave } from './ptyfile.ts';

export const DEV_PTS = 0x18;
const PTS_MAJOR = 136, PTMX = 0x502;

/** /dev/pts/N: its attributes are the pseudo-terminal's. */
class PtsInode extends PseudoInode {
  private readonly kernel: Kernel;
  private readonly index: number;

  constructor(fs: PseudoFs, index: number, kernel: Kernel) {
    const pty = kernel.ptys.get(index);
    super(fs, String(index), S_IFCHR | (pty?.attributes.mode ?? 0o620), index + 3);
    this.rdev = PTS_MAJOR * 256 + index;
    this.kernel = kernel;
    this.index = index;
    if (!pty) return;
    this.uid = pty.attributes.uid;
    this.gid = pty.attributes.gid;
  }

  override setattr(change: AttrChange): number {
    this.mode = S_IFCHR | (change.mode ?? this.mode) & 0o7777;
    this.uid = change.uid ?? this.uid;
    this.gid = change.gid ?? this.gid;
    const pty = this.kernel.ptys.get(this.index);
    if (pty) pty.attributes = { mode: this.mode & 0o7777, uid: this.uid, gid: this.gid };
    return 0;
  }

  open(flags: number, task: Task | null): File | number {
    return task ? openSlave(this, flags, task.kernel.ptys.get(this.index)) : -6;
  }
}

/** /dev/pts/ptmx: for who has only /dev/pts; nobody may open it there, as mounted. */
class PtmxInode extends PseudoInode {
  constructor(fs: PseudoFs) {
    super(fs, 'ptmx', S_IFCHR, 2);
    this.rdev = PTMX;
  }

  open(flags: number, task: Task | null): File | number {
    return task ? openMaster(this, flags, task) : -6;
  }
}

class PtsDir extends PseudoDir {
  private readonly kernel: Kernel;

  constructor(fs: PseudoFs, kernel: Kernel) {
    super(fs, '', 0o755);
    this.mode = S_IFDIR | 0o755;
    this.kernel = kernel;
  }

  child(name: string): Inode | null {
    if (name === 'ptmx') return new PtmxInode(this.fs);
    const pty = /^(0|[1-9]\d{0,3})$/.test(name) ? this.kernel.ptys.get(Number(name)) : undefined;
    return pty ? new PtsInode(this.fs, pty.index, this.kernel) : null;
  }

  override restoreChild(name: string): Inode | null {
    return name === 'ptmx' ? new PtmxInode(this.fs) : new PtsInode(this.fs, Number(name), this.kernel);
  }

  names(): readonly string[] {
    return ['ptmx', ...this.kernel.ptys.indexes.map(String)];
  }
}

/** The root of /dev/pts. */
export function ptsTree(kernel: Kernel, bootTime: bigint): PseudoDir {
  return new PtsDir({ dev: DEV_PTS, bootTime }, kernel);
}
