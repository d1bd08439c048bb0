// What a run of the command sees of the host: the directory of FILE.py, and what --in names; where it runs.

import { existsSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { posix } from 'node:path';
import type { HostFile } from '../engine/hostfiles.ts';
import { UsageError } from './fail.ts';

/** As they are typed. */
export interface FileFlags {
  readonly in?: readonly string[];
  readonly out?: readonly string[];
  readonly outLimit?: string;
  readonly workdir?: string;
  /** False: --no-dir. */
  readonly dir?: boolean;
}

export interface VisibleFiles {
  readonly mounts: Readonly<Record<string, HostFile>>;
  readonly cwd: string;
  /** The script's directory, where it is visible. */
  readonly dir: string | null;
}

const HOME = '/home/user';
/** Directories that the sandbox has of its own, which nothing may cover. */
const OWN = ['/', '/bin', '/boot', '/etc', '/home', HOME, '/lib', '/lib64', '/run', '/sbin', '/tmp', '/usr', '/usr/bin', '/usr/lib', '/usr/local',
  '/usr/local/bin', '/usr/local/lib', '/usr/sbin', '/usr/share', '/var', '/var/lib', '/var/tmp'];
const OWN_TREES = ['/dev', '/proc', '/sys'];

/** Whether the sandbox has this directory itself. */
export function isOwn(path: string): boolean {
  return OWN.includes(path) || isWithin(path, OWN_TREES);
}

function isWithin(path: string, dirs: readonly string[]): boolean {
  return dirs.some((dir) => path === dir || path.startsWith(dir === '/' ? dir : `${dir}/`));
}

/** For `offshoot run` (`script`: the file, null for -c and -) and `offshoot exec`. Throws UsageError. */
export function visibleFiles(flags: FileFlags, script: string | null, outputs: readonly string[]): VisibleFiles {
  const mounts: Record<string, HostFile> = {};
  // A pipe (`<(...)`) or a device is read, and has no directory worth seeing.
  const isFile = script !== null && statSync(script, { throwIfNoEntry: false })?.isFile() === true;
  const dir = isFile && flags.dir !== false ? dirname(script) : null;
  const isShared = dir !== null && !isOwn(dir);
  const here = process.cwd();
  const start = isShared ? (isWithin(here, [dir]) ? here : dir) : HOME;
  const cwd = flags.workdir === undefined ? start : posix.resolve(start, flags.workdir);
  if (isShared) {
    // What the program may leave there must be writable: in the sandbox's memory, never on the host.
    mounts[dir] = { from: dir, readOnly: !outputs.some((path) => isWithin(posix.resolve(cwd, path), [dir])) };
  } else if (dir !== null && script !== null) mounts[script] = { from: script, readOnly: true };
  for (const each of flags.in ?? []) {
    const { from, to } = splitIn(each);
    const path = posix.resolve(cwd, to);
    if (isOwn(path)) throw new UsageError(`--in ${each}: ${path} is the sandbox's own: name a place below it.`);
    mounts[path] = { from };
  }
  return { mounts, cwd, dir: isShared ? dir : null };
}

/** PATH[:GUEST]; a GUEST that ends with / is a directory for it. */
function splitIn(text: string): { from: string; to: string } {
  const colon = existsSync(text) ? -1 : text.lastIndexOf(':');
  const from = colon < 0 ? text : text.slice(0, colon);
  if (from === '' || !existsSync(from)) throw new UsageError(`--in ${text}: ${from || text}: no such file or directory.`);
  const to = colon < 0 ? '' : text.slice(colon + 1);
  const name = basename(resolve(from));
  return { from: resolve(from), to: to === '' ? name : to.endsWith('/') ? posix.join(to, name) : to };
}
