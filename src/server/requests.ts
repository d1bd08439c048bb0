// Requests that have no whole answer yet: what runs for one is cancelled when its client is gone or the service ends, and one whose client
// pauses too long is given up. One look at all of them now and then, because a timer for each request costs more than all that is looked at.

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CancelSignal } from '../engine/run.ts';
import { ServiceError } from './errors.ts';

/** As much later than `stallMs` a pause may be noticed. */
const LOOK_MS_MAX = 1000;
const LOOKS_PER_STALL = 4;

/** One of them, as what runs for it sees it: aborted when nobody wants its answer any more. An AbortSignal, as far as it is needed, without its cost. */
export class OpenRequest implements CancelSignal {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Who sent it: a closed socket does not know any more. */
  readonly from: string;
  readonly begunMs = performance.now();
  /** Why it is over. */
  reason: ServiceError | null = null;
  /** Its connection ends when nothing moves on it for so long; 0: never. */
  private timedMs = 0;
  private listeners: (() => void)[] = [];

  constructor(request: FastifyRequest, reply: FastifyReply) {
    this.request = request;
    this.reply = reply;
    this.from = request.ip;
  }

  get aborted(): boolean { return this.reason !== null; }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.listeners.push(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const at = this.listeners.indexOf(listener);
    if (at >= 0) this.listeners.splice(at, 1);
  }

  get isTimed(): boolean { return this.timedMs > 0; }

  /** Has its connection ended when nothing moves on it for so long; 0: not any more. */
  timeConnection(ms: number): void {
    if (ms === this.timedMs) return;
    this.timedMs = ms;
    this.request.raw.socket.setTimeout(ms);
  }

  abort(reason: ServiceError): void {
    if (this.reason) return;
    this.reason = reason;
    for (const listener of this.listeners.splice(0)) listener();
  }
}

export class Requests {
  private readonly stallMs: number;
  private readonly all = new Set<OpenRequest>();
  private readonly timer: NodeJS.Timeout;
  /** A body that is taken whole did not come in time. */
  onStalled: (open: OpenRequest) => void = () => {};
  /** It is answered, or its client is gone. */
  onClosed: (open: OpenRequest) => void = () => {};

  /** `stallMs`: how long a client may pause in reading, and take to send such a body. */
  constructor(stallMs: number) {
    this.stallMs = stallMs;
    this.timer = setInterval(() => this.look(), Math.min(LOOK_MS_MAX, stallMs / LOOKS_PER_STALL)).unref();
  }

  get size(): number { return this.all.size; }

  add(request: FastifyRequest, reply: FastifyReply): OpenRequest {
    const open = new OpenRequest(request, reply);
    this.all.add(open);
    reply.raw.once('close', () => this.closed(open));
    return open;
  }

  /** Ends what runs for any of them. */
  abort(reason: ServiceError): void {
    for (const open of this.all) open.abort(reason);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private closed(open: OpenRequest): void {
    this.all.delete(open);
    const { request: { raw: { socket } }, reply, isTimed } = open;
    // Node gives a connection with nothing to do a time-out of its own; one that has sent the next request already had better be heard.
    if (isTimed && [...this.all].some(({ request }) => request.raw.socket === socket)) socket.setTimeout(0);
    if (!reply.raw.writableFinished) open.abort(new ServiceError('bad-request', 'The client is gone.'));
    this.onClosed(open);
  }

  private look(): void {
    const { stallMs } = this;
    const before = performance.now() - stallMs;
    for (const open of this.all) {
      const { request: { raw, headers }, reply, begunMs } = open;
      if (reply.raw.headersSent) open.timeConnection(raw.socket.writableLength > 0 ? stallMs : 0); // a stream may have nothing to say
      else if (begunMs < before && !raw.complete && !reply.sent && !isUpload(headers['content-type'])) this.onStalled(open);
    }
  }
}

/** A body that is taken as it comes, as long as it takes. */
function isUpload(type = ''): boolean {
  return !type.startsWith('application/json');
}
