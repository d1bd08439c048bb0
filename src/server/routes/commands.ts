// What runs in a sandbox: /v1/sandboxes/ID/run, exec, processes, contexts.

import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { ErrorBody } from '../../api/error.ts';
import {
  CommandRequest, ContextId, ContextInfo, ContextList, ContextRequest, OutputQuery, ProcessId, ProcessInfo, ProcessList, RunRequest, RunResult,
  SandboxId, SignalRequest, SignalResult, StartRequest, StdinRequest,
} from '../../api/sandbox.ts';
import { callerOf, interruption, type App } from '../http.ts';
import {
  closeContext, createContext, findProcess, followProcess, listProcesses, runCode, runCommand, startCommand, type At,
} from '../operations/commands.ts';
import { errorOf, type ExecInit } from '../operations/exec.ts';
import { bytesOf } from '../operations/run.ts';
import type { Service } from '../service.ts';
import { answerWith, EventStream, outputEvent, streamFormat, type StreamFormat } from '../stream.ts';

const tags = ['commands'];
const ERRORS = { '4xx': ErrorBody, '5xx': ErrorBody };
const STREAMS = 'With `Accept: application/x-ndjson` or `text/event-stream`, events as they happen. Ends when the client disconnects.';

export function commandRoutes(app: App, service: Service): void {
  const at = (request: FastifyRequest): At => ({ service, caller: callerOf(request), id: (request.params as { readonly id: string }).id });

  app.post('/v1/sandboxes/:id/run', {
    schema: {
      summary: 'Run Python in an interpreter of the sandbox', description: STREAMS, tags, params: SandboxId, body: RunRequest,
      response: { 200: RunResult, ...ERRORS },
    },
  }, async (request, reply) => answer(service, request, reply, (init) => runCode(at(request), request.body, init)));

  app.post('/v1/sandboxes/:id/exec', {
    schema: {
      summary: 'Run a program and wait for it', description: STREAMS, tags, params: SandboxId, body: CommandRequest,
      response: { 200: RunResult, ...ERRORS },
    },
  }, async (request, reply) => answer(service, request, reply, (init) => runCommand(at(request), request.body, init)));

  backgroundRoutes(app, service, at);

  app.get('/v1/sandboxes/:id/contexts', { schema: { summary: 'List interpreters', tags, params: SandboxId, response: { 200: ContextList, ...ERRORS } } },
    async (request) => ({ contexts: service.sandboxes.get(callerOf(request).tenant, request.params.id).box.contexts() }));

  app.post('/v1/sandboxes/:id/contexts', {
    schema: { summary: 'Make another interpreter', tags, params: SandboxId, body: ContextRequest, response: { 201: ContextInfo, ...ERRORS } },
  }, async (request, reply) => reply.status(201).send({ context: await createContext(at(request), request.body) }));

  app.delete('/v1/sandboxes/:id/contexts/:context', {
    schema: { summary: 'End an interpreter', tags, params: ContextId, response: { 204: Type.Null(), ...ERRORS } },
  }, async (request, reply) => {
    await closeContext(at(request), request.params.context);
    return reply.status(204).send(null);
  });
}

function backgroundRoutes(app: App, service: Service, at: (request: FastifyRequest) => At): void {
  app.post('/v1/sandboxes/:id/processes', {
    schema: { summary: 'Start a program in the background', tags, params: SandboxId, body: StartRequest, response: { 201: ProcessInfo, ...ERRORS } },
  }, async (request, reply) => reply.status(201).send(await startCommand(at(request), request.body)));

  app.get('/v1/sandboxes/:id/processes', {
    schema: {
      summary: 'List background programs: those that run, and the last that ended', tags, params: SandboxId,
      response: { 200: ProcessList, ...ERRORS },
    },
  }, async (request) => ({ processes: listProcesses(at(request)) }));

  app.get('/v1/sandboxes/:id/processes/:pid/output', {
    schema: {
      summary: 'Its output from a position on, and its end', tags, params: ProcessId, querystring: OutputQuery, response: ERRORS,
      description: 'A stream of ProcessEvents, NDJSON unless SSE is asked for. The last megabyte is kept. The program goes on when the client disconnects.',
    },
  }, async (request, reply) => {
    const { stdout = 0, stderr = 0 } = request.query;
    const stream = new EventStream(reply, streamFormat(request) ?? 'ndjson', service.settings.stall_seconds * 1000);
    findProcess(at(request), request.params.pid);
    return streamed(service, reply, stream, async () => followProcess(at(request), request.params.pid, { stdout, stderr }, interruption(request),
      ({ stream: name, bytes, dropped, position }) => stream.send({ ...outputEvent(name, bytes), dropped, position } as { type: string })));
  });

  app.post('/v1/sandboxes/:id/processes/:pid/stdin', {
    schema: { summary: 'Send standard input', tags, params: ProcessId, body: StdinRequest, response: { 204: Type.Null(), ...ERRORS } },
  }, async (request, reply) => {
    const { content, end } = request.body;
    await service.sandboxes.use(callerOf(request).tenant, request.params.id, async () => {
      const { stdin } = findProcess(at(request), request.params.pid);
      if (content !== undefined) await stdin.write(bytesOf(content, 'content'));
      if (end) stdin.end();
    });
    return reply.status(204).send(null);
  });

  app.post('/v1/sandboxes/:id/processes/:pid/signal', {
    schema: { summary: 'Send a signal', tags, params: ProcessId, body: SignalRequest, response: { 200: SignalResult, ...ERRORS } },
  }, async (request) => service.sandboxes.use(callerOf(request).tenant, request.params.id, async () =>
    ({ delivered: await findProcess(at(request), request.params.pid).kill(request.body.signal ?? 'SIGTERM') })));
}

/** One JSON object, or events. */
function answer(service: Service, request: FastifyRequest, reply: FastifyReply, run: (init: ExecInit) => Promise<RunResult>): Promise<RunResult> {
  const signal = interruption(request);
  const format: StreamFormat | null = streamFormat(request);
  if (format === null) return run({ signal });
  const stream = new EventStream(reply, format, service.settings.stall_seconds * 1000);
  return streamed(service, reply, stream, () => run({ signal, onOutput: (name, bytes) => stream.output(name, bytes) })) as Promise<never>;
}

/** Ends the stream with the result, or with what went wrong. */
function streamed(service: Service, reply: FastifyReply, stream: EventStream, run: () => Promise<RunResult>): Promise<FastifyReply> {
  return answerWith(reply, stream, async () => ({ type: 'result', result: await run() }), (error) => errorOf(service, error));
}
