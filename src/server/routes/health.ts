// /v1/health, /v1/ready, /v1/metrics.

import { Type } from 'typebox';
import { ErrorBody } from '../../api/error.ts';
import { Health, Ready } from '../../api/health.ts';
import { callerOf, type App } from '../http.ts';
import { mustBeAdmin } from '../operations/templates.ts';
import type { Service } from '../service.ts';

export function healthRoutes(app: App, service: Service): void {
  app.get('/v1/health', {
    schema: { summary: 'Whether the service answers', tags: ['service'], security: [], response: { 200: Health } },
  }, async () => ({ status: 'ok' as const, version: service.version, uptime_seconds: Math.round((performance.now() - service.startedMs) / 1000) }));

  app.get('/v1/ready', {
    schema: {
      summary: 'Whether it takes work: 503 while templates are loaded or it stops', tags: ['service'], security: [], response: { 200: Ready, 503: Ready },
    },
  }, async (_request, reply) => {
    const isReady = [...service.loading.values()].every((state) => state === 'ready');
    const status = service.isStopping ? 'stopping' as const : isReady ? 'ready' as const : 'starting' as const;
    return reply.status(status === 'ready' ? 200 : 503).send({ status, templates: Object.fromEntries(service.loading) });
  });
}

export function metricsRoutes(app: App, service: Service): void {
  app.get('/v1/metrics', {
    schema: {
      summary: 'Metrics for Prometheus', description: 'Needs an admin key unless public_metrics is set.', tags: ['service'],
      response: { 200: Type.String(), '4xx': ErrorBody },
    },
  }, async (request, reply) => {
    if (!service.settings.public_metrics) mustBeAdmin(callerOf(request), 'read the metrics');
    service.afterwards.flush();
    return reply.type(service.metrics.contentType).serializer((text: unknown) => text as string).send(await service.metrics.text());
  });
}
