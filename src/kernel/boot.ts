// A new sandbox: the kernel with its file systems over an image. What comes back from a saved state is made by save.ts.

import { bug } from './bug.ts';
import type { ImageIndex } from './fs/imageindex.ts';
import { buildVfs } from './fs/mounts.ts';
import { syntheticMounts } from './fs/synthetic.ts';
import { Kernel } from './kernel.ts';
import type { KernelOptions } from './kernel.ts';
import { Vdso } from './time/vdso.ts';

export interface BootOptions extends KernelOptions {
  /** The image's tree; `host.blob` serves its contents. */
  readonly index: ImageIndex;
}

/** A kernel with everything but processes. */
export function bootKernel(options: BootOptions): Kernel {
  const kernel = new Kernel(options);
  kernel.vfs = buildVfs(kernel, options.index, [syntheticMounts(kernel)]);
  if (options.vdso) kernel.vdso = Vdso.create(options.vdso, kernel.frames, kernel.clock.offsetNs) ?? bug('boot: no memory for the vDSO');
  return kernel;
}
