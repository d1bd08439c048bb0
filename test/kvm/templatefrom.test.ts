// Templates made from a directory without Python, and from a tar file on a host without apt.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, createWriteStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test, { after } from 'node:test';
import { Engine } from '../../src/engine/index.ts';
import { MAIN, canUnshare, command, commandsOf, offshoot, withoutApt, type CliResult } from './clihelp.ts';
import { newHome } from './homehelp.ts';

const dir = mkdtempSync(join(tmpdir(), 'offshoot-from-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const home = await newHome();
const env = { OFFSHOOT_HOME: home };

const { build, ok } = commandsOf(home);

test('a directory without Python: its programs run, Python is told to be missing', async () => {
  const root = join(dir, 'tiny');
  mkdirSync(join(root, 'bin'), { recursive: true });
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  execFileSync('chmod', ['755', join(root, 'bin/busybox')]);
  await build('tiny', '--from', `dir:${root}`);
  assert.equal(await ok(['exec', '-t', 'tiny', '--', 'busybox', 'sh', '-c', 'id -un; pwd; echo $((6*7))']), 'user\n/home/user\n42\n');
  const python = await offshoot(['run', '-t', 'tiny', '-c', 'print(1)'], { env });
  const missing = 'offshoot: this template has no Python: run its programs with exec\n';
  assert.deepEqual([python.stdout.toString(), python.stderr, python.code], ['', missing, 127]);
  const preload = await offshoot(['template', 'build', 'tiny2', '--from', `dir:${root}`, '--preload', 'json'], { env });
  assert.match(preload.stderr, /its image has no python3 in its PATH/);
  assert.equal(preload.code, 2);
  assert.doesNotMatch(await ok(['template', 'ls']) + await ok(['image', 'ls']), /tiny2/, 'a failed build leaves nothing');
});

test('a container image, as a layout directory and as docker save writes it: layers, whiteouts, modes, environment', async () => {
  const at = join(dir, 'container');
  mkdirSync(at);
  execFileSync('python3', [resolve(import.meta.dirname, 'files/container.py'), at, '/bin/busybox']);
  for (const source of [`oci:${at}/layout`, `oci:${at}/layout:latest`, `tar:${at}/saved.tar`]) {
    await build('contained', '--from', source);
    const look = 'cd /etc; busybox stat -c "%n %a %u" keep new; busybox test -e old || echo gone; echo $GREETING; busybox readlink /bin/sh';
    assert.equal(await ok(['exec', '-t', 'contained', '--', 'sh', '-c', look]), 'keep 640 0\nnew 604 0\ngone\nhello\nbusybox\n', source);
  }
  const other = await offshoot(['template', 'build', 'contained', '--from', `oci:${at}/layout:other`], { env });
  assert.match(other.stderr, /\noffshoot: [^\n]* holds no image for linux\/amd64 called "other" \[image-failed\]\n$/);
  assert.equal(other.code, 2);
});

/** The files of the default image as a tar file, made by tar in a sandbox. */
async function pythonTar(): Promise<string> {
  const file = join(dir, 'python.tar');
  const engine = await Engine.open({ workers: 1, home });
  try {
    const sandbox = await (await engine.template('python')).fork();
    const out = createWriteStream(file);
    const result = await sandbox.exec(['tar', '-C', '/', '-cf', '-', 'bin', 'lib', 'lib64', 'etc/alternatives', 'usr/bin', 'usr/lib', 'usr/lib64'], {
      outputBytes: 2 ** 30, capture: false, onStdout: (bytes) => void out.write(Buffer.from(bytes)),
    });
    await new Promise((done) => out.end(done));
    assert.equal(result.exitCode, 0);
    return file;
  } finally {
    await engine.close();
  }
}

test('a host without apt: the message names what works there, and that works', { skip: canUnshare() ? false : 'needs a mount namespace' }, async () => {
  const file = await pythonTar();
  const there = (...args: string[]): Promise<CliResult> => withoutApt(join(dir, 'noapt'), args, { OFFSHOOT_HOME: join(dir, 'noapt-home') });
  const first = await there('run', '-c', 'print(1)');
  assert.equal(first.code, 2);
  assert.match(first.stderr, /needs apt-get, which this host does not have: .*--from tar:FILE.*docker export.*--from dir:PATH/);
  assert.ok(first.stderr.trimEnd().split('\n').length <= 3, first.stderr);
  const built = await there('template', 'build', 'here', '--from', `tar:${file}`);
  assert.deepEqual([built.stdout.toString(), built.code], ['here: built\n', 0], built.stderr);
  const ran = await there('run', '-t', 'here', '-c', 'import numpy; print(numpy.arange(3).sum())');
  assert.deepEqual([ran.stdout.toString(), ran.stderr, ran.code], ['3\n', '', 0]);
});

test('a full disk: one sentence, and nothing is left', { skip: canUnshare() ? false : 'needs a mount namespace' }, async () => {
  const full = join(dir, 'full');
  mkdirSync(full);
  const script = 'mount -t tmpfs -o size=16m none "$0" && "$@"; echo "exit $?"; find "$0/home/images" "$0/home/templates" -type f';
  const argv = [process.execPath, '--no-warnings', MAIN, 'template', 'build', 'big', '--from', 'dir:/usr/bin'];
  const result = await command('unshare', ['-m', 'sh', '-c', script, full, ...argv], { env: { OFFSHOOT_HOME: join(full, 'home') } });
  assert.equal(result.stdout.toString(), 'exit 2\n');
  assert.match(result.stderr, /\noffshoot: [^\n]*the disk is full[^\n]*OFFSHOOT_HOME[^\n]*\n$/);
  assert.ok(result.stderr.trimEnd().split('\n').length <= 3, result.stderr);
});
