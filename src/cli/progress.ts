// What a first use prints on stderr while it builds: what is going to be done, and that it is done. On a terminal a bar moves between
// the two; elsewhere, and where TERM is "dumb", nothing does: logs get two lines. No colours, so NO_COLOR has nothing to switch off.

import type { Progress } from '../engine/protocol.ts';

const BAR_COLUMNS = 24;
/** Not every change is worth drawing. */
const REDRAW_MS = 50;

let drawn: NodeJS.WriteStream | null = null;

/** Makes an `onProgress` for the engine. Quiet until something is really built. */
export function progressPrinter(stream: NodeJS.WriteStream): (progress: Progress) => void {
  const isTerminal = stream.isTTY && process.env['TERM'] !== 'dumb';
  let told = false;
  let phase = '';
  let drawnMs = -Infinity;
  return (progress) => {
    const isNews = !told || progress.phase === 'plan' || progress.phase === 'done';
    if (isNews) {
      told = true;
      endProgress();
      stream.write(`offshoot: ${progress.message}\n`);
    } else if (isTerminal && (progress.phase !== phase || performance.now() - drawnMs > REDRAW_MS)) {
      stream.write(`\r\x1b[K${barLine(progress, stream.columns || 80)}`);
      if (!drawn) process.on('SIGINT', interrupted);
      drawn = stream;
      drawnMs = performance.now();
    }
    phase = progress.phase;
  };
}

/** Removes the bar: something else is going to be printed. */
export function endProgress(): void {
  if (!drawn) return;
  drawn.write('\r\x1b[K');
  drawn = null;
  process.off('SIGINT', interrupted);
}

/** Ctrl-C ends the process as it would without us, but the shell's prompt has a line of its own. */
function interrupted(): void {
  endProgress();
  process.kill(process.pid, 'SIGINT');
}

/** One line of a terminal, not one column more: a line that wraps could not be drawn over. */
export function barLine({ message, done, total }: Progress, columns: number): string {
  const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : null;
  const full = Math.round(BAR_COLUMNS * (share ?? 0));
  const bar = share === null ? '' : `[${'#'.repeat(full)}${'.'.repeat(BAR_COLUMNS - full)}] ${String(Math.floor(100 * share)).padStart(3)}% `;
  return `offshoot: ${bar}${message}`.replace(/[\x00-\x1f\x7f]/g, ' ').slice(0, Math.max(0, columns - 1));
}
