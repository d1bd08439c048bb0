// Makes a template available: loads its file, or builds what is missing first (packages → image → byte-compiled modules →
// template), telling the user beforehand. Processes that need the same thing at the same time build it once.

import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { ensureImage, isImageCurrent, planImage } from '../image/images.ts';
import { withLock } from '../image/lock.ts';
import { findImage, openImage, type Image } from '../image/store.ts';
import { bakeImage } from './bake.ts';
import { buildTemplate } from './build.ts';
import { OffshootError } from './errors.ts';
import { templatePath, templatesDir } from './home.ts';
import type { KvmHost } from './kvmhost.ts';
import { LoadedTemplate } from './loaded.ts';
import type { Progress } from './protocol.ts';
import { templateNames, templateSpec, type TemplateSpec } from './spec.ts';
import { TemplateRefused, readHeader, templateKey } from './templatefile.ts';

type OnProgress = (progress: Progress) => void;

/** Loads the template `name`, building what is missing. Throws OffshootError, ImageError, HostError. */
export async function provideTemplate(host: KvmHost, name: string, rebuild: boolean, onProgress: OnProgress): Promise<LoadedTemplate> {
  const spec = templateSpec(name);
  if (!spec) {
    throw new OffshootError('template-unknown', `Unknown template "${name}": there is ${templateNames().map((known) => `"${known}"`).join(', ')}.`);
  }
  if (!rebuild) {
    const ready = tryLoad(host, spec, onProgress);
    if (ready) return ready;
  }
  return withLock(templatesDir(host.home), async () => {
    const other = rebuild ? null : tryLoad(host, spec, () => {});
    if (other) return other;
    const image = await provideImage(host, spec, onProgress);
    onProgress({ phase: 'template', message: `building template "${name}"`, done: 0, total: 0 });
    const path = templatePath(host.home, name);
    removeLeftovers(host.home);
    buildTemplate(host, spec, image, builderId(), path);
    onProgress({ phase: 'done', message: `template "${name}" is ready`, done: 1, total: 1 });
    return LoadedTemplate.open(host, path);
  }, {});
}

/** Files of builds that were killed; called with the lock held, so nobody is writing one. */
function removeLeftovers(home: string): void {
  for (const name of readdirSync(templatesDir(home))) {
    if (name.endsWith('.tmp')) rmSync(`${templatesDir(home)}/${name}`, { force: true });
  }
}

/** The template if its file is there, intact and made by this code, on this image, for this processor; else null. */
function tryLoad(host: KvmHost, spec: TemplateSpec, onProgress: OnProgress): LoadedTemplate | null {
  const path = templatePath(host.home, spec.name);
  try {
    const header = readHeader(path, templateKey(host.home));
    const why = staleness(host, spec, header);
    if (why) throw new TemplateRefused(why);
    return LoadedTemplate.open(host, path);
  } catch (error) {
    if (!(error instanceof TemplateRefused)) throw error;
    if (error.message !== 'missing') {
      onProgress({ phase: 'stale', message: `template "${spec.name}" is built again: ${error.message}`, done: 0, total: 0 });
    }
    return null;
  }
}

function staleness(host: KvmHost, spec: TemplateSpec, header: ReturnType<typeof readHeader>): string | null {
  if (header.fingerprint !== host.fingerprint) return 'it was made on another processor';
  if (header.builder !== builderId()) return 'it was made by another version of Offshoot';
  if (JSON.stringify(header.preload) !== JSON.stringify(spec.preload)) return 'what it loads has changed';
  if (!isImageCurrent(spec.image, host.home) || findImage(host.home, spec.image)?.id !== header.imageId) return 'its image has changed';
  return null;
}

async function provideImage(host: KvmHost, spec: TemplateSpec, onProgress: OnProgress): Promise<Image> {
  const plan = planImage(spec.image, host.home);
  if (!plan.built) onProgress({ phase: 'plan', message: plan.message, done: 0, total: 0 });
  const image = await ensureImage(spec.image, { home: host.home, onProgress });
  const ref = findImage(host.home, spec.image);
  if (ref?.source.startsWith('extends')) return openImage(host.home, ref.id);
  onProgress({ phase: 'compile', message: 'byte-compiling Python modules in a sandbox', done: 0, total: 0 });
  return bakeImage(host, image, spec.image);
}

let builder: string | null = null;

/** Identifies the code that shapes a template's state: a hash over our own kernel, machine and agent. */
function builderId(): string {
  if (builder) return builder;
  const hash = createHash('sha256');
  const root = new URL('..', import.meta.url);
  for (const folder of ['abi', 'guest', 'kernel', 'vmm']) {
    const base = new URL(`${folder}/`, root);
    for (const name of readdirSync(base, { recursive: true, encoding: 'utf8' }).sort()) {
      if (/\.(ts|js|py)$/.test(name) && !name.endsWith('.d.ts')) hash.update(name).update(readFileSync(new URL(name, base)));
    }
  }
  builder = hash.digest('hex').slice(0, 32);
  return builder;
}
