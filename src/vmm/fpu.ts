// Fpu: when extended state (x87, SSE, AVX…) moves between a Context and the vCPU. Only at a switch of contexts or on demand,
// because KVM_GET/SET_XSAVE cost microseconds (Intel SDM vol. 1, ch. 13: standard format).

import * as X from '../abi/x86/cpu.ts';
import type { Context } from '../platform.ts';
import type { Kvm } from './kvm.ts';
import type { Vcpu } from './vcpu.ts';

/** Bytes 416..511 of the legacy area are software's; KVM does not look at them. */
const HEADER_BYTES = 64;
const MXCSR_MASK = 0xffff;
/** Bits of XSTATE_BV, and where their registers are in the legacy area. */
const X87 = 1;
const SSE = 2;
const X87_REGISTERS = 32;
const SSE_REGISTERS = 160;
const SSE_REGISTERS_END = 416;

export class Fpu {
  readonly #vcpu: Vcpu;
  readonly #sizeBytes: number;
  readonly #xcr0Low: number;
  /** The vCPU holds the loaded context's state. */
  #isLoaded = false;
  /** …and `context.fpu` is the same. */
  #isSaved = false;

  constructor(vcpu: Vcpu, kvm: Kvm) {
    this.#vcpu = vcpu;
    this.#sizeBytes = kvm.xsaveBytes;
    this.#xcr0Low = Number(kvm.xcr0 & 0xffff_ffffn);
  }

  /** The vCPU's state is not the loaded context's any more. */
  invalidate(): void {
    this.#isLoaded = false;
    this.#isSaved = false;
  }

  /** Before a run. */
  load(context: Context): void {
    this.#isSaved = false; // ring 3 may change it from here on
    if (this.#isLoaded) return;
    this.#vcpu.setXsave(this.#checked(context.fpu));
    this.#isLoaded = true;
  }

  /** Writes the vCPU's state to `context.fpu`. */
  save(context: Context): void {
    if (!this.#isLoaded || this.#isSaved) return;
    // A new array each time: a fork may share the old one.
    const area = new Uint8Array(this.#sizeBytes);
    this.#vcpu.getXsave(area);
    context.fpu = area;
    this.#isSaved = true;
  }

  /** A copy that KVM will accept whatever a signal frame put into it; or the initial state. */
  #checked(fpu: Uint8Array | null): Uint8Array {
    const area = new Uint8Array(this.#sizeBytes);
    const view = new DataView(area.buffer);
    if (fpu !== null) area.set(fpu.length > area.length ? fpu.subarray(0, area.length) : fpu);
    const features = fpu === null ? 0 : view.getUint32(X.XSAVE_XSTATE_BV, true) & this.#xcr0Low;
    if ((features & X87) === 0) {
      area.fill(0, 0, X.XSAVE_MXCSR);
      area.fill(0, X87_REGISTERS, SSE_REGISTERS);
      view.setUint16(X.XSAVE_FCW, X.FCW_INIT, true);
    }
    if ((features & SSE) === 0) area.fill(0, SSE_REGISTERS, SSE_REGISTERS_END);
    if (fpu === null) view.setUint32(X.XSAVE_MXCSR, X.MXCSR_INIT, true);
    area.fill(0, X.XSAVE_XSTATE_BV, X.XSAVE_XSTATE_BV + HEADER_BYTES);
    // Said to be there even when initial: Linux's KVM_SET_XSAVE takes over MXCSR only with one of these.
    view.setUint32(X.XSAVE_XSTATE_BV, features | X87 | SSE, true);
    view.setUint32(X.XSAVE_MXCSR, view.getUint32(X.XSAVE_MXCSR, true) & MXCSR_MASK, true);
    return area;
  }
}
