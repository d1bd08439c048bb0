// The synthetic file systems of a sandbox, mounted: /proc, /sys, /dev, and who opens FIFOs and device nodes anywhere.
//
// Interface: syntheticMounts, one of the `attach` functions of buildVfs. Importing this file also registers how
// the open files of these file systems, and of ipc/, are saved.

import { ENXIO } from '../../abi/linux/errno.ts';
import { S_IFBLK, S_IFCHR, S_IFIFO } from '../../abi/linux/stat.ts';
import type { Kernel } from '../kernel.ts';
import { openFifo } from '../ipc/pipe.ts';
import { devTree, openDevice } from './dev.ts';
import type { Attach } from './mounts.ts';
import { procTree } from './proc/procfs.ts';
import { DEV_DEVTMPFS, DEV_PROC, DEV_SYSFS, restoreInode } from './pseudo.ts';
import type { PseudoDir } from './pseudo.ts';
import { registerKinds } from './savekinds.ts';
import { sysTree } from './sysfs.ts';
import { DEV_PTS, ptsTree } from '../tty/devpts.ts';
import type { MountOptions } from './vfs.ts';

const PROC_SUPER_MAGIC = 0x9fa0, SYSFS_MAGIC = 0x62656572, TMPFS_MAGIC = 0x01021994, DEVPTS_SUPER_MAGIC = 0x1cd1;
const PTS_OPTIONS = 'rw,nosuid,noexec,relatime,gid=5,mode=620,ptmxmode=000';

registerKinds();

/** Mounts /proc, /sys and /dev of this kernel. */
export function syntheticMounts(kernel: Kernel): Attach {
  return (vfs) => {
    const bootTime = kernel.clock.realtimeNs();
    const add = (path: string, dev: number, make: () => PseudoDir, options: MountOptions): void => {
      let made: PseudoDir | null = null;
      const root = (): PseudoDir => (made ??= make());
      vfs.mount(path, root, options);
      vfs.setFinder(dev, (ref) => (ref.key === null ? null : restoreInode(root(), ref.key)));
    };
    const count = (name: string): void => kernel.count(name);
    add('/proc', DEV_PROC, () => procTree(kernel, vfs, bootTime), { magic: PROC_SUPER_MAGIC, type: 'proc', options: 'rw,nosuid,nodev,noexec,relatime' });
    add('/sys', DEV_SYSFS, () => sysTree(kernel.memory, bootTime, count), { magic: SYSFS_MAGIC, type: 'sysfs', options: 'ro,nosuid,nodev,noexec,relatime' });
    add('/dev', DEV_DEVTMPFS, () => devTree(kernel, bootTime), { magic: TMPFS_MAGIC, type: 'devtmpfs', options: 'rw,nosuid,relatime' });
    add('/dev/pts', DEV_PTS, () => ptsTree(kernel, bootTime), { magic: DEVPTS_SUPER_MAGIC, type: 'devpts', options: PTS_OPTIONS });
    vfs.setOpener(S_IFIFO, openFifo);
    vfs.setOpener(S_IFCHR, openDevice);
    vfs.setOpener(S_IFBLK, () => -ENXIO);
  };
}
