// Says what the machine's KVM is: opens /dev/kvm, asks for the API version, creates a VM and a vCPU. Exit status 1 when it can't.

import koffi from 'koffi';
import { readFileSync } from 'node:fs';

const libc = koffi.load('libc.so.6');
const open = libc.func('int open(const char *path, int flags, ...)');
const ioctl = libc.func('int ioctl(int fd, unsigned long request, long argument)');
const O_RDWR_CLOEXEC = 0o2000002;
const KVM_GET_API_VERSION = 0xae00;
const KVM_CREATE_VM = 0xae01;
const KVM_CREATE_VCPU = 0xae41;

const kvm: number = open('/dev/kvm', O_RDWR_CLOEXEC);
const vm: number = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
const vcpu: number = vm < 0 ? -1 : ioctl(vm, KVM_CREATE_VCPU, 0);
const flags = /^flags.*$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[0] ?? '';
console.log(`node ${process.version} · kvm fd ${kvm} · api ${ioctl(kvm, KVM_GET_API_VERSION, 0)} · vm fd ${vm} · vcpu fd ${vcpu}`);
console.log(`svm ${flags.includes(' svm')} · npt ${flags.includes(' npt')} · avx2 ${flags.includes(' avx2')}`);
process.exitCode = vcpu < 0 ? 1 : 0;
