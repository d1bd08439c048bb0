// The images that can be built by name, and whether what is on disk is still what they ask for. Kept apart from building
// them (images.ts), because every start of a worker asks and hardly any builds.

import { createHash } from 'node:crypto';
import { ImageError } from './errors.ts';
import { findImage } from './store.ts';

/** Raise when the same packages would give another image: names built before are then built again. */
const BUILDER_VERSION = 1;

/** An image built from Debian packages. */
export interface ImageSpec {
  readonly name: string;
  readonly packages: readonly string[];
  /** About how much is downloaded and how much room is needed, in bytes, for saying so beforehand. */
  readonly downloadBytes: number;
  readonly diskBytes: number;
}

const BASE = ['base-files', 'bash', 'ca-certificates', 'coreutils', 'dash', 'debianutils', 'diffutils', 'findutils', 'grep', 'gzip',
  'hostname', 'libc-bin', 'mawk', 'ncurses-base', 'sed', 'tar', 'tzdata'] as const;

/** The images that can be asked for by name. */
export const IMAGES: readonly ImageSpec[] = [
  { name: 'python', packages: [...BASE, 'python3', 'python3-numpy', 'python-is-python3', 'libopenblas0-serial'], downloadBytes: 50e6, diskBytes: 210e6 },
];

/** The spec called `name`. @throws ImageError when there is none */
export function specOf(name: string): ImageSpec {
  const spec = IMAGES.find((image) => image.name === name);
  if (spec) return spec;
  throw new ImageError(`there is no image called ${JSON.stringify(name)}; there is: ${IMAGES.map((image) => image.name).join(', ')}`);
}

/** Identifies what an image was asked to be made of. */
export function keyOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify([BUILDER_VERSION, ...parts])).digest('hex').slice(0, 16);
}

/** Whether the name stands for what its spec asks for now; false when it was never built. Opens nothing. */
export function isImageCurrent(name: string, home: string): boolean {
  return findImage(home, name)?.key === keyOf(specOf(name).packages);
}
