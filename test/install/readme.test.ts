// What README.md, docs/cli.md and docs/images.md tell a new user to type, typed by one: each line of their shell blocks runs in a
// directory of the user's, through the packed package, and the library's blocks are compiled and run. Likewise examples/.

import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import test, { before } from 'node:test';
import { ROOT, command, type CliResult } from '../kvm/clihelp.ts';
import { makeWheel } from '../kvm/wheelhelp.ts';
import { asUser, install, node, ownDir } from './installhelp.ts';

const bin = node(24);
const cwd = ownDir('reader');
const TSC = ['--noEmit', '--strict', '--target', 'esnext', '--module', 'esnext', '--moduleResolution', 'bundler',
  '--typeRoots', resolve(ROOT, 'node_modules/@types'), '--types', 'node'];

/** What the pages take for granted. */
const FILES: Readonly<Record<string, string>> = {
  'script.py': 'import os, sys, helper\nprint(sys.argv[1:], helper.total("data.csv"), repr(sys.stdin.read()))\n'
    + 'if os.access(".", os.W_OK): open("plot.png", "w").write("a plot")\n',
  'helper.py': 'def total(path):\n    return sum(int(line) for line in open(path))\n', 'data.csv': '1\n2\n3\n', 'input.txt': 'typed\n',
  'untrusted.py': 'print("untrusted")\n', 'requirements.txt': '--no-index\n--find-links .\nthing\n',
  'load.py': 'import thing\nthing.loaded = True\n',
  'load_model.py': 'import builtins, os\nbuiltins.mode = os.environ["MODE"]\n', 'app.py': 'import thing\nprint(thing.loaded)\n',
  'tool/run.sh': '#!/bin/sh\npwd\n',
};
before(async () => {
  await install(cwd, bin);
  mkdirSync(join(cwd, 'tool'));
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(cwd, name), text);
  chmodSync(join(cwd, 'tool/run.sh'), 0o755);
  makeWheel(cwd, 'thing', '1.0', { 'thing.py': '' });
  cpSync(join(cwd, 'node_modules/offshoot/examples'), join(cwd, 'examples'), { recursive: true });
  cpSync(join(cwd, 'examples/plot.py'), join(cwd, 'plot.py'));
  ownDir('reader');
});

function blocks(page: string, language: string): readonly string[] {
  const text = readFileSync(resolve(ROOT, page), 'utf8');
  return [...text.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].filter((match) => match[1] === language).map((match) => match[2]);
}

/** What starts the service, or talks to it: test/server does. */
const SERVICE = /^offshoot (serve|keys)\b|--server\b|\bcurl\b/;

/** The lines of a page's shell blocks, without comments. */
function lines(page: string): readonly string[] {
  return blocks(page, 'sh').flatMap((block) => block.split('\n'))
    .map((line) => line.replace(/ +# .*$/, '').trim()).filter((line) => line !== '' && !SERVICE.test(line));
}

/** Lines that only a checkout of the sources, or another program, can do. */
const ELSEWHERE = new Set([
  'npm ci && npm test', 'docker export $(docker create python:3.12-slim) > image.tar', 'offshoot template build mine --from tar:image.tar',
  'offshoot template build mine --from dir:/srv/chroots/bookworm',
  'skopeo copy docker://python:3.12-slim oci:layout && offshoot template build mine --from oci:layout',
]);

/** What more than exit code 0 shows that a line did its work. */
const SHOWS: Readonly<Record<string, RegExp>> = {
  "offshoot run -c 'print(6*7)'": /^42\n$/,
  'npx offshoot run examples/numpy.py': /reconstruction exact: True\n/,
  'offshoot run script.py arg1 arg2 < input.txt': /^\['arg1', 'arg2'\] 6 'typed\\n'\n$/,
  'offshoot run --timeout 2 --memory 256 --json - < untrusted.py': /"stdout":"untrusted\\n".*"exit_code":0/,
  'offshoot run --strace -c \'open("/etc/passwd")\'': /openat\(AT_FDCWD, "\/etc\/passwd", .* = 3\n/,
  'offshoot run -t data --out plot.png:. plot.py': /mean +7\.86\n/,
  'offshoot template build mine --requirements requirements.txt --setup load.py && offshoot run -t mine app.py': /mine: built\nTrue\n$/,
  'offshoot doctor': /This host can run sandboxes/,
};

async function typed(line: string): Promise<CliResult> {
  const env = { PATH: `${cwd}/node_modules/.bin:${resolve(bin, '..')}:/usr/bin:/bin` };
  const result = await asUser(cwd, bin, ['bash', '-c', line.replace(/^npm ci && /, '')], { env });
  assert.equal(result.code, 0, `${line}\n${result.stdout.toString()}${result.stderr}`);
  return result;
}

for (const page of ['README.md', 'docs/cli.md', 'docs/images.md']) {
  test(`${page}: each line works`, async () => {
    const all = lines(page);
    assert.ok(all.length > 3);
    for (const line of all.filter((each) => !ELSEWHERE.has(each))) {
      rmSync(join(cwd, 'plot.png'), { force: true });
      const result = await typed(line);
      const shows = SHOWS[line.replace(/^npm ci && /, '')];
      if (shows) assert.match(line.includes('--strace') ? result.stderr : result.stdout.toString(), shows, line);
      if (line.includes('--out plot.png:.')) assert.match(readFileSync(join(cwd, 'plot.png'), 'latin1'), /^(a plot$|\x89PNG)/, line);
    }
  });
}

test('what is not typed here, or shown, is still in the pages', () => {
  const all = ['README.md', 'docs/cli.md', 'docs/images.md'].flatMap(lines).map((line) => line.trim());
  assert.deepEqual([...ELSEWHERE].filter((line) => !all.includes(line)), []);
  assert.deepEqual(Object.keys(SHOWS).filter((line) => !all.some((each) => each.replace(/^npm ci && /, '') === line)), []);
});

test('README.md: the library\'s blocks compile and run', async () => {
  const [first, ...rest] = blocks('README.md', 'ts');
  const more = rest.map((block) => `{\n  const signal = AbortSignal.timeout(60_000);\n${block}  console.log(result.stdout.toString());\n}\n`);
  writeFileSync(join(cwd, 'readme.mts'), first + more.join(''));
  const compiled = await command(resolve(ROOT, 'node_modules/.bin/tsc'), [...TSC, 'readme.mts'], { spawn: { cwd } });
  assert.equal(compiled.code, 0, compiled.stdout.toString());
  const ran = await asUser(cwd, bin, [bin, '--no-warnings', 'readme.mts']);
  assert.match(ran.stdout.toString(), /^\[[\d. ]+\]\n0 [\d.]+\n42\n\n/, ran.stderr);
});

/** Compiled here; run where there is a service (test/server). */
function needsService(name: string): boolean {
  return readFileSync(join(cwd, 'examples', name), 'utf8').includes("'offshoot/client'");
}

test('examples: those that need the template data, and those of the library from the package', async () => {
  const examples = readdirSync(join(cwd, 'examples')).sort();
  const programs = examples.filter((each) => each.endsWith('.ts'));
  const compiled = await command(resolve(ROOT, 'node_modules/.bin/tsc'), [...TSC, ...programs.map((name) => `examples/${name}`)], { spawn: { cwd } });
  assert.equal(compiled.code, 0, compiled.stdout.toString());
  assert.ok(programs.length > 3);
  for (const name of programs.filter((each) => !needsService(each))) await typed(`node --no-warnings examples/${name}`);
  await typed('offshoot run -t data --out plot.png:. examples/plot.py');
  const png = readFileSync(join(cwd, 'plot.png'));
  assert.deepEqual([png.toString('latin1', 0, 4), png.readUInt32BE(16), png.readUInt32BE(20)], ['\x89PNG', 640, 480]);
});
