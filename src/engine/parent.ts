// Long work on a worker's own thread sees no messages, so it does not notice that its parent has gone: it asks here.

const parent = process.ppid;

/** Ends this process when the one that started it is gone (Ctrl-C, kill -9): nobody wants what it builds any more. */
export function endWithParent(): void {
  if (process.ppid !== parent) process.exit(0);
}
