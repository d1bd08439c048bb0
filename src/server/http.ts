// Types of the HTTP side that app.ts and the routes share: requests and answers typed by their schemas, who calls.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, FastifyTypeProvider, RawServerDefault } from 'fastify';
import type { Static, TSchema } from 'typebox';
import type { Caller } from './callers.ts';
import { ServiceError } from './errors.ts';
import type { OpenRequest } from './requests.ts';

/** Types of requests and answers from their schemas. */
export interface TypeBox extends FastifyTypeProvider {
  readonly validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown;
  readonly serializer: this['schema'] extends TSchema ? Static<this['schema']> : unknown;
}

export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, TypeBox>;

declare module 'fastify' {
  interface FastifyRequest {
    /** Null on addresses that need no key. */
    caller: Caller | null;
    /** Itself, as long as it has no whole answer: what runs for it ends when nobody wants that any more. */
    open: OpenRequest | null;
  }
}

/** Who calls; the hook has made sure. */
export function callerOf({ caller }: FastifyRequest): Caller {
  if (!caller) throw new ServiceError('unauthorized', 'A key is needed.');
  return caller;
}

/** Aborted when the client is gone before it has its whole answer, and when what runs must end because the service stops. */
export function interruption({ open }: FastifyRequest): OpenRequest {
  if (!open) throw new Error('a request that has not begun');
  return open;
}
