// /proc/PID and /proc/PID/task/TID: proc_pid(5).
//
// Interface: PidDir. Inodes are made when looked up and hold only numbers: a process that ends leaves files that say ESRCH.

import { EACCES, EINVAL, ENOENT, ESRCH } from '../../../abi/linux/errno.ts';
import type { Kernel } from '../../kernel.ts';
import { maps, smaps, smapsRollup, statm } from '../../mm/describe.ts';
import type { Process } from '../../process/process.ts';
import type { Task } from '../../process/task.ts';
import { pathOf } from '../dentry.ts';
import type { Dentry } from '../dentry.ts';
import type { File } from '../file.ts';
import type { DirEntry, Inode } from '../inode.ts';
import { LinkInode, PseudoDir, TextInode, TreeDir, inoOf, textOf } from '../pseudo.ts';
import type { PseudoFs } from '../pseudo.ts';
import type { Vfs } from '../vfs.ts';
import { FdDir, FdInfoDir, mayInspect } from './fds.ts';
import { NET_FILES } from './net.ts';
import { auxv, cmdline, environ, limits, stat, status } from './status.ts';
import { mountinfo, mounts } from './system.ts';

/** What the inodes of a process share. */
export interface PidFs extends PseudoFs {
  readonly kernel: Kernel;
  readonly vfs: Vfs;
}

type TextOf = (process: Process, task: Task | undefined, id: number, fs: PidFs) => string | Uint8Array;

/** Generated files: mode, text, and whether it needs a living address space and the right to inspect. */
interface Entry {
  readonly mode: number;
  readonly text: TextOf;
  readonly isPrivate?: boolean;
  readonly store?: (task: Task, target: Task, text: string) => number;
}

function open(text: TextOf): Entry {
  return { mode: 0o444, text };
}

/** Empty for a zombie, EACCES for others' processes. */
function inner(text: TextOf, mode = 0o444): Entry {
  return { mode, isPrivate: true, text: (process, task, id, fs) => (process.exitStatus >= 0 ? '' : text(process, task, id, fs)) };
}

function fixed(value: string, mode = 0o444): Entry {
  return { mode, text: () => value, ...((mode & 0o200) !== 0 ? { store: () => 0 } : {}) };
}

const IO = 'rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n';

const FILES: Readonly<Record<string, Entry>> = {
  stat: open(stat), status: open(status), statm: open((process) => (process.exitStatus >= 0 ? '0 0 0 0 0 0 0\n' : statm(process.mm))),
  cmdline: open((process) => cmdline(process)), environ: inner((process) => environ(process), 0o400),
  comm: { mode: 0o644, text: (_process, task) => `${task?.comm ?? ''}\n`, store: setComm },
  maps: inner((process) => maps(process.mm)), smaps: inner((process) => smaps(process.mm)),
  smaps_rollup: inner((process) => smapsRollup(process.mm)),
  auxv: inner((process) => auxv(process), 0o400), limits: open((process) => limits(process)),
  mounts: open((_process, _task, _id, fs) => mounts(fs.vfs)), mountinfo: open((_process, _task, _id, fs) => mountinfo(fs.vfs)),
  cgroup: fixed('0::/\n'), oom_score: fixed('0\n'), oom_score_adj: fixed('0\n', 0o644), oom_adj: fixed('0\n', 0o644), io: fixed(IO, 0o400),
  loginuid: fixed('4294967295', 0o644), sessionid: fixed('4294967295'), personality: fixed('00000000\n', 0o400), wchan: fixed('0'),
  coredump_filter: fixed('00000033\n', 0o644), timerslack_ns: { mode: 0o666, text: (_process, task) => `${task?.timerSlackNs ?? 0}\n` },
  uid_map: fixed('         0          0 4294967295\n'), gid_map: fixed('         0          0 4294967295\n'), setgroups: fixed('allow\n'),
  schedstat: open((_process, task) => `${Math.floor(task?.cpuNs ?? 0)} 0 ${task?.switches ?? 0}\n`), syscall: fixed('running\n', 0o400),
  cpuset: fixed('/\n'), clear_refs: fixed('', 0o200), autogroup: fixed('', 0o644), stack: fixed('', 0o400),
};

/** A thread's name can be written by its process's threads: 15 bytes, taken as they are. */
function setComm(task: Task, target: Task, text: string): number {
  if (task.process !== target.process) return -EINVAL;
  target.comm = text.slice(0, 15);
  return 0;
}

/** /proc/PID, or /proc/PID/task/TID when `tid` is given. */
export class PidDir extends PseudoDir {
  private readonly pidFs: PidFs;
  readonly pid: number;
  /** The thread; `pid` in a process's own directory. */
  private readonly tid: number;
  readonly isThread: boolean;

  constructor(fs: PidFs, key: string, pid: number, tid: number, isThread: boolean) {
    super(fs, key);
    this.pidFs = fs;
    this.pid = pid;
    this.tid = tid;
    this.isThread = isThread;
    this.nlink = isThread ? 6 : 9;
    this.own(this, false);
  }

  private get process(): Process | null {
    return this.pidFs.kernel.processes.get(this.pid) ?? null;
  }

  private get target(): Task | undefined {
    const { process } = this;
    return process?.tasks.find((task) => task.tid === this.tid) ?? (this.isThread ? undefined : process?.leader);
  }

  /** Files belong to the process's owner; those of an undumpable process to root, but for what everybody may read. */
  private own(inode: Inode, isPrivate: boolean): Inode {
    const { process } = this;
    if (process && (process.dumpable === 1 || !isPrivate)) {
      inode.uid = process.credentials.euid;
      inode.gid = process.credentials.egid;
    }
    return inode;
  }

  override child(name: string): Inode | null {
    return this.process ? this.restoreChild(name) : null;
  }

  override restoreChild(name: string): Inode | null {
    const fs = this.pidFs;
    const key = this.childKey(name);
    const find = (): Process | null => this.process;
    const entry = Object.hasOwn(FILES, name) ? FILES[name] : null;
    if (entry) return this.own(this.textInode(key, entry), entry.isPrivate === true);
    switch (name) {
      case 'fd': return new FdDir(fs, key, find);
      case 'fdinfo': return new FdInfoDir(fs, key, find, (file: File) => fs.vfs.mountOf(file.inode)?.id ?? 0);
      case 'cwd': return this.own(new DirLink(fs, key, find, ({ fs: context }) => context.cwd), true);
      case 'root': return this.own(new DirLink(fs, key, find, ({ fs: context }) => context.root), true);
      case 'exe': return this.own(new LinkInode(fs, key, (task) => this.exe(task)), true);
      case 'task': return this.isThread ? null : new TaskDir(fs, key, this.pid);
      case 'children': return this.isThread ? new TextInode(fs, key, () => this.children()) : null;
      case 'net': return new TreeDir(fs, key, NET_FILES, (missing) => fs.kernel.count(`/proc/${missing.replace(/^\d+/, 'PID')}`));
      case 'ns': return nsDir(fs, key);
      default: return null;
    }
  }

  override names(): readonly string[] {
    return [...Object.keys(FILES), 'fd', 'fdinfo', 'cwd', 'root', 'exe', ...(this.isThread ? ['children'] : ['task']), 'net', 'ns'];
  }

  protected override missed(name: string): void {
    if (this.process) this.pidFs.kernel.count(`/proc/PID/${this.isThread ? 'task/TID/' : ''}${name}`);
  }

  private exe(task: Task | null): string | number {
    const { process } = this;
    if (process && mayInspect(task, process) < 0) return -EACCES;
    return process && process.exitStatus < 0 && process.exe !== '' ? process.exe : -ENOENT;
  }

  private children(): string {
    let text = '';
    for (const process of this.pidFs.kernel.processes.values()) if (process.ppid === this.pid) text += `${process.pid} `;
    return text;
  }

  private textInode(key: string, entry: Entry): TextInode {
    const { mode, text, isPrivate, store } = entry;
    return new TextInode(this.pidFs, key, (reader) => {
      const { process, target } = this;
      if (!process || (this.isThread && !target)) return -ESRCH;
      if (isPrivate && mayInspect(reader, process) < 0) return -EACCES;
      return text(process, target, this.tid, this.pidFs);
    }, { mode, ...(store ? { store: (writer: Task, bytes: Uint8Array) => this.store(writer, bytes, store) } : {}) });
  }

  private store(writer: Task, bytes: Uint8Array, store: NonNullable<Entry['store']>): number {
    const { target } = this;
    if (!target) return -ESRCH;
    const result = store(writer, target, textOf(bytes.subarray(0, 4096)));
    return result < 0 ? result : bytes.length;
  }
}

/** cwd and root: magic links to a directory, for who may look into the process. */
class DirLink extends LinkInode {
  private readonly find: (task: Task | null) => Dentry | number;

  constructor(fs: PseudoFs, key: string, process: () => Process | null, dirOf: (process: Process) => Dentry) {
    const find = (task: Task | null): Dentry | number => {
      const found = process();
      if (!found || found.exitStatus >= 0) return -ENOENT;
      return mayInspect(task, found) || dirOf(found);
    };
    super(fs, key, (task) => {
      const dir = find(task);
      return typeof dir === 'number' ? dir : pathOf(dir);
    });
    this.find = find;
  }

  override follow(task: Task): Dentry | null {
    const dir = this.find(task);
    return typeof dir === 'number' ? null : dir;
  }
}

/** /proc/PID/task. */
class TaskDir extends PseudoDir {
  private readonly pidFs: PidFs;
  private readonly pid: number;

  constructor(fs: PidFs, key: string, pid: number) {
    super(fs, key);
    this.pidFs = fs;
    this.pid = pid;
    this.nlink = 2 + this.names().length;
  }

  override child(name: string): Inode | null {
    return this.names().includes(name) ? this.restoreChild(name) : null;
  }

  override restoreChild(name: string): Inode | null {
    return /^[1-9][0-9]{0,6}$/.test(name) ? new PidDir(this.pidFs, this.childKey(name), this.pid, Number(name), true) : null;
  }

  override names(): readonly string[] {
    return this.pidFs.kernel.processes.get(this.pid)?.tasks.map((task) => String(task.tid)) ?? [];
  }

  override readdir(cookie: number, max: number): readonly DirEntry[] {
    return this.names().map(Number).filter((tid) => tid > cookie).sort((a, b) => a - b).slice(0, max)
      .map((tid) => ({ name: String(tid), ino: inoOf(this.childKey(String(tid))), type: 4, cookie: tid }));
  }
}

const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'pid_for_children', 'time', 'time_for_children', 'user', 'uts'];

function nsDir(fs: PidFs, key: string): PseudoDir {
  return new TreeDir(fs, key, Object.fromEntries(NAMESPACES.map((name, index) => {
    const type = name.replace('_for_children', '');
    return [name, { make: (from: PseudoFs, at: string) => new LinkInode(from, at, `${type}:[${4026531835 + index}]`) }];
  })));
}
