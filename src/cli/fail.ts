// How a failed command ends: one line on stderr that ends with the error's code, and an exit code; never a stack trace
// (OFFSHOOT_DEBUG=1 shows it).

import { OffshootError, homeError, type ErrorCode } from '../engine/errors.ts';
import { HomeError, ImageError } from '../image/errors.ts';
import { offshootHome } from '../image/home.ts';
import { endProgress } from './progress.ts';

/** A mistake in the command line or its files. */
export class UsageError extends Error {}

/** One line of ours on stderr; `code` is one of docs/errors.md, absent for what is no error. */
export function say(text: string, code?: string): void {
  endProgress();
  process.stderr.write(`offshoot: ${text.trim().replace(/\s*\n\s*/g, ' ')}${code === undefined ? '' : ` [${code}]`}\n`);
}

/** Prints one line and sets the exit code: 2 for the user's and the host's problems, 1 for ours. */
export function fail(error: unknown): void {
  const { code, message } = told(error);
  say(message, code);
  if (process.env['OFFSHOOT_DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exitCode = code === 'internal' ? 1 : 2;
}

function told(error: unknown): { code: ErrorCode; message: string } {
  if (error instanceof OffshootError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof UsageError) return { code: 'bad-argument', message };
  if (error instanceof HomeError) return { code: 'home-unusable', message };
  if (error instanceof ImageError) return { code: 'image-failed', message };
  return (isBelowHome(error) ? homeError(error) : null) ?? { code: 'internal', message };
}

function isBelowHome(error: unknown): boolean {
  const { path } = error as NodeJS.ErrnoException;
  return typeof path === 'string' && path.startsWith(offshootHome());
}
