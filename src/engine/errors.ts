// Errors a user of the engine may see: one sentence, a stable code, and nothing of our insides.

import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';

/** Stable codes; docs/errors.md explains each. */
const ERROR_CODES = [
  'kvm-missing', 'kvm-forbidden', 'kvm-busy', 'kvm-unusable', 'host-unsupported',
  'home-unusable', 'template-unknown', 'template-setup', 'image-failed',
  'bad-argument', 'files-failed', 'file-error', 'sandbox-ended', 'worker-lost', 'busy', 'tenant-limit', 'host-memory', 'closed', 'internal',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** Whether a value from elsewhere is one of the codes. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return ERROR_CODES.includes(value as ErrorCode);
}

/** What every public call of the engine throws. `message` is one sentence that says what to do. */
export class OffshootError extends Error {
  override readonly name = 'OffshootError';
  readonly code: ErrorCode;
  /** With 'file-error': the name of the errno, "ENOENT". */
  readonly errno?: string;

  constructor(code: ErrorCode, message: string, errno?: string) {
    super(message);
    this.code = code;
    if (errno !== undefined) this.errno = errno;
  }
}

/**
 * The sentence for a failed call `op` (host/errors.ts) when /dev/kvm is to blame, else null. That another hypervisor has the
 * processor shows only when the first VM is made.
 */
export function deviceError(op: string, errno: string): OffshootError | null {
  return op.includes('/dev/kvm') || (op === 'KVM_CREATE_VM' && errno === 'EBUSY') ? kvmError(errno) : null;
}

/** The sentence for a failed open of /dev/kvm; `errno` is its symbolic name. */
export function kvmError(errno: string): OffshootError {
  switch (errno) {
    case 'ENOENT':
    case 'ENODEV':
    case 'ENXIO':
      return new OffshootError('kvm-missing',
        '/dev/kvm does not exist: load the module with "sudo modprobe kvm_intel" or "sudo modprobe kvm_amd", '
        + 'and on a cloud machine choose a type with nested virtualization.');
    case 'EACCES':
    case 'EPERM':
      return new OffshootError('kvm-forbidden',
        '/dev/kvm may not be opened by this user: run "sudo usermod -aG kvm $USER" and log in again.');
    case 'EBUSY':
      return new OffshootError('kvm-busy',
        '/dev/kvm is in use by another hypervisor: stop it (VirtualBox and VMware hold the processor exclusively) and try again.');
    default:
      return new OffshootError('kvm-unusable', `/dev/kvm cannot be used: ${errno}.`);
  }
}

/** errno names that say that a file or directory of the home cannot be made or used. */
const HOME_ERRNOS = ['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENOTDIR', 'EEXIST', 'EISDIR', 'ELOOP', 'ENAMETOOLONG', 'ENOENT'];

/** The sentence for an error of node:fs below the home directory; null when it is something else. */
export function homeError(error: unknown): OffshootError | null {
  if (!(error instanceof Error)) return null;
  const { path, syscall } = error as NodeJS.ErrnoException;
  const code = syscall === 'rm' && path !== undefined ? removalCode(path) : (error as NodeJS.ErrnoException).code;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  if (!full && (code === undefined || path === undefined || !HOME_ERRNOS.includes(code))) return null;
  const what = full ? 'the disk is full' : `${path} cannot be used (${code})`;
  return new OffshootError('home-unusable', `Images and templates cannot be kept there: ${what}; set OFFSHOOT_HOME to a directory of your own.`);
}

/** Node's rm names no errno: why nothing can be removed there. */
function removalCode(path: string): string | undefined {
  try {
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}
