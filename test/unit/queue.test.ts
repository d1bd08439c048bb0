// Who waits: order within a tenant, turns between tenants, limits.

import assert from 'node:assert/strict';
import test from 'node:test';
import { FairQueue, type Waiting } from '../../src/engine/queue.ts';

interface Item extends Waiting { readonly name: string }

function item(tenant: string, name: string, sizeBytes = 10): Item {
  return { tenant, name, sizeBytes };
}

const LIMITS = { requests: 6, requestsPerTenant: 4, bytes: 1000 };

/** Serves one after the other until it is empty. */
function order(queue: FairQueue<Item>): string[] {
  const served: string[] = [];
  while (queue.size > 0) {
    const [first] = queue.heads();
    assert.ok(queue.take(first));
    served.push(first.name);
  }
  return served;
}

test('first come, first served within a tenant; tenants in turn', () => {
  const queue = new FairQueue<Item>(LIMITS);
  for (const name of ['a1', 'a2', 'a3', 'a4']) queue.push(item('a', name));
  for (const name of ['b1', 'b2']) queue.push(item('b', name));
  assert.deepEqual(order(queue), ['a1', 'b1', 'a2', 'b2', 'a3', 'a4']);
});

test('limits: all, one tenant, bytes; a refusal changes nothing and room comes back', () => {
  const queue = new FairQueue<Item>(LIMITS);
  const busy = (text: RegExp) => (error: Error & { code?: string }): boolean => error.code === 'busy' && text.test(error.message);
  for (const name of ['1', '2', '3', '4']) queue.push(item('a', name));
  assert.throws(() => queue.push(item('a', '5')), busy(/this tenant are waiting \(4\)/));
  queue.push(item('b', '6'));
  queue.push(item('b', '7'));
  assert.throws(() => queue.push(item('c', '8')), busy(/waiting \(6\)/));
  const [first] = queue.heads();
  queue.take(first);
  assert.throws(() => queue.push(item('c', '9', 951)), busy(/waiting \(5\)/));
  queue.push(item('c', '9', 950));
  assert.equal(queue.size, 6);
});

test('what is dropped is not served, twice neither, and keeps the turn', () => {
  const queue = new FairQueue<Item>(LIMITS);
  const items = ['a1', 'a2', 'b1', 'c1'].map((name) => item(name[0], name));
  for (const each of items) queue.push(each);
  assert.ok(queue.drop(items[0]));
  assert.ok(!queue.drop(items[0]));
  assert.ok(!queue.take(items[0]));
  assert.ok(queue.drop(items[2]));
  assert.ok(!queue.hasTenant('b'));
  assert.deepEqual(order(queue), ['a2', 'c1']);
});

test('a tenant that goes away and comes back waits for its turn', () => {
  const queue = new FairQueue<Item>(LIMITS);
  queue.push(item('a', 'a1'));
  queue.push(item('b', 'b1'));
  queue.take(queue.heads()[0]);
  queue.push(item('a', 'a2'));
  assert.deepEqual(order(queue), ['b1', 'a2']);
});
