// Reading ELF64 executables: elf(5). Only parsing and checking; load.ts maps what this returns.

import {
  EHDR, ELFCLASS64, ELFDATA2LSB, ELF_MAGIC, EM_X86_64, ET_DYN, ET_EXEC, PF_R, PF_W, PF_X, PHDR, PT_GNU_STACK, PT_INTERP, PT_LOAD,
} from '../../abi/elf.ts';
import { EINVAL, EIO, ENOEXEC } from '../../abi/linux/errno.ts';
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../../abi/linux/mman.ts';
import type { Inode } from '../fs/inode.ts';

const USER_END = 0x7fff_ffff_f000;
/** Linux reads at most 64 KB of program headers. */
const PHNUM_MAX = Math.floor(65536 / PHDR.size);
const PATH_MAX = 4096;

export interface ElfSegment {
  readonly vaddr: number;
  readonly offset: number;
  readonly filesz: number;
  readonly memsz: number;
  /** PROT_* */
  readonly prot: number;
}

export interface ElfFile {
  /** Linked at address 0: it goes where the kernel likes. */
  readonly isDyn: boolean;
  readonly entry: number;
  readonly phoff: number;
  readonly phnum: number;
  /** Largest p_align of its segments. */
  readonly align: number;
  /** PT_LOAD in ascending order. */
  readonly segments: readonly ElfSegment[];
  readonly interp: string | null;
  /** PT_GNU_STACK asks for an executable stack. */
  readonly execStack: boolean;
}

/** Parses the headers of an executable: -ENOEXEC when it is not one for this machine, -EINVAL / -EIO when it is damaged. */
export function parseElf(inode: Inode): ElfFile | number {
  const header = readExactly(inode, 0, EHDR.size);
  if (!header) return -ENOEXEC;
  if (header.getUint32(0, true) !== ELF_MAGIC || header.getUint8(EHDR.class) !== ELFCLASS64) return -ENOEXEC;
  if (header.getUint8(EHDR.data) !== ELFDATA2LSB || header.getUint16(EHDR.machine, true) !== EM_X86_64) return -ENOEXEC;
  const type = header.getUint16(EHDR.type, true);
  if (type !== ET_EXEC && type !== ET_DYN) return -ENOEXEC;
  const phnum = header.getUint16(EHDR.phnum, true);
  if (header.getUint16(EHDR.phentsize, true) !== PHDR.size || phnum === 0 || phnum > PHNUM_MAX) return -ENOEXEC;
  const phoff = u64(header, EHDR.phoff);
  const table = readExactly(inode, phoff, phnum * PHDR.size);
  if (!table) return -ENOEXEC;
  return readHeaders(inode, table, {
    isDyn: type === ET_DYN, entry: u64(header, EHDR.entry), phoff, phnum, align: 4096, segments: [], interp: null, execStack: false,
  });
}

function readHeaders(inode: Inode, table: DataView, base: ElfFile): ElfFile | number {
  const segments: ElfSegment[] = [];
  let { interp, align, execStack } = base;
  for (let at = 0; at < table.byteLength; at += PHDR.size) {
    const type = table.getUint32(at, true);
    const flags = table.getUint32(at + PHDR.flags, true);
    if (type === PT_GNU_STACK) execStack = (flags & PF_X) !== 0;
    if (type === PT_INTERP && interp === null) {
      const path = readInterp(inode, u64(table, at + PHDR.offset), u64(table, at + PHDR.filesz));
      if (typeof path === 'number') return path;
      interp = path;
    }
    if (type !== PT_LOAD) continue;
    const segment = readSegment(table, at, flags);
    const last = segments.at(-1);
    if (!segment || (last && segment.vaddr < last.vaddr)) return -EINVAL;
    align = Math.max(align, powerOfTwo(u64(table, at + PHDR.align)));
    segments.push(segment);
  }
  return segments.length === 0 ? -ENOEXEC : { ...base, segments, interp, align, execStack };
}

function readSegment(table: DataView, at: number, flags: number): ElfSegment | null {
  const vaddr = u64(table, at + PHDR.vaddr), memsz = u64(table, at + PHDR.memsz);
  const offset = u64(table, at + PHDR.offset), filesz = u64(table, at + PHDR.filesz);
  const fits = vaddr < USER_END && memsz < USER_END && vaddr + memsz <= USER_END && filesz <= memsz && offset + filesz < 2 ** 52;
  if (!fits || vaddr % 4096 !== offset % 4096) return null;
  const prot = (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) | (flags & PF_X ? PROT_EXEC : 0);
  return { vaddr, offset, filesz, memsz, prot };
}

function readInterp(inode: Inode, offset: number, length: number): string | number {
  if (length < 2 || length > PATH_MAX) return -ENOEXEC;
  const view = readExactly(inode, offset, length);
  if (!view) return -EIO;
  const bytes = new Uint8Array(view.buffer, view.byteOffset, length);
  if (bytes[length - 1] !== 0) return -ENOEXEC;
  return latin1(bytes.subarray(0, bytes.indexOf(0)));
}

function powerOfTwo(align: number): number {
  return align > 4096 && align <= 1 << 30 && Number.isInteger(Math.log2(align)) ? align : 4096;
}

function u64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
}

function readExactly(inode: Inode, pos: number, length: number): DataView | null {
  if (pos + length > inode.sizeBytes) return null;
  const bytes = new Uint8Array(length);
  return inode.read(pos, bytes) === length ? new DataView(bytes.buffer) : null;
}

/** Bytes as a byte string. */
export function latin1(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}
