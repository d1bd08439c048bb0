// What is fixed when a program starts differs between tenants and between rotations: addresses, canary, pointer guard, hash seed.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import test, { after } from 'node:test';
import { Engine } from '../../src/engine/engine.ts';
import { workerPids } from './workerhelp.ts';

const FORKS = 4;
const engine = await Engine.open({ workers: 1, layouts: { forks: FORKS, ms: 0 } });
after(() => engine.close());

/** hash('x'), addresses of the heap, a library, the stack; the 16 bytes that canary and pointer guard are made of (AT_RANDOM). */
const CODE = `
import ctypes, struct
auxv = open("/proc/self/auxv", "rb").read()
at_random = dict(struct.iter_unpack("QQ", auxv))[25]
maps = open("/proc/self/maps").read().splitlines()
start = lambda name: next(line.split("-")[0] for line in maps if name in line)
print(hash("x"), start("[heap]"), start("libc.so"), start("[stack]"), ctypes.string_at(at_random, 16).hex())
`;
const NAMES = ['hash', 'heap', 'library', 'stack', 'AT_RANDOM'];

async function layout(tenant?: string): Promise<string[]> {
  const result = await engine.run('python', CODE, tenant === undefined ? {} : { tenant });
  assert.equal(result.exitCode, 0, result.stderr.toString());
  return result.stdout.toString().trim().split(' ');
}

/** Forks until there is another build; its layout. */
async function rotated(tenant: string | undefined, first: readonly string[]): Promise<string[]> {
  for (let i = 0; i < FORKS; i++) await layout(tenant);
  let now = await layout(tenant);
  for (let i = 0; i < 600 && now[0] === first[0]; i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    now = await layout(tenant);
  }
  return now;
}

function assertDiffer(a: readonly string[], b: readonly string[]): void {
  NAMES.forEach((name, i) => assert.notEqual(a[i], b[i], name));
}

/** Large read-only memory of no file; in all workers: what forks of a build share. */
const sharedMappings = (): number => workerPids().flatMap((pid) => readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n')).filter((line) => {
  const [, start, end] = /^(\w+)-(\w+) r--p 00000000 00:00 0 *$/.exec(line) ?? [];
  return start !== undefined && parseInt(end, 16) - parseInt(start, 16) >= 2 << 20;
}).length;

// First: there is one worker.
test('what the forks of a build shared goes with the last of them', async () => {
  let now = await layout();
  const before = sharedMappings();
  assert.ok(before > 0);
  for (let i = 0; i < 3; i++) now = await rotated(undefined, now);
  for (let i = 0; i < 100 && sharedMappings() > before; i++) await new Promise((resolve) => setTimeout(resolve, 100)); // runs of the last build end
  assert.equal(sharedMappings(), before);
});

test('two tenants have layouts of their own, and the default tenant a third', async () => {
  const [one, two, other] = [await layout('one'), await layout('two'), await layout()];
  assertDiffer(one, two);
  assertDiffer(one, other);
  assertDiffer(two, other);
});

test('a tenant keeps its layout until it is rotated, in the background', async () => {
  for (const tenant of ['three', undefined]) {
    const first = await layout(tenant);
    assert.deepEqual(await layout(tenant), first);
    assertDiffer(first, await rotated(tenant, first));
  }
});

test('a sandbox forked before a rotation goes on', async () => {
  const template = await engine.template('python');
  await using sandbox = await template.fork({ tenant: 'four' });
  for (let i = 0; i < 2 * FORKS; i++) await layout('four');
  const result = await sandbox.run('print("still here")');
  assert.equal(result.stdout.toString(), 'still here\n');
});

test('copies of a stateful sandbox have its build\'s memory, however often its tenant got another since', async () => {
  await using sandbox = await (await engine.template('python')).fork({ tenant: 'five', stateful: true });
  const look = 'import zlib, ctypes\nprint(hash("x"), *(zlib.crc32(ctypes.string_at(id(t), t.__basicsize__ // 2)) for t in (int, dict, type(ctypes))))';
  let now: readonly string[] = [];
  for (let i = 0; i < 3; i++) now = await rotated('five', now);
  const [copy] = await sandbox.fork(1);
  const [ofCopy, ofSource] = [await copy.run(look), await sandbox.run(look)];
  await copy.close();
  assert.equal(ofCopy.stdout.toString(), ofSource.stdout.toString(), ofCopy.stderr.toString());
  assert.notEqual(ofCopy.stdout.toString().split(' ')[0], now[0]);
});

test('no file of a tenant is left', () => {
  assert.deepEqual(readdirSync(`${engine.home}/templates`).filter((name) => name.endsWith('.layout')), []);
});
