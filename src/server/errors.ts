// What a client is told when something cannot be done: status, stable code, one sentence, and what to do. Nothing of the host leaves:
// sentences about it go to the log, and the client hears that the operator knows.

import type { ErrorBody } from '../api/error.ts';
import { OffshootError } from '../engine/errors.ts';

/** Codes of the service's own; docs/errors.md explains each. */
export type ServiceErrorCode = 'bad-request' | 'unauthorized' | 'forbidden' | 'not-found' | 'conflict' | 'too-large'
  | 'unsupported-media-type' | 'invalid' | 'rate-limit' | 'concurrency-limit' | 'quota' | 'stopping' | 'request-timeout';

const SERVICE: Readonly<Record<ServiceErrorCode, { readonly status: number; readonly hint: string }>> = {
  'bad-request': { status: 400, hint: 'Send well-formed HTTP and JSON in UTF-8.' },
  'unauthorized': { status: 401, hint: 'Send "Authorization: Bearer KEY" with a key made by "offshoot keys create".' },
  'forbidden': { status: 403, hint: 'Use a key, a Host and an Origin that may do this.' },
  'not-found': { status: 404, hint: 'Check the address; /docs lists what there is.' },
  'conflict': { status: 409, hint: 'Look at its state first, then try again.' },
  'request-timeout': { status: 408, hint: 'Send the whole request without pausing.' },
  'too-large': { status: 413, hint: 'Send less at once, or ask the operator to raise the limit.' },
  'unsupported-media-type': { status: 415, hint: 'Send "Content-Type: application/json", or what /docs names for this address.' },
  'invalid': { status: 422, hint: 'Correct the field that the sentence names; /docs describes them all.' },
  'rate-limit': { status: 429, hint: 'Wait as long as Retry-After says.' },
  'concurrency-limit': { status: 429, hint: 'Wait until one of your runs has ended.' },
  'quota': { status: 429, hint: 'Wait as long as Retry-After says, or ask the operator for more.' },
  'stopping': { status: 503, hint: 'Try again: another instance, or this one when it has restarted.' },
};

interface Row { readonly status: number; readonly hint: string; readonly retryAfterSeconds?: number; readonly isOfHost?: boolean }

const OF_HOST: Row = { status: 503, hint: 'Tell the operator of the service; its log says more.', isOfHost: true };

/** Errors of the engine. A 503 with Retry-After has not begun to run anything. */
const ENGINE: Readonly<Partial<Record<string, Row>>> = {
  'kvm-missing': OF_HOST, 'kvm-forbidden': OF_HOST, 'kvm-busy': OF_HOST, 'kvm-unusable': OF_HOST, 'host-unsupported': OF_HOST,
  'home-unusable': OF_HOST, 'files-failed': OF_HOST, 'internal': { ...OF_HOST, status: 500 },
  'template-unknown': { status: 404, hint: 'GET /v1/templates lists those there are.' },
  'template-setup': { status: 422, hint: 'Correct the setup and build the template again.' },
  'image-failed': { status: 422, hint: 'Correct what the sentence names and build the template again.' },
  'bad-argument': { status: 422, hint: 'Correct the field that the sentence names; /docs describes them all.' },
  'file-error': { status: 422, hint: 'Correct the path; errno names are those of Linux.' },
  'sandbox-ended': { status: 404, hint: 'Create another with POST /v1/sandboxes.' },
  'worker-lost': { status: 503, hint: 'Run it again, if running it twice does no harm.' },
  'busy': { status: 503, hint: 'Wait as long as Retry-After says.', retryAfterSeconds: 1 },
  'host-memory': { status: 503, hint: 'Wait as long as Retry-After says.', retryAfterSeconds: 2 },
  'tenant-limit': { status: 429, hint: 'Delete sandboxes that are not needed.', retryAfterSeconds: 5 },
  'closed': { status: 503, hint: 'Try again: another instance, or this one when it has restarted.', retryAfterSeconds: 2 },
};

/** Statuses of a 'file-error'; others are 422. */
const ERRNO: Readonly<Record<string, number>> = {
  ENOENT: 404, ENOTDIR: 404, EACCES: 403, EPERM: 403, EROFS: 403, EEXIST: 409, ENOTEMPTY: 409, EBUSY: 409, ETXTBSY: 409,
  ENOSPC: 413, EFBIG: 413, ENOMEM: 413, EDQUOT: 413,
};

export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly code: string;
  readonly statusCode: number;
  readonly hint: string;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ServiceErrorCode, message: string, init: { readonly hint?: string; readonly retryAfterSeconds?: number } = {}) {
    super(message);
    this.code = code;
    this.statusCode = SERVICE[code].status;
    this.hint = init.hint ?? SERVICE[code].hint;
    this.retryAfterSeconds = init.retryAfterSeconds;
  }
}

/** An error as it is answered. */
export interface Told {
  readonly status: number;
  readonly body: ErrorBody;
  readonly retryAfterSeconds: number | undefined;
  /** The operator should see the error itself. */
  readonly isOurs: boolean;
}

/** Any error as it is told to a client. */
export function told(error: unknown): Told {
  if (error instanceof ServiceError) {
    const { code, message, hint, statusCode, retryAfterSeconds } = error;
    return { status: statusCode, body: { code, error: message, hint }, retryAfterSeconds, isOurs: false };
  }
  if (error instanceof OffshootError) {
    const row = ENGINE[error.code] ?? { ...OF_HOST, status: 500 };
    const { status, hint, retryAfterSeconds, isOfHost: isOurs = false } = row;
    const body = { code: error.code, error: isOurs ? 'The service cannot do this at present.' : error.message, hint };
    if (error.errno !== undefined) return { status: ERRNO[error.errno] ?? status, body: { ...body, errno: error.errno }, retryAfterSeconds, isOurs };
    return { status, body, retryAfterSeconds, isOurs };
  }
  return told(fromFramework(error) ?? new OffshootError('internal', String(error)));
}

/** What the framework found wrong with a request. */
function fromFramework(error: unknown): ServiceError | null {
  const { code, statusCode, message } = error as { readonly code?: string; readonly statusCode?: number; readonly message?: string };
  switch (statusCode) {
    case 400: return new ServiceError('bad-request', code === undefined || code === 'FST_ERR_CTP_EMPTY_JSON_BODY'
      ? `The request cannot be read: ${message ?? 'malformed'}.`.replace(/\.+$/, '.') : sentence(code, message));
    case 404: return new ServiceError('not-found', 'There is nothing at this address.');
    case 408: return new ServiceError('request-timeout', 'The request did not come in time.');
    case 414: case 431: return new ServiceError('too-large', 'The address or the headers are longer than this service takes.');
    case 415: return new ServiceError('unsupported-media-type', 'The body is of a type that this address does not take.');
    case 503: return new ServiceError('stopping', 'The service is stopping.', { retryAfterSeconds: 2 });
    default: return null;
  }
}

function sentence(code: string, message: string | undefined): string {
  if (code === 'FST_ERR_BAD_URL') return 'The address is not a valid URL path.';
  if (code === 'FST_ERR_CTP_INVALID_JSON_BODY') return 'The body is not valid JSON.';
  return `The request cannot be read: ${message ?? code}.`.replace(/\.+$/, '.');
}
