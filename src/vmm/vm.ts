// Vm: one KVM VM descriptor. One method per ioctl, named as the ioctl.

import { KVM_CREATE_VCPU, KVM_SET_USER_MEMORY_REGION } from '../abi/kvm/ioctls.ts';
import { UserspaceMemoryRegion } from '../abi/kvm/structs.ts';
import { buffer } from '../abi/struct.ts';
import { close, ioctlInteger, ioctlPointer } from '../host/libc.ts';
import type { Kvm } from './kvm.ts';

const region = buffer(UserspaceMemoryRegion.size);

export class Vm {
  readonly kvm: Kvm;
  readonly fd: number;

  constructor(kvm: Kvm) {
    this.kvm = kvm;
    this.fd = kvm.createVm();
  }

  /** Makes [hva, hva+sizeBytes) the guest-physical range from `gpa`; size 0 deletes the slot. `flags`: KVM_MEM_*. */
  setUserMemoryRegion(slot: number, gpa: number, sizeBytes: number, hva: number, flags = 0): void {
    UserspaceMemoryRegion.set.slot(region.view, 0, slot);
    UserspaceMemoryRegion.set.flags(region.view, 0, flags);
    UserspaceMemoryRegion.set.guest_phys_addr(region.view, 0, gpa);
    UserspaceMemoryRegion.set.memory_size(region.view, 0, sizeBytes);
    UserspaceMemoryRegion.set.userspace_addr(region.view, 0, hva);
    ioctlPointer('KVM_SET_USER_MEMORY_REGION', this.fd, KVM_SET_USER_MEMORY_REGION, region.u8);
  }

  /** Descriptor of the only vCPU. */
  createVcpu(): number {
    return ioctlInteger('KVM_CREATE_VCPU', this.fd, KVM_CREATE_VCPU, 0);
  }

  close(): void {
    close(this.fd);
  }
}
