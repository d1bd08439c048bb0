// A home directory that cannot be used: read-only, forbidden, full at each step of a first use; no network. Exit code 2, at most three
// lines on standard error (one with --quiet), and nothing half-written.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { MAIN, canUnshare, command, type CliResult } from './clihelp.ts';
import { newHome } from './homehelp.ts';

const dir = mkdtempSync(join(tmpdir(), 'offshoot-homewrong-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const skip = canUnshare() ? false : 'needs a mount namespace';
const home = await newHome();
const NODE = [process.execPath, '--no-warnings', MAIN];
const RUN = ['run', '-c', 'print(1)'];
mkdirSync(join(dir, 'empty'));

/** A shell script in namespaces of its own; $0 is a directory to mount something on, "$@" is the command. Ends with what is left below it. */
function where(script: string, args: readonly string[], flags = '-m'): Promise<CliResult> {
  const at = mkdtempSync(join(dir, 'at-'));
  const list = 'echo "exit $?"; find "$0" -name "*.tmp*" -o -name "lock.*" -o -name "*.template" -o -path "*/images/*/blob" | sed "s#^$0/##"';
  return command('unshare', [flags, 'sh', '-c', `${script} || exit 9\n"$@"; ${list}`, at, ...NODE, ...args], {
    env: { OFFSHOOT_HOME: join(at, 'home'), HOME_BUILT: home },
  });
}

function isRefused({ stdout, stderr }: CliResult, what: RegExp, code: string, left = ''): void {
  assert.equal(stdout.toString(), `exit 2\n${left}`, stderr);
  assert.match(stderr, new RegExp(`(^|\\n)offshoot: [^\\n]*${what.source}[^\\n]* \\[${code}\\]\\n$`));
  assert.ok(stderr.trimEnd().split('\n').length <= 3, stderr);
}

test('read-only', { skip }, async () => {
  for (const args of [RUN, ['template', 'build', 'python'], ['template', 'build', 'mine', '--env', 'A=b'], ['template', 'prune'], ['image', 'prune']]) {
    isRefused(await where('mount -t tmpfs -o ro none "$0"', args), /\/home cannot be used \(EROFS\); set OFFSHOOT_HOME/, 'home-unusable');
  }
});

test('read-only, but everything is built: runs work, changes are refused', { skip }, async () => {
  const built = 'mount -t tmpfs none "$0" && cp -a "$HOME_BUILT" "$0/home" && "$@" >/dev/null && '
    + 'until mount -o remount,ro "$0" 2>/dev/null; do sleep 0.2; done';
  const run = await where(built, ['run', '-q', '-c', 'print(1)']);
  assert.match(run.stdout.toString(), /^1\nexit 0\n/, run.stderr);
  assert.equal(run.stderr, '');
  const remove = 'mount -t tmpfs none "$0" && cp -a "$HOME_BUILT" "$0/home" && mkdir -p "$0/home/templates" && : > "$0/home/templates/python.template"'
    + ' && mount -o remount,ro "$0"';
  const removed = await where(remove, ['template', 'rm', 'python']);
  assert.match(removed.stderr, /^offshoot: [^\n]*python.template cannot be used \(EROFS\)[^\n]* \[home-unusable\]\n$/);
});

test('forbidden', { skip: process.getuid?.() === 0 ? false : 'only root can become somebody else' }, async () => {
  const at = mkdtempSync(join(dir, 'forbidden-'));
  // Root without its capabilities: a user who owns /dev/kvm, but must obey permissions.
  const script = 'chmod 500 "$0"; exec setpriv --bounding-set -all --inh-caps -all --reuid 0 "$@"';
  const denied = await command('sh', ['-c', script, at, ...NODE, ...RUN], { env: { OFFSHOOT_HOME: join(at, 'home') } });
  assert.match(denied.stderr, /^offshoot: [^\n]*cannot be used \(EACCES\)[^\n]* \[home-unusable\]\n$/);
  assert.equal(denied.code, 2);
});

for (const [step, script, args, left] of [
  ['before anything', 'mount -t tmpfs -o nr_inodes=1 none "$0"', RUN, ''],
  ['package lists', 'mount -t tmpfs -o size=3m none "$0"', RUN, ''],
  ['image', 'mount -t tmpfs -o size=16m none "$0"', ['template', 'build', 'x', '--from', 'dir:/usr/bin'], ''],
  ['template', 'mount -t tmpfs -o size=190m none "$0" && cp -a "$HOME_BUILT" "$0/home"', RUN, 'home/images/ID/blob\n'],
] as const) {
  test(`a disk that is full: ${step}`, { skip }, async () => {
    const loud = await where(script, args);
    const result = { ...loud, stdout: Buffer.from(loud.stdout.toString().replace(/[0-9a-f]{64}/, 'ID')) };
    isRefused(result, /the disk is full[^\n]* set OFFSHOOT_HOME/, 'home-unusable', left);
  });
}

test('--quiet: the error alone', { skip }, async () => {
  const quiet = await where('mount -t tmpfs -o size=3m none "$0"', ['run', '--quiet', '-c', 'print(1)']);
  assert.match(quiet.stderr, /^offshoot: [^\n]*the disk is full[^\n]*\n$/);
});

test('no network', { skip }, async () => {
  const script = `mount --bind ${join(dir, 'empty')} /var/lib/apt/lists`;
  const result = await where(script, RUN, '-mn');
  isRefused(result, /no network, or the archive cannot be reached .*the first use needs it/, 'image-failed');
});
