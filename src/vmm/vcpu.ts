// Vcpu: one vCPU descriptor and its mapped struct kvm_run. One method per ioctl, named as the ioctl; registers travel in the
// sync-regs part of kvm_run (Documentation/virt/kvm/api.rst, 5 and KVM_CAP_SYNC_REGS).
//
// `regs`, `sregs` views are valid after each run; what is written there is loaded by the next run when the bit is set in
// `dirty`.

import { KVM_SYNC_X86_REGS, KVM_SYNC_X86_SREGS, KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET } from '../abi/kvm/constants.ts';
import * as nr from '../abi/kvm/ioctls.ts';
import { DeviceAttr, MsrEntry, Msrs, Run, Segment, SignalMask, Sregs, VcpuEvents } from '../abi/kvm/structs.ts';
import { MAP_FIXED, MAP_SHARED, PROT_READ, PROT_WRITE } from '../abi/linux/host.ts';
import { buffer } from '../abi/struct.ts';
import type { Region } from '../host/arena.ts';
import { close, ioctlInteger, ioctlPointer, ioctlTry, ioctlTryPointer, mmap } from '../host/libc.ts';
import type { Kvm } from './kvm.ts';
import type { Vm } from './vm.ts';

/** Word (32-bit) indexes of registers in kvm_regs, low half. */
export const RAX = 0, RBX = 2, RCX = 4, RDX = 6, RDI = 10, RSP = 12, R10 = 20, R11 = 22, RIP = 32, RFLAGS = 34;
/** Word indexes in kvm_sregs. */
export const CR2 = Sregs.offset.cr2 / 4, CR3 = Sregs.offset.cr3 / 4;
export const FS_BASE = Sregs.offset.fs / 4, GS_BASE = Sregs.offset.gs / 4;
const CS_SELECTOR = (Sregs.offset.cs + Segment.offset.selector) / 4;

/** Everything unblocked: the mask during KVM_RUN; 8 bytes, the kernel's sigset_t. */
const ALL_UNBLOCKED = (() => {
  const mask = buffer(SignalMask.size + 8);
  SignalMask.set.len(mask.view, 0, 8);
  return mask.u8;
})();

export class Vcpu {
  readonly kvm: Kvm;
  readonly fd: number;
  readonly #region: Region;
  /** struct kvm_run and the I/O data page. */
  readonly run: DataView;
  readonly run8: Uint8Array;
  /** kvm_regs in sync regs: as 18 u64 and as 36 u32, low half first. */
  readonly regs: BigUint64Array;
  readonly regs32: Uint32Array;
  /** kvm_sregs in sync regs. */
  readonly sregs: DataView;
  readonly sregs32: Uint32Array;
  readonly sregs8: Uint8Array;
  /** kvm_vcpu_events in sync regs: loaded when its bit is set in `dirty`, not stored after a run. */
  readonly events8: Uint8Array;
  /** The low halves of kvm_valid_regs and kvm_dirty_regs. */
  readonly #flags: Uint32Array;

  constructor(vm: Vm) {
    this.kvm = vm.kvm;
    this.fd = vm.createVcpu();
    const region = this.kvm.arena.take(this.kvm.vcpuMmapBytes);
    this.#region = region;
    mmap(region.hva, this.kvm.vcpuMmapBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, this.fd, 0);
    const { buffer: memory, byteOffset: at } = region;
    this.run = new DataView(memory, at, this.kvm.vcpuMmapBytes);
    this.run8 = new Uint8Array(memory, at, this.kvm.vcpuMmapBytes);
    this.regs = new BigUint64Array(memory, at + Run.offset.regs, 18);
    this.regs32 = new Uint32Array(memory, at + Run.offset.regs, 36);
    this.sregs = new DataView(memory, at + Run.offset.sregs, Sregs.size);
    this.sregs32 = new Uint32Array(memory, at + Run.offset.sregs, Sregs.size / 4);
    this.sregs8 = new Uint8Array(memory, at + Run.offset.sregs, Sregs.size);
    this.events8 = new Uint8Array(memory, at + Run.offset.events, VcpuEvents.size);
    this.#flags = new Uint32Array(memory, at + Run.offset.kvm_valid_regs, 4);
    this.#flags[0] = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
  }

  /** Which of the sync regs the next run loads: KVM_SYNC_X86_*. */
  set dirty(bits: number) {
    this.#flags[2] = bits;
  }

  get dirty(): number {
    return this.#flags[2];
  }

  /** Privilege level at the last exit. */
  get cpl(): number {
    return this.sregs32[CS_SELECTOR] & 3;
  }

  get exitReason(): number {
    return this.run.getUint32(Run.offset.exit_reason, true);
  }

  /** KVM_RUN: 0, or -errno (-EINTR after a kick). */
  runOnce(): number {
    return ioctlTry(this.fd, nr.KVM_RUN, 0);
  }

  /** Finishes a half-done exit without entering the guest: -EINTR when there is nothing more to finish. */
  completeExit(): number {
    this.run8[Run.offset.immediate_exit] = 1;
    const result = ioctlTry(this.fd, nr.KVM_RUN, 0);
    this.run8[Run.offset.immediate_exit] = 0;
    this.dirty = 0;
    return result;
  }

  setCpuid2(table: Uint8Array): void {
    ioctlPointer('KVM_SET_CPUID2', this.fd, nr.KVM_SET_CPUID2, table);
  }

  /** Takes a struct kvm_xcrs. */
  setXcrs(xcrs: Uint8Array): void {
    ioctlPointer('KVM_SET_XCRS', this.fd, nr.KVM_SET_XCRS, xcrs);
  }

  /** KVM_SET_MSRS with a list made by `msrList`. Throws when an MSR was refused. */
  setMsrs(list: Uint8Array, count: number): void {
    const done = ioctlPointer('KVM_SET_MSRS', this.fd, nr.KVM_SET_MSRS, list);
    if (done !== count) throw new Error(`KVM_SET_MSRS took ${done} of ${count} registers`);
  }

  /** One MSR's value. */
  getMsr(index: number): bigint {
    const list = buffer(Msrs.size + MsrEntry.size);
    Msrs.set.nmsrs(list.view, 0, 1);
    MsrEntry.set.index(list.view, Msrs.size, index);
    if (ioctlPointer('KVM_GET_MSRS', this.fd, nr.KVM_GET_MSRS, list.u8) !== 1) throw new Error(`no MSR ${index.toString(16)}`);
    return MsrEntry.get.data(list.view, Msrs.size);
  }

  setSignalMask(): void {
    ioctlPointer('KVM_SET_SIGNAL_MASK', this.fd, nr.KVM_SET_SIGNAL_MASK, ALL_UNBLOCKED);
  }

  getXsave(area: Uint8Array): void {
    ioctlPointer('KVM_GET_XSAVE2', this.fd, nr.KVM_GET_XSAVE2, area);
  }

  setXsave(area: Uint8Array): void {
    ioctlPointer('KVM_SET_XSAVE', this.fd, nr.KVM_SET_XSAVE, area);
  }

  getSregs(into: Uint8Array): void {
    ioctlPointer('KVM_GET_SREGS', this.fd, nr.KVM_GET_SREGS, into);
  }

  /** Takes a struct kvm_vcpu_events to fill in. */
  getVcpuEvents(into: Uint8Array): void {
    ioctlPointer('KVM_GET_VCPU_EVENTS', this.fd, nr.KVM_GET_VCPU_EVENTS, into);
  }

  setVcpuEvents(events: Uint8Array): void {
    ioctlPointer('KVM_SET_VCPU_EVENTS', this.fd, nr.KVM_SET_VCPU_EVENTS, events);
  }

  /** Takes a struct kvm_debugregs to fill in. */
  getDebugregs(into: Uint8Array): void {
    ioctlPointer('KVM_GET_DEBUGREGS', this.fd, nr.KVM_GET_DEBUGREGS, into);
  }

  setDebugregs(registers: Uint8Array): void {
    ioctlPointer('KVM_SET_DEBUGREGS', this.fd, nr.KVM_SET_DEBUGREGS, registers);
  }

  /** Makes the guest's TSC the host's plus `offset`. False when this KVM has no such attribute. */
  setTscOffset(offset: bigint): boolean {
    const at = 2 * 4096 - 8; // the attribute points to its value: lend it the end of the port-data page
    this.run.setBigUint64(at, BigInt.asUintN(64, offset), true);
    const attribute = buffer(DeviceAttr.size);
    DeviceAttr.write(attribute.view, 0, { group: KVM_VCPU_TSC_CTRL, attr: KVM_VCPU_TSC_OFFSET, addr: this.#region.hva + at });
    return ioctlTryPointer(this.fd, nr.KVM_SET_DEVICE_ATTR, attribute.u8) === 0;
  }

  /** KVM_GET_TSC_KHZ: the guest's TSC frequency in kHz. */
  getTscKhz(): number {
    return ioctlInteger('KVM_GET_TSC_KHZ', this.fd, nr.KVM_GET_TSC_KHZ, 0);
  }

  close(): void {
    this.kvm.arena.release(this.#region);
    close(this.fd);
  }
}

/** A struct kvm_msrs for `setMsrs`. */
export function msrList(values: readonly (readonly [number, bigint])[]): Uint8Array {
  const list = buffer(Msrs.size + values.length * MsrEntry.size);
  Msrs.set.nmsrs(list.view, 0, values.length);
  values.forEach(([index, data], i) => MsrEntry.write(list.view, Msrs.size + i * MsrEntry.size, { index, data }));
  return list.u8;
}
