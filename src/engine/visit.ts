// Files of a stateful sandbox, in its worker: served by its kernel's file systems, as the sandbox's user, without its programs. One
// message is one bounded piece of work, because it holds up all sandboxes of the worker; the caller asks again for the rest.

import { EAGAIN, EBADF, EINVAL, EIO, EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR, ENOTEMPTY, EPERM } from '../abi/linux/errno.ts';
import {
  AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_APPEND, O_CREAT, O_DIRECTORY, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY,
} from '../abi/linux/fcntl.ts';
import { childOf } from '../kernel/fs/dentry.ts';
import { File } from '../kernel/fs/file.ts';
import type { Inode } from '../kernel/fs/inode.ts';
import { linkAt, mkdirAt, renameAt, rmdirAt, symlinkAt, unlinkAt } from '../kernel/fs/namei.ts';
import { openAt } from '../kernel/fs/open.ts';
import { lookupAt } from '../kernel/fs/path.ts';
import { isOwner, MAY_READ, permission } from '../kernel/fs/perm.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Credentials } from '../kernel/process/credentials.ts';
import type { Task } from '../kernel/process/task.ts';
import { makeVisitor } from '../kernel/process/visitor.ts';
import { errnoName } from '../kernel/trace/errnotext.ts';
import { OffshootError } from './errors.ts';
import { byteString } from './guestkernel.ts';
import { PIECE_BYTES_MAX, type FileAnswer, type FileEntry, type FileOperation } from './protocol.ts';

/** Files being read or written at a time. */
const HANDLES_MAX = 256;
/** Directory entries in one answer. */
const ENTRIES_MAX = 256;
/** Names removed for one message. */
const REMOVALS_MAX = 2000;
/** Directories within each other that can be removed as a whole. */
const DEPTH_MAX = 200;

const TYPES: Readonly<Record<number, FileEntry['type']>> = {
  0o100000: 'file', 0o040000: 'directory', 0o120000: 'symlink', 0o010000: 'fifo', 0o140000: 'socket', 0o020000: 'device', 0o060000: 'device',
};
const NOTHING: FileAnswer = { handle: 0, isEnd: true, entries: [], cookie: 0 };

export interface Visited {
  readonly answer: FileAnswer;
  readonly bytes?: Uint8Array;
}

export class Visitor {
  private readonly task: Task;

  constructor(kernel: Kernel, user: Credentials, cwd: string) {
    this.task = makeVisitor(kernel, user, byteString(cwd), HANDLES_MAX + DEPTH_MAX + 8);
    this.task.process.files.installAt(0, this.opened(openAt(this.task, AT_FDCWD, '/', O_DIRECTORY, 0))); // no handle is 0
  }

  /** Does what was asked. Throws OffshootError 'file-error'. */
  perform(operation: FileOperation, bytes: Uint8Array): Visited {
    switch (operation.kind) {
      case 'open': return this.open(operation.path, operation.offset, operation.length);
      case 'read': return this.read(operation.handle, operation.length);
      case 'create': return this.create(operation, bytes);
      case 'write': return this.write(operation.handle, bytes, operation.isLast);
      case 'close': return this.close(operation.handle);
      case 'stat': return { answer: { ...NOTHING, entries: [this.stat(operation.path, operation.follow)] } };
      case 'list': return this.list(operation.path, operation.cookie);
      case 'mkdir': return this.done(this.mkdir(operation.path, operation.recursive));
      case 'move': return this.done(renameAt(this.task, {
        oldfd: AT_FDCWD, oldPath: pathOf(operation.from), newfd: AT_FDCWD, newPath: pathOf(operation.to), flags: 0,
      }));
      case 'symlink': return this.done(symlinkAt(this.task, byteString(operation.target), AT_FDCWD, pathOf(operation.path)));
      case 'link': return this.done(linkAt(this.task, AT_FDCWD, pathOf(operation.from), AT_FDCWD, pathOf(operation.path), 0));
      case 'remove': return this.remove(pathOf(operation.path), operation.recursive);
    }
  }

  isDirectory(path: string): boolean {
    return lookupOf(this.task, byteString(path))?.isDirectory() === true;
  }

  private done(result: number): Visited {
    check(result);
    return { answer: NOTHING };
  }

  private opened(file: ReturnType<typeof openAt>): File {
    if (file instanceof File) return file;
    throw failed(typeof file === 'number' ? -file : EAGAIN);
  }

  /** A regular file as a handle, with its descriptor taken. */
  private regular(path: string, flags: number, mode: number): { readonly file: File; readonly handle: number } {
    const file = this.opened(openAt(this.task, AT_FDCWD, pathOf(path), flags | O_NONBLOCK | O_NOCTTY, mode));
    const problem = file.inode.isDirectory() ? EISDIR : !file.inode.isRegular() ? EINVAL : file.inode.pending() !== null ? EIO : 0;
    const handle = problem === 0 ? this.task.process.files.install(file, 1) : -problem;
    if (handle < 0 || handle > HANDLES_MAX) {
      if (handle < 0) file.unref();
      else this.task.process.files.close(handle);
      if (problem !== 0) throw failed(problem);
      throw new OffshootError('busy', `${HANDLES_MAX} files of this sandbox are being read or written: finish some first.`);
    }
    return { file, handle };
  }

  private open(path: string, offset: number, length: number): Visited {
    const { file, handle } = this.regular(path, O_RDONLY, 0);
    file.pos = offset;
    return this.read(handle, length);
  }

  private file(handle: number): File {
    const file = handle > 0 ? this.task.process.files.get(handle) : null;
    if (!file) throw failed(EBADF);
    return file;
  }

  /** The next piece; at the end of the file, or when less than that is wanted, the handle is closed. */
  private read(handle: number, length: number): Visited {
    const file = this.file(handle);
    const bytes = new Uint8Array(Math.min(length, PIECE_BYTES_MAX));
    let used = 0;
    let isEnd = length <= PIECE_BYTES_MAX;
    while (used < bytes.length) {
      const n = file.read(this.task, bytes.subarray(used));
      if (typeof n !== 'number' || n < 0) {
        this.close(handle);
        throw failed(typeof n === 'number' ? -n : EAGAIN);
      }
      if (n === 0) isEnd = true;
      if (n === 0) break;
      used += n;
    }
    if (isEnd) this.close(handle);
    return { answer: { ...NOTHING, handle, isEnd }, bytes: bytes.subarray(0, used) };
  }

  private create({ path, mode, append, isLast }: Extract<FileOperation, { kind: 'create' }>, bytes: Uint8Array): Visited {
    const { file, handle } = this.regular(path, O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC), mode ?? 0o666);
    if (mode !== null && (file.inode.mode & 0o7777) !== mode) {
      const changed = isOwner(file.inode, this.task.process.credentials) ? file.inode.setattr({ mode: (file.inode.mode & ~0o7777) | mode }) : -EPERM;
      if (changed < 0) {
        this.close(handle);
        throw failed(-changed);
      }
    }
    return this.write(handle, bytes, isLast);
  }

  private write(handle: number, bytes: Uint8Array, isLast: boolean): Visited {
    const file = this.file(handle);
    for (let at = 0; at < bytes.length;) {
      const n = file.write(this.task, bytes.subarray(at));
      if (typeof n !== 'number' || n <= 0) {
        this.close(handle);
        throw failed(typeof n === 'number' && n < 0 ? -n : EIO);
      }
      at += n;
    }
    if (isLast) this.close(handle);
    return { answer: { ...NOTHING, handle, isEnd: isLast } };
  }

  private close(handle: number): Visited {
    if (handle > 0) this.task.process.files.close(handle);
    return { answer: NOTHING };
  }

  private stat(path: string, follow: boolean): FileEntry {
    const dentry = lookupAt(this.task, AT_FDCWD, pathOf(path), follow ? 0 : AT_SYMLINK_NOFOLLOW);
    if (typeof dentry === 'number') throw failed(-dentry);
    return this.entry(dentry.name, dentry.inode);
  }

  private entry(name: string, inode: Inode): FileEntry {
    const target = inode.isSymlink() ? inode.readlink(this.task) : null;
    return {
      name: textOf(name), type: TYPES[inode.mode & 0o170000] ?? 'device', size: inode.sizeBytes, mode: inode.mode & 0o7777,
      mtimeMs: Number(inode.mtime / 1000n) / 1000, uid: inode.uid, gid: inode.gid, target: typeof target === 'string' ? textOf(target) : null,
      ...(inode.isRegular() && inode.nlink > 1 ? { sameAs: `${inode.dev}:${inode.ino}` } : {}),
    };
  }

  /** Entries behind `cookie`. */
  private list(path: string, cookie: number): Visited {
    const dir = lookupAt(this.task, AT_FDCWD, pathOf(path), 0);
    if (typeof dir === 'number') throw failed(-dir);
    if (!dir.inode.isDirectory()) throw failed(ENOTDIR);
    check(permission(dir.inode, MAY_READ, this.task.process.credentials));
    const found = dir.inode.readdir(cookie, ENTRIES_MAX, this.task);
    if (typeof found === 'number') throw failed(-found);
    const entries: FileEntry[] = [];
    for (const { name } of found) {
      const child = childOf(dir, name, this.task);
      if (typeof child !== 'number') entries.push(this.entry(name, child.inode));
    }
    return { answer: { ...NOTHING, entries, isEnd: found.length < ENTRIES_MAX, cookie: found.at(-1)?.cookie ?? cookie } };
  }

  private mkdir(path: string, recursive: boolean): number {
    const full = pathOf(path);
    if (!recursive) return mkdirAt(this.task, AT_FDCWD, full, 0o777);
    let result = 0;
    for (let end = 0; end < full.length;) {
      const next = full.indexOf('/', end + 1);
      end = next < 0 ? full.length : next;
      result = mkdirAt(this.task, AT_FDCWD, full.slice(0, end), 0o777);
      // What is there is a directory, or a link to one; or else the next step, or the caller, finds out.
      if (result < 0 && lookupOf(this.task, full.slice(0, end))?.isDirectory()) result = 0;
      if (result < 0) return result;
    }
    return full === '' ? -ENOENT : result;
  }

  /** Removes a name; with `recursive` all below it, as much as one message may. */
  private remove(path: string, recursive: boolean): Visited {
    const first = unlinkAt(this.task, AT_FDCWD, path);
    if (first !== -EISDIR) return this.done(first);
    if (!recursive) return this.done(rmdirAt(this.task, AT_FDCWD, path));
    const empty = rmdirAt(this.task, AT_FDCWD, path);
    if (empty === 0 || empty !== -ENOTEMPTY) return this.done(empty);
    const left = this.empty(AT_FDCWD, path, REMOVALS_MAX, 0);
    if (left === 0) return { answer: { ...NOTHING, isEnd: false } };
    return this.done(rmdirAt(this.task, AT_FDCWD, path));
  }

  /** Removes up to `budget` names below a directory; how much of the budget is left. Links are not followed. */
  private empty(dirfd: number, name: string, budget: number, depth: number): number {
    if (depth > DEPTH_MAX) throw failed(ENAMETOOLONG);
    const { files } = this.task.process;
    const file = this.opened(openAt(this.task, dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0));
    const fd = files.install(file, HANDLES_MAX + 1);
    let left = budget;
    try {
      for (;;) {
        const batch = file.inode.readdir(0, ENTRIES_MAX, this.task);
        if (typeof batch === 'number') throw failed(-batch);
        if (batch.length === 0) return left;
        for (const entry of batch) {
          if (left <= 0) return 0;
          left--;
          const result = unlinkAt(this.task, fd, entry.name);
          if (result !== -EISDIR) check(result);
          else {
            left = this.empty(fd, entry.name, left, depth + 1);
            if (left <= 0) return 0;
            check(rmdirAt(this.task, fd, entry.name));
          }
        }
      }
    } finally {
      files.close(fd);
    }
  }
}

function lookupOf(task: Task, path: string): Inode | null {
  const dentry = lookupAt(task, AT_FDCWD, path, 0);
  return typeof dentry === 'number' ? null : dentry.inode;
}

function pathOf(path: string): string {
  if (path.includes('\0')) throw failed(EINVAL);
  return byteString(path);
}

/** A byte string as text; bytes that are none become U+FFFD. */
function textOf(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

function check(result: number): void {
  if (result < 0) throw failed(-result);
}

function failed(errno: number): OffshootError {
  return new OffshootError('file-error', errnoName(errno), errnoName(errno));
}
