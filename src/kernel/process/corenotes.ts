// The notes of a core file: what elf_core_dump() of fs/binfmt_elf.c writes into PT_NOTE. Layouts: struct elf_prstatus, elf_prpsinfo
// (include/uapi/linux/elfcore.h), user_regs_struct (arch/x86/include/asm/user_64.h).
//
// Interface: coreNotes.

import { NT_AUXV, NT_FILE, NT_PRFPREG, NT_PRPSINFO, NT_PRSTATUS, NT_SIGINFO, NT_X86_XSTATE, PRPSINFO, PRSTATUS, USER_REGS } from '../../abi/elf.ts';
import { PAGE_SIZE } from '../../abi/linux/mman.ts';
import { FPSTATE } from '../../abi/linux/signal.ts';
import { REG } from '../../platform.ts';
import { buildFpstate } from '../signal/fpstate.ts';
import { encodeSiginfo } from '../signal/frame.ts';
import type { SigInfo } from '../signal/state.ts';
import type { Process } from './process.ts';
import type { Task } from './task.ts';

/** FXSAVE's part of an XSAVE area: struct user_fpregs_struct. */
const FPREGS_BYTES = 512;
/** More names of files than this are left out, as Linux does it. */
const FILE_NOTE_BYTES_MAX = 4 << 20;
/** Selectors a program has. */
const USER_CS = 0x33n, USER_SS = 0x2bn;

/** All notes, the dying thread's first. */
export function coreNotes(task: Task, info: SigInfo): Uint8Array {
  const { process } = task;
  const notes = [
    note('CORE', NT_PRSTATUS, prstatus(task, info.signo)), note('CORE', NT_PRPSINFO, prpsinfo(process, task)),
    note('CORE', NT_SIGINFO, encodeSiginfo(info)), note('CORE', NT_AUXV, auxv(process)),
  ];
  const files = mappedFiles(process);
  if (files) notes.push(note('CORE', NT_FILE, files));
  notes.push(...fpu(task));
  for (const other of process.tasks) if (other !== task) notes.push(note('CORE', NT_PRSTATUS, prstatus(other, info.signo)), ...fpu(other));
  return joined(notes);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** Elf64_Nhdr, name, contents: each padded to 4 bytes. */
function note(name: string, type: number, desc: Uint8Array): Uint8Array {
  const nameBytes = Math.ceil((name.length + 1) / 4) * 4;
  const bytes = new Uint8Array(12 + nameBytes + Math.ceil(desc.length / 4) * 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, name.length + 1, true);
  view.setUint32(4, desc.length, true);
  view.setUint32(8, type, true);
  bytes.set(bytesOf(name), 12);
  bytes.set(desc, 12 + nameBytes);
  return bytes;
}

function prstatus(task: Task, signo: number): Uint8Array {
  const { process } = task;
  const bytes = new Uint8Array(PRSTATUS.size);
  const view = new DataView(bytes.buffer);
  view.setInt32(PRSTATUS.signo, signo, true);
  view.setInt16(PRSTATUS.cursig, signo, true);
  view.setBigUint64(PRSTATUS.sigpend, task.pending, true);
  view.setBigUint64(PRSTATUS.sighold, task.sigmask, true);
  [task.tid, process.ppid, process.pgid, process.sid].forEach((id, i) => view.setInt32(PRSTATUS.pid + 4 * i, id, true));
  putTime(view, PRSTATUS.utime, task === process.leader ? process.cpuNs : task.cpuNs);
  putTime(view, PRSTATUS.cutime, process.childrenCpuNs);
  const { context } = task;
  USER_REGS.forEach((name, i) => {
    const at = PRSTATUS.regs + 8 * i;
    if (name in REG) view.setBigUint64(at, context.regs[REG[name as keyof typeof REG]], true);
    else if (name === 'orig_rax') view.setBigInt64(at, BigInt(task.syscallNr), true);
    else if (name === 'cs' || name === 'ss') view.setBigUint64(at, name === 'cs' ? USER_CS : USER_SS, true);
    else if (name === 'fs_base' || name === 'gs_base') view.setBigUint64(at, name === 'fs_base' ? context.fsBase : context.gsBase, true);
  });
  view.setInt32(PRSTATUS.fpvalid, 1, true);
  return bytes;
}

/** struct __kernel_old_timeval. */
function putTime(view: DataView, at: number, ns: number): void {
  view.setUint32(at, Math.floor(ns / 1e9), true);
  view.setUint32(at + 8, Math.floor(ns % 1e9 / 1000), true);
}

function prpsinfo(process: Process, task: Task): Uint8Array {
  const bytes = new Uint8Array(PRPSINFO.size);
  const view = new DataView(bytes.buffer);
  bytes[PRPSINFO.sname] = 'R'.charCodeAt(0);
  view.setInt8(PRPSINFO.nice, process.nice);
  view.setUint32(PRPSINFO.uid, process.credentials.ruid, true);
  view.setUint32(PRPSINFO.uid + 4, process.credentials.rgid, true);
  [process.pid, process.ppid, process.pgid, process.sid].forEach((id, i) => view.setInt32(PRPSINFO.pid + 4 * i, id, true));
  bytes.set(bytesOf(task.comm.slice(0, PRPSINFO.fnameBytes - 1)), PRPSINFO.fname);
  const { argStart, argEnd } = process.mm.layout;
  const args = process.mm.readBytes(argStart, Math.min(argEnd - argStart, PRPSINFO.psargsBytes - 1));
  if (typeof args !== 'number') bytes.set(args.map((byte) => byte || 0x20), PRPSINFO.psargs);
  return bytes;
}

function auxv(process: Process): Uint8Array {
  const pairs = [...process.auxv.filter(([type]) => type !== 0), [0, 0] as const];
  return new Uint8Array(BigUint64Array.from(pairs.flat(), BigInt).buffer);
}

/** Which files are mapped where: null when there are too many. */
function mappedFiles(process: Process): Uint8Array | null {
  const numbers: number[] = [];
  let names = '';
  for (const vma of process.mm.vmas) {
    if (vma.inode === null || !vma.path.startsWith('/')) continue;
    numbers.push(vma.start, vma.end, vma.offset / PAGE_SIZE);
    names += `${vma.path}\0`;
  }
  if (numbers.length * 8 + names.length > FILE_NOTE_BYTES_MAX) return null;
  const head = BigUint64Array.from([numbers.length / 3, PAGE_SIZE, ...numbers], BigInt);
  return joined([new Uint8Array(head.buffer), bytesOf(names)]);
}

/** The floating-point registers, in both forms. Debuggers read XCR0 where a signal frame has its magic words. */
function fpu({ kernel, context }: Task): Uint8Array[] {
  kernel.machine.saveFpu(context);
  const area = buildFpstate(kernel.cpu, context.fpu).subarray(0, kernel.cpu.xsaveBytes);
  area.fill(0, FPSTATE.swMagic1, FPSTATE.legacySize);
  new DataView(area.buffer).setBigUint64(FPSTATE.swMagic1, kernel.cpu.xfeatures, true);
  return [note('CORE', NT_PRFPREG, area.subarray(0, FPREGS_BYTES)), note('LINUX', NT_X86_XSTATE, area)];
}
