// Images for tests, and the same image unpacked as a directory, for running its programs natively.
//
// Interface: sidesImage (built once per home directory, modules byte-compiled), nativeRoot (its tree on the host's disk).

import * as fs from 'node:fs';
import * as path from 'node:path';
import { bakeImage } from '../../src/engine/bake.ts';
import type { KvmHost } from '../../src/engine/kvmhost.ts';
import { fetchPackages, unpackPackages } from '../../src/image/debian.ts';
import { withLock } from '../../src/image/lock.ts';
import { ImageBuilder } from '../../src/image/pack.ts';
import { keyOf } from '../../src/image/specs.ts';
import { findImage, imagesDir, openImage, writeRef, type Image } from '../../src/image/store.ts';
import { imagePath } from '../../src/kernel/fs/imageindex.ts';

/** What an image of tests is made of. */
export interface SidesSpec {
  readonly name: string;
  readonly packages: readonly string[];
  /** Adds more files before the image is packed; `key` must change when they do. */
  readonly addFiles?: (builder: ImageBuilder) => void;
  readonly key?: string;
}

const S_IFMT = 0o170000, S_IFDIR = 0o040000, S_IFREG = 0o100000, S_IFLNK = 0o120000;

/** The image, built when it is missing or was built from other packages. Progress goes to stderr. */
export async function sidesImage(host: KvmHost, spec: SidesSpec): Promise<Image> {
  const { name, packages } = spec;
  const key = keyOf(spec.key === undefined ? packages : [...packages, spec.key]);
  return await withLock(path.join(imagesDir(host.home), name), async () => {
    const known = findImage(host.home, name);
    if (known?.key === key && known.stage === 'ready') return openImage(host.home, known.id);
    const options = { onProgress: ({ phase, message }: { phase: string; message: string }) => {
      if (phase !== 'download' && phase !== 'unpack') process.stderr.write(`${name} image: ${message}\n`);
    } };
    const fetched = await fetchPackages(path.join(host.home, `cache/apt-${name}`), packages, options);
    const builder = new ImageBuilder(imagesDir(host.home));
    await unpackPackages(builder, fetched, options);
    spec.addFiles?.(builder);
    const id = builder.finish(() => false);
    const image = openImage(host.home, id);
    const { blobSizeBytes, count } = image.index;
    writeRef(host.home, {
      id, name, key, source: 'debian', stage: 'packed', env: {}, builtAt: new Date().toISOString(), blobSizeBytes, entries: count,
      packages: fetched.files.map(({ file }) => file),
    });
    return await bakeImage(host, image, name);
  });
}

/** The image's files below a directory of the host with the owners, modes and times they have in a sandbox; needs root. */
export function nativeRoot(home: string, name: string, image: Image): string {
  const root = path.join(home, 'cache', `${name}-root-${image.id.slice(0, 16)}`);
  if (fs.existsSync(root)) return root;
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
  return root;
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
  fs.lchownSync(target, index.uid[entry], index.gid[entry]);
  if (type === S_IFLNK) return;
  fs.chmodSync(target, index.mode[entry] & 0o7777);
  fs.utimesSync(target, index.mtimeSec[entry], index.mtimeSec[entry] + index.mtimeNsec[entry] / 1e9);
}
