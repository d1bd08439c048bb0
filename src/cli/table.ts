// Columns, sizes and ages as `template ls`, `image ls` and `template inspect` print them.

/** Rows under a head line, columns as wide as needed. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  return all.map((row) => `${row.map((cell, column) => cell.padEnd(widths[column])).join('  ').trimEnd()}\n`).join('');
}

/** "38.1 MB"; "-" for none. */
export function size(bytes: number): string {
  if (bytes === 0) return '-';
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

/** How long ago, in the largest unit that fits. */
export function age(iso: string, nowMs = Date.now()): string {
  const seconds = Math.max(0, (nowMs - Date.parse(iso)) / 1000);
  if (!Number.isFinite(seconds)) return '?';
  for (const [unit, length] of [['d', 86400], ['h', 3600], ['min', 60]] as const) if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  return `${Math.floor(seconds)} s`;
}
