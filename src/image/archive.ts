// `tar:FILE`: a root file system (what `docker export` or tar(1) writes) or a saved image (`docker save`), told apart by
// what is in it; gzip and zstd are decompressed.
//
// Interface: addArchive.

import * as fs from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { ImageError } from './errors.ts';
import { addTar, decompress, isCompressed } from './layers.ts';
import { addSaved } from './oci.ts';
import type { ImageEnv, SavedImage } from './oci.ts';
import type { ImageBuilder } from './pack.ts';
import { readTar } from './tar.ts';

const MANIFEST = 'manifest.json';

/** Puts what is in the tar file into the builder's tree; returns the environment its configuration states. @throws ImageError */
export async function addArchive(builder: ImageBuilder, file: string): Promise<ImageEnv> {
  try {
    const plain = await uncompressed(builder, file);
    const saved = await readSaved(plain);
    if (saved) return await addSaved(builder, { ...saved, file: plain });
    if (await addTar(builder, read(plain), false) === 0) throw new ImageError('it is empty');
    return {};
  } catch (error) {
    throw error instanceof ImageError ? new ImageError(`${file} cannot be used as an image: ${error.message}`) : error;
  }
}

function read(file: string): AsyncIterable<Buffer> {
  return fs.createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>;
}

/** The parts of a saved image are read in an order of their own, so a compressed file is unpacked beside the image being built. */
async function uncompressed(builder: ImageBuilder, file: string): Promise<string> {
  const head = Buffer.alloc(4);
  const fd = fs.openSync(file, 'r');
  try {
    fs.readSync(fd, head, 0, 4, 0);
  } finally {
    fs.closeSync(fd);
  }
  if (!isCompressed(head)) return file;
  const scratch = builder.scratchPath();
  await pipeline(await decompress(read(file)), fs.createWriteStream(scratch, { flags: 'wx', mode: 0o600 }));
  return scratch;
}

/** Where everything is in a saved image; null when the archive is something else. */
async function readSaved(file: string): Promise<SavedImage | null> {
  const parts = new Map<string, SavedImage['parts'] extends ReadonlyMap<string, infer P> ? P : never>();
  let manifest: unknown = null;
  let isFirst = true;
  for await (const entry of readTar(read(file), (name) => name === MANIFEST)) {
    // A root file system has directories that a saved image has not: no need to read on.
    if (isFirst && /^(\.\/|\.$)/.test(entry.path)) return null;
    isFirst = false;
    if (/^(bin|usr|etc|lib)\//.test(entry.path)) return null;
    if (entry.type === 'file') parts.set(entry.path, { at: entry.contentAt, sizeBytes: entry.sizeBytes });
    else if (entry.type === 'symlink') parts.set(entry.path, { link: entry.linkName });
    if (entry.path !== MANIFEST) continue;
    try {
      manifest = JSON.parse(entry.content.toString('utf8'));
    } catch { /* some other file of that name */ }
  }
  const isSaved = Array.isArray(manifest) && manifest.every((image: unknown) => typeof image === 'object' && image !== null && 'Layers' in image);
  return isSaved ? { file, manifest, parts } : null;
}
