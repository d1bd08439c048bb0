// /dev: memory devices, random numbers, links to the standard streams. null(4), full(4), random(4), tty(4).
//
// Interface: devTree (the root directory), openDevice (opens a character device by its number, wherever its node lies),
// DeviceFile. Terminals are in tty/.

import { EINVAL, ENODEV, ENOSPC, ENOTTY, ENXIO } from '../../abi/linux/errno.ts';
import { RNDGETENTCNT } from '../../abi/linux/ioctl.ts';
import type { Task } from '../process/task.ts';
import { openControlling, openMaster, openSlave } from '../tty/ptyfile.ts';
import { File } from './file.ts';
import type { Inode } from './inode.ts';
import { DEV_DEVTMPFS, LinkInode, PseudoInode, S_IFCHR, S_IFDIR, TreeDir } from './pseudo.ts';
import type { PseudoFs, Tree } from './pseudo.ts';

/** st_rdev as stat(2) encodes it: makedev(major, minor) for numbers below 256. */
function makedev(major: number, minor: number): number {
  return major * 256 + minor;
}

const NULL = makedev(1, 3), ZERO = makedev(1, 5), FULL_DEV = makedev(1, 7), RANDOM = makedev(1, 8), URANDOM = makedev(1, 9);
const TTY = makedev(5, 0), PTMX = makedev(5, 2);
const PTS_MAJOR = 136;
const O_ACCMODE = 3;

/** What devices need of the kernel. */
export interface DeviceKernel {
  readonly host: { random(bytes: Uint8Array): void };
  readonly frames: { alloc(): number };
}

/** A node of the devtmpfs. */
class DeviceInode extends PseudoInode {
  private readonly kernel: DeviceKernel;

  constructor(fs: PseudoFs, key: string, rdev: number, kernel: DeviceKernel) {
    super(fs, key, S_IFCHR | 0o666);
    this.rdev = rdev;
    this.kernel = kernel;
  }

  open(flags: number, task: Task | null): File | number {
    return task ? openDevice(this, flags, task) : -ENXIO;
  }

  /** /dev/zero mapped: zeroed memory. */
  override mapPage(): number {
    if (this.rdev !== ZERO) return -ENODEV;
    return this.kernel.frames.alloc() || -12;
  }
}

/** Opens a character device node by its number. */
export function openDevice(inode: Inode, flags: number, task: Task): File | number {
  switch (inode.rdev) {
    case NULL: case ZERO: case FULL_DEV: case RANDOM: case URANDOM:
      return new DeviceFile(inode, flags, task.kernel);
    case PTMX: return openMaster(inode, flags, task);
    case TTY: return openControlling(inode, flags, task);
    default: {
      const isPts = inode.rdev >> 8 === PTS_MAJOR;
      return isPts ? openSlave(inode, flags, task.kernel.ptys.get(inode.rdev & 0xff)) : -ENXIO;
    }
  }
}

export class DeviceFile extends File {
  override readonly kind = 'device';
  private readonly kernel: DeviceKernel;

  constructor(inode: Inode, flags: number, kernel: DeviceKernel) {
    super(inode, flags, '');
    this.kernel = kernel;
  }

  override read(_task: Task, dst: Uint8Array): number {
    switch (this.inode.rdev) {
      case ZERO: case FULL_DEV:
        dst.fill(0);
        return dst.length;
      case RANDOM: case URANDOM:
        this.kernel.host.random(dst);
        return dst.length;
      default:
        return 0;
    }
  }

  override write(_task: Task, src: Uint8Array): number {
    return this.inode.rdev === FULL_DEV ? -ENOSPC : src.length;
  }

  override pread(task: Task, dst: Uint8Array): number { return this.read(task, dst); }
  override pwrite(task: Task, src: Uint8Array): number { return this.write(task, src); }

  /** null_lseek: always 0. */
  override seek(_offset: number, whence: number): number {
    return whence > 4 ? -EINVAL : 0;
  }

  override ioctl(task: Task, command: number, argument: number): number {
    const isRandom = this.inode.rdev === RANDOM || this.inode.rdev === URANDOM;
    return isRandom && command === RNDGETENTCNT ? task.process.mm.writeU32(argument, 256) : -ENOTTY;
  }

  override mmapInode(): Inode | number {
    return this.inode.rdev === ZERO && (this.flags & O_ACCMODE) !== 1 ? this.inode : -ENODEV;
  }
}

/** The root of /dev. Mount points shm, pts and mqueue are empty directories. */
export function devTree(kernel: DeviceKernel, bootTime: bigint): TreeDir {
  const fs: PseudoFs = { dev: DEV_DEVTMPFS, bootTime };
  const node = (rdev: number): Tree[string] => ({ make: (from, key) => new DeviceInode(from, key, rdev, kernel) });
  const link = (target: string): Tree[string] => ({ make: (from, key) => new LinkInode(from, key, target) });
  const root = new TreeDir(fs, '', () => ({
    null: node(NULL), zero: node(ZERO), full: node(FULL_DEV), random: node(RANDOM), urandom: node(URANDOM), tty: node(TTY),
    ptmx: node(PTMX),
    fd: link('/proc/self/fd'), stdin: link('/proc/self/fd/0'), stdout: link('/proc/self/fd/1'), stderr: link('/proc/self/fd/2'),
    shm: {}, pts: {}, mqueue: {},
  }));
  root.mode = S_IFDIR | 0o755;
  return root;
}
