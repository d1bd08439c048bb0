// The blob of an image while it is written: contents one after the other on page boundaries, each content once.
//
// Interface: BlobWriter. The order of `add` calls decides the bytes, so equal sources in equal order give equal blobs.

import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { IMAGE_PAGE_BYTES } from '../kernel/fs/imageindex.ts';
import { ImageError } from './errors.ts';

/** Writes are gathered to this size. */
const BUFFER_BYTES = 4 << 20;
const COPY_BYTES = 4 << 20;

/** Appends contents to a new blob file. */
export class BlobWriter {
  readonly #fd: number;
  readonly #hash = createHash('sha256');
  readonly #known = new Map<string, number>();
  readonly #pending: Buffer[] = [];
  #pendingBytes = 0;
  #written = 0;

  /** Creates the file at `path`, which must not exist. */
  constructor(path: string) {
    this.#fd = fs.openSync(path, 'wx+', 0o644);
  }

  /** Bytes in the blob so far, a multiple of the page size. */
  get sizeBytes(): number {
    return this.#written + this.#pendingBytes;
  }

  /** Adds a content unless an equal one is there; returns its offset. Empty ones take no room. Keeps the buffer until it is written. */
  add(content: Buffer): number {
    if (content.length === 0) return 0;
    const digest = createHash('sha256').update(content).digest('base64');
    const known = this.#known.get(digest);
    if (known !== undefined) return known;
    const offset = this.sizeBytes;
    this.#known.set(digest, offset);
    this.#append(content);
    const tail = content.length % IMAGE_PAGE_BYTES;
    if (tail > 0) this.#append(Buffer.alloc(IMAGE_PAGE_BYTES - tail));
    return offset;
  }

  /** Begins with all contents of another image's blob. Only at the start. */
  addBlob(path: string): void {
    const from = fs.openSync(path, 'r');
    try {
      for (;;) {
        const chunk = Buffer.allocUnsafe(COPY_BYTES);
        const length = fs.readSync(from, chunk);
        if (length === 0) break;
        this.#append(chunk.subarray(0, length));
      }
    } finally {
      fs.closeSync(from);
    }
    if (this.sizeBytes % IMAGE_PAGE_BYTES !== 0) throw new ImageError(`${path} is damaged: not whole pages`);
  }

  /** Reads back a content. */
  read(offset: number, sizeBytes: number): Buffer {
    this.#flush();
    const bytes = Buffer.alloc(sizeBytes);
    let done = 0;
    while (done < sizeBytes) {
      const length = fs.readSync(this.#fd, bytes, done, sizeBytes - done, offset + done);
      if (length === 0) throw new ImageError('the blob of the image being built became shorter');
      done += length;
    }
    return bytes;
  }

  /** Writes out and syncs everything, closes the file and returns the hex sha256 of the blob. */
  finish(): string {
    this.#flush();
    fs.fsyncSync(this.#fd);
    fs.closeSync(this.#fd);
    return this.#hash.digest('hex');
  }

  /** Closes the file without finishing (after an error). */
  abandon(): void {
    try {
      fs.closeSync(this.#fd);
    } catch { /* closed already */ }
  }

  #append(bytes: Buffer): void {
    this.#hash.update(bytes);
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes >= BUFFER_BYTES) this.#flush();
  }

  #flush(): void {
    const bytes = Buffer.concat(this.#pending);
    this.#pending.length = 0;
    this.#pendingBytes = 0;
    for (let at = 0; at < bytes.length;) {
      const length = fs.writeSync(this.#fd, bytes, at, bytes.length - at, this.#written);
      at += length;
      this.#written += length;
    }
  }
}
