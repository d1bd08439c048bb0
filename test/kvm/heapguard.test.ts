// Sandboxes of a worker that take too much of its heap together, each within its limit: the one with the most is ended, and the worker lives.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Engine } from '../../src/engine/index.ts';

process.env['NODE_OPTIONS'] = '--max-old-space-size=128';

test('sandboxes within their limits that outgrow the heap together: the biggest ends, the others go on', async () => {
  const engine = await Engine.open({ workers: 1 });
  try {
    const template = await engine.template('python');
    const boxes = await Promise.all([1, 2, 3].map(() => template.fork({ stateful: true })));
    for (const box of boxes) await box.run('import os\nn = 0');
    const more = (files: number): string => `for n in range(n, n + ${files}): os.mknod(f"/tmp/{n}")\nn += 1`;
    const ended: string[] = [];
    for (const [i, box] of boxes.entries()) void box.ended.then((why) => why !== null && ended.push(`${i}: ${why}`));
    await boxes[1].run(more(1000));
    for (let round = 0; ended.length === 0 && round < 20; round++) {
      for (const box of boxes) await box.run(more(3000)).catch(() => {});
    }
    assert.deepEqual(ended, ['1: kernel-memory limit: its worker has no more room for what is open, mapped, queued and named, and this sandbox had the most.']);
    for (const i of [0, 2]) assert.equal((await boxes[i].run('print(1)')).stdout.toString(), '1\n');
    await Promise.all(boxes.map((box) => box.close()));
  } finally {
    await engine.close();
  }
});
