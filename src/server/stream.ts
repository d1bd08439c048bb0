// Events on their way to a client, as NDJSON or SSE: opened by the first, so that what fails before has a status of its own; written
// at the speed at which the client reads; given up when it stops reading or is gone.

import { isUtf8 } from 'node:buffer';
import { PassThrough } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';

export type StreamFormat = 'ndjson' | 'sse';

const TYPES: Readonly<Record<StreamFormat, string>> = { ndjson: 'application/x-ndjson; charset=utf-8', sse: 'text/event-stream; charset=utf-8' };
/** Says to proxies and clients that it is alive; also opens the stream of a program that is silent. */
const BEAT_MS = 10_000;

/** What the Accept header asks for; null: one JSON object. */
export function streamFormat({ headers }: FastifyRequest): StreamFormat | null {
  const { accept = '' } = headers;
  if (accept.includes('text/event-stream')) return 'sse';
  return accept.includes('application/x-ndjson') ? 'ndjson' : null;
}

/** A piece of output as an event: text, or base64 where it is not UTF-8 by itself. */
export function outputEvent(type: 'stdout' | 'stderr', bytes: Uint8Array): { readonly type: string; readonly text?: string; readonly base64?: string } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return { type, ...(isUtf8(buffer) ? { text: buffer.toString('utf8') } : { base64: buffer.toString('base64') }) };
}

/** Answers with events: those of `work` on its way, then what it resolves with, or `describe` of its error once the stream has begun. */
export async function answerWith(
  reply: FastifyReply, stream: EventStream, work: () => Promise<{ readonly type: string }>, describe: (error: unknown) => unknown,
): Promise<FastifyReply> {
  try {
    await stream.send(await work());
  } catch (error) {
    if (!stream.hasBegun) throw error;
    await stream.send({ type: 'error', error: describe(error) } as { type: string });
  } finally {
    stream.end();
  }
  return reply;
}

export class EventStream {
  private readonly reply: FastifyReply;
  private readonly format: StreamFormat;
  private readonly stallMs: number;
  private readonly pipe = new PassThrough({ highWaterMark: 64 << 10 });
  private readonly beat: NodeJS.Timeout;
  private room: Promise<void> | null = null;
  private isOpen = false;

  /** `stallMs`: a client that takes nothing for so long is disconnected. */
  constructor(reply: FastifyReply, format: StreamFormat, stallMs: number) {
    this.reply = reply;
    this.format = format;
    this.stallMs = stallMs;
    this.pipe.on('error', () => { /* the client is gone */ });
    this.beat = setInterval(() => void this.write(format === 'sse' ? ': alive\n\n' : '\n'), BEAT_MS).unref();
  }

  /** Something has been sent: errors are events from now on. */
  get hasBegun(): boolean { return this.isOpen; }

  /** Resolves when the client has room for more, or is gone. */
  send(event: { readonly type: string }): Promise<void> {
    const text = JSON.stringify(event);
    return this.write(this.format === 'sse' ? `event: ${event.type}\ndata: ${text}\n\n` : `${text}\n`);
  }

  output(type: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> {
    return this.send(outputEvent(type, bytes));
  }

  end(): void {
    clearInterval(this.beat);
    if (this.isOpen) this.pipe.end();
  }

  private write(text: string): Promise<void> {
    if (this.pipe.destroyed || this.reply.raw.destroyed) return Promise.resolve(); // the client is gone
    if (!this.isOpen) {
      this.isOpen = true;
      void this.reply.header('content-type', TYPES[this.format]).header('cache-control', 'no-store').header('x-accel-buffering', 'no').send(this.pipe);
    }
    if (this.pipe.write(text)) return Promise.resolve();
    this.room ??= this.waitForRoom();
    return this.room;
  }

  private waitForRoom(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.pipe.off('drain', done).off('close', done);
        this.room = null;
        resolve();
      };
      const timer = setTimeout(() => this.reply.raw.destroy(), this.stallMs).unref();
      this.pipe.on('drain', done).on('close', done);
    });
  }
}
