// What a first use prints while it builds: a line per phase on stderr, a moving one on a terminal.

import type { Progress } from '../engine/protocol.ts';

/** Makes an `onProgress` for the engine. Quiet until something is really built. */
export function progressPrinter(stream: NodeJS.WriteStream): (progress: Progress) => void {
  let phase = '';
  let drawn = false;
  return (progress) => {
    const share = progress.total > 0 ? ` ${Math.floor((100 * progress.done) / progress.total)}%` : '';
    if (stream.isTTY) {
      if (drawn && phase !== progress.phase) stream.write('\n');
      stream.write(`\r\x1b[Koffshoot: ${progress.message}${share}`);
      drawn = true;
      if (progress.phase === 'done') stream.write('\n');
    } else if (phase !== progress.phase) {
      stream.write(`offshoot: ${progress.message}\n`);
    }
    phase = progress.phase;
  };
}
