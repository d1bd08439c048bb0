// Vm: one KVM VM descriptor. One method per ioctl, named as the ioctl.

import { KVM_CREATE_VCPU, KVM_SET_USER_MEMORY_REGION } from '../abi/kvm/ioctls.ts';
import { UserspaceMemoryRegion } from '../abi/kvm/structs.ts';
import { EAGAIN } from '../abi/linux/errno.ts';
import { LOCK_EX, LOCK_NB, LOCK_UN } from '../abi/linux/host.ts';
import { buffer } from '../abi/struct.ts';
import { close, flockTry, ioctlInteger, ioctlPointer } from '../host/libc.ts';
import type { Kvm } from './kvm.ts';

const region = buffer(UserspaceMemoryRegion.size);
/** Closing takes some 0.4 ms. */
const TURN_TRIES = 20;
const TURN_WAIT_MS = 0.05;
/** What is waited for that never comes. */
const never = new Int32Array(new SharedArrayBuffer(4));

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

  /**
   * Closes it; its vCPU has been closed. The host's kernel then waits for all readers of one list (SRCU of the MMU notifiers), and hurries only
   * for who comes alone: of two VMs that are closed at the same time, by whatever processes, one waits for ticks of the clock, some 8 ms, and
   * who comes meanwhile does too. So processes take turns, with a lock on /dev/kvm; nobody waits for it long, whoever holds it.
   */
  close(): void {
    const { fd: device } = this.kvm;
    let result = flockTry(device, LOCK_EX | LOCK_NB);
    for (let i = 0; result === -EAGAIN && i < TURN_TRIES; i++) {
      Atomics.wait(never, 0, 0, TURN_WAIT_MS);
      result = flockTry(device, LOCK_EX | LOCK_NB);
    }
    close(this.fd);
    if (result === 0) flockTry(device, LOCK_UN);
  }
}
