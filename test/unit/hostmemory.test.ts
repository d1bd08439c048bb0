// Admission by the host's memory, and what happens when it runs short all the same.

import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import test from 'node:test';
import { HostMemory, readMemory } from '../../src/engine/hostmemory.ts';
import { MemoryGuard } from '../../src/engine/memoryguard.ts';
import type { WorkerClient } from '../../src/engine/workerclient.ts';

const MB = 2 ** 20;

test('what this machine has is read', () => {
  const { totalBytes, availableBytes } = readMemory();
  assert.ok(totalBytes > 64 * MB && availableBytes > 0 && availableBytes <= totalBytes, `${availableBytes} of ${totalBytes}`);
});

test('sandboxes are admitted while enough stays free, those not yet seen counted', async () => {
  let availableBytes = 1000 * MB;
  const memory = new HostMemory(200 * MB, () => ({ totalBytes: 4000 * MB, availableBytes }));
  for (let i = 0; i < 8; i++) memory.admit(100 * MB);
  assert.throws(() => memory.admit(MB), (error: Error & { code?: string }) =>
    error.code === 'host-memory' && error.message.startsWith('The host has 1000 MB of memory left and keeps 200 MB free'));
  availableBytes = 900 * MB; // what was admitted used little
  await new Promise((resolve) => setTimeout(resolve, 30));
  memory.admit(700 * MB);
  assert.throws(() => memory.admit(MB), /keeps 200 MB free/);
});

test('what is kept free by default', () => {
  const keeps = (totalMb: number): number => new HostMemory(undefined, () => ({ totalBytes: totalMb * MB, availableBytes: 0 })).keepFreeBytes / MB;
  assert.deepEqual([keeps(512), keeps(16_384), keeps(1_048_576)], [128, 1024, 2048]);
});

/** A worker that notes what it is told. */
function fake(pid: number, log: string[], layerBytes = 0): WorkerClient {
  const told = { pid, layerBytes, post: (notice: { type: string }) => log.push(`${pid} ${notice.type}`), fail: () => log.push(`${pid} fail`) };
  return told as unknown as WorkerClient;
}

test('short memory: the biggest worker ends a sandbox, and is ended when that does not help', () => {
  const log: string[] = [];
  const sizes = new Map([[1, 50], [2, 80], [3, 10]]);
  let availableBytes = 150 * MB;
  const memory = new HostMemory(200 * MB, () => ({ totalBytes: 4000 * MB, availableBytes }));
  const workers = [1, 2, 3].map((pid) => fake(pid, log));
  let nowMs = 0;
  const guard = new MemoryGuard(memory, () => workers, (pid) => sizes.get(pid) ?? 0, () => nowMs);
  guard.look();
  assert.deepEqual(log.splice(0), []); // below what is kept free, but not short
  availableBytes = 90 * MB;
  guard.look();
  sizes.set(2, 20); // it did
  guard.look();
  assert.deepEqual(log.splice(0), ['2 shed', '1 shed']);
  nowMs = 50;
  guard.look();
  assert.deepEqual(log.splice(0), []); // it may still be at it
  nowMs = 100;
  guard.look();
  assert.deepEqual(log.splice(0), ['1 fail']);
  availableBytes = 500 * MB;
  guard.look();
  availableBytes = 90 * MB;
  guard.look();
  assert.deepEqual(log, ['1 shed']);
});

test('the less is left, the sooner the next look: before all processors could have filled it', () => {
  let availableBytes = 100_000 * MB;
  const memory = new HostMemory(200 * MB, () => ({ totalBytes: 200_000 * MB, availableBytes }));
  const guard = new MemoryGuard(memory, () => [fake(1, [])], () => 1);
  const pauses = [100_000, 100 + 160 * availableParallelism(), 100 + 80 * availableParallelism(), 101, 50].map((mb) => {
    availableBytes = mb * MB;
    guard.look();
    return guard.pauseMs;
  });
  assert.deepEqual(pauses, [100, 40, 20, 10, 10]);
});

test('short memory: what lies in layers counts, which no process is seen to have', () => {
  const log: string[] = [];
  const memory = new HostMemory(200 * MB, () => ({ totalBytes: 4000 * MB, availableBytes: 90 * MB }));
  const workers = [fake(1, log), fake(2, log, 60), fake(3, log)];
  new MemoryGuard(memory, () => workers, (pid) => 10 * pid).look();
  assert.deepEqual(log, ['2 shed']);
});
