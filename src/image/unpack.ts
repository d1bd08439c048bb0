// An image's files on the host's disk, for running its programs natively: what a sandbox is compared with.
//
// Interface: unpackImage.

import * as fs from 'node:fs';
import { imagePath } from '../kernel/fs/imageindex.ts';
import type { Image } from './store.ts';

const S_IFMT = 0o170000, S_IFDIR = 0o040000, S_IFREG = 0o100000, S_IFLNK = 0o120000;

/** The image's files below `root`, unless that is there, with the modes and times they have in a sandbox; as root also the owners. */
export function unpackImage(image: Image, root: string): void {
  if (fs.existsSync(root)) return;
  const aside = `${root}.${process.pid}.tmp`;
  const { index } = image;
  const blob = fs.openSync(image.blobPath, 'r');
  const inodes = new Map<number, string>();
  for (let entry = 0; entry < index.count; entry++) {
    const target = Buffer.from(aside + (entry === 0 ? '' : imagePath(index, entry)), 'latin1');
    const type = index.mode[entry] & S_IFMT;
    const known = type === S_IFDIR ? undefined : inodes.get(index.inode[entry]);
    if (known !== undefined) fs.linkSync(Buffer.from(known, 'latin1'), target);
    else unpack(image, entry, blob, target);
    inodes.set(index.inode[entry], target.toString('latin1'));
  }
  for (let entry = index.count - 1; entry >= 0; entry--) {
    if ((index.mode[entry] & S_IFMT) !== S_IFDIR) continue;
    fs.utimesSync(Buffer.from(aside + imagePath(index, entry), 'latin1'), index.mtimeSec[entry], index.mtimeSec[entry]);
  }
  fs.closeSync(blob);
  fs.renameSync(aside, root);
}

function unpack({ index }: Image, entry: number, blob: number, target: Buffer): void {
  const type = index.mode[entry] & S_IFMT;
  if (type === S_IFDIR) fs.mkdirSync(target, { recursive: entry === 0 });
  else if (type === S_IFLNK) fs.symlinkSync(Buffer.from(index.target[entry], 'latin1'), target);
  else if (type === S_IFREG) {
    const content = Buffer.alloc(index.sizeBytes[entry]);
    fs.readSync(blob, content, 0, content.length, index.offset[entry]);
    fs.writeFileSync(target, content);
  } else return;
  if (process.getuid?.() === 0) fs.lchownSync(target, index.uid[entry], index.gid[entry]);
  if (type === S_IFLNK) return;
  fs.chmodSync(target, index.mode[entry] & 0o7777);
  fs.utimesSync(target, index.mtimeSec[entry], index.mtimeSec[entry] + index.mtimeNsec[entry] / 1e9);
}
