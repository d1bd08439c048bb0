// Is /dev/kvm usable? As a program: prints what is wrong, exit status 1.
//
//   kvmProblem() → null, or one sentence that names the errno and the fix
//
// Needs nothing of src/: it is asked before anything is known to work. Governed by Documentation/virt/kvm/api.rst.

import { closeSync, constants, openSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';

const KVM_GET_API_VERSION = 0xae00;
const KVM_CREATE_VM = 0xae01;
const KVM_API_VERSION = 12;

/** What to do about an errno of open(2) or KVM_CREATE_VM. */
const FIXES: Readonly<Record<string, string>> = {
  ENOENT: 'this machine offers no KVM, or its module is not loaded (modprobe kvm_amd or kvm_intel; in a container: --device /dev/kvm)',
  ENODEV: 'the device exists but no KVM module stands behind it (modprobe kvm_amd or kvm_intel)',
  ENXIO: 'the device exists but no KVM module stands behind it (modprobe kvm_amd or kvm_intel)',
  ENOTTY: 'what is there is not the KVM device',
  EACCES: 'no permission: add your user to the group that owns it (usermod -aG kvm $USER, then log in again)',
  EPERM: 'forbidden, most likely by a container: allow the device (--device /dev/kvm)',
  EBUSY: 'another hypervisor (VirtualBox, VMware) holds the processor: stop its machines first',
};

function describe(what: string, name: string): string {
  return `${what}: ${name}: ${FIXES[name] ?? 'unexpected'}`;
}

function openProblem(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  return describe('/dev/kvm', code);
}

/** Null when a VM can be created; else why not, with the fix. */
export function kvmProblem(): string | null {
  let fd: number;
  try {
    fd = openSync('/dev/kvm', constants.O_RDWR);
  } catch (error) {
    return openProblem(error);
  }
  try {
    const ioctl = koffi.load('libc.so.6').func('int ioctl(int fd, unsigned long request, long argument)');
    const version: number = ioctl(fd, KVM_GET_API_VERSION, 0);
    if (version < 0) return describe('/dev/kvm: KVM_GET_API_VERSION', getSystemErrorName(-koffi.errno()));
    if (version !== KVM_API_VERSION) return `/dev/kvm: API version ${version}, not ${KVM_API_VERSION}`;
    const vm: number = ioctl(fd, KVM_CREATE_VM, 0);
    if (vm < 0) return describe('/dev/kvm: KVM_CREATE_VM', getSystemErrorName(-koffi.errno()));
    closeSync(vm);
    return null;
  } finally {
    closeSync(fd);
  }
}

if (import.meta.main) {
  const problem = kvmProblem();
  console.log(problem ?? '/dev/kvm is usable');
  process.exitCode = problem === null ? 0 : 1;
}
