// Looks a program up in an image as execvp(3) would: PATH, symbolic links, execute permission.
//
// Interface: findProgram.

import { imageLookup } from '../kernel/fs/imageindex.ts';
import type { ImageIndex } from '../kernel/fs/imageindex.ts';
import { S_IFLNK, S_IFMT, S_IFREG } from './tree.ts';

const LINKS_MAX = 40;

/** Entry number of `path` with all symbolic links followed, or -1. */
function resolve(index: ImageIndex, path: string): number {
  const left = path.split('/').reverse();
  let at = 0;
  let links = 0;
  while (left.length > 0) {
    const name = left.pop();
    if (name === '' || name === '.' || name === undefined) continue;
    const next = name === '..' ? index.parent[at] : imageLookup(index, at, name);
    if (next < 0) return -1;
    if ((index.mode[next] & S_IFMT) !== S_IFLNK) {
      at = next;
      continue;
    }
    if (++links > LINKS_MAX) return -1;
    const target = index.target[next];
    if (target.startsWith('/')) at = 0;
    left.push(...target.split('/').reverse());
  }
  return at;
}

/** Absolute path of the program `name` in the directories of `path` (PATH's syntax), or null. */
export function findProgram(index: ImageIndex, name: string, path: string): string | null {
  for (const dir of path.split(':')) {
    if (!dir.startsWith('/')) continue;
    const entry = resolve(index, `${dir}/${name}`);
    if (entry >= 0 && (index.mode[entry] & S_IFMT) === S_IFREG && (index.mode[entry] & 0o111) !== 0) return `${dir.replace(/\/+$/, '')}/${name}`;
  }
  return null;
}
