// POST /v1/exec, /v1/exec/batch.

import { BatchRequest, BatchResult, ExecRequest, ExecResult, type ExecEvent } from '../../api/exec.ts';
import { ErrorBody } from '../../api/error.ts';
import { callerOf, interruption, type App } from '../http.ts';
import { errorOf, exec, execBatch } from '../operations/exec.ts';
import type { Service } from '../service.ts';
import { answerWith, EventStream, streamFormat } from '../stream.ts';

const STREAMS = 'With `Accept: application/x-ndjson` or `text/event-stream`, events as they happen (ExecEvent).';

export function execRoutes(app: App, service: Service): void {
  const stallMs = service.settings.stall_seconds * 1000;

  app.post('/v1/exec', {
    schema: {
      summary: 'Run a program in a sandbox of its own', description: STREAMS, tags: ['exec'], body: ExecRequest,
      response: { 200: ExecResult, '4xx': ErrorBody, '5xx': ErrorBody },
    },
  }, async (request, reply) => {
    const signal = interruption(request);
    const format = streamFormat(request);
    if (format === null) return exec(service, callerOf(request), request.body, { signal });
    const stream = new EventStream(reply, format, stallMs);
    return answerWith(reply, stream, async () => {
      const result = await exec(service, callerOf(request), request.body, { signal, onOutput: (name, bytes) => stream.output(name, bytes) });
      return { type: 'result', result } satisfies ExecEvent;
    }, (error) => errorOf(service, error));
  });

  app.post('/v1/exec/batch', {
    schema: {
      summary: 'Run many programs, each in a sandbox of its own', description: `${STREAMS} Results come in the order in which they end.`, tags: ['exec'],
      body: BatchRequest, response: { 200: BatchResult, '4xx': ErrorBody, '5xx': ErrorBody },
    },
  }, async (request, reply) => {
    const signal = interruption(request);
    const format = streamFormat(request);
    if (format === null) return { results: await execBatch(service, callerOf(request), request.body, signal) };
    const stream = new EventStream(reply, format, stallMs);
    try {
      await execBatch(service, callerOf(request), request.body, signal, (index, result) =>
        stream.send('code' in result ? { type: 'error', index, error: result } as ExecEvent : { type: 'result', index, result } as ExecEvent));
    } finally {
      stream.end();
    }
    return reply;
  });
}
