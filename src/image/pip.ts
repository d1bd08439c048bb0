// Wheels from a requirements file, fetched by the host's pip: it resolves dependencies and verifies what it downloads, with the
// host's configuration (indexes, proxies, certificates). Only wheels are taken, so no program of a package runs here; unpacking
// them is left to a sandbox.
//
// Interface: fetchWheels, PythonTarget. Manual: pip download.

import * as fs from 'node:fs';
import * as path from 'node:path';
import { runCommand } from './command.ts';
import type { CommandResult } from './command.ts';
import { HomeError, ImageError } from './errors.ts';

/** The interpreter in the image. */
export interface PythonTarget {
  /** "3.11" */
  readonly version: string;
  /** [2, 36]; null: musl. */
  readonly glibc: readonly [number, number] | null;
}

/** How pip may be there, in order of preference. */
const PIPS: readonly (readonly string[])[] = [['python3', '-m', 'pip'], ['pip3'], ['pip']];
/** glibc 2.5 is the oldest a wheel may name (PEP 600); musl 1.1 and 1.2 are all there are. */
const GLIBC_MINOR_MIN = 5;

/** Wheel platform tags that the target can use. */
export function platformTags({ glibc }: PythonTarget): string[] {
  if (!glibc) return ['musllinux_1_2_x86_64', 'musllinux_1_1_x86_64', 'linux_x86_64'];
  const tags: string[] = [];
  for (let minor = glibc[1]; minor >= GLIBC_MINOR_MIN; minor--) tags.push(`manylinux_${glibc[0]}_${minor}_x86_64`);
  return [...tags, 'manylinux2014_x86_64', 'manylinux2010_x86_64', 'manylinux1_x86_64', 'linux_x86_64'];
}

async function findPip(signal: AbortSignal | undefined): Promise<readonly string[]> {
  for (const pip of PIPS) {
    try {
      const result = await runCommand(pip[0], [...pip.slice(1), '--version'], { signal });
      if (result.code === 0) return pip;
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
    }
  }
  throw new ImageError('a requirements file needs pip on this host: install it (on Debian "apt-get install python3-pip"), '
    + 'or give the packages as --wheel FILE');
}

/**
 * Downloads the wheels for a requirements file and all they depend on into the empty directory `dir`; returns their paths, sorted.
 * @throws ImageError
 */
export async function fetchWheels(requirements: string, target: PythonTarget, dir: string, signal?: AbortSignal): Promise<string[]> {
  if (!fs.existsSync(requirements)) throw new ImageError(`${requirements} does not exist`);
  const pip = await findPip(signal);
  const result = await runCommand(pip[0], [...pip.slice(1), 'download', '--disable-pip-version-check', '--no-input', '--quiet', '--only-binary=:all:',
    '--dest', dir, '--python-version', target.version, '--implementation', 'cp',
    ...platformTags(target).flatMap((tag) => ['--platform', tag]), '--requirement', requirements], { signal });
  if (result.code !== 0) throw pipError(requirements, result);
  return fs.readdirSync(dir).filter((name) => name.endsWith('.whl')).sort().map((name) => path.join(dir, name));
}

/** One sentence out of what pip wrote. */
function pipError(requirements: string, result: CommandResult): ImageError {
  const lines = result.stderr.split('\n').flatMap((line) => /^\s*ERROR: (.*)/.exec(line)?.[1] ?? []);
  const last = lines.at(-1) ?? result.stderr.trim().split('\n').at(-1) ?? `exit code ${result.code}`;
  const text = result.stderr;
  if (/No space left|Disk quota/.test(text)) return new HomeError('the disk is full; free some space or set OFFSHOOT_HOME to a directory with more');
  if (/NewConnectionError|Name or service not known|Temporary failure in name|ConnectTimeout|Network is unreachable/.test(text)) {
    return new ImageError(`pip cannot reach the package index for ${requirements}: ${last.slice(0, 300)}`);
  }
  return new ImageError(`pip cannot fetch wheels for ${requirements}: ${last.slice(0, 300)}`);
}
