// The sandbox's root for the native side: the image of the python template, unpacked, in a mount namespace of its own. Needs root and
// unshare(1); elsewhere cases run in the host's own root.
//
// Interface: imageRoot (the directory, or null), inImageRoot (the command that runs a command there).

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { offshootHome } from '../../src/image/home.ts';
import { findImage, openImage } from '../../src/image/store.ts';
import { nativeRoot } from '../../tools/sides/image.ts';

/** Where a case's directory is in the root, as in a sandbox. */
const PLACE = '/tmp/case';
/** Not as nice as the tests may be, and without what a shell adds to the environment. */
const ENTER = 'renice -n 0 $$ > /dev/null '
  + '&& mount --bind "$1" "$1" && mount -t tmpfs -o mode=1777 tmpfs "$1/tmp" && mkdir "$1$2" && mount --bind "$3" "$1$2" && mount --rbind /dev "$1/dev" '
  + '&& mount --rbind /proc "$1/proc" && mount --rbind /sys "$1/sys" && root=$1 cwd=$2/work ids=$4 && shift 4 '
  + '&& exec /usr/sbin/chroot --userspec="$ids" --groups= "$root" /usr/bin/env -i -C "$cwd" "$@"';

let root: string | null | undefined;

/** The unpacked image, made when it is missing; null where it cannot be entered. */
export function imageRoot(): string | null {
  if (root !== undefined) return root;
  root = null;
  const home = offshootHome();
  const ref = findImage(home, 'python');
  if (process.getuid?.() !== 0 || !ref) return root;
  const unpacked = nativeRoot(home, 'python', openImage(home, ref.id));
  if (canEnter(unpacked)) root = unpacked;
  return root;
}

function canEnter(rootDir: string): boolean {
  const dir = mkdtempSync(join(tmpdir(), 'conformance-'));
  mkdirSync(join(dir, 'work'));
  const [program, ...args] = inImageRoot(rootDir, dir, { uid: 0, env: {} }, () => ['/bin/true']);
  const { status } = spawnSync(program, args);
  rmSync(dir, { recursive: true });
  return status === 0;
}

/** `command` in the root as `uid` with `env`, the directory `dir` of the host in its place and its `work` current; `command` gets paths there. */
export function inImageRoot(
  rootDir: string, dir: string, { uid, env }: { readonly uid: number; readonly env: Readonly<Record<string, string>> },
  command: (dir: string) => readonly string[],
): string[] {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return ['unshare', '--mount', 'sh', '-c', ENTER, 'sh', rootDir, PLACE, dir, `${uid}:${uid}`, ...variables, ...command(PLACE)];
}
