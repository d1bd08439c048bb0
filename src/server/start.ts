// Starts the service: engine, keys, HTTP; and stops it: no new work, what runs may end until a deadline, then all ends.

import { readFileSync } from 'node:fs';
import pino from 'pino';
import { Engine } from '../engine/engine.ts';
import type { Progress } from '../engine/protocol.ts';
import type { TenantLimits } from '../engine/tenantlimits.ts';
import { Afterwards } from './afterwards.ts';
import { addRoutes, makeApp } from './app.ts';
import { Callers } from './callers.ts';
import { ServiceError } from './errors.ts';
import { isLoopback } from './hosts.ts';
import type { App } from './http.ts';
import { Metrics } from './metrics.ts';
import { Requests } from './requests.ts';
import type { Service } from './service.ts';
import { Sandboxes } from './sandboxes.ts';
import { SettingsError, type Settings } from './settings.ts';
import { loadCompiler } from './validate.ts';

export interface StartInit {
  readonly settings: Settings;
  /** Where images, templates and the use of quotas are. */
  readonly home: string;
  /** Null: no keys. */
  readonly keyFile: string | null;
  readonly logTo?: NodeJS.WritableStream;
}

export interface Running {
  /** Where it listens: http://127.0.0.1:8080. */
  readonly url: string;
  readonly service: Service;
  /** Ends it: what runs has until the deadline, then it is cancelled and answered. */
  stop(drainSeconds?: number): Promise<void>;
}

const STOP_MS = 3000;
const LOOK_MS = 20;

/** Resolves when it listens; templates are loaded meanwhile (/v1/ready). Throws SettingsError, KeyFileError, OffshootError. */
export async function startService({ settings, home, keyFile, logTo = process.stderr }: StartInit): Promise<Running> {
  if (keyFile === null && !isLoopback(settings.host)) {
    throw new SettingsError(`Without keys the service listens on this machine only, not on ${settings.host}: make one with "offshoot keys create".`);
  }
  const log = pino({ level: settings.log_level }, logTo);
  const app = makeApp(settings, log);
  const callers = await Callers.open({ settings, keyFile, usageDirectory: `${home}/quota`, warn: (problem) => log.warn(problem) });
  const builders = new Set<(progress: Progress) => void>();
  const engine = await Engine.open({
    home, onProgress: (progress) => builders.forEach((hear) => hear(progress)),
    ...(settings.workers > 0 ? { workers: settings.workers } : {}), ...(settings.processes > 0 ? { processes: settings.processes } : {}),
    tenantLimits: tenantLimits(settings),
  });
  const sandboxes = new Sandboxes();
  callers.onGone = (tenant) => sandboxes.endAll(tenant);
  const service: Service = {
    engine, settings, callers, builders, log, afterwards: new Afterwards(), version: version(), startedMs: performance.now(),
    loading: new Map(), isStopping: false,
    sandboxes, requests: new Requests(settings.stall_seconds * 1000), metrics: new Metrics(() => ({ ...engine.stats(), statefulSandboxes: sandboxes.size })),
  };
  try {
    await addRoutes(app, service);
    const url = await listen(app, settings);
    void Promise.all(settings.templates.map((name) => load(service, name))).then(() => loadCompiler());
    log.info({ url, home, keys: keyFile }, keyFile === null
      ? `listening on ${url}; there is no key file: everybody on this machine may use it, nobody else` : `listening on ${url}; keys are needed`);
    return { url, service, stop: once((seconds = settings.drain_seconds) => shutDown(app, service, seconds)) };
  } catch (error) {
    service.requests.stop();
    await callers.close();
    await engine.close();
    throw error;
  }
}

const LISTEN: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there', EACCES: 'this user may not',
  EADDRNOTAVAIL: 'this machine does not have that address', ENOTFOUND: 'this machine does not have that address',
};

async function listen(app: App, { host, port }: Settings): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = LISTEN[code ?? ''];
    if (why === undefined) throw error;
    throw new SettingsError(`The service cannot listen on ${host} port ${port}: ${why}.`);
  }
}

async function load({ engine, loading, log, builders }: Service, name: string): Promise<void> {
  let phase = '';
  const hear = (progress: Progress): void => {
    if (progress.phase !== phase) log.info({ template: name }, progress.message);
    phase = progress.phase;
  };
  loading.set(name, 'loading');
  builders.add(hear);
  try {
    await engine.template(name);
    loading.set(name, 'ready');
  } catch (error) {
    loading.set(name, 'failed: see the log');
    log.error({ template: name, err: error }, 'a template could not be loaded');
  } finally {
    builders.delete(hear);
  }
}

async function shutDown(app: App, service: Service, drainSeconds: number): Promise<void> {
  service.isStopping = true;
  service.log.info({ seconds: drainSeconds }, 'stopping: what runs may end');
  const closed = app.close();
  await allAnswered(service, drainSeconds * 1000);
  service.requests.abort(new ServiceError('stopping', 'The service is stopping.'));
  await allAnswered(service, STOP_MS);
  app.server.closeAllConnections();
  await closed;
  service.requests.stop();
  await service.callers.close();
  await service.engine.close();
  service.afterwards.flush();
}

/** Until no request is open, or the time is over. Connections without one may stay open for ever: their ends are not waited for. */
async function allAnswered(service: Service, ms: number): Promise<void> {
  for (const end = performance.now() + ms; service.requests.size > 0 && performance.now() < end;) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
}

function once<A>(run: (arg?: A) => Promise<void>): (arg?: A) => Promise<void> {
  let done: Promise<void> | null = null;
  return (arg) => (done ??= run(arg));
}

function version(): string {
  return (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version;
}

/** Each key is a tenant; 0: no limit. */
function tenantLimits(settings: Settings): Partial<TenantLimits> {
  const mb = (size: number): number => size * 2 ** 20;
  const limits = {
    cpus: settings.cpus, memoryBytes: mb(settings.memory_mb_per_key), diskBytes: mb(settings.disk_mb_per_key), inodes: settings.inodes_per_key,
    processes: settings.processes_per_key, files: settings.files_per_key, outputBytes: mb(settings.output_mb_per_key),
    kernelMemoryBytes: mb(settings.kernel_memory_mb_per_key), timeoutMs: Math.ceil(settings.timeout_seconds_per_key * 1000),
  };
  return Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit > 0));
}
