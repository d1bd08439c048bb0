// /v1/sandboxes: create, list, get, change, delete, fork.

import { Type } from 'typebox';
import { ErrorBody } from '../../api/error.ts';
import {
  ForkRequest, ForkResult, SandboxDetails, SandboxId, SandboxInfo, SandboxList, SandboxPatch, SandboxQuery, SandboxRequest,
} from '../../api/sandbox.ts';
import { callerOf, type App } from '../http.ts';
import { changeSandbox, createSandbox, endSandbox, forkSandbox, listSandboxes, sandboxDetails } from '../operations/sandboxes.ts';
import type { Service } from '../service.ts';

const tags = ['sandboxes'];
const ERRORS = { '4xx': ErrorBody, '5xx': ErrorBody };

export function sandboxRoutes(app: App, service: Service): void {
  app.post('/v1/sandboxes', {
    schema: { summary: 'Make a sandbox that stays', tags, body: SandboxRequest, response: { 201: SandboxInfo, ...ERRORS } },
  }, async (request, reply) => {
    const made = await createSandbox(service, callerOf(request), request.body);
    return reply.status(201).header('location', `/v1/sandboxes/${made.id}`).send(made);
  });

  app.get('/v1/sandboxes', {
    schema: { summary: 'List sandboxes of this key, oldest first', tags, querystring: SandboxQuery, response: { 200: SandboxList, ...ERRORS } },
  }, async (request) => listSandboxes(service, callerOf(request), request.query));

  app.get('/v1/sandboxes/:id', {
    schema: { summary: 'What a sandbox is and uses; no use of it', tags, params: SandboxId, response: { 200: SandboxDetails, ...ERRORS } },
  }, async (request) => sandboxDetails(service, callerOf(request), request.params.id));

  app.patch('/v1/sandboxes/:id', {
    schema: {
      summary: 'Change its lifetimes or metadata', tags, params: SandboxId, body: SandboxPatch, response: { 200: SandboxInfo, ...ERRORS },
      description: '`lifetime_seconds` counts from its creation.',
    },
  }, async (request) => changeSandbox(service, callerOf(request), request.params.id, request.body));

  app.delete('/v1/sandboxes/:id', {
    schema: { summary: 'End a sandbox with all that runs in it', tags, params: SandboxId, response: { 204: Type.Null(), ...ERRORS } },
  }, async (request, reply) => {
    endSandbox(service, callerOf(request), request.params.id);
    return reply.status(204).send(null);
  });

  app.post('/v1/sandboxes/:id/fork', {
    schema: {
      summary: 'Copies of a sandbox as it is now: files, processes, variables', tags, params: SandboxId, body: ForkRequest,
      response: { 201: ForkResult, ...ERRORS },
    },
  }, async (request, reply) => {
    const sandboxes = await forkSandbox(service, callerOf(request), request.params.id, request.body.count ?? 1);
    return reply.status(201).send({ sandboxes });
  });
}
