// Any error as one sentence with a stable code: what a worker or builder process tells the caller's.

import { HostError } from '../host/errors.ts';
import { HomeError, ImageError } from '../image/errors.ts';
import { KvmUnsupported } from '../vmm/kvm.ts';
import { OffshootError, deviceError, homeError, type ErrorCode } from './errors.ts';

/** `code` is one of docs/errors.md. With OFFSHOOT_DEBUG set, what nobody expected carries its stack. */
export function explain(error: unknown): { code: ErrorCode; message: string; errno?: string } {
  if (error instanceof OffshootError) return error;
  if (error instanceof HomeError) return { code: 'home-unusable', message: error.message };
  if (error instanceof ImageError) return { code: 'image-failed', message: error.message };
  if (error instanceof KvmUnsupported) return { code: 'host-unsupported', message: `${error.message}.` };
  if (error instanceof HostError) {
    return deviceError(error.op, error.code) ?? { code: 'internal', message: error.message };
  }
  const home = homeError(error);
  if (home) return home;
  return { code: 'internal', message: process.env['OFFSHOOT_DEBUG'] ? String((error as Error).stack) : String((error as Error).message) };
}
