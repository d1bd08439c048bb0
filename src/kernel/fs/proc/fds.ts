// /proc/PID/fd and fdinfo: a process's descriptors as magic links and as text. proc_pid_fd(5).

import { EACCES, ENOENT } from '../../../abi/linux/errno.ts';
import type { Process } from '../../process/process.ts';
import type { Task } from '../../process/task.ts';
import type { Dentry } from '../dentry.ts';
import type { File } from '../file.ts';
import type { DirEntry, Inode } from '../inode.ts';
import { LinkInode, PseudoDir, TextInode, dtypeOf, inoOf } from '../pseudo.ts';
import type { PseudoFs } from '../pseudo.ts';
import { fdinfo } from './status.ts';

/** The process a directory shows; null when it is gone. */
export type FindProcess = () => Process | null;

function fileOf(find: FindProcess, fd: number): File | null {
  const process = find();
  return process && process.exitStatus < 0 ? process.files.get(fd) : null;
}

/** fd/N: reads as the file's path, jumps to the file itself. */
class FdLink extends LinkInode {
  private readonly find: FindProcess;
  private readonly fd: number;

  constructor(fs: PseudoFs, key: string, find: FindProcess, fd: number) {
    super(fs, key, () => fileOf(find, fd)?.path ?? -ENOENT, 0o500);
    this.find = find;
    this.fd = fd;
    const file = fileOf(find, fd);
    if (file) this.mode = (this.mode & ~0o777) | (file.canRead() ? 0o500 : 0) | (file.canWrite() ? 0o300 : 0);
    this.sizeBytes = 64;
  }

  override follow(_task: Task): Dentry | Inode | null {
    const file = fileOf(this.find, this.fd);
    return file ? file.dentry ?? file.inode : null;
  }
}

/** A directory with one entry for each open descriptor. */
abstract class FdsDir extends PseudoDir {
  protected readonly find: FindProcess;

  constructor(fs: PseudoFs, key: string, find: FindProcess, mode: number) {
    super(fs, key, mode);
    this.find = find;
    const ids = find()?.credentials;
    this.uid = ids?.euid ?? 0;
    this.gid = ids?.egid ?? 0;
  }

  protected abstract entry(fd: number): Inode;

  override child(name: string): Inode | null {
    const fd = fdNumber(name);
    return fd >= 0 && fileOf(this.find, fd) ? this.restoreChild(name) : null;
  }

  override restoreChild(name: string): Inode | null {
    const fd = fdNumber(name);
    if (fd < 0) return null;
    const inode = this.entry(fd);
    inode.uid = this.uid;
    inode.gid = this.gid;
    return inode;
  }

  override names(): readonly string[] {
    const process = this.find();
    return process && process.exitStatus < 0 ? process.files.openBetween(0, 1 << 20).map(String) : [];
  }

  /** Cookies are descriptors + 1: closing one while reading the directory skips no other. */
  override readdir(cookie: number, max: number, _task: Task | null): readonly DirEntry[] | number {
    const process = this.find();
    if (!process || process.exitStatus >= 0) return [];
    const type = dtypeOf(this.entryMode);
    return process.files.openBetween(cookie, 1 << 20).slice(0, max)
      .map((fd) => ({ name: String(fd), ino: inoOf(this.childKey(String(fd))), type, cookie: fd + 1 }));
  }

  protected abstract readonly entryMode: number;
}

function fdNumber(name: string): number {
  return /^(0|[1-9][0-9]{0,6})$/.test(name) ? Number(name) : -1;
}

export class FdDir extends FdsDir {
  protected readonly entryMode = 0o120000;

  constructor(fs: PseudoFs, key: string, find: FindProcess) {
    super(fs, key, find, 0o500);
  }

  protected entry(fd: number): Inode {
    return new FdLink(this.fs, this.childKey(String(fd)), this.find, fd);
  }
}

export class FdInfoDir extends FdsDir {
  protected readonly entryMode = 0o100000;
  private readonly mountId: (file: File) => number;

  constructor(fs: PseudoFs, key: string, find: FindProcess, mountId: (file: File) => number) {
    super(fs, key, find, 0o555);
    this.mountId = mountId;
  }

  protected entry(fd: number): Inode {
    return new TextInode(this.fs, this.childKey(String(fd)), () => {
      const file = fileOf(this.find, fd);
      return file ? fdinfo(file, this.find()?.files.isCloexec(fd) ?? false, this.mountId(file)) : -ENOENT;
    });
  }
}

/** May `task` look into `process` (ptrace access to read, by uid)? */
export function mayInspect(task: Task | null, process: Process): number {
  if (!task || task.process === process || task.process.credentials.euid === 0) return 0;
  return task.process.credentials.euid === process.credentials.euid ? 0 : -EACCES;
}
