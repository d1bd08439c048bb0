// Builds a template: has its program frozen by a confined process (freezeprocess.ts), and puts a header on what that wrote.

import { readFileSync } from 'node:fs';
import { findImage, type Image } from '../image/store.ts';
import { pythonOf } from './bake.ts';
import { OffshootError } from './errors.ts';
import { freezeConfined } from './freezeclient.ts';
import type { FreezeJob } from './freeze.ts';
import type { KvmHost } from './kvmhost.ts';
import { ENVIRONMENT, USUAL_MODULES, specId, type TemplateSpec } from './spec.ts';
import { templateKey, writeTemplate } from './templatefile.ts';

/** Memory a template may use while it is built. */
const MEMORY_BYTES = 1 << 30;

/**
 * Symbols are bound when a library is loaded: bound at their first call, each would be looked up again in every fork, and a
 * look-up reads some thirty pages all over the libraries. The agent takes the variable out of its environment.
 */
const BUILD_ENVIRONMENT = { LD_BIND_NOW: '1' };

/** Builds `spec` on `image` and writes it to `path`. Throws OffshootError with what the setup printed when it fails. */
export function buildTemplate(host: KvmHost, spec: TemplateSpec, image: Image, builder: string, path: string): void {
  const startMs = performance.now();
  const env = { ...ENVIRONMENT, ...findImage(host.home, spec.image.name)?.env, ...spec.env };
  const python = pythonOf(host.home, image, spec.image.name);
  if (!python && (spec.preload.length > 0 || spec.setup)) {
    throw new OffshootError('template-setup', 'The template could not be built: its image has no python3 in its PATH, which modules and a setup need.');
  }
  const { uid, gid, cwd, memoryBytes, preload, setup } = spec;
  const job: FreezeJob = {
    imageId: image.id, python, env: { ...env, ...BUILD_ENVIRONMENT }, uid, gid, cwd,
    memoryBytes: memoryBytes || MEMORY_BYTES, agent: readFileSync(new URL('../guest/agent.py', import.meta.url), 'utf8'),
    options: { preload, usual: spec.usual ? USUAL_MODULES : [], setup: setup?.filename ?? null }, setup: setup?.source ?? '',
  };
  writeTemplate(path, templateKey(host.home), (fd) => {
    const { importMs, modules, mappings, ...content } = freezeConfined(host.home, job, image, fd);
    return {
      kind: 'linux-user', name: spec.name, imageId: image.id, fingerprint: host.fingerprint, builder,
      createdAt: new Date().toISOString(), specId: specId(spec), env, cwd, memoryLimitBytes: memoryBytes, ...content,
      about: { importMs, modules, mappings, buildMs: Math.round(performance.now() - startMs) },
    };
  });
}
