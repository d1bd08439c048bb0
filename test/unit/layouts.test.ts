// A tenant's builds: replaced after so many forks; each one's files are closed once, when nobody needs them any more, whatever comes in between.

import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Builds, inUse, isOpen, offers } from './builds.ts';
import { Layouts } from '../../src/engine/layouts.ts';
import type { Offer } from '../../src/engine/provide.ts';

test('after so many forks another build takes its place', async () => {
  const { builds, first } = await inUse({ forks: 3, ms: 0 });
  await builds.fork();
  await builds.fork();
  assert.equal(builds.begun, 0);
  await builds.fork();
  await builds.fork();
  assert.equal(builds.begun, 1, 'one, in the background');
  const second = await builds.finish() as Offer;
  assert.deepEqual([builds.rotated, isOpen(first), isOpen(second)], [[second], false, true]);
  await builds.fork();
  assert.equal(builds.begun, 0, 'it serves as long');
  await builds.layouts.close();
  assert.equal(isOpen(second), false);
});

test('of tenants without a worker, so many builds are kept', async () => {
  const builds = new Builds({ forks: 0, ms: 0 });
  const made: Offer[] = [];
  for (let i = 0; i < 70; i++) {
    const provided = builds.provide(undefined, `tenant ${i}`);
    await turn();
    made.push(await builds.finish() as Offer);
    await provided;
  }
  builds.layouts.noteUnserved('tenant 3');
  assert.equal(made.every(isOpen), true, 'all of them have one');
  builds.isServed = false;
  builds.layouts.noteUnserved('tenant 5');
  await turn();
  assert.deepEqual(made.map(isOpen), made.map((_, i) => i >= 6));
  await builds.layouts.close();
  assert.deepEqual(offers.filter(isOpen), []);
});

test('never, when that is what was asked for', async () => {
  const { builds } = await inUse({ forks: 0, ms: 0 });
  for (let i = 0; i < 100; i++) await builds.fork();
  assert.equal(builds.begun, 0);
  await builds.layouts.close();
});

test('a template that is built again meanwhile: the build of the old one is used by nobody', async () => {
  const { builds, first } = await inUse({ forks: 1, ms: 0 });
  await builds.fork();
  await builds.layouts.forgetTemplate('python');
  assert.equal(isOpen(first), false);
  const others = [0, 1, 2].map(() => openSync('/dev/null', 'r')); // they get the numbers of its files
  const late = await builds.finish() as Offer;
  assert.deepEqual([builds.rotated, isOpen(late)], [[], false]);
  for (const fd of others) closeSync(fd); // throws when somebody else has closed it
  await builds.layouts.close();
});

test('an engine that is closed meanwhile keeps no file, and nobody waits for ever', async () => {
  const { builds } = await inUse({ forks: 1, ms: 0 });
  await builds.fork();
  const waits = builds.provide(undefined, 'other');
  const closed = builds.layouts.close();
  assert.equal(builds.signals.at(-1)?.aborted, true, 'the build need not be finished');
  await assert.rejects(waits, { code: 'closed' });
  const late = await builds.finish() as Offer;
  await closed;
  assert.deepEqual([builds.rotated, offers.filter(isOpen), isOpen(late)], [[], [], false]);
  await assert.rejects(builds.provide(), { code: 'closed' });
});

test('how long is a number', () => {
  for (const init of [{ ms: NaN }, { ms: -1 }, { forks: -1 }, { forks: '3' as unknown as number }]) {
    assert.throws(() => new Layouts('/nowhere', init, undefined), { code: 'bad-argument' });
  }
});

test('files stay open while a worker is being handed them', async () => {
  const { builds, first } = await inUse({ forks: 1, ms: 0 });
  let taken = (_isTaken: boolean): void => {};
  const provided = builds.provide(() => new Promise((resolve) => {
    taken = resolve;
  }));
  await builds.fork();
  await builds.finish();
  assert.equal(isOpen(first), true);
  taken(true);
  await provided;
  assert.equal(isOpen(first), false);
  await builds.layouts.close();
  assert.deepEqual(offers.filter(isOpen), []);
});

test('the tenant that had a template built again keeps what it has', async () => {
  const { builds, first } = await inUse({ forks: 1, ms: 0 });
  await builds.layouts.forgetTemplate('python', 'tenant');
  assert.equal(isOpen(first), true);
  await builds.fork();
  assert.equal(builds.begun, 1, 'and it is replaced as any other');
  await builds.finish();
  await builds.layouts.close();
});
