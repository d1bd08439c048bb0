// The self-test finds this host's kind of KVM and accepts it; a host that fails a check is refused; it runs once per kernel build.

import test from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KvmHost, accepted } from '../../src/engine/kvmhost.ts';
import { openKvm } from '../../src/vmm/kvm.ts';
import { createMachine } from '../../src/vmm/machine.ts';
import { fingerprint } from '../../src/vmm/fingerprint.ts';
import { detectKind, selfTest } from '../../src/vmm/selftest.ts';

test('every behaviour relied on is found, within two seconds of a processor', () => {
  const start = process.cpuUsage();
  const { kind, checks } = selfTest();
  const { user, system } = process.cpuUsage(start);
  assert.ok(user + system < 2e6 * Number(process.env['OFFSHOOT_TEST_SLOW'] ?? 1));
  assert.equal(kind, detectKind());
  assert.deepEqual(checks.filter((check) => !check.ok), []);
  assert.equal(checks.length, 13);
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

test('a host that fails a check is refused by its name', () => {
  const good = { name: 'kick', ok: true, detail: 'as ever' };
  const bad = { name: 'syscall entry', ok: false, detail: 'syscall exits at RIP 0x0' };
  assert.throws(() => accepted({ kind: 'pvm', checks: [good, bad] }), {
    code: 'host-unsupported', message: 'This host\'s KVM behaves in an unknown way: syscall entry: syscall exits at RIP 0x0.',
  });
  assert.deepEqual(accepted({ kind: 'pvm', checks: [good] }).checks, [good]);
});

test('it runs once per kernel build', () => {
  const home = mkdtempSync(join(tmpdir(), 'offshoot-selftest-'));
  try {
    const file = join(home, 'selftest.json');
    const { checks } = KvmHost.open(home).selfTest;
    const stored = JSON.parse(readFileSync(file, 'utf8')) as { key: string; result: { checks: { detail: string }[] } };
    assert.ok(stored.key.includes(readFileSync('/proc/version', 'utf8').trim()));
    stored.result.checks[0].detail = 'from the file';
    writeFileSync(file, JSON.stringify(stored));
    assert.equal(KvmHost.open(home).selfTest.checks[0].detail, 'from the file');
    for (const other of [JSON.stringify({ ...stored, key: 'another kernel' }), '{"key":']) {
      writeFileSync(file, other);
      assert.equal(KvmHost.open(home).selfTest.checks[0].detail, checks[0].detail);
    }
  } finally {
    rmSync(home, { recursive: true });
  }
});
