// What the client throws.

import type { ErrorBody } from '../api/error.ts';

/** The service refused: `code` is one of docs/errors.md, `message` its sentence, `hint` what to do. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly code: string;
  readonly hint: string;
  /** When to try again, in seconds; undefined: it does not help, or something may have been begun. */
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, { code, error, hint }: ErrorBody, retryAfterSeconds?: number) {
    super(error);
    this.status = status;
    this.code = code;
    this.hint = hint;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The service cannot be reached, or the connection broke. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
}
