// Whether a template file is what its name stands for now: made by this code, on this image, with these modules.

import { isImageCurrent } from '../image/specs.ts';
import { findImage } from '../image/store.ts';
import { builderId } from './builder.ts';
import { OffshootError } from './errors.ts';
import { templateNames, templateSpec, type TemplateSpec } from './spec.ts';
import type { TemplateHeader } from './templatefile.ts';

/** The spec called `name`. Throws OffshootError template-unknown. */
export function specOf(name: string): TemplateSpec {
  const spec = templateSpec(name);
  if (spec) return spec;
  throw new OffshootError('template-unknown', `Unknown template "${name}": there is ${templateNames().map((known) => `"${known}"`).join(', ')}.`);
}

/** Why a template must be built again, or null. The processor is the worker's business (TemplateHeader.fingerprint). */
export function staleness(home: string, spec: TemplateSpec, header: TemplateHeader): string | null {
  if (header.builder !== builderId()) return 'it was made by another version of Offshoot';
  if (JSON.stringify(header.preload) !== JSON.stringify(spec.preload)) return 'what it loads has changed';
  if (!isImageCurrent(spec.image, home) || findImage(home, spec.image)?.id !== header.imageId) return 'its image has changed';
  return null;
}
