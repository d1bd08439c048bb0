// Start state: how a vCPU is set up before its first run, and the special registers for ring 3 and for the PTE writer.
// Made once per process (CPUID, MSR list, XCR0 and the two kvm_sregs images), applied to each vCPU with as few ioctls as go.

import { Debugregs, Dtable, Segment, Sregs, VcpuEvents, Xcrs } from '../abi/kvm/structs.ts';
import { buffer } from '../abi/struct.ts';
import * as X from '../abi/x86/cpu.ts';
import { TYPE_CODE, TYPE_DATA, TYPE_TSS_BUSY } from '../abi/x86/descriptors.ts';
import { CODE_STUB, TSS_LIMIT } from './area.ts';
import type { CpuidLeaf, Kvm } from './kvm.ts';
import * as L from './layout.ts';
import { msrList } from './vcpu.ts';
import type { Vcpu } from './vcpu.ts';

/** Offset in kvm_sregs where the parts change that differ between ring 3 and ring 0: all segment registers lie before it. */
const SEGMENTS_BYTES = Sregs.offset.tr;

export class StartState {
  readonly #kvm: Kvm;
  /** kvm_sregs for ring 3; CR3, FS and GS bases are filled in at each load. */
  readonly #user: Uint8Array;
  readonly #supervisorSegments: Uint8Array;
  readonly #msrs: Uint8Array;
  readonly #msrCount: number;
  readonly #xcrs: Uint8Array;

  /** Of a vCPU that never ran. */
  readonly #events = buffer(VcpuEvents.size);
  readonly #debugregs = buffer(Debugregs.size);

  constructor(kvm: Kvm, fresh: Vcpu, apicBase: bigint) {
    this.#kvm = kvm;
    fresh.getVcpuEvents(this.#events.u8);
    VcpuEvents.set.flags(this.#events.view, 0, 0); // the parts that need none
    fresh.getDebugregs(this.#debugregs.u8);
    this.#user = sregsImage(kvm, apicBase, 3);
    this.#supervisorSegments = sregsImage(kvm, apicBase, 0).slice(0, SEGMENTS_BYTES);
    const lstar = kvm.kind === 'pvm' ? BigInt(L.USER_STUB_GVA) : L.SUPER_BASE + BigInt(L.CODE_LOW + CODE_STUB);
    const msrs: [number, bigint][] = [
      [X.MSR_STAR, L.STAR_VALUE], [X.MSR_LSTAR, lstar], [X.MSR_SYSCALL_MASK, L.SYSCALL_MASK_VALUE[kvm.kind]],
    ];
    this.#msrs = msrList(msrs);
    this.#msrCount = msrs.length;
    const xcrs = buffer(Xcrs.size);
    Xcrs.write(xcrs.view, 0, { nr_xcrs: 1, xcr0: { xcr: 0, reserved: 0, value: kvm.xcr0 } });
    this.#xcrs = xcrs.u8;
  }

  /** Sets up a new vCPU. */
  apply(vcpu: Vcpu): void {
    vcpu.setCpuid2(this.#kvm.cpuid);
    vcpu.setXcrs(this.#xcrs);
    vcpu.setMsrs(this.#msrs, this.#msrCount);
    vcpu.setSignalMask();
    if (this.#kvm.kind === 'hardware') vcpu.setTscOffset(0n); // or rdtsc would not agree with the time page
    vcpu.sregs8.set(this.#user);
  }

  /**
   * Brings back what a run may have changed: debug registers (DR6 after a single step) at once, the special registers and the events
   * under way in the sync regs, for the caller to have loaded. No ring-3 instruction changes an XCR or one of these MSRs; but on hardware
   * a triple fault resets the vCPU.
   */
  reset(vcpu: Vcpu): void {
    if (this.#kvm.kind === 'hardware') {
      vcpu.setXcrs(this.#xcrs);
      vcpu.setMsrs(this.#msrs, this.#msrCount);
    }
    vcpu.setDebugregs(this.#debugregs.u8);
    vcpu.sregs8.set(this.#user);
    vcpu.events8.set(this.#events.u8);
  }

  /** Segments of ring 3; CR3 and bases are the caller's. */
  loadUser(vcpu: Vcpu): void {
    vcpu.sregs8.set(this.#user);
  }

  /** Segments of the PTE writer. */
  loadSupervisor(vcpu: Vcpu): void {
    vcpu.sregs8.set(this.#user);
    vcpu.sregs8.set(this.#supervisorSegments);
  }
}

const states = new WeakMap<Kvm, StartState>();

/** The start state of this process; the first vCPU tells what its APIC base is. */
export function startState(kvm: Kvm, vcpu: Vcpu): StartState {
  let state = states.get(kvm);
  if (state === undefined) {
    const sregs = buffer(Sregs.size);
    vcpu.getSregs(sregs.u8);
    state = new StartState(kvm, vcpu, Sregs.get.apic_base(sregs.view, 0));
    states.set(kvm, state);
  }
  return state;
}

function sregsImage(kvm: Kvm, apicBase: bigint, cpl: number): Uint8Array {
  const { view, u8 } = buffer(Sregs.size);
  const code = { base: 0n, limit: 0xffff_ffff, type: TYPE_CODE, present: 1, dpl: cpl, s: 1, l: 1, g: 1 };
  const data = { base: 0n, limit: 0xffff_ffff, type: TYPE_DATA, present: 1, dpl: cpl, db: 1, s: 1, g: 1 };
  const none = { base: 0n, limit: 0, selector: 0, type: 0, present: 0, unusable: 1 };
  const put = (offset: number, segment: object): void => Segment.write(view, offset, segment);
  put(Sregs.offset.cs, { ...code, selector: cpl === 3 ? L.SEL_USER_CS : L.SEL_KERNEL_CS });
  put(Sregs.offset.ss, { ...data, selector: cpl === 3 ? L.SEL_USER_SS : L.SEL_KERNEL_SS });
  for (const name of ['ds', 'es', 'fs', 'gs'] as const) put(Sregs.offset[name], { ...none });
  put(Sregs.offset.tr, {
    base: L.SUPER_BASE + BigInt(L.GDT_LOW + L.TSS_OFFSET), limit: TSS_LIMIT, selector: L.SEL_TSS, type: TYPE_TSS_BUSY, present: 1,
  });
  put(Sregs.offset.ldt, none);
  Dtable.write(view, Sregs.offset.gdt, { base: L.SUPER_BASE + BigInt(L.GDT_LOW), limit: L.SEL_TSS + 15 });
  Dtable.write(view, Sregs.offset.idt, { base: L.SUPER_BASE + BigInt(L.IDT_LOW), limit: 16 * L.VECTOR_COUNT - 1 });
  Sregs.set.cr0(view, 0, X.CR0_PE | X.CR0_MP | X.CR0_ET | X.CR0_NE | X.CR0_WP | X.CR0_AM | X.CR0_PG); // AM as Linux has it
  Sregs.set.cr4(view, 0, cr4(kvm.leaves));
  Sregs.set.efer(view, 0, X.EFER_SCE | X.EFER_LME | X.EFER_LMA | X.EFER_NXE);
  Sregs.set.apic_base(view, 0, apicBase);
  return u8;
}

function cr4(leaves: readonly CpuidLeaf[]): bigint {
  const seven = leaves.find((leaf) => leaf.function === 7 && leaf.index === 0);
  const ebx = seven?.ebx ?? 0;
  const ecx = seven?.ecx ?? 0;
  return X.CR4_PAE | X.CR4_OSFXSR | X.CR4_OSXMMEXCPT | X.CR4_OSXSAVE
    | ((ebx & (1 << 0)) !== 0 ? X.CR4_FSGSBASE : 0n)
    | ((ebx & (1 << 7)) !== 0 ? X.CR4_SMEP : 0n)
    | ((ebx & (1 << 20)) !== 0 ? X.CR4_SMAP : 0n)
    | ((ecx & (1 << 2)) !== 0 ? X.CR4_UMIP : 0n);
}
