// Where everything Offshoot keeps is: images, templates, caches. A file of its own because the command needs it before all else.

import * as os from 'node:os';
import * as path from 'node:path';
import { ImageError } from './errors.ts';

/**
 * The directory for everything Offshoot keeps: $OFFSHOOT_HOME, or `offshoot` in $XDG_DATA_HOME or ~/.local/share.
 * @throws ImageError when it is not usable
 */
export function offshootHome(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const data = env.XDG_DATA_HOME;
  const base = data !== undefined && path.isAbsolute(data) ? data : path.join(env.HOME || os.homedir(), '.local/share');
  const home = env.OFFSHOOT_HOME ? path.resolve(env.OFFSHOOT_HOME) : path.join(base, 'offshoot');
  if (/["\\\n]/.test(home)) throw new ImageError('the path in OFFSHOOT_HOME must not contain quotes, backslashes or line breaks');
  return home;
}
