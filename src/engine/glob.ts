// Patterns of files in a sandbox: absolute paths whose components may have * (any characters) and ? (one character). What a
// pattern matches is taken with everything below it.

import { posix } from 'node:path';
import { OffshootError } from './errors.ts';

const PATH_MAX = 4096;

/** A path or pattern of the sandbox, absolute and without "." and "..". Throws OffshootError 'bad-argument'. */
export function guestPath(path: string, cwd: string): string {
  if (path === '' || path.length >= PATH_MAX || /[\0-\x1f\x7f]/.test(path)) {
    throw new OffshootError('bad-argument', `${JSON.stringify(path)} cannot be a path in the sandbox.`);
  }
  const full = posix.resolve(cwd, path);
  return full;
}

/** Whether a path or a component of one is a pattern. */
export function isPattern(path: string): boolean {
  return /[*?]/.test(path);
}

/** One component: linear in both lengths but for one star at a time. */
export function matches(pattern: string, name: string): boolean {
  let p = 0, n = 0, star = -1, from = 0;
  while (n < name.length) {
    if (pattern[p] === '*') {
      star = p++;
      from = n;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === name[n])) {
      p++;
      n++;
    } else if (star >= 0) {
      p = star + 1;
      n = ++from;
    } else return false;
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

/** Components below what the pattern matched, the matched name first; null: the path is no match. Both are absolute. */
export function below(pattern: string, path: string): readonly string[] | null {
  const want = pattern.split('/').slice(1), have = path.split('/').slice(1);
  if (have.length < want.length || want.some((part, i) => !matches(part, have[i]))) return null;
  return have.slice(want.length - 1);
}
