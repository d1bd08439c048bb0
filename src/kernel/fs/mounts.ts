// The standard mounts of a sandbox, the same for a new one and a restored one.
//
// Interface: buildVfs. / is the image with a writable layer, /tmp and /dev/shm are tmpfs, proc, sysfs and devtmpfs are synthetic.

import { TMPFS_MAGIC } from '../../abi/linux/stat.ts';
import type { GivenState } from './given.ts';
import { Lower } from './imagefs.ts';
import type { ImageIndex } from './imageindex.ts';
import { DiskBudget, MemFs } from './tmpfs.ts';
import type { BudgetState, MemFsState } from './tmpfs.ts';
import { Vfs } from './vfs.ts';
import type { SharedFiles, VfsKernel } from './vfs.ts';

/** st_dev of the file systems in memory: makedev(0, n). */
export const DEV_ROOT = 0x1b, DEV_TMP = 0x1c, DEV_SHM = 0x1d, DEV_MEMFD = 0x01;

/** The writable file systems' states. */
export interface VfsState {
  readonly budget: BudgetState;
  readonly root: MemFsState;
  readonly tmp: MemFsState;
  readonly shm: MemFsState;
  readonly memfd: MemFsState;
  readonly given: readonly GivenState[];
}

/** Attaches a synthetic file system to a Vfs. */
export type Attach = (vfs: Vfs) => void;

/** The tree of a sandbox over an image; `state` is null for a new one. `attach` mounts the synthetic file systems (proc, dev, sys). */
export function buildVfs(kernel: VfsKernel, index: ImageIndex, attach: readonly Attach[] = [], state: VfsState | null = null): Vfs {
  const budget = new DiskBudget(kernel.limits, kernel.bounds, state?.budget);
  const vfs = new Vfs(kernel, budget, {
    root: new MemFs(kernel, { dev: DEV_ROOT, budget, lower: new Lower(index, kernel.host) }, state?.root),
    tmp: new MemFs(kernel, { dev: DEV_TMP, budget, rootMode: 0o1777 }, state?.tmp),
    shm: new MemFs(kernel, { dev: DEV_SHM, budget, rootMode: 0o1777 }, state?.shm),
    memfd: new MemFs(kernel, { dev: DEV_MEMFD, budget }, state?.memfd),
  }, state !== null);
  for (const mount of attach) mount(vfs);
  vfs.mount('/tmp', () => vfs.memory.tmp.root, { type: 'tmpfs', magic: TMPFS_MAGIC, options: 'rw,relatime' });
  vfs.mount('/dev/shm', () => vfs.memory.shm.root, { type: 'tmpfs', magic: TMPFS_MAGIC, options: 'rw,nosuid,nodev,relatime' });
  vfs.given.restore(state?.given ?? []);
  return vfs;
}

/** What the forks of a template with this state share. */
export function sharedFiles({ budget, root, tmp, shm, memfd, given }: VfsState): SharedFiles {
  const saved = [root, tmp, shm, memfd, ...given.map(({ fs }) => fs)].reduce((sum, { inodes }) => sum + inodes.size, 0);
  return { metaBytes: budget.metaBytes, made: budget.inodes, saved };
}

/** State of the writable file systems; open files and the rest are savefs's. */
export function saveVfs(vfs: Vfs): VfsState {
  const { root, tmp, shm, memfd } = vfs.memory;
  return { budget: vfs.budget.save(), root: root.save(), tmp: tmp.save(), shm: shm.save(), memfd: memfd.save(), given: vfs.given.save() };
}
