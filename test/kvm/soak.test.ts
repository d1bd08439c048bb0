// tools/soak.ts in small, with a worker killed under way.

import assert from 'node:assert/strict';
import test from 'node:test';
import { soak } from '../../tools/soak.ts';

test('random runs of three tenants: none wrong, none crossed, nothing left', { timeout: 120_000 }, async () => {
  const report = await soak({ runs: 150, clients: 6, killEvery: 60 });
  assert.deepEqual(report.wrong, []);
  assert.equal(report.processesLeft, 0);
  const right = Object.values(report.done).reduce((sum, count) => sum + count, 0);
  assert.equal(right + report.lost + report.refused, 150);
  assert.equal(report.killed, 2);
  assert.ok(report.lost <= 2 * 6, `${report.lost} lost with two workers`);
});
