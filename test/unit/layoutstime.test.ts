// A tenant's builds: replaced by themselves when their time is over, one at a time, and given up where nobody has a worker.

import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { inUse, isOpen, offers } from './builds.ts';
import type { Offer } from '../../src/engine/provide.ts';

/** Time passes when the test says so. */
function clock(context: TestContext): (ms: number) => Promise<void> {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  return async (ms) => {
    context.mock.timers.tick(ms);
    await turn();
  };
}

test('when its time is over another build takes its place, whether anything is forked or not', async (t) => {
  const pass = clock(t);
  const { builds, first } = await inUse({ forks: 0, ms: 1000 });
  await pass(5000);
  assert.equal(builds.begun, 0, 'time begins with the first fork');
  await builds.fork();
  await pass(600);
  await builds.fork();
  await pass(399);
  assert.equal(builds.begun, 0);
  await pass(1);
  assert.equal(builds.begun, 1);
  await pass(5000);
  assert.equal(builds.begun, 1, 'one, however long it takes');
  const second = await builds.finish() as Offer;
  assert.deepEqual([builds.rotated, isOpen(first), isOpen(second)], [[second], false, true]);
  await pass(100_000);
  assert.equal(builds.begun, 0, 'nobody has used it: it need not be replaced');
  await builds.fork();
  await pass(1000);
  assert.equal(builds.begun, 1);
  await builds.finish();
  await builds.layouts.close();
  assert.deepEqual(offers.filter(isOpen), []);
});

test('more time than a timer of Node takes is not over at once', async (t) => {
  const pass = clock(t);
  const { builds } = await inUse({ forks: 0, ms: 2 ** 32 });
  await builds.fork();
  await pass(2 ** 31 - 1);
  await pass(2 ** 31 - 1);
  await pass(1);
  assert.equal(builds.begun, 0);
  await pass(1);
  assert.equal(builds.begun, 1);
  await builds.finish();
  await builds.layouts.close();
});

test('timers keep no process from ending', async () => {
  const before = process.getActiveResourcesInfo();
  const { builds } = await inUse({ forks: 0, ms: 60_000 });
  await builds.fork();
  assert.deepEqual(process.getActiveResourcesInfo().filter((name) => name === 'Timeout'), before.filter((name) => name === 'Timeout'));
  await builds.layouts.close();
});

test('a tenant without a worker gets no new build: the old one is given up, and who comes next gets one', async (t) => {
  const pass = clock(t);
  const { builds, first } = await inUse({ forks: 0, ms: 1000 });
  await builds.fork();
  builds.isServed = false;
  builds.layouts.noteUnserved('tenant');
  await pass(999);
  assert.equal(isOpen(first), true, 'who comes back soon finds it');
  await pass(1);
  assert.deepEqual([builds.begun, isOpen(first)], [0, false]);
  const provided = builds.provide();
  await turn();
  assert.equal(builds.begun, 1);
  const second = await builds.finish() as Offer;
  await provided;
  builds.layouts.noteUnserved('tenant'); // it was never forked
  await pass(1000);
  assert.equal(isOpen(second), false);
  await builds.layouts.close();
});

test('one build at a time, those that somebody waits for first', async (t) => {
  const pass = clock(t);
  const { builds } = await inUse({ forks: 0, ms: 1000 });
  for (const tenant of ['two', 'three']) {
    const provided = builds.provide(undefined, tenant);
    await turn();
    await builds.finish();
    await provided;
  }
  for (const tenant of ['tenant', 'two', 'three']) await builds.fork(tenant);
  await pass(1000);
  assert.equal(builds.begun, 1, 'of three');
  const order: string[] = [];
  builds.layouts.onRotated = async (tenant) => void order.push(tenant);
  const provided = builds.provide(undefined, 'new').then(() => order.push('new'));
  for (let i = 0; i < 4; i++) {
    await turn();
    assert.equal(builds.begun, 1);
    await builds.finish();
  }
  await provided;
  assert.deepEqual(order, ['tenant', 'new', 'two', 'three']);
  await builds.layouts.close();
});

test('a tenant whose worker ends while its build waits for its turn gets none', async (t) => {
  const pass = clock(t);
  const { builds, first } = await inUse({ forks: 0, ms: 1000 });
  const provided = builds.provide(undefined, 'other');
  await turn();
  await builds.fork();
  await pass(1000);
  builds.isServed = false;
  await builds.finish();
  await provided;
  await turn();
  assert.deepEqual([builds.begun, isOpen(first), builds.rotated], [0, false, []]);
  await builds.layouts.close();
});

test('when a build fails, the old one goes on for as long again', async (t) => {
  const pass = clock(t);
  for (const init of [{ forks: 2, ms: 0 }, { forks: 0, ms: 1000 }]) {
    const { builds, first } = await inUse(init);
    const serve = (): Promise<void> => (init.forks > 0 ? builds.fork() : pass(500));
    if (init.ms > 0) await builds.fork();
    for (let i = 0; i < 2; i++) await serve();
    assert.equal(builds.begun, 1);
    await builds.finish(false);
    assert.equal(isOpen(first), true);
    await serve();
    assert.equal(builds.begun, 0);
    await serve();
    assert.equal(builds.begun, 1);
    await builds.finish();
    assert.equal(builds.rotated.length, 1);
    await builds.layouts.close();
  }
});
