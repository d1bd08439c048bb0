// HostError: a call to the host's kernel failed. The host layer throws it; kernel/ never sees one.

import { getSystemErrorName } from 'node:util';

/** A failed libc call: which operation, and errno. The message is `open /dev/kvm: EACCES (13)`. */
export class HostError extends Error {
  override readonly name = 'HostError';
  readonly op: string;
  /** errno(3), positive. */
  readonly errno: number;
  /** The errno's name, e.g. `EACCES`. */
  readonly code: string;

  constructor(op: string, errno: number) {
    const code = errnoName(errno);
    super(`${op}: ${code} (${errno})`);
    this.op = op;
    this.errno = errno;
    this.code = code;
  }
}

/** `ENOENT` for 2. */
export function errnoName(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `errno ${errno}`;
  }
}
