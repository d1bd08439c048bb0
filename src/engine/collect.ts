// What a run leaves behind, copied out of its file systems when it has ended (worker side). Links are not followed, and only
// regular files of the sandbox's own file systems are taken: what the program made or changed.

import { childOf, topOf, type Dentry } from '../kernel/fs/dentry.ts';
import { MemDir } from '../kernel/fs/memdir.ts';
import { MemFile } from '../kernel/fs/memfile.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { isPattern, matches } from './glob.ts';
import { byteString } from './guestkernel.ts';
import { COLLECT_FILES_MAX, type CollectOptions } from './protocol.ts';

/** Hears of each file: `problem` says why there is no content. Views are valid during the call. */
export type Collected = (path: string, content: Uint8Array | null, problem: string | null) => void;

/** Directory entries looked at, and how deep. */
const VISITS_MAX = 200_000, DEPTH_MAX = 64;
const BATCH = 256;

/** Sends everything the patterns match. */
export function collect(kernel: Kernel, { patterns, bytesMax }: CollectOptions, take: Collected): void {
  const walk = new Walk(bytesMax, take);
  for (const pattern of patterns) walk.match(topOf(kernel.vfs.root), '', byteString(pattern).split('/').slice(1), 0);
}

class Walk {
  private leftBytes: number;
  private files = 0;
  private visits = 0;
  private isFull = false;
  private readonly take: Collected;
  private readonly seen = new Set<string>();

  constructor(bytesMax: number, take: Collected) {
    this.leftBytes = bytesMax;
    this.take = take;
  }

  /** Goes down along the components of a pattern. */
  match(dir: Dentry, path: string, parts: readonly string[], at: number): void {
    if (at === parts.length || parts[at] === '') return this.whole(dir, path, 0);
    if (!(dir.inode instanceof MemDir)) return;
    const names = isPattern(parts[at]) ? this.names(dir.inode).filter((name) => matches(parts[at], name)) : [parts[at]];
    for (const name of names) {
      const child = childOf(dir, name, null);
      if (typeof child !== 'number') this.match(child, `${path}/${name}`, parts, at + 1);
    }
  }

  /** A file, or a directory with all that is in it. */
  private whole(dentry: Dentry, path: string, depth: number): void {
    const { inode } = dentry;
    if (this.isFull || this.seen.has(path)) return;
    this.seen.add(path);
    if (inode instanceof MemDir) {
      if (depth >= DEPTH_MAX) return this.refuse(path, `lies deeper than ${DEPTH_MAX} directories`);
      for (const name of this.names(inode)) {
        const child = childOf(dentry, name, null);
        if (typeof child !== 'number') this.whole(child, `${path}/${name}`, depth + 1);
      }
    } else if (inode instanceof MemFile) this.file(inode, path);
    else this.refuse(path, inode.isSymlink() ? 'is a symbolic link' : 'is not a regular file');
  }

  private file(inode: MemFile, path: string): void {
    if (inode.isOriginal) return;
    if (++this.files > COLLECT_FILES_MAX) return this.stop(path, `is one of more than ${COLLECT_FILES_MAX} files`);
    if (inode.sizeBytes > this.leftBytes) return this.refuse(path, 'does not fit the limit for files that are copied out');
    const name = readable(path);
    if (name === null) return this.refuse(path, 'has a name that is not text');
    if (inode.pending() !== null) return this.refuse(path, 'has contents that never came');
    const content = new Uint8Array(inode.sizeBytes);
    inode.read(0, content);
    this.leftBytes -= content.length;
    this.take(name, content, null);
  }

  private names(dir: MemDir): string[] {
    const names: string[] = [];
    for (let cookie = 0; ;) {
      const batch = dir.readdir(cookie, BATCH);
      if (batch.length === 0 || this.isFull) return names;
      for (const entry of batch) names.push(entry.name);
      this.visits += batch.length;
      if (this.visits > VISITS_MAX) this.stop('/', `has more than ${VISITS_MAX} files to look at`);
      cookie = batch[batch.length - 1].cookie;
    }
  }

  private stop(path: string, problem: string): void {
    this.isFull = true;
    this.refuse(path, problem);
  }

  private refuse(path: string, problem: string): void {
    this.take(readable(path) ?? Buffer.from(path, 'latin1').toString('utf8').replace(/[\0-\x1f\x7f-\x9f]/g, '?'), null, problem);
  }
}

/** A byte string as text; null when it is none, or might talk to a terminal. */
function readable(path: string): string | null {
  const bytes = Buffer.from(path, 'latin1');
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes) && !/[\0-\x1f\x7f-\x9f]/.test(text) ? text : null;
}
