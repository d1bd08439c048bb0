// Makes a template available: loads its file when it is there and still fits, or has it built (provision.ts, loaded only then).

import { isImageCurrent } from '../image/specs.ts';
import { findImage } from '../image/store.ts';
import { builderId } from './builder.ts';
import { OffshootError } from './errors.ts';
import { templatePath } from './home.ts';
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
  const { buildMissing } = await import('./provision.ts');
  return buildMissing(host, spec, builderId(), onProgress, () => (rebuild ? null : tryLoad(host, spec, () => {})));
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
