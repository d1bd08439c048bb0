// Sandboxes that stay: made, found, extended, ended, forked.

import type { SandboxDetails, SandboxInfo, SandboxList, SandboxPatch, SandboxQuery, SandboxRequest } from '../../api/sandbox.ts';
import type { Caller } from '../callers.ts';
import { ServiceError } from '../errors.ts';
import type { Entry, Lifetime } from '../sandboxes.ts';
import type { Service } from '../service.ts';
import { memoryOf, runInit, within } from './run.ts';

const PAGE = 100;

/** Throws ServiceError, OffshootError. */
export async function createSandbox(service: Service, caller: Caller, request: SandboxRequest): Promise<SandboxInfo> {
  const { settings, sandboxes, engine } = service;
  const { timeoutMs: _timeout, outputBytes: _output, ...limits } = runInit({ ...request, stdin: undefined }, settings);
  const lifetime = lifetimeOf(service, request, { idleSeconds: settings.idle_seconds, lifetimeSeconds: settings.lifetime_seconds });
  const done = sandboxes.reserve(caller.tenant, 1, caller.sandboxesMax);
  try {
    const template = await engine.template(request.template ?? 'python');
    const box = await template.fork({ stateful: true, tenant: caller.tenant, ...memoryOf(request, settings), ...limits });
    return infoOf(sandboxes.add(box, caller.tenant, lifetime, { ...request.metadata }));
  } finally {
    done();
  }
}

function lifetimeOf({ settings }: Service, { idle_seconds: idle, lifetime_seconds: lifetime }: SandboxPatch, usual: Lifetime): Lifetime {
  return {
    idleSeconds: within(idle ?? Math.min(usual.idleSeconds, settings.idle_seconds_max), settings.idle_seconds_max, 'idle_seconds'),
    lifetimeSeconds: within(lifetime ?? Math.min(usual.lifetimeSeconds, settings.lifetime_seconds_max), settings.lifetime_seconds_max, 'lifetime_seconds'),
  };
}

export function infoOf(entry: Entry): SandboxInfo {
  const { box, createdMs, usedMs, users, idleSeconds, lifetimeSeconds, metadata } = entry;
  return {
    id: box.id, template: box.template, created_at: time(createdMs), expires_at: time(createdMs + lifetimeSeconds * 1000),
    idle_at: users > 0 ? null : time(usedMs + idleSeconds * 1000), idle_seconds: idleSeconds, lifetime_seconds: lifetimeSeconds, metadata,
  };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

/** The caller's own, oldest first. A cursor names the last of the page before. */
export function listSandboxes({ sandboxes }: Service, { tenant }: Caller, { template, metadata, limit = PAGE, cursor }: SandboxQuery): SandboxList {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(metadata ?? '') ?? [];
  if (metadata !== undefined && name === undefined) throw new ServiceError('invalid', 'metadata must be NAME=VALUE.');
  const [, afterMs = '0', afterId = ''] = /^(\d+)\.(.+)$/.exec(cursor ?? '') ?? [];
  if (cursor !== undefined && afterId === '') throw new ServiceError('invalid', 'cursor must be the next_cursor of a page before.');
  const isAfter = ({ createdMs, box }: Entry): boolean => createdMs > Number(afterMs) || (createdMs === Number(afterMs) && box.id > afterId);
  const all = sandboxes.of(tenant)
    .filter((entry) => (template === undefined || entry.box.template === template) && (name === undefined || entry.metadata[name] === value) && isAfter(entry))
    .sort((a, b) => a.createdMs - b.createdMs || (a.box.id < b.box.id ? -1 : 1));
  const page = all.slice(0, limit);
  const last = page.at(-1);
  return { sandboxes: page.map(infoOf), next_cursor: last && all.length > limit ? `${last.createdMs}.${last.box.id}` : null };
}

/** With what it uses now. Looking at it is no use of it. */
export async function sandboxDetails({ sandboxes }: Service, { tenant }: Caller, id: string): Promise<SandboxDetails> {
  const entry = sandboxes.get(tenant, id);
  const stats = await entry.box.stats();
  return {
    ...infoOf(entry), memory_bytes: stats.memoryBytes, disk_bytes: stats.diskBytes, kernel_memory_bytes: stats.kernelMemoryBytes,
    processes: stats.processes, threads: stats.threads,
    cpu_time_ms: stats.cpuTimeMs, syscalls: stats.syscalls, contexts: entry.box.contexts(),
  };
}

/** Other lifetimes: `idle_seconds` from now on, `lifetime_seconds` from its creation. */
export async function changeSandbox(service: Service, { tenant }: Caller, id: string, patch: SandboxPatch): Promise<SandboxInfo> {
  const entry = service.sandboxes.get(tenant, id);
  Object.assign(entry, lifetimeOf(service, patch, entry), { usedMs: Date.now() });
  if (patch.metadata) entry.metadata = { ...patch.metadata };
  service.sandboxes.schedule(entry);
  return infoOf(service.sandboxes.get(tenant, id));
}

export function endSandbox({ sandboxes }: Service, { tenant }: Caller, id: string): void {
  sandboxes.end(sandboxes.get(tenant, id), 'it was deleted.');
}

/** Copies of a running sandbox: each with its own lifetime, which begins now. */
export async function forkSandbox({ sandboxes }: Service, caller: Caller, id: string, count: number): Promise<SandboxInfo[]> {
  return sandboxes.use(caller.tenant, id, async ({ box, idleSeconds, lifetimeSeconds, metadata }) => {
    const done = sandboxes.reserve(caller.tenant, count, caller.sandboxesMax);
    try {
      const copies = await box.fork(count);
      return copies.map((copy) => infoOf(sandboxes.add(copy, caller.tenant, { idleSeconds, lifetimeSeconds }, { ...metadata })));
    } finally {
      done();
    }
  });
}
