// Puts what a run was given (hostfiles.ts lists it) into its kernel's tree, in the worker.

import * as errnos from '../abi/linux/errno.ts';
import type { GivenTree } from '../kernel/fs/given.ts';
import { completeImageIndex } from '../kernel/fs/imageindex.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { OffshootError } from './errors.ts';
import { byteString } from './guestkernel.ts';
import type { GivenListing } from './protocol.ts';

/** Mounts everything, in order; `onWant` hears when contents are wanted. Throws OffshootError when a place cannot be. */
export function mountGiven(kernel: Kernel, listings: readonly GivenListing[], onWant: (tree: number, entry: number) => void): void {
  if (listings.length === 0) return;
  const { given } = kernel.vfs;
  const want = (tree: number, ino: number): void => onWant(tree, ino - 1);
  given.onWant = want;
  const { fsuid: uid = 0, fsgid: gid = 0 } = kernel.main?.credentials ?? {};
  for (const listing of listings) {
    const error = given.mount(treeOf(listing, uid, gid));
    if (error === 0) continue;
    throw new OffshootError('bad-argument', `${listing.path} cannot be in the sandbox: something else there is no directory, or is one.`);
  }
}

/** A file has the inode number of its entry, and one. */
function treeOf(listing: GivenListing, uid: number, gid: number): GivenTree {
  const { path, isReadOnly, isFile, parent, name, mode, sizeBytes, mtimeMs, target } = listing;
  const count = name.length;
  const none = new Float64Array(count);
  const isRegular = (i: number): boolean => (mode[i] & 0o170000) === 0o100000;
  const index = completeImageIndex({
    blobSha256: '0'.repeat(64), blobSizeBytes: sizeBytes.reduce((sum, size) => sum + Math.ceil(size / 4096) * 4096, 0), name, target,
    parent: Uint32Array.from(parent), mode: Uint32Array.from(mode), uid: new Uint32Array(count).fill(uid), gid: new Uint32Array(count).fill(gid),
    sizeBytes: Float64Array.from(sizeBytes, (size, i) => (isRegular(i) ? size : target[i].length)), offset: none,
    mtimeSec: Float64Array.from(mtimeMs, (ms) => Math.floor(ms / 1000)),
    mtimeNsec: Uint32Array.from(mtimeMs, (ms) => Math.floor((ms - Math.floor(ms / 1000) * 1000) * 1e6)),
    inode: Uint32Array.from({ length: count }, (_, i) => i + 1), rdev: new Uint32Array(count),
  });
  return { path: byteString(path), isReadOnly, isFile, index, contents: new Map() };
}

/** The number of an errno's name; EIO for what the sandbox does not know. */
export function errnoOf(name: string): number {
  const value = (errnos as Readonly<Record<string, unknown>>)[name];
  return typeof value === 'number' ? value : errnos.EIO;
}
