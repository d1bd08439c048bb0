// Puts tar streams into a tree: a whole root file system, or the layers of a container image one over the other, with
// whiteouts as the OCI image specification ("Image Layer Filesystem Changeset") has them.
//
// Interface: addTar, tarNode, decompress, isCompressed. Later members replace earlier ones of the same path, as tar(1) does when it extracts.

import { Readable, pipeline } from 'node:stream';
import * as zlib from 'node:zlib';
import { ImageError } from './errors.ts';
import type { ImageBuilder } from './pack.ts';
import { readTar } from './tar.ts';
import type { TarEntry } from './tar.ts';
import { makeNode, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from './tree.ts';
import type { TreeNode } from './tree.ts';

const FILE_TYPE = { file: S_IFREG, link: S_IFREG, symlink: S_IFLNK, dir: S_IFDIR, char: S_IFCHR, block: S_IFBLK, fifo: S_IFIFO } as const;
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/** A member's node; the content of a regular file goes into the builder's blob. Not for hard links. */
export function tarNode(builder: ImageBuilder, entry: TarEntry): TreeNode {
  const { uid, gid, mtimeSec, mtimeNsec, content } = entry;
  const node = makeNode({ mode: FILE_TYPE[entry.type] | entry.mode, uid, gid, mtimeSec, mtimeNsec });
  if (entry.type === 'file') {
    node.offset = builder.blob.add(content);
    node.sizeBytes = content.length;
  } else if (entry.type === 'symlink') {
    node.target = entry.linkName;
    node.sizeBytes = entry.linkName.length;
    node.mode = S_IFLNK | 0o777;
  } else if (entry.type === 'char' || entry.type === 'block') {
    node.rdev = makedev(entry.major, entry.minor);
  }
  return node;
}

/** makedev(3), the part that fits 32 bits. */
function makedev(major: number, minor: number): number {
  return (((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0);
}

/**
 * Puts all members of a tar stream (compressed or not) over what is in the tree; returns how many there were.
 * `isLayer`: names of the form `.wh.NAME` remove NAME of the layers below, `.wh..wh..opq` all of its directory.
 * @throws ImageError when the stream is no intact archive
 */
export async function addTar(builder: ImageBuilder, source: AsyncIterable<Buffer>, isLayer: boolean): Promise<number> {
  const puts: { path: string; put: () => void }[] = [];
  const { tree } = builder;
  for await (const entry of readTar(await decompress(source))) {
    const path = entry.path.replace(/\/+$/, '');
    const name = path.slice(path.lastIndexOf('/') + 1);
    const dir = path.slice(0, path.length - name.length);
    // Whiteouts concern the layers below only, wherever they stand in the archive: all before the first put.
    if (isLayer && name === OPAQUE) tree.clear(dir);
    else if (isLayer && name.startsWith(WHITEOUT)) tree.remove(dir + name.slice(WHITEOUT.length));
    else if (entry.type === 'link') puts.push({ path, put: () => hardLink(builder, path, entry.linkName) });
    else {
      const node = tarNode(builder, entry);
      puts.push({ path, put: () => tree.replace(path, node) });
    }
  }
  for (const { put } of puts) put();
  return puts.length;
}

function hardLink(builder: ImageBuilder, path: string, existing: string): void {
  const node = builder.tree.get(existing, false);
  if (!node || node.children) throw new ImageError(`${path} is a hard link to ${existing}, which is not a file in the archive`);
  builder.tree.replace(path, node);
}

/** gzip(1) and zstd(1) are recognized by their first bytes; anything else is handed on as it is. */
export async function decompress(source: AsyncIterable<Buffer>): Promise<AsyncIterable<Buffer>> {
  const chunks = source[Symbol.asyncIterator]();
  const first = await chunks.next();
  if (first.done) return Readable.from([]) as AsyncIterable<Buffer>;
  const all = (async function* () {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => chunks };
  })();
  const transform = decompressor(first.value);
  if (!transform) return all;
  pipeline(Readable.from(all), transform, () => { /* errors reach who reads from the transform */ });
  return readable(transform);
}

/** First bytes of compressed files, and how they are read; those that are not say what to do instead. */
const FORMATS: readonly (readonly [magic: string, open: () => zlib.Gunzip | zlib.ZstdDecompress])[] = [
  ['1f8b', () => zlib.createGunzip()],
  // Node 22 has it from 22.15 on.
  ['28b52ffd', () => (typeof zlib.createZstdDecompress === 'function' ? zlib.createZstdDecompress() : refuse('zstd'))],
  ['fd377a58', () => refuse('xz')],
  ['425a68', () => refuse('bzip2')],
];

function refuse(program: string): never {
  throw new ImageError(`it is compressed with ${program}, which cannot be read here: decompress it first (${program} -d)`);
}

/** Whether a file that begins like this is compressed. */
export function isCompressed(head: Buffer): boolean {
  return FORMATS.some(([magic]) => head.toString('hex').startsWith(magic));
}

function decompressor(head: Buffer): zlib.Gunzip | zlib.ZstdDecompress | null {
  const start = head.subarray(0, 4).toString('hex');
  return FORMATS.find(([magic]) => start.startsWith(magic))?.[1]() ?? null;
}

async function* readable(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  try {
    yield* stream;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code?.startsWith('Z_') || code?.startsWith('ZSTD_')) throw new ImageError(`it cannot be decompressed (${(error as Error).message})`);
    throw error;
  }
}
