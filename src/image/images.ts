// Images by name: building one once from its source, packing directories, adding files to an image.
//
// Interface: ensureImage, planImage, packDirectory, extendImage, pruneImages. Ten processes that need an image at the same
// time build it once (lock.ts); a build that was killed is resumed by the next one from what was already downloaded.

import * as fs from 'node:fs';
import * as path from 'node:path';
import { imagePath } from '../kernel/fs/imageindex.ts';
import type { ImageIndex } from '../kernel/fs/imageindex.ts';
import { addArchive } from './archive.ts';
import { fetchPackages, unpackPackages } from './debian.ts';
import type { FetchOptions } from './debian.ts';
import { addDirectory } from './directory.ts';
import { explain, ImageError } from './errors.ts';
import { withLock } from './lock.ts';
import { finishForeign } from './foreign.ts';
import { addOciLayout } from './oci.ts';
import type { ImageEnv } from './oci.ts';
import { ImageBuilder } from './pack.ts';
import type { OnProgress } from './progress.ts';
import { currentImage, keyOf, specKey } from './specs.ts';
import type { ImageSpec } from './specs.ts';
import { makeDirectories, offshootHome } from './home.ts';
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

/** Says beforehand what `ensureImage(spec)` will do. */
export function planImage(spec: ImageSpec, home: string = offshootHome()): ImagePlan {
  return tryOpen(home, spec) ? { built: true, downloadBytes: 0, diskBytes: 0, message: '' } : planBuild(spec, home);
}

function planBuild(spec: ImageSpec, home: string): ImagePlan {
  const { name, from, downloadBytes, diskBytes } = spec;
  const [download, disk] = [downloadBytes, diskBytes].map((bytes) => Math.round(bytes / 1e6));
  const size = download > 0 ? `about ${download} MB of ` : '';
  const how = from === 'debian'
    ? `${size}Debian packages are downloaded with apt-get (verified, no root needed) and packed into ${imagesDir(home)}`
      + (disk > 0 ? ` (about ${disk} MB with downloads and template).` : '.')
    : `${from} is packed into ${imagesDir(home)}.`;
  return { built: false, downloadBytes, diskBytes, message: `The image "${name}" is built once: ${how}` };
}

/** The image if it is there, intact and what the spec asks for now. */
function tryOpen(home: string, spec: ImageSpec): Image | null {
  const ref = currentImage(spec, home);
  return ref && isIntact(home, ref.id) ? openImage(home, ref.id) : null;
}

/**
 * Opens the image of the spec, building it if necessary: `planImage` says beforehand what that means. What is built here is at
 * the stage 'packed'.
 * @throws ImageError, or the signal's reason when cancelled
 */
export async function ensureImage(spec: ImageSpec, options: ImageOptions = {}): Promise<Image> {
  const home = options.home ?? offshootHome();
  const before = tryOpen(home, spec);
  if (before && !options.refresh) return before;
  return await locked(home, options, async () => {
    const other = options.refresh ? null : tryOpen(home, spec);
    if (other) return other;
    const { id, packages, env } = await buildSource(home, spec, { signal: options.signal, onProgress: options.onProgress ?? (() => {}) });
    return publish(home, id, { name: spec.name, key: specKey(spec), source: spec.from, stage: 'packed', packages, env }, options);
  });
}

type Built = Pick<ImageRef, 'id' | 'packages' | 'env'>;

/** Builds the image of a spec's source: a file or directory of the host, or Debian packages. */
async function buildSource(home: string, spec: ImageSpec, fetching: FetchOptions): Promise<Built> {
  if (spec.from === 'debian') {
    const packages = await fetchPackages(path.join(home, 'cache/apt'), spec.packages, fetching);
    const id = await build(home, (builder) => unpackPackages(builder, packages, fetching));
    return { id, packages: packages.files.map(({ file }) => file), env: {} };
  }
  const colon = spec.from.indexOf(':');
  const [kind, source] = [spec.from.slice(0, colon), spec.from.slice(colon + 1)];
  fetching.onProgress({ phase: 'pack', done: 0, total: 1, message: `packing ${source}` });
  let env: ImageEnv = {};
  const id = await build(home, async (builder) => {
    if (kind === 'dir') addDirectory(builder, requireDirectory(source), home);
    else env = await (kind === 'oci' ? addOciLayout(builder, source) : addArchive(builder, requireFile(source)));
    finishForeign(builder);
  });
  return { id, packages: [], env };
}

function requireDirectory(source: string): string {
  if (!fs.statSync(source, { throwIfNoEntry: false })?.isDirectory()) throw new ImageError(`${source} is not a directory`);
  return source;
}

function requireFile(source: string): string {
  const stat = fs.statSync(source, { throwIfNoEntry: false });
  if (!stat) throw new ImageError(`${source} does not exist`);
  if (!stat.isFile()) throw new ImageError(`${source} is not a file`);
  return source;
}

/** Runs `body` with the store's lock; errors of the file system become sentences. */
async function locked<T>(home: string, options: ImageOptions, body: () => Promise<T>): Promise<T> {
  const doing = `cannot build the image in ${imagesDir(home)}`;
  try {
    makeDirectories(imagesDir(home));
    const onWait = () => options.onProgress?.({ phase: 'wait', done: 0, total: 1, message: 'waiting for another process that is building an image' });
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

type RefDetails = Pick<ImageRef, 'name' | 'key' | 'source' | 'stage' | 'packages' | 'env'>;

/** Opens what was just built (again from disk, so it is checked) and gives it its name. */
function publish(home: string, id: string, about: RefDetails, options: ImageOptions): Image {
  const image = openImage(home, id);
  const { blobSizeBytes, count } = image.index;
  if (about.name !== '') writeRef(home, { id, ...about, builtAt: new Date().toISOString(), blobSizeBytes, entries: count });
  options.onProgress?.({ phase: 'packed', done: 1, total: 1, message: `the image has ${count} files, ${(blobSizeBytes / 1e6).toFixed(1)} MB` });
  return image;
}

/** Packs the directory `source`; with `name` it gets a name. @throws ImageError */
export async function packDirectory(source: string, options: ImageOptions & { name?: string } = {}): Promise<Image> {
  const home = options.home ?? offshootHome();
  const { name = '' } = options;
  if (name !== '' && !isImageName(name)) throw new ImageError(`not a name for an image: ${JSON.stringify(name)}`);
  requireDirectory(source);
  return await locked(home, options, async () => {
    const id = await build(home, (builder) => addDirectory(builder, source, home));
    const about = { name, key: keyOf([`dir:${source}`]), source: `dir:${source}`, stage: 'packed', packages: [], env: {} } as const;
    return publish(home, id, about, options);
  });
}

/** A file or directory to add to an image. `mode` without the type; the owner is root unless given. */
export interface Addition extends Partial<Omit<Attributes, 'mode'>> {
  readonly path: string;
  readonly mode: number;
  /** The content of a regular file; null makes a directory. */
  readonly content: Uint8Array | null;
}

/** What an extended image becomes. */
export interface Extension {
  /** Name for the new image; it replaces what the name stood for. Absent: none. */
  readonly name?: string;
  readonly stage?: ImageRef['stage'];
  /** Where they differ from what the name stood for: see ImageRef. */
  readonly key?: string;
  readonly source?: string;
}

/**
 * Makes a new image of an image and more files (byte-compiled modules, for instance): `fill` is called with a function that
 * adds one. The blob of the new image begins with the old one. If the name stood for `base` and no other name does, `base` is
 * removed (who has its files open can go on).
 * @throws ImageError
 */
export async function extendImage(
  base: Image, fill: (add: (addition: Addition) => void) => Promise<void> | void, options: ImageOptions & Extension = {},
): Promise<Image> {
  const home = options.home ?? offshootHome();
  const { name = '' } = options;
  return await locked(home, options, async () => {
    const id = await build(home, async (builder) => {
      builder.blob.addBlob(base.blobPath);
      addIndex(builder, base.index);
      await fill(({ path: at, mode, content, ...attributes }) => {
        if (content) builder.file(at, Buffer.from(content), mode, attributes);
        else builder.dir(at, mode, attributes);
      });
    });
    const old = name === '' ? null : findImage(home, name);
    const of = old ?? listImages(home).find((ref) => ref.id === base.id);
    const { key = of?.key ?? '', source = of?.source ?? '', stage = of?.stage ?? 'packed' } = options;
    const image = publish(home, id, { name, key, source, stage, packages: of?.packages ?? [], env: of?.env ?? {} }, options);
    if (old?.id === base.id) removeUnnamed(home, base.id, id);
    return image;
  });
}

/** Removes an image that no name stands for any more. */
function removeUnnamed(home: string, id: string, except: string): void {
  if (id === except || listImages(home).some((ref) => ref.id === id)) return;
  fs.rmSync(path.join(imagesDir(home), id), { recursive: true, force: true });
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
