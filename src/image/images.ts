// Images by name: what is built in, building it once, packing directories, adding files to an image.
//
// Interface: ensureImage, planImage, packDirectory, extendImage, pruneImages. Ten processes that need an image at the same
// time build it once (lock.ts); a build that was killed is resumed by the next one from what was already downloaded.

import * as fs from 'node:fs';
import * as path from 'node:path';
import { imagePath } from '../kernel/fs/imageindex.ts';
import type { ImageIndex } from '../kernel/fs/imageindex.ts';
import { fetchPackages, unpackPackages } from './debian.ts';
import { addDirectory } from './directory.ts';
import { explain, ImageError } from './errors.ts';
import { withLock } from './lock.ts';
import { ImageBuilder } from './pack.ts';
import type { OnProgress } from './progress.ts';
import { keyOf, specOf } from './specs.ts';
import type { ImageSpec } from './specs.ts';
import { offshootHome } from './home.ts';
import { findImage, imagesDir, isImageName, listImages, openImage, writeRef } from './store.ts';
import type { Image, ImageRef } from './store.ts';
import { makeNode, S_IFDIR, S_IFMT } from './tree.ts';
import type { Attributes, TreeNode } from './tree.ts';

export interface ImageOptions {
  /** See offshootHome. */
  home?: string | undefined;
  onProgress?: OnProgress | undefined;
  signal?: AbortSignal | undefined;
  /** Build even if it is there: newer packages. */
  refresh?: boolean | undefined;
}

/** What ensureImage is going to do. */
export interface ImagePlan {
  readonly built: boolean;
  readonly downloadBytes: number;
  readonly diskBytes: number;
  /** One sentence to show before it starts; '' when nothing has to be done. */
  readonly message: string;
}

/** Says beforehand what `ensureImage(name)` will do. @throws ImageError for an unknown name */
export function planImage(name: string, home: string = offshootHome()): ImagePlan {
  const spec = specOf(name);
  return tryOpen(home, spec) ? { built: true, downloadBytes: 0, diskBytes: 0, message: '' } : planBuild(spec, home);
}

function planBuild(spec: ImageSpec, home: string): ImagePlan {
  const [download, disk] = [spec.downloadBytes, spec.diskBytes].map((bytes) => Math.round(bytes / 1e6));
  return {
    built: false, downloadBytes: spec.downloadBytes, diskBytes: spec.diskBytes,
    message: `The image "${spec.name}" is built once: about ${download} MB of Debian packages are downloaded with apt-get `
      + `(verified, no root needed) and packed into ${imagesDir(home)} (about ${disk} MB with the downloads).`,
  };
}

/** The image if it is there, intact and what the spec asks for now. */
function tryOpen(home: string, spec: ImageSpec): Image | null {
  const ref = findImage(home, spec.name);
  if (!ref || ref.key !== keyOf(spec.packages)) return null;
  try {
    return openImage(home, ref.id);
  } catch {
    return null;
  }
}

/**
 * Opens the image `name`, building it if necessary: `planImage` says beforehand what that means.
 * @throws ImageError, or the signal's reason when cancelled
 */
export async function ensureImage(name: string, options: ImageOptions = {}): Promise<Image> {
  const spec = specOf(name);
  const home = options.home ?? offshootHome();
  const before = tryOpen(home, spec);
  if (before && !options.refresh) return before;
  return await locked(home, options, async () => {
    const other = options.refresh ? null : tryOpen(home, spec);
    if (other) return other;
    const fetching = { signal: options.signal, onProgress: options.onProgress ?? (() => {}) };
    const packages = await fetchPackages(path.join(home, 'cache/apt'), spec.packages, fetching);
    const id = await build(home, (builder) => unpackPackages(builder, packages, fetching));
    const files = packages.files.map(({ file }) => file);
    return publish(home, id, { name, key: keyOf(spec.packages), source: 'debian', packages: files }, options);
  });
}

/** Runs `body` with the store's lock; errors of the file system become sentences. */
async function locked<T>(home: string, options: ImageOptions, body: () => Promise<T>): Promise<T> {
  const doing = `cannot build the image in ${imagesDir(home)}`;
  try {
    fs.mkdirSync(imagesDir(home), { recursive: true });
    const onWait = () => options.onProgress?.({ phase: 'wait', done: 0, total: 1, message: 'another process is building an image' });
    return await withLock(imagesDir(home), body, { signal: options.signal, onWait });
  } catch (error) {
    throw explain(error, doing);
  }
}

function isIntact(home: string, id: string): boolean {
  try {
    openImage(home, id);
    return true;
  } catch {
    return false;
  }
}

async function build(home: string, fill: (builder: ImageBuilder) => Promise<void> | void): Promise<string> {
  const builder = new ImageBuilder(imagesDir(home));
  try {
    await fill(builder);
    return builder.finish((id) => isIntact(home, id));
  } catch (error) {
    builder.abandon();
    throw error;
  }
}

/** Opens what was just built (again from disk, so it is checked) and gives it its name. */
function publish(home: string, id: string, about: Pick<ImageRef, 'name' | 'key' | 'source' | 'packages'>, options: ImageOptions): Image {
  const image = openImage(home, id);
  const { blobSizeBytes, count } = image.index;
  if (about.name !== '') writeRef(home, { id, ...about, builtAt: new Date().toISOString(), blobSizeBytes, entries: count });
  options.onProgress?.({ phase: 'done', done: 1, total: 1, message: `${count} files, ${(blobSizeBytes / 1e6).toFixed(1)} MB` });
  return image;
}

/** Packs the directory `source`; with `name` it gets a name. @throws ImageError */
export async function packDirectory(source: string, options: ImageOptions & { name?: string } = {}): Promise<Image> {
  const home = options.home ?? offshootHome();
  const { name = '' } = options;
  if (name !== '' && !isImageName(name)) throw new ImageError(`not a name for an image: ${JSON.stringify(name)}`);
  if (!fs.statSync(source, { throwIfNoEntry: false })?.isDirectory()) throw new ImageError(`${source} is not a directory`);
  return await locked(home, options, async () => {
    const id = await build(home, (builder) => addDirectory(builder, source));
    return publish(home, id, { name, key: keyOf([`dir:${source}`]), source: `dir:${source}`, packages: [] }, options);
  });
}

/** A file or directory to add to an image. `mode` without the type; the owner is root unless given. */
export interface Addition extends Partial<Omit<Attributes, 'mode'>> {
  readonly path: string;
  readonly mode: number;
  /** The content of a regular file; null makes a directory. */
  readonly content: Uint8Array | null;
}

/**
 * Makes a new image of an image and more files (byte-compiled modules, for instance). The blob of the new image begins
 * with the old one. A name given to the new image replaces what it stood for and keeps its packages and key; if that was
 * `base`, and no other name stands for it, `base` is removed (who has its files open can go on).
 * @throws ImageError
 */
export async function extendImage(
  base: Image, additions: readonly Addition[], options: ImageOptions & { name?: string } = {},
): Promise<Image> {
  const home = options.home ?? offshootHome();
  const { name = '' } = options;
  return await locked(home, options, async () => {
    const id = await build(home, (builder) => {
      builder.blob.addBlob(base.blobPath);
      addIndex(builder, base.index);
      for (const { path: at, mode, content, ...attributes } of additions) {
        if (content) builder.file(at, Buffer.from(content), mode, attributes);
        else builder.dir(at, mode, attributes);
      }
    });
    const old = name === '' ? null : findImage(home, name);
    const about = { name, key: old?.key ?? '', source: `extends ${base.id}`, packages: old?.packages ?? [] };
    const image = publish(home, id, about, options);
    if (old?.id === base.id && !listImages(home).some((ref) => ref.id === base.id)) {
      fs.rmSync(path.dirname(base.blobPath), { recursive: true, force: true });
    }
    return image;
  });
}

function addIndex(builder: ImageBuilder, index: ImageIndex): void {
  const nodes = new Map<number, TreeNode>();
  for (let i = 0; i < index.count; i++) {
    const { mode, uid, gid, mtimeSec, mtimeNsec, sizeBytes, offset, rdev, inode } = index;
    const attributes = { mode: mode[i], uid: uid[i], gid: gid[i], mtimeSec: mtimeSec[i], mtimeNsec: mtimeNsec[i] };
    const isDir = (mode[i] & S_IFMT) === S_IFDIR;
    const known = isDir ? undefined : nodes.get(inode[i]);
    const more = { sizeBytes: sizeBytes[i], offset: offset[i], rdev: rdev[i], target: index.target[i] };
    const node = known ?? makeNode(attributes, more);
    nodes.set(inode[i], node);
    builder.tree.put(imagePath(index, i), node);
  }
}

/** Removes images that no name stands for, apart from those in `keep` (ids that templates need). Returns their ids. */
export async function pruneImages(keep: readonly string[], options: ImageOptions = {}): Promise<string[]> {
  const home = options.home ?? offshootHome();
  return await locked(home, options, async () => {
    const wanted = new Set([...keep, ...listImages(home).map((ref) => ref.id)]);
    const unwanted = fs.readdirSync(imagesDir(home)).filter((name) => /^[0-9a-f]{64}$/.test(name) && !wanted.has(name));
    for (const id of unwanted) fs.rmSync(path.join(imagesDir(home), id), { recursive: true, force: true });
    return unwanted;
  });
}
