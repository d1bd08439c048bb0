// The service as a client sees it: one-shot runs, batches, templates. Sandboxes that stay are in sandbox.ts.

import type { BatchResult, ExecEvent, ExecRequest, ExecResult } from '../api/exec.ts';
import type { Health, Ready } from '../api/health.ts';
import type { BuildEvent, TemplateDetails, TemplateInfo, TemplateList, TemplateRequest } from '../api/template.ts';
import type { ErrorBody } from '../api/error.ts';
import { ApiError, ConnectionError } from './errors.ts';
import { Http, lines, type CallInit, type ClientInit } from './http.ts';

const NDJSON = 'application/x-ndjson';

/** Options of a run, named as on the wire, with its signal. */
export type ExecInit = Omit<ExecRequest, 'code' | 'argv'> & CallInit;

/** Output events: `{type: 'stdout' | 'stderr', text}`, or `base64` where a piece is not UTF-8; `bytesOf(event)` has the bytes. */
export type OutputEvent = Extract<ExecEvent, { readonly type: 'stdout' | 'stderr' }>;

export class Offshoot {
  readonly http: Http;

  constructor(init: ClientInit = {}) {
    this.http = new Http(init);
  }

  /** Runs code (Python unless `language` says otherwise) in a sandbox of its own. */
  run(code: string, { signal, ...rest }: ExecInit = {}): Promise<ExecResult> {
    return this.exec({ ...rest, code }, { signal });
  }

  /** Runs what the request says: code or a program of the image. */
  exec(request: ExecRequest, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<ExecResult> {
    return this.http.json('POST', '/v1/exec', { json: request, ...(signal ? { signal } : {}) });
  }

  /** The same, its output as it comes; the last event is the result. Leaving the loop ends the run. */
  async* stream(request: ExecRequest, { signal }: { readonly signal?: AbortSignal | undefined } = {}): AsyncGenerator<OutputEvent | ResultEvent> {
    const response = await this.http.request('POST', '/v1/exec', { json: request, accept: NDJSON, ...(signal ? { signal } : {}) });
    yield* checked<ExecEvent, OutputEvent | ResultEvent>(lines(response, signal), 'result');
  }

  /** Runs many, each in a sandbox of its own; results in their order, an ApiError where one could not be run. */
  async batch(
    executions: readonly ExecRequest[], { signal, concurrency }: CallInit & { readonly concurrency?: number } = {},
  ): Promise<(ExecResult | ApiError)[]> {
    const json = { executions, ...(concurrency === undefined ? {} : { concurrency }) };
    const { results } = await this.http.json<BatchResult>('POST', '/v1/exec/batch', { json, ...(signal ? { signal } : {}) });
    return results.map((result) => ('code' in result ? new ApiError(200, result) : result));
  }

  readonly templates = {
    list: async (): Promise<TemplateInfo[]> => (await this.http.json<TemplateList>('GET', '/v1/templates')).templates,
    get: (name: string): Promise<TemplateDetails> => this.http.json('GET', `/v1/templates/${encodeURIComponent(name)}`),
    /** Builds it; `onLog` hears how it goes. */
    build: (request: TemplateRequest, init: BuildInit = {}): Promise<TemplateDetails> => this.build(request, init),
    remove: (name: string): Promise<void> => this.http.json('DELETE', `/v1/templates/${encodeURIComponent(name)}`),
  };

  health(): Promise<Health> {
    return this.http.json('GET', '/v1/health');
  }

  /** Rejects with ApiError 503 while it starts or stops. */
  ready(): Promise<Ready> {
    return this.http.json('GET', '/v1/ready');
  }

  private async build(request: TemplateRequest, { signal, onLog }: BuildInit): Promise<TemplateDetails> {
    const response = await this.http.request('POST', '/v1/templates', { json: request, accept: NDJSON, ...(signal ? { signal } : {}) });
    for await (const event of checked<BuildEvent, BuildLog | BuildResult>(lines(response, signal), 'result')) {
      if (event.type === 'result') return event.template;
      onLog?.(event);
    }
    throw new ConnectionError('The answer ended before its result.');
  }
}

type BuildInit = CallInit & { readonly onLog?: (event: BuildLog) => void };
export type ResultEvent = Extract<ExecEvent, { readonly type: 'result' }>;
export type BuildLog = Extract<BuildEvent, { readonly type: 'log' }>;
type BuildResult = Extract<BuildEvent, { readonly type: 'result' }>;

/** Events until the last, `last`; an error event is thrown. */
export async function* checked<E extends { readonly type: string }, Y extends E>(events: AsyncIterable<E>, last: Y['type']): AsyncGenerator<Y> {
  for await (const event of events) {
    if (event.type === 'error') throw new ApiError(200, (event as unknown as { readonly error: ErrorBody }).error);
    yield event as Y;
    if (event.type === last) return;
  }
  throw new ConnectionError('The answer ended before its result.');
}
