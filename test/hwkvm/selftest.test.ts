// The machine's own check of this KVM. In the emulated machine it must find a hardware host; every check holds on any host.

import assert from 'node:assert/strict';
import test from 'node:test';
import { selfTest } from '../../src/vmm/selftest.ts';

test('the self-test knows this host and every check holds', () => {
  const { kind, checks } = selfTest();
  if (process.env['OFFSHOOT_HWKVM'] !== undefined) assert.equal(kind, 'hardware');
  assert.ok(checks.length > 0);
  assert.deepEqual(checks.filter((check) => !check.ok), []);
});
