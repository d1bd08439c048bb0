// Builds a tree from a directory of the host: owners, modes, times, symbolic and hard links are kept; sockets are left out,
// and so is what other file systems mounted below have (the /proc of a root that is in use).
//
// Interface: addDirectory. Files are read once, in sorted order, so equal directories give equal images.

import * as fs from 'node:fs';
import { ImageError } from './errors.ts';
import type { ImageBuilder } from './pack.ts';
import { makeNode, S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from './tree.ts';
import type { TreeNode } from './tree.ts';

/** Puts everything in `source`, but not the contents of `except`, into the builder's tree. @throws ImageError when something cannot be read */
export function addDirectory(builder: ImageBuilder, source: string, except: string): void {
  const { dev } = fs.statSync(source, { bigint: true });
  const left = fs.statSync(except, { bigint: true, throwIfNoEntry: false });
  const links = new Map<string, TreeNode>();
  const base = Buffer.from(source.endsWith('/') ? source : `${source}/`);
  const visit = (name: string): void => {
    const file = Buffer.concat([base, Buffer.from(name, 'latin1')]);
    const stat = fs.lstatSync(file, { bigint: true });
    const mode = Number(stat.mode);
    if ((mode & S_IFMT) === S_IFSOCK) return;
    const inode = `${stat.dev} ${stat.ino}`;
    const known = stat.nlink > 1n && (mode & S_IFMT) !== S_IFDIR ? links.get(inode) : undefined;
    const node = known ?? readNode(builder, file, stat);
    links.set(inode, node);
    builder.tree.put(name === '' ? '/' : name, node);
    if ((mode & S_IFMT) !== S_IFDIR || stat.dev !== dev || (stat.ino === left?.ino && stat.dev === left.dev)) return;
    const children = fs.readdirSync(file, { encoding: 'latin1' }).sort();
    for (const child of children) visit(name === '' ? child : `${name}/${child}`);
  };
  try {
    visit('');
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    if (code === undefined || code === 'ENOSPC' || code === 'EDQUOT') throw error; // writing the image, not reading this
    throw new ImageError(`cannot read ${path ?? source} for the image: ${code}`);
  }
}

function readNode(builder: ImageBuilder, file: Buffer, stat: fs.BigIntStats): TreeNode {
  const mode = Number(stat.mode);
  const mtimeNsec = Number((stat.mtimeNs % 1_000_000_000n + 1_000_000_000n) % 1_000_000_000n);
  const mtimeSec = Number((stat.mtimeNs - BigInt(mtimeNsec)) / 1_000_000_000n);
  const node = makeNode({ mode, uid: Number(stat.uid), gid: Number(stat.gid), mtimeSec, mtimeNsec });
  if ((mode & S_IFMT) === S_IFREG) {
    const content = fs.readFileSync(file);
    node.offset = builder.blob.add(content);
    node.sizeBytes = content.length;
  } else if ((mode & S_IFMT) === S_IFLNK) {
    node.target = fs.readlinkSync(file, { encoding: 'latin1' });
    node.sizeBytes = node.target.length;
  } else if ((mode & S_IFMT) === S_IFCHR || (mode & S_IFMT) === S_IFBLK) {
    node.rdev = Number(stat.rdev & 0xffffffffn);
  }
  return node;
}
