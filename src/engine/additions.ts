// What the programs that run while an image is built (guest/compile.py, guest/install.py) send: for each file one JSON line
// {"path", "bytes", "mode"?} and so many bytes. It comes out of a sandbox, so every field is checked.

import type { Addition } from '../image/images.ts';
import { OffshootError } from './errors.ts';

const LINE_BYTES_MAX = 16384;
const FILE_BYTES_MAX = 2 ** 31 - 1;
/** More than any image has room for. */
const FILES_MAX = 2_000_000;

/** Takes the stream in pieces and hands on each file when it is complete. */
export class Additions {
  private readonly add: (addition: Addition) => void;
  private pieces: Buffer[] = [];
  private line = '';
  private file: { readonly path: string; readonly mode: number } | null = null;
  /** Bytes of the current file that have not come yet. */
  private missing = 0;
  /** Files handed on. */
  count = 0;

  constructor(add: (addition: Addition) => void) {
    this.add = add;
  }

  /** Copies what it keeps. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) at = this.file ? this.takeContent(bytes, at) : this.takeLine(bytes, at);
  }

  /** At the end of the stream. Throws when it stopped in the middle of a file. */
  end(): void {
    if (this.file || this.line !== '') throw damaged();
  }

  private takeLine(bytes: Uint8Array, at: number): number {
    const end = bytes.indexOf(10, at);
    const stop = end < 0 ? bytes.length : end;
    if (this.line.length + stop - at > LINE_BYTES_MAX) throw damaged();
    this.line += Buffer.from(bytes.subarray(at, stop)).toString('latin1');
    if (end < 0) return stop;
    const { path, bytes: size, mode } = header(this.line);
    this.line = '';
    this.file = { path, mode };
    this.missing = size;
    if (size === 0) this.complete();
    return end + 1;
  }

  private takeContent(bytes: Uint8Array, at: number): number {
    const piece = Buffer.from(bytes.subarray(at, at + this.missing));
    this.pieces.push(piece);
    this.missing -= piece.length;
    if (this.missing === 0) this.complete();
    return at + piece.length;
  }

  private complete(): void {
    if (!this.file || ++this.count > FILES_MAX) throw damaged();
    const { path, mode } = this.file;
    this.add({ path, mode, content: Buffer.concat(this.pieces) });
    this.pieces = [];
    this.file = null;
  }
}

function damaged(): OffshootError {
  return new OffshootError('image-failed', 'A program that adds files to the image sent something that cannot be.');
}

/** Paths are UTF-8 in the JSON's escapes: as byte strings, which is what images have. */
function header(line: string): { path: string; bytes: number; mode: number } {
  let value: Partial<Record<'path' | 'bytes' | 'mode', unknown>>;
  try {
    value = JSON.parse(line) as typeof value;
  } catch {
    throw damaged();
  }
  const { path, bytes, mode = 0o644 } = value ?? {};
  if (typeof path !== 'string' || !path.startsWith('/') || !isSize(bytes, FILE_BYTES_MAX) || !isSize(mode, 0o777)) throw damaged();
  return { path: Buffer.from(path).toString('latin1'), bytes, mode };
}

function isSize(value: unknown, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max;
}
