// Structs of the KVM API, x86-64 (include/uapi/linux/kvm.h, arch/x86/include/uapi/asm/kvm.h). Only those we use.

import { bytes, i32, nested, struct, u16, u32, u64, u8, addr } from '../struct.ts';

export const UserspaceMemoryRegion = struct('kvm_userspace_memory_region', 32, {
  slot: u32, flags: u32, guest_phys_addr: addr, memory_size: addr, userspace_addr: addr,
});

export const Regs = struct('kvm_regs', 144, {
  rax: u64, rbx: u64, rcx: u64, rdx: u64, rsi: u64, rdi: u64, rsp: u64, rbp: u64,
  r8: u64, r9: u64, r10: u64, r11: u64, r12: u64, r13: u64, r14: u64, r15: u64, rip: u64, rflags: u64,
});

export const Segment = struct('kvm_segment', 24, {
  base: u64, limit: u32, selector: u16, type: u8, present: u8, dpl: u8, db: u8, s: u8, l: u8, g: u8, avl: u8, unusable: u8, padding: u8,
});

export const Dtable = struct('kvm_dtable', 16, { base: u64, limit: u16, padding: bytes(6) });

export const Sregs = struct('kvm_sregs', 312, {
  cs: nested(Segment), ds: nested(Segment), es: nested(Segment), fs: nested(Segment), gs: nested(Segment), ss: nested(Segment),
  tr: nested(Segment), ldt: nested(Segment), gdt: nested(Dtable), idt: nested(Dtable),
  cr0: u64, cr2: u64, cr3: u64, cr4: u64, cr8: u64, efer: u64, apic_base: u64, interrupt_bitmap: bytes(32),
});

export const VcpuEvents = struct('kvm_vcpu_events', 64, {
  exception_injected: u8, exception_nr: u8, exception_has_error_code: u8, exception_pending: u8, exception_error_code: u32,
  interrupt_injected: u8, interrupt_nr: u8, interrupt_soft: u8, interrupt_shadow: u8,
  nmi_injected: u8, nmi_pending: u8, nmi_masked: u8, nmi_pad: u8, sipi_vector: u32, flags: u32,
  smi: bytes(4), triple_fault_pending: u8, reserved: bytes(26), exception_has_payload: u8, exception_payload: u64,
});

export const Debugregs = struct('kvm_debugregs', 128, { db: bytes(32), dr6: u64, dr7: u64, flags: u64, reserved: bytes(72) });

/** The start of struct kvm_run; the exit union (256 bytes) is read by the structs below at `exit`. */
export const Run = struct('kvm_run', 2352, {
  request_interrupt_window: u8, immediate_exit: u8, padding1: bytes(6),
  exit_reason: u32, ready_for_interrupt_injection: u8, if_flag: u8, flags: u16, cr8: u64, apic_base: u64,
  exit: bytes(256), kvm_valid_regs: u64, kvm_dirty_regs: u64,
  regs: nested(Regs), sregs: nested(Sregs), events: nested(VcpuEvents), padding: bytes(1528),
});

export const RunIo = struct('kvm_run.io', 16, { direction: u8, size: u8, port: u16, count: u32, data_offset: addr });
export const RunMmio = struct('kvm_run.mmio', 24, { phys_addr: addr, data: bytes(8), len: u32, is_write: u8, _pad: bytes(3) });
export const RunFailEntry = struct('kvm_run.fail_entry', 16, { hardware_entry_failure_reason: u64, cpu: u32, _pad: bytes(4) });
export const RunInternal = struct('kvm_run.internal', 136, { suberror: u32, ndata: u32, data: bytes(128) });

export const Cpuid2 = struct('kvm_cpuid2', 8, { nent: u32, padding: u32 });
export const CpuidEntry2 = struct('kvm_cpuid_entry2', 40, {
  function: u32, index: u32, flags: u32, eax: u32, ebx: u32, ecx: u32, edx: u32, padding: bytes(12),
});

export const Msrs = struct('kvm_msrs', 8, { nmsrs: u32, pad: u32 });
export const MsrEntry = struct('kvm_msr_entry', 16, { index: u32, reserved: u32, data: u64 });

const Xcr = struct('kvm_xcr', 16, { xcr: u32, reserved: u32, value: u64 });
export const Xcrs = struct('kvm_xcrs', 392, { nr_xcrs: u32, flags: u32, xcr0: nested(Xcr), xcrs: bytes(15 * 16), padding: bytes(128) });

export const Xsave = struct('kvm_xsave', 4096, { region: bytes(4096) });

export const SignalMask = struct('kvm_signal_mask', 4, { len: u32 });

export const DeviceAttr = struct('kvm_device_attr', 24, { flags: u32, group: u32, attr: u64, addr });

export const EnableCap = struct('kvm_enable_cap', 104, { cap: u32, flags: u32, args: bytes(32), pad: bytes(64) });

/** The `int` some ioctls point to. */
export const Int = struct('int', 4, { value: i32 });
