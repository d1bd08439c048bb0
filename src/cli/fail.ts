// How a failed command ends: one line on stderr and an exit code, never a stack trace (OFFSHOOT_DEBUG=1 shows it).

import { OffshootError } from '../engine/errors.ts';

/** A mistake in the command line or its files. */
export class UsageError extends Error {}

/** Prints one line and sets the exit code: 2 for the user's and the host's problems, 1 for ours. */
export function fail(error: unknown): void {
  const known = error instanceof UsageError || (error instanceof OffshootError && error.code !== 'internal');
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`offshoot: ${message.replace(/\s*\n\s*/g, ' ')}\n`);
  if (process.env['OFFSHOOT_DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exitCode = known ? 2 : 1;
}
