// --out GUEST:PATH: what a run leaves, written to the host. Names come from the sandbox and are not trusted: nothing is written
// outside of PATH, no symbolic link below it is followed, and a file is there whole or not at all.

import { randomBytes } from 'node:crypto';
import { closeSync, constants, fsyncSync, lstatSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { below, guestPath, isPattern } from '../engine/glob.ts';
import type { RunResult } from '../engine/run.ts';
import { makeDirectories } from '../image/home.ts';
import { UsageError } from './fail.ts';

export interface Output {
  /** In the sandbox: absolute. */
  readonly pattern: string;
  /** On the host. */
  readonly path: string;
  readonly text: string;
}

/** GUEST:PATH as it is typed. Throws UsageError. */
export function splitOut(text: string): { guest: string; path: string } {
  const colon = text.indexOf(':');
  if (colon < 1 || colon === text.length - 1) throw new UsageError(`--out needs GUEST:PATH, not "${text}".`);
  return { guest: text.slice(0, colon), path: text.slice(colon + 1) };
}

/** All of them, from the sandbox's working directory. */
export function outputsOf(texts: readonly string[], cwd: string): readonly Output[] {
  return texts.map((text) => {
    const { guest, path } = splitOut(text);
    if (guestPath(guest, cwd) === '/') throw new UsageError(`--out ${text}: name what to copy, not all of the sandbox.`);
    return { pattern: guestPath(guest, cwd), path, text };
  });
}

/** What was copied out, and what was not. Paths are those in the sandbox. */
export interface Written {
  readonly files: readonly { readonly path: string; readonly to: string; readonly sizeBytes: number }[];
  readonly problems: readonly { readonly path: string; readonly reason: string; readonly sentence: string }[];
}

/** Writes what the run left; one sentence for each thing that could not be. */
export function writeOutputs(outputs: readonly Output[], { collected, notCollected }: Pick<RunResult, 'collected' | 'notCollected'>): Written {
  const problems: Written['problems'][number][] = notCollected.map(({ path, reason }) => (
    { path, reason, sentence: `--out: ${path} ${reason}, and was not copied.` }));
  const files: Written['files'][number][] = [];
  for (const output of outputs) {
    const found = [...collected].filter(([path]) => below(output.pattern, path) !== null);
    if (found.length === 0 && !notCollected.some(({ path }) => below(output.pattern, path) !== null)) {
      const sentence = `--out ${output.text}: the run left no ${output.pattern} that is new or changed.`;
      problems.push({ path: output.pattern, reason: 'is not there, or is unchanged', sentence });
    }
    const isInto = isPattern(output.pattern) || output.path.endsWith('/') || isDirectory(output.path);
    for (const [path, content] of found) {
      try {
        files.push({ path, to: write(placeOf(output, path, isInto), content), sizeBytes: content.length });
      } catch (error) {
        const reason = describe(error);
        problems.push({ path, reason, sentence: `--out ${output.text}: ${reason}.` });
      }
    }
  }
  return { files, problems };
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false; // writing there says why
  }
}

interface Place { readonly base: string; readonly names: readonly string[] }

/** As cp -r: into PATH when that is a directory, ends with / or there may be several; else as PATH. */
function placeOf({ pattern, path }: Output, found: string, isInto: boolean): Place {
  const names = below(pattern, found) ?? [basename(found)];
  if (isInto) return { base: path, names };
  return names.length === 1 ? { base: dirname(path), names: [basename(path)] } : { base: path, names: names.slice(1) };
}

/** Makes `base` (which the user named) and what is below, where links are refused; returns the file's path. */
function write({ base, names }: Place, content: Uint8Array): string {
  makeDirectories(base);
  let dir = base;
  for (const name of names.slice(0, -1)) {
    dir = join(dir, name);
    const there = lstatSync(dir, { throwIfNoEntry: false });
    if (!there) mkdirSync(dir);
    else if (!there.isDirectory()) throw new UsageError(`${dir} is ${there.isSymbolicLink() ? 'a symbolic link' : 'no directory'}`);
  }
  const path = join(dir, names[names.length - 1]);
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) throw new UsageError(`${path} is a directory`);
  const aside = join(dir, `.offshoot-${randomBytes(8).toString('hex')}`);
  const fd = openSync(aside, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o666);
  try {
    for (let at = 0; at < content.length;) at += writeSync(fd, content, at);
    fsyncSync(fd);
    closeSync(fd);
    renameSync(aside, path);
    return path;
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}

function describe(error: unknown): string {
  const { code, path, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC') return 'the disk is full';
  return code === undefined ? message : `${path ?? ''} cannot be written (${code})`;
}
