// The package as users get it: packed, installed by somebody who is not root into an empty directory, on Node 22 and 24; the
// command and the library work from it. Older Node, other systems and processors get one sentence. Needs root, to become
// somebody else, and the npm registry, for Node and the dependencies.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import test from 'node:test';
import { ROOT, command } from '../kvm/clihelp.ts';
import { asUser, dir, install, node, ownDir, packed, tarball } from './installhelp.ts';

const PACKAGE_BYTES_MAX = 1_000_000;

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

const CLIENT = `import { spawn } from 'node:child_process';
import { Offshoot, Sandbox } from 'offshoot/client';
const served = spawn(process.execPath, ['node_modules/.bin/offshoot', 'serve', '--port', '0'], { stdio: ['ignore', 'ignore', 'pipe'] });
let log = '';
const url = await new Promise((found) => served.stderr.on('data', (bytes) => {
  log += bytes;
  const [, url] = /"url":"([^"]+)"/.exec(log) ?? [];
  if (url !== undefined) found(url);
}));
let text = '';
for await (const event of new Offshoot({ url }).stream({ code: 'print(6*7)' })) if (event.type === 'stdout') text += event.text;
const sandbox = await Sandbox.create({ url });
await sandbox.files.write('in', 'kept');
const { stdout } = await sandbox.run('print(open("in").read())');
await sandbox.close();
console.log(text.trim(), stdout.trim());
served.kill('SIGTERM');
await new Promise((ended) => served.once('exit', ended));
`;

for (const major of [24, 22]) {
  test(`Node ${major}: installed by a user, the command, the library, the service and its client work`, async () => {
    const bin = node(major);
    const cwd = ownDir(`user${major}`);
    await install(cwd, bin);
    const run = await asUser(cwd, bin, [join(cwd, 'node_modules/.bin/offshoot'), 'run', '-c',
      'import numpy, os; print(numpy.arange(4).sum(), os.getuid())']);
    assert.deepEqual([run.stdout.toString(), run.code], ['6 1000\n', 0], run.stderr);
    writeFileSync(join(cwd, 'use.mjs'), LIBRARY);
    const library = await asUser(cwd, bin, [bin, 'use.mjs']);
    assert.deepEqual([library.stdout.toString(), library.code], ['42 0\n', 0], library.stderr);
    writeFileSync(join(cwd, 'client.mjs'), CLIENT);
    const client = await asUser(cwd, bin, [bin, 'client.mjs']);
    assert.deepEqual([client.stdout.toString(), client.code], ['42 kept\n', 0], client.stderr);
  });
}

/** The same package as a later version, whose kernel is another one: what an upgrade brings. */
function laterPackage(): string {
  const at = join(dir, 'later');
  mkdirSync(at);
  execFileSync('tar', ['-xzf', tarball, '-C', at]);
  const edit = (name: string, change: (text: string) => string): void => {
    const file = join(at, 'package', name);
    writeFileSync(file, change(readFileSync(file, 'utf8')));
  };
  const id = /"([0-9a-f]{32})"/.exec(readFileSync(join(at, 'package/dist/engine/builder.js'), 'utf8'))?.[1] ?? '';
  assert.notEqual(id, '');
  for (const name of readdirSync(join(at, 'package/dist/engine')).filter((each) => each.endsWith('.js'))) {
    edit(`dist/engine/${name}`, (text) => text.replaceAll(id, '0'.repeat(32)));
  }
  edit('package.json', (text) => text.replace(/"version": "[^"]*"/, '"version": "99.0.0"'));
  execFileSync('tar', ['-czf', join(dir, 'later.tgz'), '-C', at, 'package']);
  return join(dir, 'later.tgz');
}

test('a later version: images are kept, templates are built again, with a message', async () => {
  const bin = node(24);
  const cwd = ownDir('user24');
  const run = () => asUser(cwd, bin, [join(cwd, 'node_modules/.bin/offshoot'), 'run', '-c', 'print(1)']);
  const image = (): string => JSON.stringify(readdirSync(join(dir, 'home/images')).map((name) => [name, statSync(join(dir, 'home/images', name)).ino]));
  assert.equal((await run()).stderr, '');
  const before = image();
  await install(cwd, bin, laterPackage());
  const upgraded = await run();
  assert.deepEqual([upgraded.stdout.toString(), upgraded.code], ['1\n', 0]);
  assert.equal(upgraded.stderr, 'offshoot: template "python" is built again: it was made by another version of Offshoot\n'
    + 'offshoot: template "python" is ready\n');
  assert.equal(image(), before);
  const again = await run();
  assert.deepEqual([again.stdout.toString(), again.stderr], ['1\n', '']);
});

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
    assert.match(result.stderr, /^offshoot: [^\n]+ \[host-unsupported\]\n$/);
    assert.ok(result.stderr.includes(sentence), result.stderr);
    const index = JSON.stringify(join(dir, 'warm/node_modules/offshoot/dist/engine/index.js'));
    const library = `import { Engine } from ${index}; Engine.open().catch((e) => console.log(e.code, e.message))`;
    const refused = await command(bin, [...flags, '--input-type=module', '-e', library]);
    assert.ok(refused.stdout.toString().startsWith(`host-unsupported ${sentence}`), refused.stdout.toString() + refused.stderr);
  }
});
