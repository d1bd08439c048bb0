// /proc: one directory for each process, self and thread-self, the sandbox's own files, and sys. proc(5).
//
// Interface: procTree (the root directory). Paths that are missing are counted as "/proc/…", numbers in them as PID.

import { DEV_PROC, LinkInode, PseudoDir, TextInode, dtypeOf, TreeDir, inoOf } from '../pseudo.ts';
import type { PseudoFs } from '../pseudo.ts';
import type { Kernel } from '../../kernel.ts';
import type { Task } from '../../process/task.ts';
import type { DirEntry, Inode } from '../inode.ts';
import type { Vfs } from '../vfs.ts';
import { PidDir } from './pid.ts';
import type { PidFs } from './pid.ts';
import { sysctlTree } from './sysctl.ts';
import { systemTree } from './system.ts';

/** Cookies of processes start here; those of the fixed entries are below. */
const PID_COOKIE = 4096;

class ProcRoot extends PseudoDir {
  private readonly pidFs: PidFs;
  /** Everything that is no process. */
  private readonly fixed: TreeDir;

  constructor(fs: PidFs, fixed: TreeDir) {
    super(fs, '', 0o555, 1);
    this.pidFs = fs;
    this.fixed = fixed;
  }

  override child(name: string, task: Task | null): Inode | null {
    const first = name.charCodeAt(0);
    if (first < 49 || first > 57) return this.fixed.child(name);
    const pid = pidNumber(name);
    const { kernel } = this.pidFs;
    if (kernel.processes.has(pid)) return this.restoreChild(name);
    // Threads can be looked up, but are not listed.
    const thread = kernel.tasks.get(pid);
    return thread && task ? new PidDir(this.pidFs, name, thread.process.pid, pid, true) : null;
  }

  override restoreChild(name: string): Inode | null {
    const pid = pidNumber(name);
    return pid > 0 ? new PidDir(this.pidFs, name, pid, pid, false) : this.fixed.restoreChild(name);
  }

  protected override missed(name: string): void {
    if (pidNumber(name) < 0) this.pidFs.kernel.count(`/proc/${name}`);
  }

  override names(): readonly string[] {
    return this.fixed.names();
  }

  override readdir(cookie: number, max: number, task: Task | null): readonly DirEntry[] | number {
    const entries: DirEntry[] = [];
    const fixed = this.fixed.names();
    for (let i = cookie; i < fixed.length && entries.length < max; i++) {
      const inode = this.child(fixed[i], task);
      if (inode) entries.push({ name: fixed[i], ino: inode.ino, type: dtypeOf(inode.mode), cookie: i + 1 });
    }
    const pids = [...this.pidFs.kernel.processes.keys()].sort((a, b) => a - b);
    for (const pid of pids) {
      if (entries.length >= max) break;
      if (pid + PID_COOKIE > cookie) entries.push({ name: String(pid), ino: inoOf(String(pid)), type: 4, cookie: pid + PID_COOKIE });
    }
    return entries;
  }
}

function pidNumber(name: string): number {
  return /^[1-9][0-9]{0,6}$/.test(name) ? Number(name) : -1;
}

/** The root of /proc for a kernel. */
export function procTree(kernel: Kernel, vfs: Vfs, bootTime: bigint): PseudoDir {
  const fs: PidFs = { dev: DEV_PROC, bootTime, kernel, vfs };
  const missed = (key: string): void => kernel.count(`/proc/${key}`);
  const link = (target: string | ((task: Task | null) => string)): { make: (from: PseudoFs, key: string) => Inode } =>
    ({ make: (from, key) => new LinkInode(from, key, target) });
  const fixed = new TreeDir(fs, '', () => ({
    ...systemTree(kernel),
    self: link((task) => String(task?.process.pid ?? 1)),
    'thread-self': link((task) => `${task?.process.pid ?? 1}/task/${task?.tid ?? 1}`),
    mounts: link('self/mounts'), net: link('self/net'),
    sys: { make: (from, key) => new TreeDir(from, key, () => sysctlTree(kernel), missed) },
    sysvipc: { make: (from, key) => new TreeDir(from, key, { shm: '', sem: '', msg: '' }, missed) },
    'sysrq-trigger': { make: (from, key) => new TextInode(from, key, () => '', { mode: 0o200, store: () => -1 }) },
  }), missed);
  return new ProcRoot(fs, fixed);
}
