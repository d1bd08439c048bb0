// The synthetic file systems of a sandbox, mounted: /proc, /sys, /dev, and who opens FIFOs and device nodes anywhere.
//
// Interface: syntheticMounts, one of the `attach` functions of buildVfs and restoreFs. Importing this file also registers how
// the open files of these file systems, and of ipc/, are saved.

import { ENXIO } from '../../abi/linux/errno.ts';
import { S_IFBLK, S_IFCHR, S_IFIFO } from '../../abi/linux/stat.ts';
import type { Kernel } from '../kernel.ts';
import { openFifo } from '../ipc/pipe.ts';
import { devTree, openDevice } from './dev.ts';
import type { Attach } from './mounts.ts';
import { procTree } from './proc/procfs.ts';
import { restoreInode } from './pseudo.ts';
import type { PseudoDir } from './pseudo.ts';
import { registerKinds } from './savekinds.ts';
import { sysTree } from './sysfs.ts';

const PROC_SUPER_MAGIC = 0x9fa0, SYSFS_MAGIC = 0x62656572, TMPFS_MAGIC = 0x01021994;

registerKinds();

/** Mounts /proc, /sys and /dev of this kernel. */
export function syntheticMounts(kernel: Kernel): Attach {
  return (vfs) => {
    const bootTime = kernel.clock.realtimeNs();
    const add = (path: string, root: PseudoDir, magic: number, type: string, options: string): void => {
      vfs.mount(path, root, { type, magic, options });
      vfs.setFinder(root.dev, (ref) => (ref.key === null ? null : restoreInode(root, ref.key)));
    };
    add('/proc', procTree(kernel, vfs, bootTime), PROC_SUPER_MAGIC, 'proc', 'rw,nosuid,nodev,noexec,relatime');
    add('/sys', sysTree(kernel.memory, bootTime, (name) => kernel.count(name)), SYSFS_MAGIC, 'sysfs', 'ro,nosuid,nodev,noexec,relatime');
    add('/dev', devTree(kernel, bootTime), TMPFS_MAGIC, 'devtmpfs', 'rw,nosuid,relatime');
    vfs.setOpener(S_IFIFO, openFifo);
    vfs.setOpener(S_IFCHR, openDevice);
    vfs.setOpener(S_IFBLK, () => -ENXIO);
  };
}
