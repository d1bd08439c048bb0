// Types of the HTTP side that app.ts and the routes share: requests and answers typed by their schemas, who calls.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, FastifyTypeProvider, RawServerDefault } from 'fastify';
import type { Static, TSchema } from 'typebox';
import type { Caller } from './callers.ts';
import { ServiceError } from './errors.ts';

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
  }
}

/** Who calls; the hook has made sure. */
export function callerOf({ caller }: FastifyRequest): Caller {
  if (!caller) throw new ServiceError('unauthorized', 'A key is needed.');
  return caller;
}
