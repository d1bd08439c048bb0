// What a run printed, as it came: in pieces, of which many small ones are joined. A program may print byte by byte, to one stream and the
// other in turn, and a buffer costs some 200 bytes beside its own.

/** So many are joined. */
const JOINED = 64;

export class Pieces {
  private readonly joined: Buffer[] = [];
  private last: Buffer[] = [];

  /** Takes a copy. */
  push(bytes: Uint8Array): void {
    this.last.push(Buffer.from(bytes));
    if (this.last.length < JOINED) return;
    this.joined.push(Buffer.concat(this.last));
    this.last = [];
  }

  /** How many buffers hold it. */
  get count(): number {
    return this.joined.length + this.last.length;
  }

  * [Symbol.iterator](): Iterator<Buffer> {
    yield* this.joined;
    yield* this.last;
  }
}
