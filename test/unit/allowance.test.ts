// What a key may use: the bucket fills with time, days end, batches count.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Allowance } from '../../src/server/allowance.ts';
import { ServiceError } from '../../src/server/errors.ts';

const refused = (code: string, seconds?: number) => (error: unknown): boolean =>
  error instanceof ServiceError && error.code === code && (seconds === undefined || error.retryAfterSeconds === seconds);
const limits = { requestsPerMinute: 60, concurrency: 2, runsPerDay: 2, cpuSecondsPerDay: 1 };

test('requests: as many as a minute has, then one a second', () => {
  let now = 0;
  const allowance = new Allowance(limits, undefined, () => now);
  allowance.count(59);
  allowance.count(1);
  assert.throws(() => allowance.count(1), refused('rate-limit', 1));
  assert.throws(() => allowance.count(30), refused('rate-limit', 30));
  now += 1000;
  allowance.count(1);
  assert.throws(() => allowance.count(1), refused('rate-limit'));
  assert.throws(() => allowance.count(61), refused('too-large'));
});

test('runs at a time: a batch takes what there is', () => {
  const allowance = new Allowance(limits, undefined, () => 0);
  assert.equal(allowance.enter(5), 2);
  assert.throws(() => allowance.enter(), refused('concurrency-limit', 1));
  allowance.leave(2);
  assert.equal(allowance.enter(), 1);
});

test('quotas end with the day', () => {
  let now = 86_400_000 - 5000;
  const allowance = new Allowance(limits, undefined, () => now);
  allowance.startRun();
  allowance.endRun(400);
  allowance.startRun();
  assert.throws(() => allowance.startRun(), refused('quota', 5));
  now += 5000;
  allowance.startRun();
  allowance.endRun(1000);
  assert.throws(() => allowance.enter(), refused('quota', 86_400));
});
