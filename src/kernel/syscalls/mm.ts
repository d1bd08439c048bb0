// System calls on the address space: mmap(2), munmap(2), mprotect(2), mremap(2), brk(2), madvise(2), msync(2), mlock(2),
// mincore(2), and the NUMA calls as a machine with one node has them. Argument layer; the mechanism is in mm/.

import { EBADF, EFAULT, EINVAL, EPERM } from '../../abi/linux/errno.ts';
import {
  MADV_REMOVE, MAP_ANONYMOUS, MAP_PRIVATE, MAP_TYPE, MLOCK_ONFAULT, MPOL_BIND, MPOL_DEFAULT, MPOL_F_ADDR, MPOL_F_MEMS_ALLOWED, MPOL_F_NODE,
  MPOL_LOCAL, PROT_WRITE, VM_LOCKED, VM_LOCKONFAULT,
} from '../../abi/linux/mman.ts';
import { F_SEAL_FUTURE_WRITE, F_SEAL_WRITE } from '../../abi/linux/fcntl.ts';
import type { File } from '../fs/file.ts';
import { punchMappings } from '../fs/truncate.ts';
import type { Backing } from '../mm/backing.ts';
import { sync } from '../mm/advise.ts';
import { pageUp, isPageAligned } from '../mm/gap.ts';
import { inCore, lock, lockAll, unlock, unlockAll } from '../mm/lock.ts';
import type { Mm } from '../mm/mm.ts';
import { isShared } from '../mm/vma.ts';
import { mmLimits } from '../process/exec.ts';
import type { Task } from '../process/task.ts';
import { ADDR, ENOSYS, FD, FLAGS, FULL, INT, MAP, OFF, PARTIAL, PROT, SIZE, STRUCT, UINT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const O_PATH = 0o10000000;
/** st_rdev of /dev/zero: a mapping of it is anonymous memory. */
const DEV_ZERO = 0x105;
/** Bits a node mask may have. */
const NODE_BITS_MAX = 1 << 15;

/** The address space, with limits that follow the credentials (CAP_IPC_LOCK). setrlimit(2) keeps the others up to date. */
function lockableMm(task: Task): Mm {
  const { mm } = task.process;
  mm.limits = mmLimits(task.process);
  return mm;
}

function mmap(task: Task, addr: number, length: number, prot: number, flags: number, fd: number, offset: number): number {
  const mm = task.process.mm;
  if (!isPageAligned(offset)) return -EINVAL;
  if ((flags & MAP_ANONYMOUS) !== 0) return mm.map({ addr, length, prot, flags, inode: null, offset });
  const file = task.process.files.get(fd);
  if (file === null || (file.flags & O_PATH) !== 0) return -EBADF;
  if (file.inode.rdev === DEV_ZERO && !file.inode.isRegular()) {
    const path = (flags & MAP_TYPE) === MAP_PRIVATE ? file.path : '';
    return mm.map({ addr, length, prot, flags: flags | MAP_ANONYMOUS, inode: null, offset: 0, path });
  }
  const target = file.mmapInode();
  const inode: Backing | null = typeof target === 'number' ? null : target;
  if (isSealed(file, prot, flags)) return -EPERM;
  const result = mm.map({
    addr, length, prot, flags, inode, offset, path: file.path,
    canRead: file.canRead(), canWrite: file.canWrite(),
  });
  // Linux asks the file only after it judged the other arguments: its own answer replaces our "cannot be mapped".
  return result === -19 && typeof target === 'number' ? target : result;
}

/** A memfd sealed against writing cannot be mapped shared and writable. */
function isSealed(file: File, prot: number, flags: number): boolean {
  if ((prot & PROT_WRITE) === 0 || (flags & MAP_TYPE) === MAP_PRIVATE) return false;
  const seals = file.inode.getSeals();
  return seals > 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0;
}

function munmap(task: Task, addr: number, length: number): number {
  return task.process.mm.unmap(addr, length);
}

function mprotect(task: Task, addr: number, length: number, prot: number): number {
  return task.process.mm.protect(addr, length, prot);
}

function brk(task: Task, addr: number): number {
  return task.process.mm.setBrk(addr);
}

function mremap(task: Task, addr: number, oldLength: number, newLength: number, flags: number, newAddr: number): number {
  return task.process.mm.remap(addr, oldLength, newLength, flags, newAddr);
}

function madvise(task: Task, addr: number, length: number, advice: number): number {
  const { mm } = task.process;
  if (advice === MADV_REMOVE && isPageAligned(addr)) {
    // Whoever maps a file that gets holes sees them.
    for (const vma of mm.list.clipped(addr, addr + pageUp(length))) {
      if (vma.inode && isShared(vma)) punchMappings(task, vma.inode, vma.offset, vma.offset + vma.end - vma.start);
    }
  }
  return mm.madvise(addr, length, advice);
}

function msync(task: Task, addr: number, length: number, flags: number): number {
  return sync(task.process.mm, addr, length, flags);
}

function mincore(task: Task, addr: number, length: number, vector: number): number {
  return inCore(task.process.mm, addr, length, vector);
}

function mlock(task: Task, addr: number, length: number): number {
  return lock(lockableMm(task), addr, length, VM_LOCKED);
}

function mlock2(task: Task, addr: number, length: number, flags: number): number {
  if ((flags & ~MLOCK_ONFAULT) !== 0) return -EINVAL;
  return lock(lockableMm(task), addr, length, VM_LOCKED | ((flags & MLOCK_ONFAULT) !== 0 ? VM_LOCKONFAULT : 0));
}

function munlock(task: Task, addr: number, length: number): number {
  return unlock(task.process.mm, addr, length);
}

function mlockall(task: Task, flags: number): number {
  return lockAll(lockableMm(task), flags);
}

function munlockall(task: Task): number {
  return unlockAll(task.process.mm);
}

/** One node, number 0, and the default policy. */
function getMempolicy(task: Task, mode: number, nodes: number, maxNode: number, addr: number, flags: number): number {
  const { mm } = task.process;
  if ((flags & ~(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED)) !== 0) return -EINVAL;
  if (nodes !== 0 && (maxNode < 1 || maxNode > NODE_BITS_MAX)) return -EINVAL;
  const allowed = (flags & MPOL_F_MEMS_ALLOWED) !== 0;
  if (allowed && (flags & (MPOL_F_NODE | MPOL_F_ADDR)) !== 0) return -EINVAL;
  if (flags === MPOL_F_NODE) return -EINVAL;
  if ((flags & MPOL_F_ADDR) !== 0 && mm.list.find(addr) === null) return -EFAULT;
  if ((flags & MPOL_F_ADDR) === 0 && !allowed && addr !== 0) return -EINVAL;
  if (mode !== 0 && mm.writeU32(mode, MPOL_DEFAULT) < 0) return -EFAULT;
  if (nodes === 0) return 0;
  const mask = new Uint8Array(Math.ceil(maxNode / 64) * 8);
  if (allowed) mask[0] = 1;
  return mm.copyOut(nodes, mask);
}

/** Any policy over node 0 is what we do anyway; other nodes do not exist. */
function checkPolicy(task: Task, mode: number, nodes: number, maxNode: number): number {
  const base = mode & 0x0fff;
  if (base > MPOL_LOCAL) return -EINVAL;
  if (nodes === 0 || maxNode <= 1) return base >= 1 && base <= 3 && base >= MPOL_BIND ? -EINVAL : 0;
  if (maxNode > NODE_BITS_MAX) return -EINVAL;
  const mask = task.process.mm.readBytes(nodes, Math.ceil((maxNode - 1) / 64) * 8);
  if (typeof mask === 'number') return mask;
  const others = mask.some((byte, i) => (i === 0 ? byte & ~1 : byte) !== 0);
  const any = (mask[0] & 1) !== 0;
  if (base === MPOL_DEFAULT || base === MPOL_LOCAL) return any || others ? -EINVAL : 0;
  return others || (!any && base >= MPOL_BIND) ? -EINVAL : 0;
}

function setMempolicy(task: Task, mode: number, nodes: number, maxNode: number): number {
  return checkPolicy(task, mode, nodes, maxNode);
}

/** Moves pages of other processes too. */
const MPOL_MF_MOVE_ALL = 4;

function mbind(task: Task, addr: number, length: number, mode: number, nodes: number, maxNode: number, flags: number): number {
  const { mm } = task.process;
  if ((flags & ~7) !== 0) return -EINVAL;
  if (flags & MPOL_MF_MOVE_ALL && task.process.credentials.euid !== 0) return -EPERM;
  if (!isPageAligned(addr)) return -EINVAL;
  const refused = checkPolicy(task, mode, nodes, maxNode);
  if (refused !== 0 || length === 0) return refused;
  return mm.list.covers(addr, addr + pageUp(length)) ? 0 : -EFAULT;
}

export const rows: SyscallRow[] = [
  sys(9, 'mmap', mmap, FULL, [ADDR, SIZE, PROT, MAP, FD, OFF]),
  sys(10, 'mprotect', mprotect, FULL, [ADDR, SIZE, PROT]),
  sys(11, 'munmap', munmap, FULL, [ADDR, SIZE]),
  sys(12, 'brk', brk, FULL, [ADDR]),
  sys(25, 'mremap', mremap, FULL, [ADDR, SIZE, SIZE, FLAGS, ADDR]),
  sys(26, 'msync', msync, PARTIAL('there is no device to write to: only the arguments are checked'), [ADDR, SIZE, INT]),
  sys(27, 'mincore', mincore, PARTIAL('resident means mapped by the caller'), [ADDR, SIZE, STRUCT]),
  sys(28, 'madvise', madvise, PARTIAL('MADV_FREE acts at once'), [ADDR, SIZE, INT]),
  sys(149, 'mlock', mlock, FULL, [ADDR, SIZE]),
  sys(150, 'munlock', munlock, FULL, [ADDR, SIZE]),
  sys(151, 'mlockall', mlockall, FULL, [INT]),
  sys(152, 'munlockall', munlockall, FULL, []),
  ENOSYS(216, 'remap_file_pages', 'deprecated since Linux 3.16'),
  sys(237, 'mbind', mbind, PARTIAL('one NUMA node'), [ADDR, SIZE, INT, STRUCT, SIZE, UINT]),
  sys(238, 'set_mempolicy', setMempolicy, PARTIAL('one NUMA node'), [INT, STRUCT, SIZE]),
  sys(239, 'get_mempolicy', getMempolicy, PARTIAL('one NUMA node'), [STRUCT, STRUCT, SIZE, ADDR, SIZE]),
  ENOSYS(256, 'migrate_pages', 'there is one NUMA node'),
  ENOSYS(279, 'move_pages', 'there is one NUMA node'),
  ENOSYS(310, 'process_vm_readv', 'another process is reached through /proc or not at all'),
  ENOSYS(311, 'process_vm_writev', 'another process is reached through /proc or not at all'),
  ENOSYS(323, 'userfaultfd', 'page faults are the kernel\'s'),
  sys(325, 'mlock2', mlock2, FULL, [ADDR, SIZE, FLAGS]),
  ENOSYS(329, 'pkey_mprotect', 'protection keys are not offered by every host'),
  ENOSYS(330, 'pkey_alloc', 'protection keys are not offered by every host'),
  ENOSYS(331, 'pkey_free', 'protection keys are not offered by every host'),
  ENOSYS(440, 'process_madvise', 'needs pidfds of other processes'),
  ENOSYS(447, 'memfd_secret', 'all memory is in one VM'),
  ENOSYS(453, 'map_shadow_stack', 'shadow stacks are not offered by every host'),
];
