// The program that templates without Python are frozen in: park.S, assembled (test/unit/park.test.ts does it again), in an ELF file.
//
// Interface: PARK (the file), PARK_PATH (where images have it), PARK_CODE.

/** Where an image without Python has the program. */
export const PARK_PATH = '/usr/lib/offshoot/park';

const LOAD_GVA = 0x400000;
const EHDR_BYTES = 64;
const PHDR_BYTES = 56;
const EM_X86_64 = 62;
const ET_EXEC = 2;
const PT_LOAD = 1;
const PF_R_X = 5;

/** The text section of park.S. */
export const PARK_CODE = bytesOf(`
b801000000bf03000000488d3554000000ba0c0000000f05b8390000000f0585c07407bf7d000000eb3331c0bf03000000488db42400f0ffffba001000000f05
b801000000bf02000000488d3520000000ba420000000f05bf7f000000b8e70000000f05f47b227265616479223a20317d6f666673686f6f743a207468697320
74656d706c61746520686173206e6f20507974686f6e3a2072756e206974732070726f6772616d73207769746820657865630a
`);

/** The whole file: elf(5) with one segment. */
export const PARK = linkCode(PARK_CODE);

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/[0-9a-f]{2}/g) ?? [], (byte) => parseInt(byte, 16));
}

function linkCode(code: Uint8Array): Uint8Array {
  const headerBytes = EHDR_BYTES + PHDR_BYTES;
  const file = new Uint8Array(headerBytes + code.length);
  const view = new DataView(file.buffer);
  const u16 = (at: number, value: number): void => view.setUint16(at, value, true);
  const u64 = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  u16(16, ET_EXEC);
  u16(18, EM_X86_64);
  view.setUint32(20, 1, true);
  u64(24, LOAD_GVA + headerBytes);
  u64(32, EHDR_BYTES);
  u16(52, EHDR_BYTES);
  u16(54, PHDR_BYTES);
  u16(56, 1);
  view.setUint32(EHDR_BYTES, PT_LOAD, true);
  view.setUint32(EHDR_BYTES + 4, PF_R_X, true);
  u64(EHDR_BYTES + 16, LOAD_GVA);
  u64(EHDR_BYTES + 24, LOAD_GVA);
  u64(EHDR_BYTES + 32, file.length);
  u64(EHDR_BYTES + 40, file.length);
  u64(EHDR_BYTES + 48, 4096);
  file.set(code, headerBytes);
  return file;
}
