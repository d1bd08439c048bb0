// The floating-point part of a signal frame: an XSAVE area in standard format with Linux's magic words around it.
// Intel SDM vol. 1 §13.4 for the area; include/uapi/asm/sigcontext.h for _fpx_sw_bytes.
//
// What a guest puts there is checked and cut to what the processor accepts, because a bad area must fail the guest, not
// the machine: reserved header bytes zero, XSTATE_BV within the enabled features, no reserved bit of MXCSR.

import { FPSTATE, FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2 } from '../../abi/linux/signal.ts';
import type { CpuInfo } from '../kernel.ts';

const INITIAL_FCW = 0x37f, INITIAL_MXCSR = 0x1f80;
/** MXCSR bits every x86-64 processor has. */
const MXCSR_MASK = 0xffff;
/** KVM's struct kvm_xsave is never smaller. */
const AREA_MIN_BYTES = 4096;

/** Bytes of the area and the magic word after it in a frame. */
export function fpstateBytes(cpu: CpuInfo): number {
  return cpu.xsaveBytes + 4;
}

/** The image for a frame. `fpu` null is the processor's initial state. */
export function buildFpstate(cpu: CpuInfo, fpu: Uint8Array | null): Uint8Array {
  const bytes = new Uint8Array(fpstateBytes(cpu));
  const view = new DataView(bytes.buffer);
  if (fpu) {
    bytes.set(fpu.subarray(0, Math.min(cpu.xsaveBytes, fpu.length)));
  } else {
    view.setUint16(0, INITIAL_FCW, true);
    view.setUint32(FPSTATE.mxcsr, INITIAL_MXCSR, true);
  }
  view.setUint32(FPSTATE.mxcsrMask, MXCSR_MASK, true);
  // As Linux: FP and SSE are always marked present, so that readers of the legacy part need not look.
  view.setUint32(FPSTATE.xstateBv, view.getUint32(FPSTATE.xstateBv, true) | 3, true);
  view.setUint32(FPSTATE.swMagic1, FP_XSTATE_MAGIC1, true);
  view.setUint32(FPSTATE.swExtendedSize, bytes.length, true);
  view.setBigUint64(FPSTATE.swXfeatures, cpu.xfeatures, true);
  view.setUint32(FPSTATE.swXstateSize, cpu.xsaveBytes, true);
  view.setUint32(cpu.xsaveBytes, FP_XSTATE_MAGIC2, true);
  return bytes;
}

/** How many bytes to read for a frame whose first 512 bytes are given: legacy only, or with extended state. */
export function fpstateLength(cpu: CpuInfo, legacy: Uint8Array): number {
  const view = new DataView(legacy.buffer, legacy.byteOffset, legacy.byteLength);
  const size = view.getUint32(FPSTATE.swXstateSize, true);
  const isExtended = view.getUint32(FPSTATE.swMagic1, true) === FP_XSTATE_MAGIC1
    && size >= FPSTATE.headerEnd && size <= cpu.xsaveBytes && view.getUint32(FPSTATE.swExtendedSize, true) === size + 4;
  return isExtended ? size + 4 : FPSTATE.legacySize;
}

/** The XSAVE area to load from what a frame holds (`fpstateLength` bytes). */
export function parseFpstate(cpu: CpuInfo, bytes: Uint8Array): Uint8Array {
  const area = new Uint8Array(Math.max(AREA_MIN_BYTES, cpu.xsaveBytes));
  const view = new DataView(area.buffer);
  const extended = bytes.length > FPSTATE.legacySize;
  const source = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isWhole = extended && source.getUint32(bytes.length - 4, true) === FP_XSTATE_MAGIC2;
  area.set(bytes.subarray(0, isWhole ? bytes.length - 4 : FPSTATE.legacySize));
  area.fill(0, FPSTATE.swMagic1, FPSTATE.legacySize);
  let features = 3n;
  if (isWhole) features = view.getBigUint64(FPSTATE.xstateBv, true) & source.getBigUint64(FPSTATE.swXfeatures, true) & cpu.xfeatures;
  area.fill(0, FPSTATE.xstateBv, FPSTATE.headerEnd);
  view.setBigUint64(FPSTATE.xstateBv, features, true);
  view.setUint32(FPSTATE.mxcsr, view.getUint32(FPSTATE.mxcsr, true) & MXCSR_MASK, true);
  view.setUint32(FPSTATE.mxcsrMask, MXCSR_MASK, true);
  return area;
}
