// The builds of an engine, one at a time: each keeps a processor busy for a second. Those that somebody waits for come before those that are
// made in the background.

import { OffshootError } from './errors.ts';

interface Turn {
  readonly begin: () => void;
  readonly reject: (error: Error) => void;
}

export class BuildTurns {
  private readonly awaited: Turn[] = [];
  private readonly background: Turn[] = [];
  private isTaken = false;
  private closed = false;

  /** Does `build` in its turn. Rejects with OffshootError 'closed' when that never comes. */
  async take<T>(isAwaited: boolean, build: () => Promise<T>): Promise<T> {
    if (this.closed) throw closedError();
    if (this.isTaken) await new Promise<void>((begin, reject) => (isAwaited ? this.awaited : this.background).push({ begin, reject }));
    this.isTaken = true;
    try {
      return await build();
    } finally {
      const next = this.awaited.shift() ?? this.background.shift();
      if (next) next.begin(); // it stays taken
      else this.isTaken = false;
    }
  }

  /** Nobody's turn comes any more. */
  close(): void {
    this.closed = true;
    for (const turn of [...this.awaited.splice(0), ...this.background.splice(0)]) turn.reject(closedError());
  }
}

function closedError(): OffshootError {
  return new OffshootError('closed', 'The engine is closed.');
}
