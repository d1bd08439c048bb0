// Template files in use: loaded by other processes without building; whatever is wrong with one is found, said, and
// repaired by building again; builds that are killed or that happen at the same time.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import test from 'node:test';
import { HEADER_BYTES, readHeader, templateKey } from '../../src/engine/templatefile.ts';
import { ROOT } from './clihelp.ts';
import { newHome, useHome } from './homehelp.ts';

const home = await newHome();
const dir = `${home}/templates`;
const path = `${dir}/python.template`;

function files(): string[] {
  return readdirSync(dir).sort();
}

test('three processes that need a template at the same time build it once', async () => {
  const runs = await Promise.all([useHome(home), useHome(home), useHome(home)]);
  assert.deepEqual(runs.map((run) => run.printed), ['2\n', '2\n', '2\n']);
  assert.equal(runs.flatMap((run) => run.phases).filter((phase) => phase === 'template').length, 1);
  assert.deepEqual(files(), ['python.template']);
});

test('a template is the owner\'s alone', () => {
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(dir).mode & 0o777, 0o700);
  assert.equal(statSync(`${home}/template.key`).mode & 0o777, 0o600);
});

test('another process loads it without building, and does not change it', async () => {
  const before = readFileSync(path);
  const run = await useHome(home, 'x = bytearray(50_000_000)\nimport numpy\nprint(len(x))');
  assert.deepEqual([run.printed, run.messages], ['50000000\n', []]);
  assert.ok(readFileSync(path).equals(before));
});

function flip(at: number): void {
  const bytes = readFileSync(path);
  bytes[at] ^= 0x10;
  replace(bytes);
}

/** As a new file: the old one may be mapped. */
function replace(bytes: Buffer): void {
  rmSync(path);
  writeFileSync(path, bytes, { mode: 0o600 });
}

/** Changes the header and authenticates it again: what an older or newer version of ours would have written. */
function rewrite(change: Record<string, unknown>): void {
  const bytes = readFileSync(path);
  const json = Buffer.from(JSON.stringify({ ...readHeader(path, templateKey(home)), ...change }));
  bytes.writeUInt32LE(json.length, 12);
  createHmac('sha256', templateKey(home)).update(json).digest().copy(bytes, 16);
  json.copy(bytes, 48);
  replace(bytes);
}

const DAMAGE: readonly (readonly [string, () => void, RegExp])[] = [
  ['truncated', () => truncateSync(path, 10_000_000), /truncated/],
  ['empty', () => truncateSync(path, 0), /truncated/],
  ['a flipped bit in the header', () => flip(60), /damaged/],
  ['a flipped bit in memory', () => flip(HEADER_BYTES + 1_000_001), /damaged/],
  ['a flipped bit in the state', () => flip(statSync(path).size - 1000), /damaged/],
  ['made with another key', () => writeFileSync(`${home}/template.key`, Buffer.alloc(32, 7)), /another home/],
  ['of another format', () => {
    const bytes = readFileSync(path);
    bytes.writeUInt32LE(99, 8);
    replace(bytes);
  }, /another version/],
  ['of another builder', () => rewrite({ builder: '0'.repeat(32) }), /another version of Offshoot/],
  ['of another processor', () => rewrite({ fingerprint: 'other' }), /another processor/],
  ['of another image', () => rewrite({ imageId: '0'.repeat(64) }), /image has changed/],
  ['of other modules', () => rewrite({ specId: '0'.repeat(32) }), /what it loads has changed/],
];

for (const [name, damage, why] of DAMAGE) {
  test(`a template that is ${name} is built again, with a message`, async () => {
    damage();
    const run = await useHome(home);
    assert.equal(run.printed, '2\n');
    assert.match(run.messages[0] ?? '', why);
    assert.deepEqual(run.phases, ['stale', 'template', 'done']);
    assert.deepEqual(files(), ['python.template']);
  });
}

/** Starts a build in a process group of its own and kills all of it `delayMs` after it said that it builds. */
async function killedBuild(delayMs: number): Promise<void> {
  const child = spawn(process.execPath, ['--no-warnings', resolve(ROOT, 'src/cli/main.ts'), 'template', 'build', 'python'], {
    detached: true, stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, OFFSHOOT_HOME: home },
  });
  const ended = new Promise((done) => child.on('exit', done));
  let said = '';
  await new Promise<void>((done) => {
    child.on('exit', () => done());
    child.stderr.on('data', (bytes: Buffer) => {
      said += bytes.toString();
      if (said.includes('building template')) setTimeout(done, delayMs);
    });
  });
  try {
    process.kill(-(child.pid as number), 'SIGKILL');
  } catch { /* it was faster */ }
  await ended;
}

test('a build that is killed leaves nothing that breaks or stays', async () => {
  for (const delayMs of [0, 300, 900]) {
    rmSync(path, { force: true });
    await killedBuild(delayMs);
    // What a kill in the middle of writing leaves.
    if (existsSync(path)) copyFileSync(path, `${path}.4194305.tmp`);
    rmSync(path, { force: true });
    writeFileSync(`${path}.4194304.tmp`, 'half a file');
    assert.equal((await useHome(home)).printed, '2\n');
    assert.deepEqual(files(), ['python.template']);
  }
});
