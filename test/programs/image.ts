// The two images the programs run on: `programs` (shells, tools, compilers, version control, Python) and `science` (pandas, scipy,
// matplotlib). `programs` also holds the source of a C project, in Debian's own source package.
//
// Interface: imageOf, IMAGE_NAMES.

import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { KvmHost } from '../../src/engine/kvmhost.ts';
import { archiveSources } from '../../src/image/sources.ts';
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
  return await sidesImage(host, {
    name, packages: [...packages, ...TOOLS], key: SOURCE_PACKAGE,
    addFiles: (builder) => {
      const archive = fetchSource(path.join(host.home, 'cache/apt-source'));
      builder.file(`usr/src/${SOURCE_PACKAGE}.tar`, fs.readFileSync(archive), 0o644);
    },
  });
}

/** Downloads the source package's original archive with apt-get, whose state is kept in `dir`; returns its path. */
function fetchSource(dir: string): string {
  for (const name of ['lists/partial', 'archives/partial', 'sources', 'etc']) fs.mkdirSync(path.join(dir, name), { recursive: true });
  fs.writeFileSync(path.join(dir, 'status'), '');
  fs.writeFileSync(path.join(dir, 'etc/archive.sources'), archiveSources(false).replace(/^types: deb$/gm, 'types: deb-src')
    .replace(/^(targets|architectures): .*\n/gm, ''));
  const settings = {
    'Dir::State': dir, 'Dir::State::status': `${dir}/status`, 'Dir::Cache': dir, 'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': `${dir}/etc`, 'APT::Sandbox::User': '', 'Acquire::Retries': '2',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const found = (): string | undefined => fs.readdirSync(`${dir}/sources`).find((name) => name.includes('.orig.tar.'));
  for (const words of [['update'], ['source', '--download-only', SOURCE_PACKAGE]]) {
    if (found() !== undefined) break;
    execFileSync('apt-get', ['-q', ...options, ...words], { cwd: `${dir}/sources`, stdio: 'pipe' });
  }
  const archive = found();
  if (archive === undefined) throw new Error(`apt-get left no source of ${SOURCE_PACKAGE}`);
  return path.join(dir, 'sources', archive);
}
