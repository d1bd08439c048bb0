// ioctl numbers of the KVM API, computed from the size of their argument as the C macros do, so a struct of the wrong size
// is a wrong number (include/uapi/linux/kvm.h, include/uapi/asm-generic/ioctl.h). Grouped by the kind of descriptor.

import {
  Cpuid2, Debugregs, DeviceAttr, EnableCap, Msrs, Regs, SignalMask, Sregs, UserspaceMemoryRegion, VcpuEvents, Xcrs, Xsave,
} from './structs.ts';

const KVMIO = 0xae;
const IOC_WRITE = 1;
const IOC_READ = 2;

function ioc(direction: number, nr: number, sizeBytes: number): number {
  return ((direction << 30) | (sizeBytes << 16) | (KVMIO << 8) | nr) >>> 0;
}
const io = (nr: number): number => ioc(0, nr, 0);
const ior = (nr: number, type: { size: number }): number => ioc(IOC_READ, nr, type.size);
const iow = (nr: number, type: { size: number }): number => ioc(IOC_WRITE, nr, type.size);
const iowr = (nr: number, type: { size: number }): number => ioc(IOC_READ | IOC_WRITE, nr, type.size);

// /dev/kvm
export const KVM_GET_API_VERSION = io(0x00);
export const KVM_CREATE_VM = io(0x01);
export const KVM_CHECK_EXTENSION = io(0x03);
export const KVM_GET_VCPU_MMAP_SIZE = io(0x04);
export const KVM_GET_SUPPORTED_CPUID = iowr(0x05, Cpuid2);

// VM
export const KVM_CREATE_VCPU = io(0x41);
export const KVM_SET_USER_MEMORY_REGION = iow(0x46, UserspaceMemoryRegion);
export const KVM_ENABLE_CAP = iow(0xa3, EnableCap);

// vCPU
export const KVM_RUN = io(0x80);
export const KVM_GET_REGS = ior(0x81, Regs);
export const KVM_SET_REGS = iow(0x82, Regs);
export const KVM_GET_SREGS = ior(0x83, Sregs);
export const KVM_SET_SREGS = iow(0x84, Sregs);
export const KVM_GET_MSRS = iowr(0x88, Msrs);
export const KVM_SET_MSRS = iow(0x89, Msrs);
export const KVM_SET_SIGNAL_MASK = iow(0x8b, SignalMask);
export const KVM_SET_CPUID2 = iow(0x90, Cpuid2);
export const KVM_GET_VCPU_EVENTS = ior(0x9f, VcpuEvents);
export const KVM_SET_VCPU_EVENTS = iow(0xa0, VcpuEvents);
export const KVM_GET_DEBUGREGS = ior(0xa1, Debugregs);
export const KVM_SET_DEBUGREGS = iow(0xa2, Debugregs);
export const KVM_GET_TSC_KHZ = io(0xa3);
export const KVM_GET_XSAVE = ior(0xa4, Xsave);
export const KVM_SET_XSAVE = iow(0xa5, Xsave);
export const KVM_GET_XCRS = ior(0xa6, Xcrs);
export const KVM_SET_XCRS = iow(0xa7, Xcrs);
export const KVM_GET_XSAVE2 = ior(0xcf, Xsave);
export const KVM_SET_DEVICE_ATTR = iow(0xe1, DeviceAttr);
export const KVM_HAS_DEVICE_ATTR = iow(0xe3, DeviceAttr);
