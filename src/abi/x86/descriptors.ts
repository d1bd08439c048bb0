// Segment descriptors, IDT gates and the 64-bit TSS as bytes (Intel SDM vol. 3A, 3.4.5, 6.14.1, 7.7).

import { bytes, struct, u16, u32, u8 } from '../struct.ts';

/** Fields of a descriptor that matter in long mode. */
export interface Descriptor {
  /** 4-bit type: 0xb code execute/read accessed, 0x3 data read/write accessed, 0xb busy 64-bit TSS (system). */
  readonly type: number;
  /** 1 code or data, 0 system. */
  readonly s: number;
  readonly dpl: number;
  /** 1: 64-bit code. */
  readonly l: number;
}

export const TYPE_CODE = 0xb;
export const TYPE_DATA = 0x3;
export const TYPE_TSS_BUSY = 0xb;

/** An 8-byte code or data descriptor with base 0 and limit 4 GB. */
export function segmentDescriptor(d: Descriptor): bigint {
  const access = BigInt(d.type | (d.s << 4) | (d.dpl << 5) | 0x80);
  const flags = BigInt(0x8 | (d.l << 1) | (d.s === 1 && d.l === 0 ? 0x4 : 0)); // G, L, D/B
  return 0x0000_ffffn | (access << 40n) | (0xfn << 48n) | (flags << 52n);
}

/** The 16-byte descriptor of a busy 64-bit TSS, as two halves. */
export function tssDescriptor(base: bigint, limit: number): [bigint, bigint] {
  const low = (BigInt(limit) & 0xffffn) | ((base & 0xff_ffffn) << 16n) | (0x8bn << 40n) | (((base >> 24n) & 0xffn) << 56n);
  return [low, base >> 32n];
}

export const Gate = struct('idt_gate', 16, {
  offset_low: u16, selector: u16, ist: u8, type: u8, offset_mid: u16, offset_high: u32, reserved: u32,
});

/** Writes a 64-bit interrupt gate. `dpl` 3 lets ring 3 use it with `int n`. */
export function writeGate(view: DataView, at: number, handler: bigint, selector: number, dpl: number): void {
  Gate.write(view, at, {
    offset_low: Number(handler & 0xffffn), selector, type: 0x8e | (dpl << 5),
    offset_mid: Number((handler >> 16n) & 0xffffn), offset_high: Number(handler >> 32n),
  });
}

/** Its 64-bit fields are not naturally aligned, hence bytes. */
export const Tss = struct('tss64', 104, {
  reserved0: u32, rsp0: bytes(8), rsp1: bytes(8), rsp2: bytes(8), reserved1: bytes(8), ist: bytes(56), reserved2: bytes(10),
  iomap_base: u16,
});
