// Copies of a sandbox are admitted by what they need at first; when all of them write, the host's memory is not overcommitted: the biggest
// end with a reason, and the others go on. The host is told to be small.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Engine } from '../../src/engine/engine.ts';
import { HostMemory } from '../../src/engine/hostmemory.ts';
import { ownBytes } from '../../src/engine/memoryguard.ts';

const MB = 2 ** 20;
const KEEP_BYTES = 400 * MB;
const DATA_MB = 100;
const COPIES = 8;

test('copies that write more than the host has: some end, the others go on, and no memory is used that is not there', async () => {
  await using engine = await Engine.open({ workers: 1 });
  await using box = await (await engine.template('python')).fork({ stateful: true });
  const workers = engine['workers'];
  const used = (): number => workers['places'].reduce((sum, { worker }) => sum + ownBytes(worker.pid ?? 0) + worker.layerBytes, 0);
  const totalBytes = used() + 900 * MB;
  let leastBytes = totalBytes;
  const memory = new HostMemory(KEEP_BYTES, () => {
    const availableBytes = totalBytes - used();
    leastBytes = Math.min(leastBytes, availableBytes);
    return { totalBytes, availableBytes };
  });
  Object.assign(workers['init'], { memory });
  Object.assign(workers['guard'], { memory });

  assert.equal((await box.run(`import numpy as np\na = np.ones(${DATA_MB} << 17)\nprint(a[-1])`)).stdout.toString(), '1.0\n');
  const copies = await box.fork(COPIES);
  const results = await Promise.all(copies.map((copy) => copy.run('a += 1\nprint(a[-1])').then(
    ({ stdout, limit, reason }) => [stdout.toString(), limit, reason] as const)));
  const ended = results.filter(([, limit]) => limit === 'memory');
  const done = results.filter(([stdout]) => stdout === '2.0\n');
  assert.ok(ended.length > 0 && done.length > 0, JSON.stringify(results));
  assert.equal(ended.length + done.length, COPIES);
  for (const [, , reason] of ended) assert.match(reason ?? '', /host has no memory left/);
  assert.ok(leastBytes > 0, `${leastBytes / MB} MB were left`);
  assert.equal((await box.run('print(a[-1])')).stdout.toString(), '1.0\n');
  for (const copy of copies) await copy.close();
});
