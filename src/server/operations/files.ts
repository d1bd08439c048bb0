// Files of a sandbox that stays. Contents stream at the speed of the slower side; archives are taken apart and put together here, one
// entry at a time.

import { posix } from 'node:path';
import { Readable, Transform, Writable } from 'node:stream';
import { createTarDecoder, createTarPacker, type TarHeader } from 'modern-tar';
import type { FileInfo, TarResult } from '../../api/file.ts';
import type { SandboxFiles } from '../../engine/files.ts';
import type { FileEntry } from '../../engine/protocol.ts';
import { ServiceError } from '../errors.ts';
import type { At } from './commands.ts';

const SKIPPED_MAX = 100;
const ENTRIES_MAX = 100_000;
const DEPTH_MAX = 64;

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
  const filling = fill(files, controller, path, top.type === 'directory' ? '' : top.name, top, { entries: 0 }, 0)
    .then(() => controller.finalize(), (error: unknown) => controller.error(error));
  yield* readable as AsyncIterable<Uint8Array>;
  await filling;
}

type Packer = ReturnType<typeof createTarPacker>['controller'];

async function fill(files: SandboxFiles, tar: Packer, path: string, name: string, entry: FileEntry, count: { entries: number }, depth: number): Promise<void> {
  if (++count.entries > ENTRIES_MAX || depth > DEPTH_MAX) {
    throw new ServiceError('too-large', `An archive has ${ENTRIES_MAX} files in ${DEPTH_MAX} levels at most.`);
  }
  const head = { mode: entry.mode, mtime: new Date(entry.mtimeMs), uid: entry.uid, gid: entry.gid };
  if (entry.type === 'directory') {
    if (name !== '') await tar.add({ ...head, name: `${name}/`, type: 'directory', size: 0 }).close();
    for (const child of await files.list(path)) {
      await fill(files, tar, posix.join(path, child.name), name === '' ? child.name : `${name}/${child.name}`, child, count, depth + 1);
    }
  } else if (entry.type === 'symlink') {
    await tar.add({ ...head, name, type: 'symlink', size: 0, linkname: entry.target ?? '' }).close();
  } else if (entry.type === 'file') {
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

/** Takes an archive apart below a directory, which is made. Names may not lead out of it; links and devices are skipped and named. */
export function writeTar(at: At, path: string, body: Readable): Promise<TarResult> {
  return withFiles(at, async (files) => {
    const result: TarResult = { files: 0, directories: 0, skipped: [] };
    const decoder = createTarDecoder({ strict: true });
    const fed = new Promise<void>((resolve, reject) => {
      const sink = Writable.fromWeb(decoder.writable as Parameters<typeof Writable.fromWeb>[0]);
      Readable.from(limited(at, body)).on('error', (error) => sink.destroy(error)).pipe(sink).on('finish', resolve).on('error', reject);
    });
    fed.catch(() => { /* the reader hears of it */ });
    await files.mkdir(path, { recursive: true });
    try {
      for await (const { header, body: content } of decoder.readable as AsyncIterable<TarEntry>) {
        await unpack(files, path, header, content, result);
      }
    } catch (error) {
      throw error instanceof Error && error.name === 'Error' ? new ServiceError('invalid', 'The body is not a tar archive, or is damaged.') : error;
    }
    await fed;
    return result;
  });
}

interface TarEntry { readonly header: TarHeader; readonly body: AsyncIterable<Uint8Array> & ReadableStream<Uint8Array> }

async function unpack(files: SandboxFiles, base: string, header: TarHeader, content: TarEntry['body'], result: TarResult): Promise<void> {
  const { name, type = 'file', mode } = header;
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  const reason = parts.includes('..') ? 'its name leads upwards' : type !== 'file' && type !== 'directory' ? `is a ${type}` : null;
  const target = posix.join(base, ...parts);
  if (reason !== null || parts.length === 0) {
    if (reason !== null && result.skipped.length < SKIPPED_MAX) result.skipped.push({ path: name.slice(0, 1000), reason });
    await content.cancel();
  } else if (type === 'directory') {
    await files.mkdir(target, { recursive: true });
    result.directories++;
    await content.cancel();
  } else {
    if (parts.length > 1) await files.mkdir(posix.dirname(target), { recursive: true });
    await files.write(target, content, mode === undefined ? {} : { mode: mode & 0o777 });
    result.files++;
  }
}
