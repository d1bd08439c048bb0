// What is shown while a template is built: a bar on a terminal, two lines elsewhere, nothing with --quiet.

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { MAIN, command, offshoot, type CliResult } from './clihelp.ts';
import { newHome } from './homehelp.ts';

const dir = mkdtempSync(join(tmpdir(), 'offshoot-progress-'));
after(() => rmSync(dir, { recursive: true }));
const home = await newHome();
mkdirSync(join(dir, 'bin'));
copyFileSync('/bin/busybox', join(dir, 'bin/busybox'));

/** The command on a terminal of its own, script(1)'s: what it shows. */
async function onTerminal(args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
  const line = [process.execPath, '--no-warnings', MAIN, ...args].map((word) => `'${word}'`).join(' ');
  const result = await command('script', ['-qec', line, '/dev/null'], { env: { OFFSHOOT_HOME: home, ...env } });
  assert.equal(result.code, 0, result.stdout.toString());
  return result.stdout.toString();
}

const BUILD = ['template', 'build', 'tiny', '--from', `dir:${dir}`];
const LINES = /^offshoot: The image "tiny" is built once: [^\n]*\noffshoot: template "tiny" is ready\ntiny: built\n$/;

test('a terminal: a bar that is gone in the end, no colours', async () => {
  const shown = await onTerminal(BUILD, { TERM: 'xterm-256color' });
  assert.match(shown, /\r\x1b\[Koffshoot: \[[#.]{24}\] +\d+% packing /);
  assert.doesNotMatch(shown, /\x1b\[[\d;]*m/);
  const left = shown.replaceAll('\r\n', '\n').replace(/\r\x1b\[K[^\r\n]*(?=\r\x1b\[K)/g, '').replaceAll('\r\x1b[K', '');
  assert.match(left, LINES);
});

test('TERM=dumb, or no terminal: two lines', async () => {
  assert.match((await onTerminal(BUILD, { TERM: 'dumb' })).replaceAll('\r\n', '\n'), LINES);
  const result = await offshoot(BUILD, { env: { OFFSHOOT_HOME: home } });
  assert.match(result.stderr + result.stdout.toString(), LINES);
});

test('--quiet: nothing', async () => {
  const said = (result: CliResult): unknown[] => [result.stdout.toString(), result.stderr, result.code];
  assert.deepEqual(said(await offshoot([...BUILD, '--quiet'], { env: { OFFSHOOT_HOME: home } })), ['tiny: built\n', '', 0]);
  assert.deepEqual(said(await offshoot(['run', '-q', '-c', 'print(1)'], { env: { OFFSHOOT_HOME: home } })), ['1\n', '', 0]);
});
