// Where everything Offshoot keeps is: images, templates, caches; making its directories. A file of its own because the command needs it
// before all else.

import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { HomeError } from './errors.ts';

/**
 * The directory for everything Offshoot keeps: $OFFSHOOT_HOME, or `offshoot` in $XDG_DATA_HOME or ~/.local/share.
 * @throws HomeError when it is not usable
 */
export function offshootHome(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const data = env.XDG_DATA_HOME;
  const base = data !== undefined && path.isAbsolute(data) ? data : path.join(env.HOME || os.homedir(), '.local/share');
  const home = env.OFFSHOOT_HOME ? path.resolve(env.OFFSHOOT_HOME) : path.join(base, 'offshoot');
  if (/["\\\n]/.test(home)) throw new HomeError('the path in OFFSHOOT_HOME must not contain quotes, backslashes or line breaks');
  return home;
}

/** As mkdir -p, with the errno of mkdir(2). Node's own says ENOENT for all, and goes on for ever where nothing can be made (/proc). */
export function makeDirectories(dir: string, mode = 0o777): void {
  if (fs.statSync(dir, { throwIfNoEntry: false })?.isDirectory()) return;
  if (dir !== path.dirname(dir)) makeDirectories(path.dirname(dir), mode);
  try {
    fs.mkdirSync(dir, mode);
  } catch (error) {
    if (!fs.statSync(dir, { throwIfNoEntry: false })?.isDirectory()) throw error; // unless another process was faster
  }
}
