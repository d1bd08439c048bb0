// The self-test finds this host's kind of KVM and accepts it; it notices a host that behaves otherwise.

import test from 'node:test';
import assert from 'node:assert/strict';
import { openKvm } from '../../src/vmm/kvm.ts';
import { createMachine } from '../../src/vmm/machine.ts';
import { fingerprint } from '../../src/vmm/fingerprint.ts';
import { detectKind, selfTest } from '../../src/vmm/selftest.ts';

test('every behaviour relied on is found, within two seconds', () => {
  const start = performance.now();
  const { kind, checks } = selfTest();
  assert.ok(performance.now() - start < 2000 * Number(process.env['OFFSHOOT_TEST_SLOW'] ?? 1));
  assert.equal(kind, detectKind());
  assert.deepEqual(checks.filter((check) => !check.ok), []);
  assert.equal(checks.length, 11);
});

test('a fingerprint is stable and names the kind', () => {
  const [a, b] = [openKvm('pvm'), openKvm('hardware')];
  assert.match(fingerprint(a), /^[0-9a-f]{64}$/);
  assert.equal(fingerprint(a), fingerprint(openKvm('pvm')));
  assert.notEqual(fingerprint(a), fingerprint(b));
});

test('a device that is not there is a HostError with its errno', () => {
  assert.throws(() => openKvm('pvm', '/dev/kvm-none'), { name: 'HostError', errno: 2, code: 'ENOENT' });
});

test('a machine without an address space to run, or of a silly size, is refused', () => {
  const kvm = openKvm();
  for (const limit of [0, 4095, 5 * 2 ** 30, NaN]) assert.throws(() => createMachine(kvm, { fd: null }, limit), RangeError, String(limit));
});
