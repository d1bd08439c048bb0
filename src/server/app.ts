// The HTTP side: limits of connections and requests, who calls, validation, errors, logs, OpenAPI; the routes are in routes/.

import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import cors from '@fastify/cors';
import swagger from '@fastify/swagger';
import fastify, { type FastifyError, type FastifyReply, type FastifyRequest } from 'fastify';
import { jsonParser } from './body.ts';
import { ServiceError, told } from './errors.ts';
import { checkOrigin, hostCheck } from './hosts.ts';
import type { App, TypeBox } from './http.ts';
import type { Metrics } from './metrics.ts';
import type { OpenRequest } from './requests.ts';
import { commandRoutes } from './routes/commands.ts';
import { docsRoutes } from './routes/docs.ts';
import { execRoutes } from './routes/exec.ts';
import { fileRoutes } from './routes/files.ts';
import { healthRoutes, metricsRoutes } from './routes/health.ts';
import { sandboxRoutes } from './routes/sandboxes.ts';
import { templateRoutes } from './routes/templates.ts';
import type { Log, Service } from './service.ts';
import type { Settings } from './settings.ts';
import { validatorOf, whenValidating } from './validate.ts';

const HEADERS_MS = 10_000;
const KEEP_ALIVE_MS = 65_000;
/** Uploads of files are as long as it takes; other bodies have `stall_seconds`. */
const REQUEST_MS = 3_600_000;
const PATH_MAX = 4096;

/** Makes the server without its routes and without the service. */
export function makeApp(settings: Settings, log: Log): App {
  const app = fastify({
    logger: false, trustProxy: settings.trust_proxy,
    genReqId: () => randomUUID(), requestTimeout: REQUEST_MS, keepAliveTimeout: KEEP_ALIVE_MS, return503OnClosing: false, forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: PATH_MAX },
    http: { headersTimeout: HEADERS_MS, maxHeaderSize: 16 << 10, connectionsCheckingInterval: 1000 },
    frameworkErrors: (error, request, reply) => void answerError({ log, metrics: null }, error, request, reply),
    clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket) => refuseClient(error, socket),
  });
  app.server.maxConnections = settings.connections_max;
  // Lines name their request themselves: to a logger the framework would make a child for each, and add listeners. What it finds wrong with us is told.
  Object.assign(app.log, { warn: log.warn.bind(log), error: log.error.bind(log), fatal: log.error.bind(log) });
  return app.withTypeProvider<TypeBox>();
}

/** Adds everything that answers. What happens at each request is callbacks: promises of hooks that have nothing to wait for cost a tenth of a run. */
export async function addRoutes(app: App, service: Service): Promise<void> {
  const { settings } = service;
  const checkHost = hostCheck(settings);
  app.setValidatorCompiler(validatorOf);
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  addParsers(app, Math.floor(settings.body_mb_max * 2 ** 20));
  app.decorateRequest('caller', null);
  app.decorateRequest('open', null);
  service.requests.onStalled = (open) => refuseStalled(service, open);
  service.requests.onClosed = (open) => {
    const ms = performance.now() - open.begunMs;
    service.afterwards.add(() => logRequest(service, open, ms));
  };
  app.addHook('onRequest', (request, reply, done) => {
    request.open = service.requests.add(request, reply);
    void reply.header('x-request-id', request.id);
    checkHost(request.headers.host);
    checkOrigin(settings, request.headers.origin, request.headers.host);
    done();
  });
  app.setErrorHandler((error: FastifyError, request, reply) => answerError(service, error, request, reply));
  app.setNotFoundHandler((request, reply) => answerError(service, new ServiceError('not-found', 'There is nothing at this address.'), request, reply));
  if (settings.allowed_origins.length > 0) {
    await app.register(cors, { origin: [...settings.allowed_origins], exposedHeaders: ['retry-after', 'x-request-id'], maxAge: 600 });
  }
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0', info: { title: 'Offshoot', version: service.version, description: 'Runs code in virtual machines that fork.' },
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } }, security: [{ key: [] }],
    },
  });
  healthRoutes(app, service);
  docsRoutes(app);
  if (settings.public_metrics) metricsRoutes(app, service);
  await app.register(async (keyed: App) => keyedRoutes(keyed, service));
}

/** Addresses that need a key, where there are keys. */
function keyedRoutes(app: App, service: Service): void {
  app.addHook('onRequest', (request, _reply, done) => {
    if (service.isStopping) throw new ServiceError('stopping', 'The service is stopping.', { retryAfterSeconds: 2 });
    request.caller = service.callers.identify(request.headers.authorization);
    request.caller.allowance.count(1);
    whenValidating(done);
  });
  execRoutes(app, service);
  sandboxRoutes(app, service);
  commandRoutes(app, service);
  fileRoutes(app, service);
  templateRoutes(app, service);
  if (!service.settings.public_metrics) metricsRoutes(app, service);
}

function addParsers(app: App, bytesMax: number): void {
  const json = jsonParser(app, bytesMax);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', json);
  for (const type of ['application/octet-stream', 'application/x-tar']) app.addContentTypeParser(type, (_request, _payload, done) => done(null));
}

/** A body that does not come in time is answered, and its connection closed. */
function refuseStalled(service: Service, { request, reply }: OpenRequest): void {
  reply.raw.once('finish', () => request.raw.socket.destroySoon());
  answerError(service, new ServiceError('request-timeout', 'The request did not come in time.'), request, reply.header('connection', 'close'));
}

/** What hears of errors; before there is a service nobody counts them. */
interface Hearers { readonly log: Log; readonly metrics: Metrics | null }

function answerError({ log, metrics }: Hearers, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, body, retryAfterSeconds, isOurs } = told(error);
  metrics?.noteError(body.code);
  if (isOurs) log.error({ reqId: request.id, err: error, code: body.code }, 'a request could not be served');
  if (reply.raw.headersSent) {
    reply.raw.destroy();
    return reply;
  }
  if (status === 401) void reply.header('www-authenticate', 'Bearer');
  if (retryAfterSeconds !== undefined) void reply.header('retry-after', String(retryAfterSeconds));
  return reply.status(status).type('application/json; charset=utf-8').send(JSON.stringify(body));
}

/** Bytes that are no HTTP, or came too slowly: answered without the framework. */
function refuseClient(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const statusCode = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
  const { status, body } = told(Object.assign(new Error('malformed HTTP'), { statusCode }));
  const text = JSON.stringify(body);
  socket.end(`HTTP/1.1 ${status} Error\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`);
}

function logRequest({ metrics, log }: Service, { request, reply, from }: OpenRequest, ms: number): void {
  const { url: route = 'none' } = request.is404 ? {} : request.routeOptions;
  metrics.noteRequest(`${request.method} ${route}`, reply.statusCode, ms / 1000);
  log.info({
    reqId: request.id, method: request.method, path: request.url.split('?', 1)[0], status: reply.statusCode,
    ms: Math.round(ms * 10) / 10, caller: request.caller?.name, from, ...(reply.raw.writableFinished ? {} : { aborted: true }),
  }, 'request');
}
