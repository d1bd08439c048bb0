// Where images are on disk, and opening them.
//
// Interface: imagesDir, openImage, verifiedImage, findImage, writeRef, Image, ImageRef. Layout below the home directory (home.ts):
//   images/<id>/blob, images/<id>/index   the image; id is the sha256 of the index, which holds the sha256 of the blob
//   images/<id>/checked                   size and change time of the blob when its checksum was last found right
//   images/<name>.json                    what a name stands for (ImageRef)
//   images/.tmp-*                         being built; removed by the next build
//   cache/apt/                            package lists and packages (apt.ts)
// Images hold no secrets: files are 0644. Nothing is changed once it has its final name.

import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { parseImageIndex, ImageIndexError } from '../kernel/fs/imageindex.ts';
import type { ImageIndex } from '../kernel/fs/imageindex.ts';
import { ImageError } from './errors.ts';

/** An image on disk, its index loaded. */
export interface Image {
  /** Hex sha256 of the index: the same id means the same files, byte for byte. */
  readonly id: string;
  readonly blobPath: string;
  readonly indexPath: string;
  readonly index: ImageIndex;
}

/** What an image name stands for: `images/<name>.json`. */
export interface ImageRef {
  readonly id: string;
  readonly name: string;
  /** Identifies what was asked for; another value means that the image must be built again. */
  readonly key: string;
  /** What it was made from, as in its spec: "debian", "dir:/path" … */
  readonly source: string;
  /**
   * How far building it has come: the files of its source, Python packages added, modules byte-compiled. A build that was
   * killed is taken up from there.
   */
  readonly stage: 'packed' | 'installed' | 'ready';
  readonly builtAt: string;
  readonly blobSizeBytes: number;
  readonly entries: number;
  /** File names of the packages it was built from. */
  readonly packages: readonly string[];
  /** Environment that a container image's configuration states. */
  readonly env: Readonly<Record<string, string>>;
}

/** The directory of images in `home`. */
export function imagesDir(home: string): string {
  return path.join(home, 'images');
}

/** Whether `name` may name an image. */
export function isImageName(name: string): boolean {
  return /^[a-z0-9][a-z0-9_-]{0,62}$/.test(name);
}

/**
 * Opens the image with this id: reads and checks the index; checks the blob's size, and its checksum if the file
 * changed since that was last done.
 * @throws ImageError when it is missing or damaged
 */
export function openImage(home: string, id: string): Image {
  if (!/^[0-9a-f]{64}$/.test(id)) throw new ImageError(`not an image id: ${JSON.stringify(id)}`);
  const dir = path.join(imagesDir(home), id);
  const image = { id, blobPath: path.join(dir, 'blob'), indexPath: path.join(dir, 'index') };
  try {
    const bytes = fs.readFileSync(image.indexPath);
    if (createHash('sha256').update(bytes).digest('hex') !== id) throw new ImageError('the checksum of its index is wrong');
    const index = parseImageIndex(bytes, true);
    checkBlob(dir, index);
    return { ...image, index };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new ImageError(`there is no image ${id} in ${imagesDir(home)}`);
    if (!(error instanceof ImageError) && !(error instanceof ImageIndexError)) throw error;
    throw new ImageError(`the image ${id} in ${imagesDir(home)} is damaged (${error.message}); it must be built again`);
  }
}

/** A full checksum takes a tenth of a second, so it is only done when the file is not the one that was checked. */
function checkBlob(dir: string, index: ImageIndex): void {
  const blob = path.join(dir, 'blob');
  const { size } = fs.statSync(blob);
  if (size !== index.blobSizeBytes) throw new ImageError(`its blob has ${size} bytes instead of ${index.blobSizeBytes}`);
  if (isChecked(dir)) return;
  if (hashFile(blob) !== index.blobSha256) throw new ImageError('the checksum of its blob is wrong');
  try {
    replaceFile(path.join(dir, 'checked'), stampOf(dir));
  } catch { /* a read-only store: check again next time */ }
}

function stampOf(dir: string): string {
  const { size, mtimeNs, ctimeNs, ino } = fs.statSync(path.join(dir, 'blob'), { bigint: true });
  return `${size} ${mtimeNs} ${ctimeNs} ${ino}\n`;
}

/** Whether the blob is the file whose checksum was right. */
function isChecked(dir: string): boolean {
  try {
    return fs.readFileSync(path.join(dir, 'checked'), 'latin1') === stampOf(dir);
  } catch {
    return false;
  }
}

/** Where an image's files are, for a process that is given them open. */
export interface ImageFiles {
  readonly blobPath: string;
  readonly indexPath: string;
  readonly indexBytes: number;
}

/** The files of an image whose checksums were verified by an earlier openImage (or by the caller: `verified`); else null. */
export function verifiedImage(home: string, id: string, verified = false): ImageFiles | null {
  const dir = path.join(imagesDir(home), id);
  if (!/^[0-9a-f]{64}$/.test(id) || !(verified || isChecked(dir))) return null;
  const indexPath = path.join(dir, 'index');
  return { blobPath: path.join(dir, 'blob'), indexPath, indexBytes: fs.statSync(indexPath).size };
}

function hashFile(file: string): string {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(1 << 20);
  const fd = fs.openSync(file, 'r');
  try {
    for (let length; (length = fs.readSync(fd, buffer)) > 0;) hash.update(buffer.subarray(0, length));
  } finally {
    fs.closeSync(fd);
  }
  return hash.digest('hex');
}

/** Writes a file aside and renames it, so that readers see the old or the new content. */
function replaceFile(file: string, content: string): void {
  const aside = `${file}.${process.pid}.${Date.now()}.tmp`;
  fs.writeFileSync(aside, content, { mode: 0o644 });
  fs.renameSync(aside, file);
}

/** What `name` stands for, or null when there is no such image (or its ref is unreadable: then it is built again). */
export function findImage(home: string, name: string): ImageRef | null {
  try {
    const ref = JSON.parse(fs.readFileSync(path.join(imagesDir(home), `${name}.json`), 'utf8')) as Partial<ImageRef> | null;
    const intact = ref && typeof ref.id === 'string' && typeof ref.key === 'string' && Array.isArray(ref.packages);
    return intact ? { ...ref, stage: ref.stage ?? 'packed', env: ref.env ?? {} } as ImageRef : null;
  } catch {
    return null;
  }
}

/** Makes `ref.name` stand for `ref.id`. */
export function writeRef(home: string, ref: ImageRef): void {
  replaceFile(path.join(imagesDir(home), `${ref.name}.json`), `${JSON.stringify(ref, null, 2)}\n`);
}

/** Removes an image's name, and the image unless another name stands for it. False when there was no such name. */
export function removeImage(home: string, name: string): boolean {
  const ref = findImage(home, name);
  const file = path.join(imagesDir(home), `${name}.json`);
  if (!isImageName(name) || !fs.existsSync(file)) return false;
  fs.rmSync(file);
  if (ref && !listImages(home).some((other) => other.id === ref.id) && /^[0-9a-f]{64}$/.test(ref.id)) {
    fs.rmSync(path.join(imagesDir(home), ref.id), { recursive: true, force: true });
  }
  return true;
}

/** All named images, sorted by name. */
export function listImages(home: string): ImageRef[] {
  let files: string[] = [];
  try {
    files = fs.readdirSync(imagesDir(home));
  } catch { /* none yet */ }
  return files.filter((file) => file.endsWith('.json')).sort()
    .map((file) => findImage(home, file.slice(0, -'.json'.length))).filter((ref) => ref !== null);
}
