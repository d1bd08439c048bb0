// File-system calls a sandbox does not have, each with the reason the documentation gives.

import { EOPNOTSUPP } from '../../abi/linux/errno.ts';
import { ADDR, DIRFD, ENOSYS, FLAGS, PARTIAL, PATH, STRUCT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const MOUNTS = 'the mounts of a sandbox are fixed';
const SWAP = 'there is no swap, and disk use is limited per sandbox';

function nameToHandleAt(): number {
  return -EOPNOTSUPP;
}

export const rows: readonly SyscallRow[] = [
  ENOSYS(134, 'uselib', 'obsolete: a.out libraries'),
  ENOSYS(136, 'ustat', 'obsolete: statfs replaces it'),
  ENOSYS(139, 'sysfs', 'obsolete: numbers of file system types'),
  ENOSYS(167, 'swapon', SWAP),
  ENOSYS(168, 'swapoff', SWAP),
  ENOSYS(179, 'quotactl', SWAP),
  ENOSYS(212, 'lookup_dcookie', 'removed in Linux 6.7'),
  sys(303, 'name_to_handle_at', nameToHandleAt, PARTIAL('always EOPNOTSUPP: no file handles'), [DIRFD, PATH, STRUCT, ADDR, FLAGS]),
  ENOSYS(428, 'open_tree', MOUNTS),
  ENOSYS(429, 'move_mount', MOUNTS),
  ENOSYS(430, 'fsopen', MOUNTS),
  ENOSYS(431, 'fsconfig', MOUNTS),
  ENOSYS(432, 'fsmount', MOUNTS),
  ENOSYS(433, 'fspick', MOUNTS),
  ENOSYS(442, 'mount_setattr', MOUNTS),
  ENOSYS(443, 'quotactl_fd', SWAP),
  ENOSYS(451, 'cachestat', 'there is no page cache to ask about: files are in memory'),
  ENOSYS(457, 'statmount', 'see /proc/self/mountinfo'),
  ENOSYS(458, 'listmount', 'see /proc/self/mountinfo'),
  ENOSYS(463, 'setxattrat', 'newer than what programs expect; setxattr and fsetxattr work'),
  ENOSYS(464, 'getxattrat', 'newer than what programs expect; getxattr and fgetxattr work'),
  ENOSYS(465, 'listxattrat', 'newer than what programs expect; listxattr and flistxattr work'),
  ENOSYS(466, 'removexattrat', 'newer than what programs expect; removexattr and fremovexattr work'),
];
