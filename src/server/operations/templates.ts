// Templates: which there are, building one, removing one.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BuildEvent, TemplateDetails, TemplateInfo, TemplateRequest } from '../../api/template.ts';
import type { Engine } from '../../engine/engine.ts';
import { OffshootError } from '../../engine/errors.ts';
import type { Progress } from '../../engine/protocol.ts';
import { listTemplates, templateEntry, type TemplateEntry } from '../../engine/usage.ts';
import { requireSpec, type TemplateRecipe } from '../../engine/userspec.ts';
import type { Caller } from '../callers.ts';
import { ServiceError } from '../errors.ts';
import type { Service } from '../service.ts';

const building = new WeakMap<Service, Set<string>>();

export function templates({ engine }: Service): TemplateInfo[] {
  return listTemplates(engine.home).map(info);
}

/** Throws OffshootError 'template-unknown'. */
export function template({ engine }: Service, name: string): TemplateDetails {
  const { packages, ...spec } = requireSpec(engine.home, name).image;
  const entry = templateEntry(engine.home, name);
  const { header } = entry;
  return {
    ...info(entry), packages: spec.from === 'debian' ? [...packages] : [], modules: [...header?.about.modules ?? []], preload: [...entry.spec?.preload ?? []],
    env: { ...header?.env ?? entry.spec?.env }, memory_limit_bytes: header?.memoryLimitBytes ?? 0, build_ms: header?.about.buildMs ?? null,
  };
}

function info({ name, builtIn, spec, header, problem, sizeBytes }: TemplateEntry): TemplateInfo {
  return { name, built_in: builtIn, size_bytes: sizeBytes, built_at: header?.createdAt ?? null, image: spec?.image.name ?? null, problem };
}

/** Builds and replaces it; what was there stays when that fails. Throws ServiceError, OffshootError. */
export async function buildTemplate(
  service: Service, caller: Caller, request: TemplateRequest, onLog: (event: BuildEvent) => void,
): Promise<TemplateDetails> {
  mustBeAdmin(caller, 'build templates');
  const { name } = request;
  const busy = building.get(service) ?? new Set();
  building.set(service, busy);
  if (busy.has(name)) throw new ServiceError('conflict', `Template "${name}" is being built by another request.`);
  const hear = ({ phase, message, done, total }: Progress): void => onLog({ type: 'log', phase, message, done, total });
  busy.add(name);
  service.builders.add(hear);
  try {
    await withFiles(service.engine, request, (recipe) => service.engine.build(name, recipe));
    return template(service, name);
  } finally {
    service.builders.delete(hear);
    busy.delete(name);
  }
}

/** A recipe names files: the setup is read once, the requirements are kept, because the template may have to be built again. */
async function withFiles({ home }: Engine, request: TemplateRequest, build: (recipe: TemplateRecipe | undefined) => Promise<unknown>): Promise<void> {
  const { name, packages, requirements, preload, setup, env, memory_mb: memory } = request;
  if (Object.keys(request).length === 1) return void await build(undefined);
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-build-'));
  const file = (path: string, text: string): string => {
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const kept = join(home, 'templates', `${name}.requirements`);
  const before = existsSync(kept) ? readFileSync(kept, 'utf8') : null;
  try {
    await build({
      ...(packages ? { packages } : {}), ...(preload ? { preload } : {}), ...(env ? { env } : {}),
      ...(memory === undefined ? {} : { memoryBytes: Math.round(memory * 2 ** 20) }),
      ...(requirements === undefined ? {} : { requirements: file(kept, requirements) }),
      ...(setup === undefined ? {} : { setup: file(join(dir, 'setup.py'), setup) }),
    });
  } catch (error) {
    if (requirements !== undefined && before !== null) file(kept, before);
    else if (requirements !== undefined) rmSync(kept, { force: true });
    throw error instanceof OffshootError ? new OffshootError(error.code, error.message.replaceAll(kept, 'the requirements'), error.errno) : error;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Throws ServiceError, OffshootError 'template-unknown'. */
export function removeTemplate(service: Service, caller: Caller, name: string): void {
  mustBeAdmin(caller, 'remove templates');
  requireSpec(service.engine.home, name);
  if (building.get(service)?.has(name)) throw new ServiceError('conflict', `Template "${name}" is being built.`);
  if (!service.engine.remove(name)) throw new ServiceError('not-found', `Template "${name}" is not built.`);
}

export function mustBeAdmin(caller: Caller, what: string): void {
  if (!caller.isAdmin) throw new ServiceError('forbidden', `This key may not ${what}.`, { hint: 'Use a key made with "offshoot keys create --admin".' });
}
