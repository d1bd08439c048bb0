// The image other people's suites run on.

import type { KvmHost } from '../../src/engine/kvmhost.ts';
import { specOf } from '../../src/image/specs.ts';
import type { Image } from '../../src/image/store.ts';
import { sidesImage } from '../sides/image.ts';

export const NAME = 'compat';
/** On top of what every sandbox of the `python` image has: the suites, and programs their tests look for. */
const SUITES = ['libpython3.11-testsuite', 'python3-pytest', 'python3-hypothesis', 'stress-ng', 'netbase', 'media-types', 'procps',
  'python3-distutils', 'python3-lib2to3', 'python3.11-venv'];

/** The image, built when it is missing or was built from other packages. Progress goes to stderr. */
export function compatImage(host: KvmHost): Promise<Image> {
  return sidesImage(host, { name: NAME, packages: [...specOf('python').packages, ...SUITES] });
}
