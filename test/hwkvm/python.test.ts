// The whole way: a template with Python, forked twice.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Engine } from '../../src/engine/index.ts';

let engine: Engine | null = null;
after(() => engine?.close());

test('two forks of the Python template print 2, and their random numbers differ', async () => {
  engine = await Engine.open({ workers: 1 });
  const template = await engine.template('python');
  const seen = new Set<string>();
  for (let fork = 0; fork < 2; fork++) {
    const sandbox = await template.fork();
    try {
      const result = await sandbox.run('print(1+1)\nimport random\nprint(random.random())');
      const [sum, random] = result.stdout.toString().split('\n');
      assert.deepEqual([sum, result.stderr.toString(), result.exitCode], ['2', '', 0]);
      seen.add(random);
    } finally {
      await sandbox.close();
    }
  }
  assert.equal(seen.size, 2);
});
