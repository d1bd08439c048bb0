// Templates of one's own through the command: wheels, a requirements file, a setup with after_fork, environment and memory;
// what uses what, removing, pruning. Without pip on the host the sentence that says so is tested instead.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { commandsOf, offshoot } from './clihelp.ts';
import { newHome } from './homehelp.ts';
import { makeWheel } from './wheelhelp.ts';

const dir = mkdtempSync(join(tmpdir(), 'offshoot-own-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const home = await newHome();
const env = { OFFSHOOT_HOME: home };
const wheel = makeWheel(dir, 'hello', '1.0', {
  'hello/__init__.py': 'import offshoot\nforks = []\noffshoot.after_fork(lambda: forks.append(1))\ndef main():\n    print("a script")\n',
  'hello-1.0.data/data/share/hello/note': 'data',
}, '[console_scripts]\nhello = hello:main\n');

const { build, ok } = commandsOf(home);

test('a wheel, a setup, after_fork, environment and memory', async () => {
  const setup = join(dir, 'prepare.py');
  writeFileSync(setup, `import offshoot, os, sys, types
state = types.ModuleType("state")
state.built = os.getpid()
@offshoot.after_fork
def again():
    state.forked = os.getpid()
sys.modules["state"] = state
state.big = bytearray(40_000_000)
`);
  await build('mine', '--wheel', wheel, '--preload', 'hello', '--setup', setup, '--env', 'GREETING=hé llo', '--memory', '300');
  const code = `import os, hello, state, offshoot
print(state.forked == os.getpid() != state.built, hello.forks, os.environ["GREETING"], open("/usr/local/share/hello/note").read())
`;
  assert.equal(await ok(['run', '-t', 'mine', '-c', code]), 'True [1] hé llo data\n');
  // A script of the wheel is a program of its own, with nothing to do after a fork.
  assert.equal(await ok(['exec', '-t', 'mine', '--', 'hello']), 'a script\n');
  const much = ['-t', 'mine', '-c', 'print(len(bytearray(350_000_000)))'];
  const limited = await offshoot(['run', ...much], { env });
  assert.match(limited.stderr, /\nMemoryError\n$/);
  assert.equal(await ok(['run', '--memory', '600', ...much]), '350000000\n');
});

test('after_fork: an exception is the program\'s', async () => {
  const setup = join(dir, 'failing.py');
  writeFileSync(setup, 'import offshoot\n@offshoot.after_fork\ndef again():\n    raise ValueError("not in this fork")\n');
  await build('failing', '--setup', setup);
  const result = await offshoot(['run', '-t', 'failing', '-c', 'print("never")'], { env });
  assert.deepEqual([result.stdout.toString(), result.code], ['', 1]);
  assert.match(result.stderr, /File "failing.py", line 4, in again\n.*\nValueError: not in this fork\n$/);
});

test('a requirements file, resolved by the host\'s pip, from wheels in a directory', async () => {
  if (execFileSync('sh', ['-c', 'python3 -m pip --version >/dev/null 2>&1 || pip --version >/dev/null 2>&1 || echo none']).toString() !== '') {
    const file = join(dir, 'requirements.txt');
    writeFileSync(file, 'hello\n');
    const result = await offshoot(['template', 'build', 'reqs', '--requirements', file], { env });
    assert.match(result.stderr, /needs pip on this host: install it/);
    await build('reqs', '--wheel', wheel);
    return;
  }
  makeWheel(dir, 'needs_hello', '2.0', { 'needs_hello.py': 'import hello\n' }, '', 'Requires-Dist: hello>=1\n');
  const file = join(dir, 'requirements.txt');
  writeFileSync(file, `--no-index\n--find-links ${dir}\nneeds_hello==2.0\n`);
  await build('reqs', '--requirements', file);
  const versions = 'import needs_hello, importlib.metadata as m; print(m.version("needs_hello"), m.version("hello"))';
  assert.equal(await ok(['run', '-t', 'reqs', '-c', versions]), '2.0 1.0\n');
  writeFileSync(file, `--no-index\n--find-links ${dir}\nneeds_hello==3.0\n`);
  const failed = await offshoot(['template', 'build', 'reqs', '--requirements', file], { env });
  assert.match(failed.stderr, /\noffshoot: pip cannot fetch wheels for .*: No matching distribution found for needs.hello==3.0 \[image-failed\]\n$/);
  assert.equal(failed.code, 2);
  assert.equal(await ok(['run', '-t', 'reqs', '-c', 'import hello; print(1)']), '1\n', 'what was there before works as before');
});

test('ls, inspect: what there is, what it is made of, what uses it', async () => {
  assert.match(await ok(['template', 'ls']), /\nmine +[\d.]+ MB +\d+ \w+ +mine +python, Python packages +ready, \d+ modules\n/);
  assert.match(await ok(['image', 'ls']), /\npython +[\d.]+ MB .* debian +\d+ +\d+ +failing\n/);
  const text = await ok(['template', 'inspect', 'mine']);
  const parts = [/^template +mine\n/, /\nsetup +prepare.py, 8 lines\n/, /GREETING=hé llo/, /\nstart +fork [\d.]+ ms/, /\[heap\]/];
  for (const part of parts) assert.match(text, part);
  const about = JSON.parse(await ok(['template', 'inspect', 'mine', '--json'])) as Record<string, never>;
  assert.ok(about['size_bytes'] > 80e6 && about['memory_limit_bytes'] === 300 * 2 ** 20);
  assert.ok((about['modules'] as string[]).includes('hello') && (about['import_ms'] as Record<string, number>)['hello'] > 0);
  assert.ok((about['mappings'] as { name: string; resident_bytes: number }[]).some(({ resident_bytes: bytes }) => bytes > 40e6));
  assert.ok((about['start'] as { pages: number }).pages > 0);
});

test('rm and prune: nothing that is used goes, everything else does', async () => {
  const used = await offshoot(['image', 'rm', 'mine'], { env });
  assert.deepEqual([used.code, used.stdout.toString()], [2, '']);
  assert.match(used.stderr, /^offshoot: Image "mine" is used by template "mine": remove that first \(offshoot template rm mine\)\. \[bad-argument\]\n$/);
  await ok(['template', 'rm', 'mine']);
  assert.match(await ok(['image', 'rm', 'mine']), /^removed mine\t[\d.]+ MB\n[\d.]+ MB freed\n$/);
  await ok(['template', 'rm', 'reqs']);
  writeFileSync(join(home, 'templates/failing.template'), 'damaged');
  assert.match(await ok(['template', 'prune']), /^removed failing\t.*\n.*freed\n$/);
  assert.match(await ok(['image', 'prune']), /^removed reqs\t/);
  assert.equal(await ok(['run', '-c', 'print(3)']), '3\n');
  const left = readdirSync(join(home, 'images')).filter((name) => name.endsWith('.json')).sort();
  assert.ok(left.includes('python.json') && !left.includes('reqs.json') && !left.includes('mine.json'), left.join());
  assert.ok(!existsSync(join(home, 'templates/mine.json')));
  assert.equal(JSON.parse(readFileSync(join(home, 'templates/failing.json'), 'utf8')).setup.filename, 'failing.py');
});
