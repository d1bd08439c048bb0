// /v1/openapi.json, and a page that shows it.

import type { App } from '../http.ts';
import { DOCS_PAGE } from '../docspage.ts';

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";

export function docsRoutes(app: App): void {
  app.get('/v1/openapi.json', { schema: { hide: true } }, async () => app.swagger());
  app.get('/docs', { schema: { hide: true } }, async (_request, reply) =>
    reply.type('text/html; charset=utf-8').header('content-security-policy', POLICY)
      .serializer((text: unknown) => text as string).send(DOCS_PAGE));
}
