// Reads tar streams: the ustar, GNU (long names) and pax formats, as tar(5) and POSIX.1-2001 pax describe them.
//
// Interface: readTar, TarEntry. Used for Debian packages, tar files and the layers of container images. Nothing is written
// anywhere; names are handed on as they are (byte strings) and must be checked by whoever takes them.

import { ImageError } from './errors.ts';

const BLOCK_BYTES = 512;
/** Largest single file accepted: contents are held in memory one at a time. */
const FILE_BYTES_MAX = 2 ** 31 - 1;
const EXTENSION_BYTES_MAX = 1 << 20;
const SKIP_BYTES = 1 << 20;

/** One member of an archive. `linkName` is the target of a symbolic or hard link. */
export interface TarEntry {
  readonly path: string;
  readonly type: 'file' | 'link' | 'symlink' | 'dir' | 'char' | 'block' | 'fifo';
  /** Permission bits only. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly linkName: string;
  readonly major: number;
  readonly minor: number;
  /** Empty when it was not wanted. */
  readonly content: Buffer;
  /** Regular files: length of the content, and where it starts in the stream. */
  readonly sizeBytes: number;
  readonly contentAt: number;
}

const TYPES: Readonly<Record<string, TarEntry['type']>> = {
  '\0': 'file', '0': 'file', '7': 'file', '1': 'link', '2': 'symlink', '3': 'char', '4': 'block', '5': 'dir', '6': 'fifo',
};

/** Takes exact amounts from a stream of chunks. */
class Blocks {
  readonly #source: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);
  /** Bytes taken so far. */
  position = 0;

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next `length` bytes, or null at the end of the stream. @throws ImageError when it ends in the middle */
  async take(length: number): Promise<Buffer | null> {
    const parts: Buffer[] = [];
    let missing = length;
    while (missing > 0) {
      if (this.#rest.length === 0) {
        const next = await this.#source.next();
        if (next.done) {
          if (missing === length) return null;
          throw new ImageError('the archive ends in the middle of a file');
        }
        this.#rest = next.value;
        continue;
      }
      const part = this.#rest.subarray(0, missing);
      this.#rest = this.#rest.subarray(part.length);
      missing -= part.length;
      parts.push(part);
    }
    this.position += length;
    return parts.length === 1 ? parts[0] : Buffer.concat(parts, length);
  }

  /** A content of `length` bytes and the padding behind it. */
  async content(length: number): Promise<Buffer> {
    if (length === 0) return Buffer.alloc(0);
    const padded = Math.ceil(length / BLOCK_BYTES) * BLOCK_BYTES;
    const bytes = await this.take(padded);
    if (bytes === null) throw new ImageError('the archive ends in the middle of a file');
    return bytes.subarray(0, length);
  }

  /** Who stops in the middle gives the source back. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  /** Passes over such a content, however long. */
  async skip(length: number): Promise<void> {
    for (let left = Math.ceil(length / BLOCK_BYTES) * BLOCK_BYTES; left > 0;) {
      const bytes = await this.take(Math.min(left, SKIP_BYTES));
      if (bytes === null) throw new ImageError('the archive ends in the middle of a file');
      left -= bytes.length;
    }
  }
}

/**
 * The members of an archive in order; contents only of those that are wanted.
 * @throws ImageError when the stream is not an intact tar archive
 */
export async function* readTar(source: AsyncIterable<Buffer>, wants: (path: string) => boolean = () => true): AsyncGenerator<TarEntry, void> {
  const blocks = new Blocks(source);
  try {
    yield* members(blocks, wants);
  } finally {
    await blocks.close();
  }
}

async function* members(blocks: Blocks, wants: (path: string) => boolean): AsyncGenerator<TarEntry, void> {
  let extra = new Map<string, string>();
  const global = new Map<string, string>();
  for (;;) {
    const header = await blocks.take(BLOCK_BYTES);
    if (header === null || header.every((byte) => byte === 0)) break;
    checkSum(header);
    const type = String.fromCharCode(header[156]);
    if ('LKxg'.includes(type)) {
      const size = number(header, 124, 12);
      if (size > EXTENSION_BYTES_MAX) throw new ImageError('the archive has an overlong file name');
      const bytes = await blocks.content(size);
      if (type === 'L') extra.set('path', untilNul(bytes, 0, bytes.length));
      else if (type === 'K') extra.set('linkpath', untilNul(bytes, 0, bytes.length));
      else parsePax(bytes, type === 'x' ? extra : global);
      continue;
    }
    const entry = decode(header, new Map([...global, ...extra]));
    extra = new Map();
    if (TYPES[type] === undefined) throw new ImageError(`the archive has a member of the unknown type ${JSON.stringify(type)}`);
    const contentAt = blocks.position;
    const isWanted = entry.type === 'file' && wants(entry.path);
    if (isWanted && entry.sizeBytes > FILE_BYTES_MAX) throw new ImageError(`${entry.path} in the archive is too large`);
    if (isWanted) yield { ...entry, contentAt, content: await blocks.content(entry.sizeBytes) };
    else {
      await blocks.skip(entry.sizeBytes);
      yield { ...entry, contentAt, content: Buffer.alloc(0) };
    }
  }
  while (await blocks.take(BLOCK_BYTES) !== null) { /* padding at the end: read on, or the writer sees a broken pipe */ }
}

function decode(header: Buffer, extra: ReadonlyMap<string, string>): Omit<TarEntry, 'content' | 'contentAt'> {
  const type = TYPES[String.fromCharCode(header[156])] ?? 'file';
  const sizeBytes = type === 'file' ? Number(extra.get('size') ?? number(header, 124, 12)) : 0;
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) throw new ImageError('the archive has a damaged file header');
  const ustar = header.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = ustar ? untilNul(header, 345, 155) : '';
  const name = untilNul(header, 0, 100);
  const [mtimeSec, mtimeNsec] = time(extra.get('mtime') ?? String(number(header, 136, 12)));
  return {
    path: extra.get('path') ?? (prefix === '' ? name : `${prefix}/${name}`),
    linkName: extra.get('linkpath') ?? untilNul(header, 157, 100),
    type,
    mode: number(header, 100, 8) & 0o7777,
    uid: id(extra.get('uid') ?? number(header, 108, 8)),
    gid: id(extra.get('gid') ?? number(header, 116, 8)),
    sizeBytes, mtimeSec, mtimeNsec,
    major: number(header, 329, 8),
    minor: number(header, 337, 8),
  };
}

/** A user or group number. */
function id(value: string | number): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0 || number > 0xffff_ffff) throw new ImageError('the archive has a damaged file header');
  return number;
}

/** Seconds with an optional fraction, as pax writes times. */
function time(text: string): [number, number] {
  const seconds = Math.floor(Number(text));
  const fraction = /\.(\d+)$/.exec(text)?.[1] ?? '';
  return [Number.isSafeInteger(seconds) ? seconds : 0, text.startsWith('-') ? 0 : Number(fraction.slice(0, 9).padEnd(9, '0'))];
}

/** An octal field, or a base-256 one (GNU) when its top bit is set. */
function number(header: Buffer, start: number, length: number): number {
  if ((header[start] & 0x80) !== 0) {
    let value = header[start] & 0x3f;
    for (let i = 1; i < length; i++) value = value * 256 + header[start + i];
    if ((header[start] & 0x40) !== 0) value -= 2 ** (8 * length - 2);
    return value;
  }
  const text = untilNul(header, start, length).trim();
  if (!/^[0-7]*$/.test(text)) throw new ImageError('the archive has a damaged file header');
  return text === '' ? 0 : parseInt(text, 8);
}

function untilNul(bytes: Buffer, start: number, length: number): string {
  const text = bytes.toString('latin1', start, start + length);
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

/** Records "LENGTH KEY=VALUE\n". */
function parsePax(bytes: Buffer, into: Map<string, string>): void {
  const text = bytes.toString('latin1');
  for (let at = 0; at < text.length;) {
    const match = /^(\d{1,9}) ([^=]*)=/.exec(text.slice(at, at + 300));
    const end = at + Number(match?.[1]);
    if (!match || end > text.length || text[end - 1] !== '\n' || end < at + match[0].length + 1) {
      throw new ImageError('the archive has a damaged pax header');
    }
    into.set(match[2], text.slice(at + match[0].length, end - 1));
    at = end;
  }
}

function checkSum(header: Buffer): void {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK_BYTES; i++) if (i < 148 || i >= 156) sum += header[i];
  if (sum !== number(header, 148, 8)) throw new ImageError('the archive has a damaged file header');
}
