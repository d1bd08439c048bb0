// What users are told about the host: each errno of /dev/kvm has its own sentence with its own fix.

import assert from 'node:assert/strict';
import test from 'node:test';
import { OffshootError, deviceError, homeError, kvmError } from '../../src/engine/errors.ts';

const SENTENCES: readonly (readonly [string, string, RegExp])[] = [
  ['ENOENT', 'kvm-missing', /does not exist.*modprobe kvm_/],
  ['ENODEV', 'kvm-missing', /modprobe/],
  ['ENXIO', 'kvm-missing', /modprobe/],
  ['EACCES', 'kvm-forbidden', /usermod -aG kvm/],
  ['EPERM', 'kvm-forbidden', /usermod -aG kvm/],
  ['EBUSY', 'kvm-busy', /another hypervisor.*stop it/],
  ['EIO', 'kvm-unusable', /EIO/],
];

for (const [errno, code, sentence] of SENTENCES) {
  test(`/dev/kvm: ${errno}`, () => {
    const error = kvmError(errno);
    assert.ok(error instanceof OffshootError);
    assert.equal(error.code, code);
    assert.match(error.message, sentence);
    assert.match(error.message, /^[^\n]*\.$/);
  });
}

test('another hypervisor shows when the first VM is made; other failures there are ours', () => {
  assert.equal(deviceError('KVM_CREATE_VM', 'EBUSY')?.code, 'kvm-busy');
  assert.equal(deviceError('open /dev/kvm', 'EACCES')?.code, 'kvm-forbidden');
  assert.equal(deviceError('KVM_CREATE_VM', 'ENOMEM'), null);
  assert.equal(deviceError('KVM_CREATE_VCPU', 'EBUSY'), null);
});

test('errors of the home directory are told from faults of ours', () => {
  const failed = (code: string, path?: string): Error => Object.assign(new Error(code), { code, ...(path === undefined ? {} : { path }) });
  assert.equal(homeError(failed('EACCES', '/h/templates'))?.code, 'home-unusable');
  assert.match(homeError(failed('EROFS', '/h/templates'))?.message ?? '', /\/h\/templates.*EROFS.*OFFSHOOT_HOME/);
  assert.match(homeError(failed('ENOSPC'))?.message ?? '', /disk is full/);
  assert.equal(homeError(failed('EACCES')), null);
  assert.equal(homeError(failed('ERR_INVALID_ARG_TYPE', '/h')), null);
  assert.equal(homeError(new TypeError('x is not a function')), null);
  assert.equal(homeError('text'), null);
});
