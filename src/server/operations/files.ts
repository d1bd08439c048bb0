// Files of a sandbox that stays. Contents stream at the speed of the slower side; archives are taken apart and put together here, one
// entry at a time.

import { posix } from 'node:path';
import { Readable, Transform, Writable } from 'node:stream';
import { createTarDecoder, createTarPacker, type TarHeader } from 'modern-tar';
import type { FileInfo, TarResult } from '../../api/file.ts';
import { OffshootError } from '../../engine/errors.ts';
import type { SandboxFiles } from '../../engine/files.ts';
import type { FileEntry } from '../../engine/protocol.ts';
import { ServiceError } from '../errors.ts';
import type { At } from './commands.ts';

const SKIPPED_MAX = 100;
const ENTRIES_MAX = 100_000;
const DEPTH_MAX = 64;
/** The last second that 11 octal digits of a tar header name; it has none before 1970. */
const TAR_MS_MAX = (8 ** 11 - 1) * 1000;

/** Does something with the files; the sandbox is in use meanwhile. */
export function withFiles<T>({ service, caller, id }: At, work: (files: SandboxFiles) => Promise<T>): Promise<T> {
  return service.sandboxes.use(caller.tenant, id, ({ box }) => work(box.files));
}

export function fileInfo({ name, type, size, mode, mtimeMs, uid, gid, target }: FileEntry): FileInfo {
  return { name, type, size, mode, mtime: new Date(mtimeMs).toISOString(), uid, gid, target };
}

/** A file in pieces; the sandbox is in use until the last is taken. The first piece is read before it resolves: errors come first. */
export async function readFile(at: At, path: string, range: { readonly offset?: number; readonly length?: number }): Promise<Readable> {
  return streamed(at, (files) => files.readStream(path, range));
}

/** What `make` yields as a stream, with the sandbox in use until its end. */
async function streamed({ service, caller, id }: At, make: (files: SandboxFiles) => AsyncIterable<Uint8Array>): Promise<Readable> {
  let finish: () => void = () => {};
  const finished = new Promise<void>((resolve) => (finish = resolve));
  const { box } = service.sandboxes.get(caller.tenant, id);
  const pieces = make(box.files)[Symbol.asyncIterator]();
  const using = service.sandboxes.use(caller.tenant, id, () => finished);
  let first: IteratorResult<Uint8Array>;
  try {
    first = await pieces.next();
  } catch (error) {
    finish();
    await using;
    throw error;
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    try {
      for (let piece = first; !piece.done; piece = await pieces.next()) yield piece.value;
    } finally {
      finish();
      await pieces.return?.();
    }
  }
  const stream = Readable.from(all(), { objectMode: false });
  stream.once('close', finish); // also when nobody began to read
  return stream;
}

/** Writes what comes. Beyond `upload_mb_max`: 413. */
export function writeFile(at: At, path: string, body: Readable, options: { readonly append?: boolean; readonly mode?: number }): Promise<void> {
  return withFiles(at, (files) => files.write(path, limited(at, body), options));
}

function limited({ service }: At, body: Readable): AsyncIterable<Uint8Array> {
  let leftBytes = service.settings.upload_mb_max * 2 ** 20;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      leftBytes -= chunk.length;
      if (leftBytes < 0) done(new ServiceError('too-large', `An upload may have ${service.settings.upload_mb_max} MB.`));
      else done(null, chunk);
    },
  });
  counted.on('error', () => body.unpipe());
  body.once('close', () => {
    if (!body.readableEnded) counted.destroy(new ServiceError('bad-request', 'The body broke off.'));
  });
  return body.pipe(counted);
}

/** A directory, or one file, as a tar archive. Sockets and devices are left out. */
export function readTar(at: At, path: string): Promise<Readable> {
  return streamed(at, (files) => tarOf(files, path));
}

async function* tarOf(files: SandboxFiles, path: string): AsyncGenerator<Uint8Array> {
  const top = await files.stat(path);
  const { readable, controller } = createTarPacker();
  const filling = fill(files, controller, path, top.type === 'directory' ? '' : top.name, top, { entries: 0, names: new Map() }, 0)
    .then(() => controller.finalize(), (error: unknown) => controller.error(error));
  yield* readable as AsyncIterable<Uint8Array>;
  await filling;
}

/** How many there are, and by what name the archive has the first of those that are one file. */
interface Filled { entries: number; readonly names: Map<string, string> }
type Packer = ReturnType<typeof createTarPacker>['controller'];

async function fill(files: SandboxFiles, tar: Packer, path: string, name: string, entry: FileEntry, filled: Filled, depth: number): Promise<void> {
  if (++filled.entries > ENTRIES_MAX || depth > DEPTH_MAX) {
    throw new ServiceError('too-large', `An archive has ${ENTRIES_MAX} files in ${DEPTH_MAX} levels at most.`);
  }
  const head = { mode: entry.mode, mtime: new Date(Math.max(0, Math.min(entry.mtimeMs, TAR_MS_MAX))), uid: entry.uid, gid: entry.gid };
  if (entry.type === 'directory') {
    if (name !== '') await tar.add({ ...head, name: `${name}/`, type: 'directory', size: 0 }).close();
    for (const child of await files.list(path)) {
      await fill(files, tar, posix.join(path, child.name), name === '' ? child.name : `${name}/${child.name}`, child, filled, depth + 1);
    }
  } else if (entry.type === 'symlink') {
    await tar.add({ ...head, name, type: 'symlink', size: 0, linkname: entry.target ?? '' }).close();
  } else if (entry.type === 'file' && entry.sameAs !== undefined && filled.names.has(entry.sameAs)) {
    await tar.add({ ...head, name, type: 'link', size: 0, linkname: filled.names.get(entry.sameAs) ?? '' }).close();
  } else if (entry.type === 'file') {
    if (entry.sameAs !== undefined) filled.names.set(entry.sameAs, name);
    const writer = tar.add({ ...head, name, type: 'file', size: entry.size }).getWriter();
    let left = entry.size; // it may change while it is read: the archive has the size it said
    for await (const piece of files.readStream(path, { length: entry.size })) {
      left -= piece.length;
      await writer.write(piece);
    }
    for (; left > 0; left -= Math.min(left, 65_536)) await writer.write(new Uint8Array(Math.min(left, 65_536)));
    await writer.close();
  }
}

/**
 * Takes an archive apart below a directory, which is made. Names are taken as below it: a leading / goes, one with .. is skipped, as are
 * devices; both are named. Links are made as they are, wherever they point to: it is the sandbox's own file system, seen with its user's
 * rights. As with tar(1), what comes later in an archive replaces a link that came earlier.
 */
export function writeTar(at: At, path: string, body: Readable): Promise<TarResult> {
  return withFiles(at, async (files) => {
    const unpacked: Unpacked = { base: path, links: new Set(), result: { files: 0, directories: 0, links: 0, skipped: [] } };
    const decoder = createTarDecoder({ strict: true });
    const fed = new Promise<void>((resolve, reject) => {
      const sink = Writable.fromWeb(decoder.writable as Parameters<typeof Writable.fromWeb>[0]);
      Readable.from(limited(at, body)).on('error', (error) => sink.destroy(error)).pipe(sink).on('finish', resolve).on('error', reject);
    });
    fed.catch(() => { /* the reader hears of it */ });
    await files.mkdir(path, { recursive: true });
    try {
      for await (const { header, body: content } of decoder.readable as AsyncIterable<TarEntry>) {
        await unpack(files, unpacked, header, content);
      }
    } catch (error) {
      throw error instanceof Error && error.name === 'Error' ? new ServiceError('invalid', 'The body is not a tar archive, or is damaged.') : error;
    }
    await fed;
    return unpacked.result;
  });
}

interface TarEntry { readonly header: TarHeader; readonly body: AsyncIterable<Uint8Array> & ReadableStream<Uint8Array> }

/** Where it is unpacked, and links that were made there by this archive. */
interface Unpacked { readonly base: string; readonly links: Set<string>; readonly result: TarResult }

async function unpack(files: SandboxFiles, unpacked: Unpacked, header: TarHeader, content: TarEntry['body']): Promise<void> {
  const { name, type = 'file', mode } = header;
  const { base, links, result } = unpacked;
  const target = below(base, name);
  const reason = target === null ? 'its name leads upwards' : KINDS.has(type) ? null : `is a ${type}`;
  if (reason !== null || target === null || target === posix.join(base)) {
    if (reason !== null) skip(result, name, reason);
    return void await content.cancel();
  }
  if (type === 'directory') {
    await files.mkdir(target, { recursive: true });
    result.directories++;
    return void await content.cancel();
  }
  await files.mkdir(posix.dirname(target), { recursive: true });
  if (type === 'file') {
    if (links.delete(target)) await files.remove(target);
    await files.write(target, content, mode === undefined ? {} : { mode: mode & 0o777 });
    result.files++;
    return;
  }
  await content.cancel();
  const problem = await link(files, base, target, header);
  if (problem !== null) return skip(result, name, problem);
  links.add(target);
  result.links++;
}

const KINDS = new Set<TarHeader['type']>(['file', 'directory', 'symlink', 'link']);

/** A name as it is below the directory; null: it leads out of it. */
function below(base: string, name: string): string | null {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  return parts.includes('..') ? null : posix.join(base, ...parts);
}

function skip({ skipped }: TarResult, name: string, reason: string): void {
  if (skipped.length < SKIPPED_MAX) skipped.push({ path: name.slice(0, 1000), reason });
}

/** Makes a link in place of what is there; what is wrong with it, or null. What one archive says of another's files is no reason to end. */
async function link(files: SandboxFiles, base: string, target: string, { type, linkname = '' }: TarHeader): Promise<string | null> {
  const from = type === 'link' ? below(base, linkname) : linkname;
  if (from === null) return 'is a link to a name that leads upwards';
  const make = (): Promise<void> => (type === 'link' ? files.link(from, target) : files.symlink(from, target));
  try {
    await make().catch(async (error: unknown) => {
      if (!(error instanceof OffshootError) || error.errno !== 'EEXIST' || from === target) throw error;
      await files.remove(target);
      await make();
    });
    return null;
  } catch (error) {
    if (error instanceof OffshootError && error.errno !== undefined && error.errno !== 'ENOSPC') return `cannot be linked (${error.errno})`;
    throw error;
  }
}
