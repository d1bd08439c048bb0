// /v1/templates: list, inspect, build, delete.

import { Type } from 'typebox';
import { ErrorBody } from '../../api/error.ts';
import { TemplateDetails, TemplateList, TemplateName, TemplateRequest } from '../../api/template.ts';
import { callerOf, type App } from '../http.ts';
import { errorOf } from '../operations/exec.ts';
import { buildTemplate, removeTemplate, template, templates } from '../operations/templates.ts';
import type { Service } from '../service.ts';
import { answerWith, EventStream, streamFormat } from '../stream.ts';

const ERRORS = { '4xx': ErrorBody, '5xx': ErrorBody };

export function templateRoutes(app: App, service: Service): void {
  app.get('/v1/templates', { schema: { summary: 'List templates', tags: ['templates'], response: { 200: TemplateList, ...ERRORS } } },
    async () => ({ templates: templates(service) }));

  app.get('/v1/templates/:name', {
    schema: { summary: 'Inspect a template', tags: ['templates'], params: TemplateName, response: { 200: TemplateDetails, ...ERRORS } },
  }, async (request) => template(service, request.params.name));

  app.post('/v1/templates', {
    schema: {
      summary: 'Build a template, or build it again', tags: ['templates'], body: TemplateRequest, response: { 201: TemplateDetails, ...ERRORS },
      description: 'Needs an admin key. With `Accept: application/x-ndjson` or `text/event-stream`, the log as it happens (BuildEvent). '
        + 'With a name alone it is built as before. Goes on when the client disconnects.',
    },
  }, async (request, reply) => {
    const format = streamFormat(request);
    if (format === null) {
      const built = await buildTemplate(service, callerOf(request), request.body, () => {});
      return reply.status(201).send(built);
    }
    const stream = new EventStream(reply, format, service.settings.stall_seconds * 1000);
    return answerWith(reply, stream, async () => {
      const template = await buildTemplate(service, callerOf(request), request.body, (event) => void stream.send(event));
      return { type: 'result', template };
    }, (error) => errorOf(service, error));
  });

  app.delete('/v1/templates/:name', {
    schema: {
      summary: 'Remove a template', description: 'Needs an admin key.', tags: ['templates'], params: TemplateName, response: { 204: Type.Null(), ...ERRORS },
    },
  }, async (request, reply) => {
    removeTemplate(service, callerOf(request), request.params.name);
    return reply.status(204).send(null);
  });
}
