// The two images the programs run on: `programs` (shells, tools, compilers, version control, Python) and `science` (pandas, scipy,
// matplotlib). `programs` also holds the source of a C project, in Debian's own source package.
//
// Interface: imageOf, IMAGE_NAMES.

import * as fs from 'node:fs';
import * as path from 'node:path';
import type { KvmHost } from '../../src/engine/kvmhost.ts';
import { fetchSource } from '../../src/image/source.ts';
import { specOf } from '../../src/image/specs.ts';
import type { Image } from '../../src/image/store.ts';
import { sidesImage } from '../../tools/sides/image.ts';

export type ImageName = 'programs' | 'science';

const TOOLS = ['bzip2', 'file', 'gawk', 'gcc', 'git', 'libc6-dev', 'make', 'perl', 'procps', 'sqlite3', 'time', 'xz-utils', 'zstd',
  'python3-venv', 'python3-pip', 'python3-setuptools', 'python3-wheel'];
const SCIENCE = ['python3-pandas', 'python3-scipy', 'python3-matplotlib'];
/** zlib: 10,000 lines of C with a self-test, built by configure and make. */
const SOURCE_PACKAGE = 'zlib';

/** The image, built when it is missing or was built from something else. */
export async function imageOf(host: KvmHost, name: ImageName): Promise<Image> {
  const { packages } = specOf('python');
  if (name === 'science') return await sidesImage(host, { name, packages: [...packages, ...SCIENCE] });
  const archive = await fetchSource(path.join(host.home, 'cache/apt-source'), SOURCE_PACKAGE);
  return await sidesImage(host, {
    name, packages: [...packages, ...TOOLS], key: SOURCE_PACKAGE,
    addFiles: (builder) => {
      builder.file(`usr/src/${SOURCE_PACKAGE}.tar`, fs.readFileSync(archive), 0o644);
    },
  });
}
