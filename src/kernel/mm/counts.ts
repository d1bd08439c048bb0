// Numbers by index, 32 bits each, that start as those of a saved state and are copied from it piece by piece, when something in a
// piece changes: a fork changes few of the counts of a template's frames.
//
// Interface: get, set, save. What was never set is 0.

const PIECE_BITS = 10;
const PIECE = 2 ** PIECE_BITS;
const NONE = new Uint32Array(PIECE);

export class Counts {
  private readonly base: Uint32Array;
  /** What has changed since; a piece that is not there is as in `base`. */
  private readonly pieces: (Uint32Array | undefined)[] = [];

  /** `base` is not changed, and must not change. */
  constructor(base: Uint32Array = NONE) {
    this.base = base;
  }

  get(index: number): number {
    const piece = this.pieces[index >>> PIECE_BITS];
    if (piece !== undefined) return piece[index & (PIECE - 1)];
    return index < this.base.length ? this.base[index] : 0;
  }

  set(index: number, value: number): void {
    const at = index >>> PIECE_BITS;
    const piece = this.pieces[at] ?? this.ownPiece(at);
    piece[index & (PIECE - 1)] = value;
  }

  /** The first `length` of them. */
  save(length: number): Uint32Array {
    const saved = new Uint32Array(length);
    saved.set(this.base.subarray(0, length));
    this.pieces.forEach((piece, at) => {
      const room = length - at * PIECE;
      if (piece !== undefined && room > 0) saved.set(piece.subarray(0, room), at * PIECE);
    });
    return saved;
  }

  private ownPiece(at: number): Uint32Array {
    const piece = new Uint32Array(PIECE);
    piece.set(this.base.subarray(at * PIECE, (at + 1) * PIECE));
    while (this.pieces.length <= at) this.pieces.push(undefined); // stays a packed array
    this.pieces[at] = piece;
    return piece;
  }
}
