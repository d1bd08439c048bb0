// Output that its reader takes at its own speed (worker side): what was sent counts as under way until the caller says that it was
// taken, so that a program whose reader is slow waits (outlet.ts), and no other does.

interface Piece { leftBytes: number; readonly taken: () => void }

export class Pacing {
  private readonly pieces: Piece[] = [];

  /** `taken` is called when all of `sizeBytes` has been. */
  sent(sizeBytes: number, taken: () => void): void {
    this.pieces.push({ leftBytes: sizeBytes, taken });
  }

  /** The caller has taken so many bytes, in the order in which they were sent. */
  take(sizeBytes: number): void {
    let left = sizeBytes;
    while (this.pieces.length > 0 && left >= this.pieces[0].leftBytes) {
      left -= this.pieces[0].leftBytes;
      this.pieces.shift()?.taken();
    }
    if (this.pieces.length > 0) this.pieces[0].leftBytes -= left;
  }
}
