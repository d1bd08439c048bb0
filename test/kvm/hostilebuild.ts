// The hostile guests in test/kvm/hostile/ as programs. For the emulated machine, which has no compiler, they are compiled outside
// (tools/hwkvm/record.ts) and are there already.

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCES = fileURLToPath(new URL('hostile/', import.meta.url));
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/hostile/', import.meta.url));
const CFLAGS = ['-std=gnu11', '-O1', '-s', '-w', '-static', '-pthread'];

export const HOSTILE = readdirSync(SOURCES).map((file) => file.replace(/\.c$/, ''));

const HAS_GCC = spawnSync('gcc', ['--version']).status === 0;

/** Why they cannot be built here; false when they can or need not be. */
export const cannotBuild = HAS_GCC || HOSTILE.every((name) => existsSync(pathOf(name))) ? false : 'gcc is missing';

function pathOf(name: string): string {
  const hash = createHash('sha256').update(CFLAGS.join(' ')).update(readFileSync(join(SOURCES, `${name}.c`))).digest('hex').slice(0, 16);
  return join(CACHE, `${name}-${hash}`);
}

/** The path of the program of test/kvm/hostile/NAME.c, built once for each content. */
export function buildHostile(name: string): string {
  const program = pathOf(name);
  if (!existsSync(program)) {
    mkdirSync(CACHE, { recursive: true });
    execFileSync('gcc', [...CFLAGS, '-o', `${program}.${process.pid}`, join(SOURCES, `${name}.c`)]);
    renameSync(`${program}.${process.pid}`, program);
  }
  return program;
}
