// The read-only image as the layer below the root file system: attributes, names and contents by inode number.
//
// Interface: Lower. Nothing here is per sandbox but the object itself; what is derived from the index is computed once per
// index and shared by all forks. Numbers are the index's inode numbers, so hard links are one inode.

import type { Host } from '../../platform.ts';
import type { ImageIndex } from './imageindex.ts';
import { imageLookup } from './imageindex.ts';
import type { DirEntry } from './inode.ts';

/** First entry of each inode number, by index: computed once, shared by every sandbox that uses the image. */
const firstEntries = new WeakMap<ImageIndex, Uint32Array>();

function firstEntriesOf(index: ImageIndex): Uint32Array {
  const known = firstEntries.get(index);
  if (known) return known;
  const first = new Uint32Array(index.count + 1).fill(0xffff_ffff);
  for (let entry = index.count - 1; entry >= 0; entry--) first[index.inode[entry]] = entry;
  firstEntries.set(index, first);
  return first;
}

/** Attributes of an image inode. */
export interface LowerAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly sizeBytes: number;
  readonly rdev: number;
  readonly mtime: bigint;
}

export class Lower {
  readonly index: ImageIndex;
  private readonly host: Pick<Host, 'blob'>;
  private readonly first: Uint32Array;

  constructor(index: ImageIndex, host: Pick<Host, 'blob'>) {
    this.index = index;
    this.host = host;
    this.first = firstEntriesOf(index);
  }

  /** Inode number of the root directory. */
  get rootIno(): number { return this.index.inode[0]; }
  /** Image inode numbers are 1 … inoMax. */
  get inoMax(): number { return this.index.count; }

  has(ino: number): boolean {
    return ino > 0 && ino < this.first.length && this.first[ino] !== 0xffff_ffff;
  }

  attributes(ino: number): LowerAttributes {
    const { index } = this;
    const entry = this.first[ino];
    return {
      mode: index.mode[entry], uid: index.uid[entry], gid: index.gid[entry], nlink: index.nlink[entry],
      sizeBytes: index.sizeBytes[entry], rdev: index.rdev[entry],
      mtime: BigInt(index.mtimeSec[entry]) * 1_000_000_000n + BigInt(index.mtimeNsec[entry]),
    };
  }

  /** Inode number of `name` in directory `dirIno`, 0 when there is none. */
  lookup(dirIno: number, name: string): number {
    const entry = imageLookup(this.index, this.first[dirIno], name);
    return entry < 0 ? 0 : this.index.inode[entry];
  }

  childCount(dirIno: number): number {
    return this.index.childCount[this.first[dirIno]];
  }

  /** Child number `position` of a directory. Its cookie is position + 1. */
  child(dirIno: number, position: number): DirEntry {
    const entry = this.index.firstChild[this.first[dirIno]] + position;
    return { name: this.index.name[entry], ino: this.index.inode[entry], type: this.index.mode[entry] >> 12, cookie: position + 1 };
  }

  target(ino: number): string {
    return this.index.target[this.first[ino]];
  }

  /** `length` bytes at `pos` of a regular file, which must lie within it; a view, valid during the call. */
  bytes(ino: number, pos: number, length: number): Uint8Array {
    return this.host.blob(this.index.offset[this.first[ino]] + pos, length);
  }
}
