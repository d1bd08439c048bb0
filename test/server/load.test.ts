// A short load (tools/load.ts; `npm run load` is the long one): every answer carries its nonce, none is wrong or crossed, nothing is left.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from '../../tools/load.ts';

test('twelve clients of two tenants for three seconds', async () => {
  const { wrong, ended, errors, done, left, printMs } = await load(12, 3);
  assert.deepEqual({ wrong, ended, errors, left }, { wrong: [], ended: {}, errors: {}, left: { sandboxes: 0, processesAfterStop: 0 } });
  assert.ok((done['run'] ?? 0) > 0 && printMs.other.n > 0, JSON.stringify(done));
});
