// Makes a template be there, in the builder process: verifies the file, or builds packages → image → byte-compiled modules →
// template, telling the user beforehand. Processes that need the same thing at the same time build it once.

import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { withLock } from '../image/lock.ts';
import { provideImage } from './bake.ts';
import { buildTemplate } from './build.ts';
import { builderId } from './builder.ts';
import { staleness } from './current.ts';
import { LAYOUT_SUFFIX, templatePath, templatesDir } from './home.ts';
import type { KvmHost } from './kvmhost.ts';
import { LoadedTemplate } from './loaded.ts';
import type { Progress } from './protocol.ts';
import type { TemplateSpec } from './spec.ts';
import { TemplateRefused, readHeader, templateKey } from './templatefile.ts';
import { requireSpec } from './userspec.ts';

type OnProgress = (progress: Progress) => void;

/** Verifies the template `name`, or builds it and whatever it needs. Throws OffshootError, ImageError, HostError. */
export async function provision(host: KvmHost, name: string, rebuild: boolean, onProgress: OnProgress): Promise<void> {
  const spec = requireSpec(host.home, name);
  if (!rebuild && isUsable(host, spec, onProgress)) return;
  await withLock(templatesDir(host.home), async () => {
    if (!rebuild && isUsable(host, spec, () => {})) return;
    const image = await provideImage(host, spec.image, onProgress);
    onProgress({ phase: 'template', message: `building template "${spec.name}"`, done: 0, total: 0 });
    const path = templatePath(host.home, spec.name);
    removeLeftovers(host.home);
    buildTemplate(host, spec, image, builderId(), path);
    LoadedTemplate.open(host, path).release(); // verified: nobody has to read it all again
    onProgress({ phase: 'done', message: `template "${spec.name}" is ready`, done: 1, total: 1 });
  }, { onWait: () => onProgress({ phase: 'wait', message: 'waiting for another process that is building', done: 0, total: 0 }) });
}

/** Another build of a template, in a file of its own. Throws OffshootError, ImageError, HostError. */
export async function provisionLayout(host: KvmHost, name: string, path: string, onProgress: OnProgress): Promise<void> {
  const spec = requireSpec(host.home, name);
  await withLock(templatesDir(host.home), async () => {
    const image = await provideImage(host, spec.image, onProgress);
    removeLeftovers(host.home);
    buildTemplate(host, spec, image, builderId(), path);
  });
}

/** The file is there, intact, and made by this code, on this image, for this processor. */
function isUsable(host: KvmHost, spec: TemplateSpec, onProgress: OnProgress): boolean {
  try {
    const path = templatePath(host.home, spec.name);
    const header = readHeader(path, templateKey(host.home));
    const why = header.fingerprint === host.fingerprint ? staleness(host.home, spec, header) : 'it was made on another processor';
    if (why) throw new TemplateRefused(why);
    LoadedTemplate.open(host, path).release();
    return true;
  } catch (error) {
    if (!(error instanceof TemplateRefused)) throw error;
    if (error.message !== 'missing') {
      onProgress({ phase: 'stale', message: `template "${spec.name}" is built again: ${error.message}`, done: 0, total: 0 });
    }
    return false;
  }
}

/** Files of builds that were killed; called with the lock held, so nobody is writing one. A layout is opened right after it is made. */
function removeLeftovers(home: string): void {
  for (const name of readdirSync(templatesDir(home))) {
    const path = `${templatesDir(home)}/${name}`;
    const isOldLayout = (): boolean => Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > LAYOUT_MS_MAX;
    if (name.endsWith('.tmp') || (name.endsWith(LAYOUT_SUFFIX) && isOldLayout())) rmSync(path, { force: true });
  }
  // The home's own files are written without the lock.
  for (const name of readdirSync(home)) {
    const writer = /\.(\d+)\.tmp$/.exec(name)?.[1];
    if (writer !== undefined && !existsSync(`/proc/${writer}`)) rmSync(`${home}/${name}`, { force: true });
  }
}

const LAYOUT_MS_MAX = 600_000;
