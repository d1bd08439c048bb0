// What a program printed while nobody listened: the last so many bytes of it, and how much came before them. Positions count each
// stream's bytes from the program's start, so that a reader who comes back finds where it was.

/** A piece of one stream. `at`: the position of its first byte. */
export interface LogPiece {
  readonly stream: 1 | 2;
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Positions in both streams. */
export interface LogPosition {
  readonly stdout: number;
  readonly stderr: number;
}

/** Small writes are put together up to this size. */
const JOIN_BYTES = 16 << 10;
/** What a piece costs beside its bytes. */
const PIECE_BYTES = 128;

/** What all logs of a sandbox may hold together: they live in the worker's heap. */
export class LogBudget {
  readonly bytesMax: number;
  usedBytes = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }
}

export class OutputLog {
  private readonly bytesMax: number;
  private readonly budget: LogBudget;
  private pieces: LogPiece[] = [];
  /** What its pieces cost. */
  private usedBytes = 0;
  private ends: LogPosition = { stdout: 0, stderr: 0 };

  constructor(bytesMax: number, budget: LogBudget) {
    this.bytesMax = bytesMax;
    this.budget = budget;
  }

  /** Takes a copy of `bytes`; the oldest of this log goes when there is no room. */
  append(stream: 1 | 2, bytes: Uint8Array): void {
    const at = stream === 1 ? this.ends.stdout : this.ends.stderr;
    const end = at + bytes.length;
    this.ends = stream === 1 ? { ...this.ends, stdout: end } : { ...this.ends, stderr: end };
    const kept = bytes.length > this.bytesMax ? bytes.subarray(bytes.length - this.bytesMax) : bytes;
    const last = this.pieces.at(-1);
    if (last && last.stream === stream && last.at + last.bytes.length === end - kept.length && last.bytes.length + kept.length <= JOIN_BYTES) {
      this.pieces[this.pieces.length - 1] = { stream, at: last.at, bytes: Buffer.concat([last.bytes, kept]) };
      this.use(kept.length);
    } else {
      this.pieces.push({ stream, at: end - kept.length, bytes: new Uint8Array(kept) }); // a Buffer's slice would be no copy
      this.use(kept.length + PIECE_BYTES);
    }
    let gone = 0;
    while (gone < this.pieces.length && (this.usedBytes > this.bytesMax + PIECE_BYTES || this.budget.usedBytes > this.budget.bytesMax)) {
      this.use(-this.pieces[gone++].bytes.length - PIECE_BYTES);
    }
    if (gone > 0) this.pieces.splice(0, gone);
  }

  private use(bytes: number): void {
    this.usedBytes += bytes;
    this.budget.usedBytes += bytes;
  }

  /** The first piece that lies behind a position, or null. */
  after(from: LogPosition): LogPiece | null {
    for (const piece of this.pieces) {
      const seen = piece.stream === 1 ? from.stdout : from.stderr;
      if (piece.at + piece.bytes.length <= seen) continue;
      if (piece.at >= seen) return piece;
      return { stream: piece.stream, at: seen, bytes: piece.bytes.subarray(seen - piece.at) };
    }
    return null;
  }

  /** Where the next bytes will be. */
  get end(): LogPosition {
    return this.ends;
  }

  /** Everything that is kept, which is then forgotten, and how many bytes were lost before it. */
  drain(): { readonly pieces: readonly LogPiece[]; readonly lostBytes: number } {
    const { pieces, ends } = this;
    this.pieces = [];
    this.use(-this.usedBytes);
    this.ends = { stdout: 0, stderr: 0 };
    return { pieces, lostBytes: pieces.reduce((sum, { bytes }) => sum - bytes.length, ends.stdout + ends.stderr) };
  }

  /** A log with the same content, that goes on by itself. */
  copy(budget: LogBudget): OutputLog {
    const copy = new OutputLog(this.bytesMax, budget);
    copy.pieces = this.pieces.slice();
    copy.use(this.usedBytes);
    copy.ends = this.ends;
    return copy;
  }
}
