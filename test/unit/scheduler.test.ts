// Slices: who goes next among sandboxes that compute, that sleep, and that are short.

import assert from 'node:assert/strict';
import test from 'node:test';
import { CpuShare } from '../../src/engine/cpushare.ts';
import { Scheduler, type Runnable, type StepState } from '../../src/engine/scheduler.ts';

const LOG_MAX = 200;
/** What one that computes uses at a time, and a short run. */
const SLICE_MS = 10, SHORT_MS = 2;

/** Time passes only while a load computes. */
let clockMs = 0;
const clock = (): number => clockMs;

/** Computes for `slices` slices of about `ms`, then ends; its name is written down at each. */
class Load implements Runnable {
  readonly name: string;
  private left: number;
  private readonly ms: number;
  private readonly log: string[];
  private readonly onEnd: () => void;

  constructor(log: string[], name: string, slices: number, ms = 2, onEnd = (): void => {}) {
    this.log = log;
    this.name = name;
    this.left = slices;
    this.ms = ms;
    this.onEnd = onEnd;
  }

  step(): StepState {
    if (this.log.length < LOG_MAX) this.log.push(this.name);
    clockMs += this.ms;
    if (--this.left > 0) return { kind: 'more' };
    setImmediate(this.onEnd);
    return { kind: 'ended' };
  }
}

/** Lets the scheduler turn until `done` says so. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise(setImmediate);
}

test('a short run waits for two slices at most, however many compute', async () => {
  const log: string[] = [];
  const scheduler = new Scheduler(undefined, clock);
  for (let i = 0; i < 10; i++) scheduler.wake(new Load(log, `hog${i}`, 40));
  await until(() => log.length >= 27);
  for (let i = 0; i < 30; i++) { // many, because small unfairness adds up
    const before = log.length;
    scheduler.wake(new Load(log, `short${i}`, 1));
    await until(() => log.includes(`short${i}`));
    const waited = log.indexOf(`short${i}`) - before;
    assert.ok(waited <= 2, `short run ${i} waited for ${waited} slices`);
  }
});

test('those that compute share alike', async () => {
  const log: string[] = [];
  const scheduler = new Scheduler(undefined, clock);
  for (const name of ['a', 'b', 'c']) scheduler.wake(new Load(log, name, 30));
  await until(() => log.length >= 60);
  for (const name of ['a', 'b', 'c']) {
    const share = log.slice(0, 60).filter((each) => each === name).length;
    assert.ok(share >= 10, `${name} had ${share} of 60 slices`);
  }
});

test('a stream of short runs does not starve one that computes', async () => {
  const log: string[] = [];
  const scheduler = new Scheduler(undefined, clock);
  const hogLoad = new Load(log, 'hog', 1000, SLICE_MS);
  scheduler.wake(hogLoad);
  let streaming = true;
  const next = (): void => {
    if (streaming) scheduler.wake(new Load(log, 'short', 1, SHORT_MS, next));
  };
  next();
  await until(() => log.length >= LOG_MAX);
  streaming = false;
  scheduler.remove(hogLoad);
  const hogMs = log.filter((name) => name === 'hog').length * SLICE_MS;
  const shortMs = log.filter((name) => name === 'short').length * SHORT_MS;
  assert.ok(hogMs >= 0.9 * shortMs, `it had ${hogMs} ms beside ${shortMs}`);
});

test('one that sleeps does not save up time', async () => {
  const log: string[] = [];
  const scheduler = new Scheduler(undefined, clock);
  const sleeper = new Load(log, 'sleeper', 1000);
  const hog = new Load(log, 'hog', 1000);
  scheduler.wake(hog);
  await until(() => log.length >= 60);
  scheduler.wake(sleeper);
  await until(() => log.length >= 120);
  const share = log.slice(60, 120).filter((name) => name === 'hog').length;
  assert.ok(share >= 15, `the other had ${share} of 60 slices`);
  scheduler.remove(sleeper);
  scheduler.remove(hog);
});

test('blocked: not run before its time or a wake; removed: never again', async () => {
  const scheduler = new Scheduler(undefined, clock);
  let steps = 0;
  const guest: Runnable = {
    step: () => {
      steps++;
      return { kind: 'blocked', wakeAtMs: steps === 1 ? performance.now() + 20 : Infinity };
    },
  };
  const start = performance.now();
  scheduler.wake(guest);
  await until(() => steps === 2);
  assert.ok(performance.now() - start >= 19);
  scheduler.wake(guest);
  await until(() => steps === 3);
  scheduler.wake(guest);
  scheduler.remove(guest);
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(steps, 3);
});

test('a share of the processor: what has used more waits, what has used less runs at once', async () => {
  let nowMs = 0;
  const share = new CpuShare(() => nowMs);
  assert.equal(share.waitMs, 0);
  share.use(1000);
  assert.equal(share.waitMs, 0, 'no limit');
  share.set(0.25);
  share.use(25); // what it had in advance
  assert.equal(share.waitMs, 0);
  share.use(10);
  assert.equal(share.waitMs, 40);
  nowMs += 30;
  assert.equal(share.waitMs, 10);
  nowMs += 1e6;
  share.use(35);
  assert.equal(share.waitMs, 40, 'no more is kept than a tenth of a second brings');
  share.set(1);
  assert.equal(share.waitMs, 0);
});

test('the scheduler takes no turn while the share is used up', async () => {
  const log: string[] = [];
  // From the seventh slice on others have the processor for two thirds of each.
  const share = new CpuShare(clock, () => clockMs - 20 * Math.max(0, log.length - 6));
  share.set(0.5);
  const scheduler = new Scheduler(undefined, clock, share);
  const hog = new Load(log, 'hog', 100, 30);
  scheduler.wake(hog);
  await until(() => log.length >= 3);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(log.length, 3, '50 ms were there, and half of what passed since; the last slice goes beyond');
  clockMs += 200; // 50 ms more are there, and no more
  await until(() => log.length >= 6);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(log.length, 6);
  clockMs += 200;
  const end = performance.now() + 20_000;
  await until(() => log.length >= 60 || performance.now() > end);
  assert.ok(log.length >= 60, 'what others had does not count');
  scheduler.remove(hog);
  clockMs += 1000;
  await until(() => !scheduler.isBusy);
});

test('who is cancelled, or has no time left, ends also while the share is used up', async () => {
  const log: string[] = [];
  const share = new CpuShare(clock);
  share.set(0.5);
  const scheduler = new Scheduler(undefined, clock, share);
  const hogs = ['one', 'two'].map((name) => Object.assign(new Load(log, name, 100, 300), { isEnding: false }));
  for (const hog of hogs) scheduler.wake(hog);
  await until(() => log.length === 1); // it has used more than there was
  const [ending] = hogs.filter(({ name }) => name !== log[0]);
  let ended = 0;
  Object.assign(ending, { isEnding: true, step: (): StepState => ({ kind: ++ended === 1 ? 'ended' : 'more' }) });
  await until(() => ended > 0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([ended, log.length], [1, 1]);
  for (const hog of hogs) scheduler.remove(hog);
  clockMs += 10_000;
  await until(() => !scheduler.isBusy);
});
