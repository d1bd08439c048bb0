// Putting a program into an empty address space: execve(2) as fs/binfmt_elf.c does it.
//
// Interface: loadProgram maps the executable, its interpreter and the vDSO, builds the stack and returns where to start.
// Places are random as on Linux: 28 bits for a position-independent program and for mmap, 22 for the stack.

import {
  AT_BASE, AT_CLKTCK, AT_EGID, AT_ENTRY, AT_EUID, AT_FLAGS, AT_GID, AT_HWCAP, AT_HWCAP2, AT_MINSIGSTKSZ, AT_PAGESZ, AT_PHDR, AT_PHENT,
  AT_PHNUM, AT_SECURE, AT_SYSINFO_EHDR, AT_UID,
} from '../../abi/linux/auxv.ts';
import { PHDR } from '../../abi/elf.ts';
import { E2BIG, ENOMEM } from '../../abi/linux/errno.ts';
import {
  MAP_ANONYMOUS, MAP_FIXED, MAP_GROWSDOWN, MAP_NORESERVE, MAP_PRIVATE, PAGE_SIZE, PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE,
} from '../../abi/linux/mman.ts';
import { SIGFRAME } from '../../abi/linux/signal.ts';
import { CLK_TCK } from '../../abi/linux/time.ts';
import type { Inode } from '../fs/inode.ts';
import type { Kernel } from '../kernel.ts';
import { pageDown, pageUp } from '../mm/gap.ts';
import type { Mm } from '../mm/mm.ts';
import { fpstateBytes } from '../signal/fpstate.ts';
import { isSecure } from './credentials.ts';
import type { Credentials } from './credentials.ts';
import type { ElfFile } from './elf.ts';
import { buildStack } from './stack.ts';
import type { StackImage } from './stack.ts';

/** Highest stack: the machine keeps the last 2 MB of user addresses for itself. */
const STACK_TOP_MAX = 0x7fff_ffe0_0000;
const STACK_RANDOM_PAGES = 0x3f_ffff;
/** ELF_ET_DYN_BASE: two thirds of the address space. */
const DYN_BASE = 0x5555_5555_4000;
const DYN_RANDOM_PAGES = 0xfff_ffff;
/** The heap starts up to 32 MB behind the program. */
const BRK_RANDOM_PAGES = 0x2000;
/** Stack mapped at the start; the rest grows. */
const STACK_INITIAL = 132 << 10;

/** An opened executable. */
export interface Program {
  readonly inode: Inode;
  /** Absolute path, for /proc/PID/{exe,maps}. */
  readonly path: string;
  readonly elf: ElfFile;
}

export interface LoadRequest {
  readonly program: Program;
  readonly interpreter: Program | null;
  readonly argv: readonly string[];
  readonly envp: readonly string[];
  /** The path execve was given: AT_EXECFN. */
  readonly execfn: string;
  readonly credentials: Credentials;
}

export interface Loaded {
  readonly entry: number;
  readonly stack: StackImage;
}

/** Maps everything into `mm`: where to start, or -ENOMEM / -E2BIG (then `mm` is unusable). */
export function loadProgram(kernel: Kernel, mm: Mm, request: LoadRequest): Loaded | number {
  const { program, interpreter } = request;
  const random = new Random(kernel);
  const bias = program.elf.isDyn ? DYN_BASE + random.pages(DYN_RANDOM_PAGES) : 0;
  const alignedBias = bias - (bias % program.elf.align);
  const failed = mapSegments(mm, program, alignedBias);
  if (failed < 0) return failed;
  setLayout(mm, program.elf, alignedBias, random);
  const stackTop = STACK_TOP_MAX - random.pages(STACK_RANDOM_PAGES);
  const base = interpreter ? mapInterpreter(mm, interpreter) : 0;
  if (base < 0) return base;
  const vdso = kernel.vdso ? mm.mapSpecial(0, kernel.vdso.frames, PROT_READ | PROT_EXEC, '[vdso]') : 0;
  if (vdso < 0) return vdso;
  const entry = program.elf.entry + alignedBias;
  const auxv = auxvOf(kernel, request, { phdr: phdrAddress(program.elf, alignedBias), base, entry, vdso });
  const stack = makeStack(kernel, mm, request, stackTop, auxv);
  if (typeof stack === 'number') return stack;
  return { entry: interpreter ? interpreter.elf.entry + base : entry, stack };
}

class Random {
  private readonly words = new Uint32Array(8);
  private at = 0;

  constructor(kernel: Kernel) {
    kernel.host.random(new Uint8Array(this.words.buffer));
  }

  /** A random number of pages, in bytes. `mask` is 2^n - 1. */
  pages(mask: number): number {
    return (this.words[this.at++] & mask) * PAGE_SIZE;
  }
}

/** All PT_LOADs at their address plus `bias`. 0 or -errno. */
function mapSegments(mm: Mm, program: Program, bias: number): number {
  for (const segment of program.elf.segments) {
    const start = pageDown(segment.vaddr + bias);
    const fileEnd = segment.vaddr + bias + segment.filesz;
    const memEnd = pageUp(segment.vaddr + bias + segment.memsz);
    if (segment.filesz > 0) {
      const result = mm.map({
        addr: start, length: fileEnd - start, prot: segment.prot, flags: MAP_PRIVATE | MAP_FIXED, inode: program.inode,
        offset: pageDown(segment.offset), path: program.path,
      });
      if (result < 0) return result;
    }
    const failed = zeroTail(mm, segment, fileEnd);
    if (failed < 0) return failed;
    const bssStart = segment.filesz > 0 ? pageUp(fileEnd) : start;
    if (memEnd > bssStart) {
      const result = mm.mapAnonymousAt(bssStart, memEnd - bssStart, segment.prot, 0);
      if (result < 0) return result;
    }
  }
  return 0;
}

/** .bss begins in the last page of the file's part: what follows there must read as zero. */
function zeroTail(mm: Mm, segment: { readonly prot: number; readonly memsz: number; readonly filesz: number }, fileEnd: number): number {
  const length = pageUp(fileEnd) - fileEnd;
  if (segment.filesz === 0 || segment.memsz <= segment.filesz || length === 0 || (segment.prot & PROT_WRITE) === 0) return 0;
  return mm.copyOut(fileEnd, new Uint8Array(length)) < 0 ? -ENOMEM : 0;
}

/** The interpreter goes where mmap would put it. Its base, or -errno. */
function mapInterpreter(mm: Mm, interpreter: Program): number {
  const { elf } = interpreter;
  if (!elf.isDyn) {
    const failed = mapSegments(mm, interpreter, 0);
    return failed < 0 ? failed : 0;
  }
  const first = pageDown(elf.segments[0].vaddr);
  const last = elf.segments[elf.segments.length - 1];
  const span = pageUp(last.vaddr + last.memsz) - first;
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  const at = mm.map({ addr: 0, length: span, prot: PROT_NONE, flags, inode: null, offset: 0 });
  if (at < 0) return at;
  mm.unmap(at, span);
  const failed = mapSegments(mm, interpreter, at - first);
  return failed < 0 ? failed : at - first;
}

/** Code and data bounds for /proc, and where the heap starts. */
function setLayout(mm: Mm, elf: ElfFile, bias: number, random: Random): void {
  const ends = elf.segments.map((segment) => segment.vaddr + segment.memsz + bias);
  const code = elf.segments.filter((segment) => segment.prot & PROT_EXEC);
  const data = elf.segments.filter((segment) => segment.prot & PROT_WRITE);
  mm.layout = {
    ...mm.layout,
    startCode: Math.min(...code.map((segment) => segment.vaddr + bias), Infinity),
    endCode: Math.max(...code.map((segment) => segment.vaddr + segment.filesz + bias), 0),
    startData: Math.min(...data.map((segment) => segment.vaddr + bias), Infinity),
    endData: Math.max(...data.map((segment) => segment.vaddr + segment.filesz + bias), 0),
  };
  if (mm.layout.startCode === Infinity) mm.layout.startCode = 0;
  if (mm.layout.startData === Infinity) mm.layout.startData = 0;
  mm.setHeapStart(pageUp(Math.max(...ends)) + random.pages(BRK_RANDOM_PAGES - 1));
}

/** Where the program headers are in memory: in the segment that holds their file offset. */
function phdrAddress(elf: ElfFile, bias: number): number {
  const holder = elf.segments.find((segment) => elf.phoff >= segment.offset && elf.phoff < segment.offset + segment.filesz);
  return holder ? elf.phoff - holder.offset + holder.vaddr + bias : 0;
}

/** AT_MINSIGSTKSZ: the largest signal frame, as sigframe_size() counts it. */
function minSigStackBytes(kernel: Kernel): number {
  return pageUp16(SIGFRAME.size + 16 + fpstateBytes(kernel.cpu) + 63);
}

function pageUp16(value: number): number {
  return Math.ceil(value / 16) * 16;
}

function auxvOf(
  kernel: Kernel, request: LoadRequest, at: { phdr: number; base: number; entry: number; vdso: number },
): (readonly [number, number])[] {
  const { credentials } = request;
  return [
    ...(at.vdso === 0 ? [] : [[AT_SYSINFO_EHDR, at.vdso] as const]),
    [AT_MINSIGSTKSZ, minSigStackBytes(kernel)], [AT_HWCAP, kernel.cpu.hwcap], [AT_PAGESZ, PAGE_SIZE], [AT_CLKTCK, CLK_TCK],
    [AT_PHDR, at.phdr], [AT_PHENT, PHDR.size], [AT_PHNUM, request.program.elf.phnum], [AT_BASE, at.base], [AT_FLAGS, 0],
    [AT_ENTRY, at.entry], [AT_UID, credentials.ruid], [AT_EUID, credentials.euid], [AT_GID, credentials.rgid],
    [AT_EGID, credentials.egid], [AT_SECURE, Number(isSecure(credentials, credentials))], [AT_HWCAP2, kernel.cpu.hwcap2],
  ];
}

function makeStack(
  kernel: Kernel, mm: Mm, request: LoadRequest, top: number, auxv: readonly (readonly [number, number])[],
): StackImage | number {
  const random = new Uint8Array(16);
  kernel.host.random(random);
  const stack = buildStack({ top, argv: request.argv, envp: request.envp, execfn: request.execfn, auxv, random });
  const length = Math.max(STACK_INITIAL, pageUp(stack.bytes.length + STACK_INITIAL / 2));
  if (length > mm.limits.stackBytes && stack.bytes.length > mm.limits.stackBytes / 2) return -E2BIG;
  const prot = PROT_READ | PROT_WRITE | (request.program.elf.execStack ? PROT_EXEC : 0);
  const mapped = mm.map({
    addr: top - length, length, prot, flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, inode: null, offset: 0,
  });
  if (mapped < 0) return mapped;
  if (mm.copyOut(stack.sp, stack.bytes) < 0) return -ENOMEM;
  mm.layout = { ...mm.layout, startStack: stack.sp, ...stack.strings };
  return stack;
}
