// Files of a stateful sandbox as the caller reaches them: by path inside, with the rights of the sandbox's user (uid 1000), relative
// ones from its home directory. Nothing in the sandbox runs for it.

import { OffshootError } from './errors.ts';
import { PIECE_BYTES_MAX, type FileAnswer, type FileEntry, type FileOperation } from './protocol.ts';
import type { SandboxPlace } from './run.ts';

/** Larger files are read as a stream. */
const READ_BYTES_MAX = 1 << 30;
/** Entries of a directory that `list` returns. */
const LIST_MAX = 100_000;
const PATH_BYTES_MAX = 4096;
const NO_BYTES: Uint8Array = new Uint8Array();

/** All methods reject with OffshootError 'file-error', the errno's name in `errno`, when the sandbox's file system says no. */
export class SandboxFiles {
  private readonly place: SandboxPlace;
  private readonly check: () => void;

  /** `check` throws when the sandbox has ended. */
  constructor(place: SandboxPlace, check: () => void) {
    this.place = place;
    this.check = check;
  }

  /** The file's content, or `length` bytes from `offset` on; less where it ends. At most 1 GiB (EFBIG). */
  async read(path: string, { offset = 0, length = Infinity }: { readonly offset?: number; readonly length?: number } = {}): Promise<Buffer> {
    counted({ offset, ...(length === Infinity ? {} : { length }) });
    const pieces: Uint8Array[] = [];
    let left = Math.min(length, READ_BYTES_MAX + 1);
    for await (const piece of this.pieces(path, offset, length)) {
      left -= piece.length;
      if (left <= 0 && length > READ_BYTES_MAX) throw failed('EFBIG', `${path} is larger than 1 GiB: read it with readStream().`);
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }

  /** The file's content in pieces of up to 256 KiB, as it is when each is read. The next is read when the last has been taken. */
  readStream(path: string, { offset = 0, length = Infinity }: { readonly offset?: number; readonly length?: number } = {}): AsyncIterable<Buffer> {
    counted({ offset, ...(length === Infinity ? {} : { length }) });
    return this.pieces(path, offset, length);
  }

  /**
   * Writes a file anew, or behind its end with `append`. When the source of an iterable fails, what came so far is in the file. `mode`:
   * its permission bits, exactly; else a new file is 0644. A full file system is ENOSPC.
   */
  async write(
    path: string, content: Uint8Array | string | AsyncIterable<Uint8Array>,
    { mode, append = false }: { readonly mode?: number; readonly append?: boolean } = {},
  ): Promise<void> {
    if (mode !== undefined && !(Number.isInteger(mode) && mode >= 0 && mode <= 0o7777)) {
      throw new OffshootError('bad-argument', 'mode must be from 0 to 0o7777.');
    }
    const source = typeof content === 'string' ? cut(Buffer.from(content)) : content instanceof Uint8Array ? cut(content) : flat(content);
    let handle = 0;
    try {
      // Each piece is sent with the knowledge whether it is the last: small files take one message.
      let piece = await source.next();
      for (let isFirst = true; isFirst || !piece.done;) {
        const bytes = piece.done ? NO_BYTES : piece.value;
        piece = piece.done ? piece : await source.next();
        const isLast = piece.done === true;
        const operation: FileOperation = isFirst
          ? { kind: 'create', path: this.path(path), mode: mode ?? null, append, isLast } : { kind: 'write', handle, isLast };
        handle = (await this.ask(operation, path, bytes)).answer.handle;
        isFirst = false;
        if (isLast) return;
      }
    } catch (error) {
      if (handle > 0) this.closeQuietly(handle);
      throw error;
    }
  }

  /** The entries of a directory, sorted by name; at most 100,000. Links are not followed. */
  async list(path: string): Promise<FileEntry[]> {
    const entries: FileEntry[] = [];
    for (let cookie = 0; entries.length < LIST_MAX;) {
      const { answer } = await this.ask({ kind: 'list', path: this.path(path), cookie }, path);
      entries.push(...answer.entries);
      if (answer.isEnd) break;
      cookie = answer.cookie;
    }
    return entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  /** What a path leads to; with `follow: false` a link itself. */
  async stat(path: string, { follow = true }: { readonly follow?: boolean } = {}): Promise<FileEntry> {
    const { answer: { entries } } = await this.ask({ kind: 'stat', path: this.path(path), follow }, path);
    if (entries.length !== 1) throw new OffshootError('internal', 'A stat without an answer.');
    return entries[0];
  }

  /** Whether a path leads to something. */
  async exists(path: string): Promise<boolean> {
    try {
      await this.stat(path);
      return true;
    } catch (error) {
      if (error instanceof OffshootError && (error.errno === 'ENOENT' || error.errno === 'ENOTDIR')) return false;
      throw error;
    }
  }

  /** Makes a directory; with `recursive` those above it, too, and it may be there. */
  async mkdir(path: string, { recursive = false }: { readonly recursive?: boolean } = {}): Promise<void> {
    await this.ask({ kind: 'mkdir', path: this.path(path), recursive }, path);
  }

  /** rename(2): replaces a file, or an empty directory by a directory. */
  async move(from: string, to: string): Promise<void> {
    await this.ask({ kind: 'move', from: this.path(from), to: this.path(to) }, from);
  }

  /** symlink(2): `target` may be any text, and need not lead anywhere. */
  async symlink(target: string, path: string): Promise<void> {
    await this.ask({ kind: 'symlink', target: this.path(target), path: this.path(path) }, path);
  }

  /** link(2): another name of a file. */
  async link(from: string, path: string): Promise<void> {
    await this.ask({ kind: 'link', from: this.path(from), path: this.path(path) }, path);
  }

  /** Removes a file, link or empty directory; with `recursive` a directory with all that is in it. */
  async remove(path: string, { recursive = false }: { readonly recursive?: boolean } = {}): Promise<void> {
    for (;;) {
      const { answer } = await this.ask({ kind: 'remove', path: this.path(path), recursive }, path);
      if (answer.isEnd) return;
    }
  }

  private async* pieces(path: string, offset: number, length: number): AsyncGenerator<Buffer> {
    let left = length === Infinity ? Number.MAX_SAFE_INTEGER : length;
    let found = await this.ask({ kind: 'open', path: this.path(path), offset, length: left }, path);
    let { handle, isEnd } = found.answer;
    try {
      for (;;) {
        left -= found.bytes.length;
        if (found.bytes.length > 0) yield found.bytes;
        if (isEnd) return;
        found = await this.ask({ kind: 'read', handle, length: left }, path);
        ({ isEnd } = found.answer);
      }
    } finally {
      if (!isEnd) this.closeQuietly(handle);
    }
  }

  private closeQuietly(handle: number): void {
    this.ask({ kind: 'close', handle }, '').catch(() => { /* it is closed, or the sandbox is */ });
  }

  private path(path: string): string {
    if (typeof path !== 'string') throw new OffshootError('bad-argument', 'A path must be a text.');
    if (path.includes('\0')) throw failed('EINVAL', 'A path may not contain NUL.');
    if (Buffer.byteLength(path) >= PATH_BYTES_MAX) throw failed('ENAMETOOLONG', 'A path has at most 4095 bytes.');
    return path;
  }

  private async ask(operation: FileOperation, path: string, bytes: Uint8Array = NO_BYTES): Promise<{ readonly answer: FileAnswer; readonly bytes: Buffer }> {
    this.check();
    try {
      return await this.place.worker.call({ type: 'files', sandbox: this.place.number, operation }, bytes);
    } catch (error) {
      if (!(error instanceof OffshootError) || error.errno === undefined) throw error;
      throw failed(error.errno, `${path}: ${SENTENCES[error.errno] ?? error.errno}.`);
    }
  }
}

/** Those that people meet; others are shown by name. */
const SENTENCES: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or directory', EACCES: 'permission denied', EPERM: 'operation not permitted', EEXIST: 'it exists already',
  ENOTDIR: 'a part of the path is no directory', EISDIR: 'it is a directory', ENOTEMPTY: 'the directory is not empty',
  ENOSPC: 'no room is left: the disk limit, or the memory that its files count as',
  EINVAL: 'it is no regular file, or the path cannot be', EROFS: 'it is on a read-only file system', ELOOP: 'too many symbolic links',
  ENAMETOOLONG: 'the name is too long', EXDEV: 'it is on another file system', EFBIG: 'the file would be too large', ENOMEM: 'the memory limit is reached',
  EBUSY: 'it is in use', ETXTBSY: 'it is a program that runs',
};

function failed(errno: string, sentence: string): OffshootError {
  return new OffshootError('file-error', sentence, errno);
}

function counted(numbers: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(numbers)) {
    if (!Number.isSafeInteger(value) || value < 0) throw new OffshootError('bad-argument', `${name} must be a whole number from 0.`);
  }
}

async function* cut(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES_MAX) yield bytes.subarray(at, at + PIECE_BYTES_MAX);
}

/** Pieces of any size, none larger than a message may carry. */
async function* flat(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of source) yield* cut(piece);
}
