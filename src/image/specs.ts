// What images are made of, those that come with Offshoot, and whether what is on disk is still what a spec asks for. Kept apart
// from building them (images.ts), because every start of a worker asks and hardly any builds.

import { createHash } from 'node:crypto';
import { ImageError } from './errors.ts';
import { findImage } from './store.ts';
import type { ImageRef } from './store.ts';

/** Raise when the same packages would give another image: names built before are then built again. */
const BUILDER_VERSION = 2;

/** What an image is made of. */
export interface ImageSpec {
  readonly name: string;
  /** "debian", "dir:PATH", "tar:FILE" or "oci:DIR[:TAG]" with absolute paths, or "image:NAME": a built-in image and more Python packages. */
  readonly from: string;
  /** Debian packages. */
  readonly packages: readonly string[];
  /** Python packages: absolute paths of wheels, and of a requirements file for pip ('' for none). */
  readonly wheels: readonly string[];
  readonly requirements: string;
  /** Another value says that files of the host must be read again; '' where none are. */
  readonly stamp: string;
  /** About how much is downloaded, and how much room that, the image and its template take, in bytes, for saying so beforehand; 0: unknown. */
  readonly downloadBytes: number;
  readonly diskBytes: number;
}

const BASE = ['base-files', 'bash', 'ca-certificates', 'coreutils', 'dash', 'debianutils', 'diffutils', 'findutils', 'grep', 'gzip',
  'hostname', 'libc-bin', 'mawk', 'ncurses-base', 'sed', 'tar', 'tzdata'] as const;

/** Debian packages of the default image. */
export const PYTHON_PACKAGES = [...BASE, 'python3', 'python3-numpy', 'python-is-python3', 'libopenblas0-serial'] as const;

function debian(name: string, packages: readonly string[], downloadBytes: number, diskBytes: number): ImageSpec {
  return { name, from: 'debian', packages, wheels: [], requirements: '', stamp: '', downloadBytes, diskBytes };
}

/** The images that come with Offshoot. */
export const IMAGES: readonly ImageSpec[] = [
  debian('python', PYTHON_PACKAGES, 50e6, 285e6),
  debian('data', [...PYTHON_PACKAGES, 'python3-pandas', 'python3-matplotlib', 'python3-scipy'], 115e6, 790e6),
];

/** The built-in spec called `name`. @throws ImageError when there is none */
export function specOf(name: string): ImageSpec {
  const spec = IMAGES.find((image) => image.name === name);
  if (spec) return spec;
  throw new ImageError(`there is no image called ${JSON.stringify(name)}; there is: ${IMAGES.map((image) => image.name).join(', ')}`);
}

/** Identifies what an image was asked to be made of. */
export function keyOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify([BUILDER_VERSION, ...parts])).digest('hex').slice(0, 16);
}

/** The key of an image made as `spec` says. */
export function specKey(spec: ImageSpec): string {
  const { from, packages, wheels, requirements, stamp } = spec;
  if (stamp === '' && from === 'debian') return keyOf(packages);
  return keyOf([from, ...packages, '', ...wheels, '', requirements, stamp]);
}

/** What the spec's name stands for, if that is what it asks for now (perhaps not finished: see `stage`); else null. Opens nothing. */
export function currentImage(spec: ImageSpec, home: string): ImageRef | null {
  const ref = findImage(home, spec.name);
  return ref?.key === specKey(spec) ? ref : null;
}
