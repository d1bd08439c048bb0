// Requests with fetch: key, errors with types, and patience where the service asks for it (429 and 503 with Retry-After, and only then:
// nothing has been begun).

import type { ErrorBody } from '../api/error.ts';
import { ApiError, ConnectionError } from './errors.ts';

/** Where the service is, and how to talk to it. */
export interface ClientInit {
  /** Default: $OFFSHOOT_URL where there is an environment, else http://127.0.0.1:8080. */
  readonly url?: string;
  /** Default: $OFFSHOOT_KEY where there is an environment, else none. */
  readonly key?: string;
  /** How often a request is made again that the service asks to make later; default 4. */
  readonly retries?: number;
  /** Instead of the global one. */
  readonly fetch?: typeof fetch;
}

/** Options of one call. */
export interface CallInit {
  /** Ends the request, and what it runs. */
  readonly signal?: AbortSignal;
}

/** What is sent. */
export interface RequestParts extends CallInit {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly json?: unknown;
  readonly body?: NonNullable<RequestInit['body']>;
  readonly accept?: string;
  /** Of `body`; default application/octet-stream. */
  readonly type?: string;
}

const RETRIES = 4;
const WAIT_MS = 250;
const WAIT_MS_MAX = 30_000;

export class Http {
  private readonly url: string;
  private readonly key: string | undefined;
  private readonly retries: number;
  private readonly send: typeof fetch;

  constructor({ url, key, retries = RETRIES, fetch: send }: ClientInit) {
    const { process } = globalThis as { readonly process?: { readonly env: Record<string, string | undefined> } };
    this.url = (url ?? process?.env['OFFSHOOT_URL'] ?? 'http://127.0.0.1:8080').replace(/\/+$/, '');
    this.key = key ?? process?.env['OFFSHOOT_KEY'];
    this.retries = retries;
    this.send = send ?? ((input, init) => fetch(input, init));
  }

  /** The parsed answer. Rejects with ApiError, ConnectionError, or the signal's reason. */
  async json<T>(method: string, path: string, parts: RequestParts = {}): Promise<T> {
    const response = await this.request(method, path, parts);
    return response.status === 204 ? undefined as T : read(() => response.json() as Promise<T>, parts.signal);
  }

  /** The answer, whose status is below 400. */
  async request(method: string, path: string, parts: RequestParts = {}): Promise<Response> {
    const isOnce = parts.body instanceof ReadableStream;
    for (let attempt = 0; ; attempt++) {
      const response = await this.attempt(method, path, parts);
      if (response.ok) return response;
      const error = await errorOf(response);
      if (error.retryAfterSeconds === undefined || attempt >= this.retries || isOnce) throw error;
      await pause(Math.min(WAIT_MS_MAX, Math.max(error.retryAfterSeconds * 1000, WAIT_MS * 2 ** attempt) * (1 + Math.random() / 4)), parts.signal);
    }
  }

  private attempt(method: string, path: string, parts: RequestParts): Promise<Response> {
    const { query = {}, json, body, accept, type = 'application/octet-stream', signal } = parts;
    const url = new URL(this.url + path);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value));
    const headers: Record<string, string> = accept === undefined ? {} : { accept };
    if (this.key !== undefined) headers['authorization'] = `Bearer ${this.key}`;
    if (json !== undefined) headers['content-type'] = 'application/json';
    else if (body !== undefined) headers['content-type'] = type;
    const content = json === undefined ? body : JSON.stringify(json);
    const init: RequestInit & { duplex?: 'half' } = {
      method, headers, ...(signal ? { signal } : {}), ...(content === undefined ? {} : { body: content }),
      ...(content instanceof ReadableStream ? { duplex: 'half' } : {}),
    };
    return read(() => this.send(url, init), signal);
  }
}

/** What breaks on the way is a ConnectionError; a cancelled call rejects with its signal's reason. */
async function read<T>(get: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  try {
    return await get();
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    const { message, cause } = error as { readonly message: string; readonly cause?: { readonly message?: string } };
    throw new ConnectionError(`The service cannot be reached: ${cause?.message ?? message}.`, { cause: error });
  }
}

async function errorOf(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => '');
  let body: ErrorBody = { code: 'unknown', error: `The service answered with status ${response.status}.`, hint: 'Check the address.' };
  try {
    const given = JSON.parse(text) as Partial<ErrorBody>;
    if (typeof given.code === 'string' && typeof given.error === 'string') body = { ...body, hint: '', ...given };
  } catch { /* no answer of this service: a proxy's, perhaps */ }
  const after = response.headers.get('retry-after');
  const isLater = (response.status === 429 || response.status === 503) && after !== null && /^\d+$/.test(after);
  return new ApiError(response.status, body, isLater ? Number(after) : undefined);
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/** The objects of an NDJSON answer, as they come. Leaving the loop ends the request. */
export async function* lines<T>(response: Response, signal: AbortSignal | undefined): AsyncGenerator<T> {
  const reader = response.body?.getReader();
  if (!reader) return;
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await read(() => reader.read(), signal);
      if (done) break;
      const parts = (rest + decoder.decode(value, { stream: true })).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) if (part !== '') yield JSON.parse(part) as T;
    }
  } finally {
    await reader.cancel().catch(() => { /* it has ended */ });
  }
  if (rest !== '') throw new ConnectionError('The answer ended in the middle of a line.');
}
