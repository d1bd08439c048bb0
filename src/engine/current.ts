// Whether a template file is what its name stands for now: made by this code, on this image, with these modules.

import { currentImage } from '../image/specs.ts';
import { builderId } from './builder.ts';
import { specId, type TemplateSpec } from './spec.ts';
import type { TemplateHeader } from './templatefile.ts';

/** Why a template must be built again, or null. The processor is the worker's business (TemplateHeader.fingerprint). */
export function staleness(home: string, spec: TemplateSpec, header: TemplateHeader): string | null {
  if (header.builder !== builderId()) return 'it was made by another version of Offshoot';
  if (header.specId !== specId(spec)) return 'what it loads has changed';
  return currentImage(spec.image, home)?.id === header.imageId ? null : 'its image has changed';
}
