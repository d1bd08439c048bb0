// A tenant's builds: replaced after so many forks or so much time; each one's files are closed once, when nobody needs them any more, whatever comes
// in between.

import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync } from 'node:fs';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Layouts, type LayoutInit } from '../../src/engine/layouts.ts';
import type { Offer } from '../../src/engine/provide.ts';
import type { WorkerClient } from '../../src/engine/workerclient.ts';

const offers: Offer[] = [];

function newOffer(): Offer {
  const open = (): number => openSync('/dev/null', 'r');
  const offer = { header: {} as Offer['header'], indexBytes: 0, fds: [open(), open(), open()] } as const;
  offers.push(offer);
  return offer;
}

function isOpen({ fds }: Offer): boolean {
  return fds.every((fd) => {
    try {
      return fstatSync(fd).isCharacterDevice();
    } catch {
      return false;
    }
  });
}

/** Builds that are there when the test says so. */
class Builds {
  readonly layouts: Layouts;
  readonly rotated: Offer[] = [];
  private readonly waiting: ((offer: Offer | null) => void)[] = [];

  constructor(init: LayoutInit) {
    this.layouts = new Layouts('/nowhere', init, undefined, () => new Promise((resolve, reject) => {
      this.waiting.push((offer) => (offer ? resolve(offer) : reject(new Error('no build'))));
    }));
    this.layouts.onRotated = async (_tenant, _template, offer) => void this.rotated.push(offer);
  }

  get begun(): number { return this.waiting.length; }

  /** The first build that is under way is there; with false it failed. */
  async finish(isMade = true): Promise<Offer | null> {
    const offer = isMade ? newOffer() : null;
    this.waiting.shift()?.(offer);
    await sleep(1);
    return offer;
  }

  provide(handOver: () => Promise<boolean> = async () => true): Promise<unknown> {
    return this.layouts.provide({ handOver } as unknown as WorkerClient, 'tenant', 'python', false);
  }

  fork(): void {
    this.layouts.noteFork('tenant', 'python');
  }
}

/** With a build in use. */
async function inUse(init: LayoutInit): Promise<{ builds: Builds; first: Offer }> {
  const builds = new Builds(init);
  const provided = builds.provide();
  const first = await builds.finish() as Offer;
  await provided;
  return { builds, first };
}

test('after so many forks, or so much time, another build takes its place', async () => {
  for (const init of [{ forks: 3, ms: 0 }, { forks: 0, ms: 40 }]) {
    const { builds, first } = await inUse(init);
    builds.fork();
    builds.fork();
    assert.equal(builds.begun, 0);
    if (init.ms > 0) await sleep(60);
    builds.fork();
    builds.fork();
    assert.equal(builds.begun, 1, 'one, in the background');
    const second = await builds.finish() as Offer;
    assert.deepEqual([builds.rotated, isOpen(first), isOpen(second)], [[second], false, true]);
    builds.fork();
    assert.equal(builds.begun, 0, 'it serves as long');
    await builds.layouts.close();
    assert.equal(isOpen(second), false);
  }
});

test('never, when that is what was asked for', async () => {
  const { builds } = await inUse({ forks: 0, ms: 0 });
  for (let i = 0; i < 100; i++) builds.fork();
  assert.equal(builds.begun, 0);
  await builds.layouts.close();
});

test('when a build fails, the old one goes on for as long again', async () => {
  const { builds, first } = await inUse({ forks: 2, ms: 0 });
  for (let i = 0; i < 2; i++) builds.fork();
  await builds.finish(false);
  assert.equal(isOpen(first), true);
  builds.fork();
  assert.equal(builds.begun, 0);
  builds.fork();
  assert.equal(builds.begun, 1);
  await builds.finish();
  assert.equal(builds.rotated.length, 1);
  await builds.layouts.close();
});

test('a template that is built again meanwhile: the build of the old one is used by nobody', async () => {
  const { builds, first } = await inUse({ forks: 1, ms: 0 });
  builds.fork();
  await builds.layouts.forgetTemplate('python');
  assert.equal(isOpen(first), false);
  const others = [0, 1, 2].map(() => openSync('/dev/null', 'r')); // they get the numbers of its files
  const late = await builds.finish() as Offer;
  assert.deepEqual([builds.rotated, isOpen(late)], [[], false]);
  for (const fd of others) closeSync(fd); // throws when somebody else has closed it
  await builds.layouts.close();
});

test('an engine that is closed meanwhile keeps no file', async () => {
  const { builds } = await inUse({ forks: 1, ms: 0 });
  builds.fork();
  await builds.layouts.close();
  const late = await builds.finish() as Offer;
  assert.deepEqual([builds.rotated, offers.filter(isOpen), isOpen(late)], [[], [], false]);
});

test('files stay open while a worker is being handed them', async () => {
  const { builds, first } = await inUse({ forks: 1, ms: 0 });
  let taken = (_isTaken: boolean): void => {};
  const provided = builds.provide(() => new Promise((resolve) => {
    taken = resolve;
  }));
  builds.fork();
  await sleep(1);
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
  builds.fork();
  assert.equal(builds.begun, 1, 'and it is replaced as any other');
  await builds.finish();
  await builds.layouts.close();
});
