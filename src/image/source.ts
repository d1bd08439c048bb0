// The original archive of a Debian source package, fetched with the host's apt-get on private state: real programs to compile, for tests
// and benchmarks.
//
// Interface: fetchSource.

import * as fs from 'node:fs';
import * as path from 'node:path';
import { runCommand } from './command.ts';
import { ImageError } from './errors.ts';
import { archiveSources } from './sources.ts';

/**
 * Downloads `name`'s archive (.orig.tar.*) unless it is there; returns its path.
 * @param dir private directory: the archive, apt's state
 * @throws ImageError
 */
export async function fetchSource(dir: string, name: string): Promise<string> {
  for (const each of ['lists/partial', 'archives/partial', 'sources', 'etc']) fs.mkdirSync(path.join(dir, each), { recursive: true });
  fs.writeFileSync(path.join(dir, 'status'), '');
  fs.writeFileSync(path.join(dir, 'etc/archive.sources'), archiveSources(false).replace(/^types: deb$/gm, 'types: deb-src')
    .replace(/^(targets|architectures): .*\n/gm, ''));
  const settings = {
    'Dir::State': dir, 'Dir::State::status': `${dir}/status`, 'Dir::Cache': dir, 'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': `${dir}/etc`, 'APT::Sandbox::User': '', 'Acquire::Retries': '2',
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  const found = (): string | undefined => fs.readdirSync(`${dir}/sources`).find((file) => file.startsWith(`${name}_`) && file.includes('.orig.tar.'));
  for (const words of [['update'], ['source', '--download-only', name]]) {
    if (found() !== undefined) break;
    const { code, stderr } = await runCommand('sh', ['-c', 'cd "$0" && exec apt-get -q "$@"', `${dir}/sources`, ...options, ...words]);
    if (code !== 0) throw new ImageError(`apt-get ${words[0]} failed for the source of ${name}: ${stderr.trim().split('\n').at(-1)}`);
  }
  const archive = found();
  if (archive === undefined) throw new ImageError(`apt-get left no source of ${name}`);
  return path.join(dir, 'sources', archive);
}
