// Builds what a template needs and is not there: packages → image → byte-compiled modules → template, telling the user
// beforehand. Processes that need the same thing at the same time build it once.

import { readdirSync, rmSync } from 'node:fs';
import { ensureImage, planImage } from '../image/images.ts';
import { withLock } from '../image/lock.ts';
import { findImage, openImage, type Image } from '../image/store.ts';
import { bakeImage } from './bake.ts';
import { buildTemplate } from './build.ts';
import { templatePath, templatesDir } from './home.ts';
import type { KvmHost } from './kvmhost.ts';
import { LoadedTemplate } from './loaded.ts';
import type { Progress } from './protocol.ts';
import type { TemplateSpec } from './spec.ts';

type OnProgress = (progress: Progress) => void;

/** Builds the template and whatever it needs, unless `look` finds that another process has just done so. */
export function buildMissing(
  host: KvmHost, spec: TemplateSpec, builder: string, onProgress: OnProgress, look: () => LoadedTemplate | null,
): Promise<LoadedTemplate> {
  return withLock(templatesDir(host.home), async () => {
    const other = look();
    if (other) return other;
    const image = await provideImage(host, spec, onProgress);
    onProgress({ phase: 'template', message: `building template "${spec.name}"`, done: 0, total: 0 });
    const path = templatePath(host.home, spec.name);
    removeLeftovers(host.home);
    buildTemplate(host, spec, image, builder, path);
    onProgress({ phase: 'done', message: `template "${spec.name}" is ready`, done: 1, total: 1 });
    return LoadedTemplate.open(host, path);
  }, {});
}

/** Files of builds that were killed; called with the lock held, so nobody is writing one. */
function removeLeftovers(home: string): void {
  for (const name of readdirSync(templatesDir(home))) {
    if (name.endsWith('.tmp')) rmSync(`${templatesDir(home)}/${name}`, { force: true });
  }
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
