// Core files: core(5), do_coredump() of fs/coredump.c and elf_core_dump() of fs/binfmt_elf.c.
//
// Interface: dumpCore. /proc/sys/kernel/core_pattern is "core" and cannot be changed: the file is made in the working directory.
// What is dumped is coredump_filter's default: memory that is anonymous or was written to, and the first page of programs.

import { EHDR, ELFCLASS64, ELFDATA2LSB, ELF_MAGIC, EM_X86_64, ET_CORE, PF_R, PF_W, PF_X, PHDR, PT_LOAD, PT_NOTE } from '../../abi/elf.ts';
import { AT_FDCWD, O_CREAT, O_EXCL, O_LARGEFILE, O_NOFOLLOW, O_WRONLY } from '../../abi/linux/fcntl.ts';
import { PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE, VM_DONTDUMP } from '../../abi/linux/mman.ts';
import { RLIMIT_CORE } from '../../abi/linux/sched.ts';
import { File } from '../fs/file.ts';
import { Inode } from '../fs/inode.ts';
import { unlinkAt } from '../fs/namei.ts';
import { openAt } from '../fs/open.ts';
import type { Mm } from '../mm/mm.ts';
import { entryGpa } from '../mm/pages.ts';
import { isShared } from '../mm/vma.ts';
import type { Vma } from '../mm/vma.ts';
import type { SigInfo } from '../signal/state.ts';
import { coreNotes } from './corenotes.ts';
import type { Task } from './task.ts';

const NAME = 'core';
/** With a smaller limit there is no file at all. */
const LIMIT_MIN = PAGE_SIZE;

/** An area and how many bytes of it the file has. */
interface Segment {
  readonly vma: Vma;
  readonly fileBytes: number;
}

/** Writes the core file of a process that `info` ends. False: there is none, and its status does not say so. */
export function dumpCore(task: Task, info: SigInfo): boolean {
  const { process } = task;
  const limit = process.rlimits[RLIMIT_CORE]?.soft ?? 0;
  if (limit < LIMIT_MIN || process.dumpable !== 1 || process.groupExit >= 0) return false;
  const file = createFile(task);
  if (file === null) return false;
  writeCore(new CoreWriter(task, file, limit), task, info);
  file.unref();
  return true;
}

/** What had the name is gone first; then it must be ours alone. */
function createFile(task: Task): File | null {
  unlinkAt(task, AT_FDCWD, NAME);
  const file = openAt(task, AT_FDCWD, NAME, O_CREAT | O_EXCL | O_NOFOLLOW | O_LARGEFILE | O_WRONLY, 0o600);
  if (!(file instanceof File)) return null;
  const { inode } = file;
  if (inode.isRegular() && inode.nlink === 1 && inode.uid === task.process.credentials.fsuid && (inode.mode & 0o677) === 0o600) return file;
  file.unref();
  return null;
}

function writeCore(writer: CoreWriter, task: Task, info: SigInfo): void {
  const { mm } = task.process;
  const segments = mm.vmas.map((vma) => ({ vma, fileBytes: bytesToDump(mm, vma) }));
  const notes = coreNotes(task, info);
  const headers = EHDR.size + PHDR.size * (segments.length + 1);
  const data = Math.ceil((headers + notes.length) / PAGE_SIZE) * PAGE_SIZE;
  if (!writer.write(0, elfHeaders(segments, headers, notes.length, data)) || !writer.write(headers, notes)) return;
  let at = data;
  for (const { vma, fileBytes } of segments) {
    if (!writeArea(writer, mm, vma, fileBytes, at)) return;
    at += fileBytes;
  }
  writer.end(at);
}

/** vma_dump_size(). */
function bytesToDump(mm: Mm, vma: Vma): number {
  const size = vma.end - vma.start;
  if (vma.path === '[vdso]') return size;
  if ((vma.flags & VM_DONTDUMP) !== 0 || vma.path === '[vvar]') return 0;
  if (isShared(vma)) return vma.inode?.nlink === 0 ? size : 0;
  if (wasWritten(mm, vma)) return size;
  if (vma.inode === null || vma.offset !== 0 || (vma.prot & PROT_READ) === 0) return 0;
  return startsAsElf(mm, vma) ? PAGE_SIZE : 0;
}

/** Whether a private area has pages of its own. */
function wasWritten(mm: Mm, vma: Vma): boolean {
  let found = false;
  mm.pages.forEach(vma.start, vma.end, (gva, entry) => {
    found ||= vma.inode === null || vma.inode.cachedPage?.((gva - vma.start + vma.offset) / PAGE_SIZE) !== entryGpa(entry);
  });
  return found;
}

function startsAsElf(mm: Mm, { inode, start }: Vma): boolean {
  return (inode instanceof Inode && (inode.mode & 0o111) !== 0) || mm.readU32(start) === ELF_MAGIC;
}

function elfHeaders(segments: readonly Segment[], notesAt: number, notesBytes: number, dataAt: number): Uint8Array {
  const bytes = new Uint8Array(EHDR.size + PHDR.size * (segments.length + 1));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, ELF_MAGIC, true);
  bytes.set([ELFCLASS64, ELFDATA2LSB, 1], EHDR.class);
  view.setUint16(EHDR.type, ET_CORE, true);
  view.setUint16(EHDR.machine, EM_X86_64, true);
  view.setUint32(EHDR.type + 4, 1, true); // e_version
  view.setUint32(EHDR.phoff, EHDR.size, true);
  view.setUint16(EHDR.phentsize - 2, EHDR.size, true); // e_ehsize
  view.setUint16(EHDR.phentsize, PHDR.size, true);
  view.setUint16(EHDR.phnum, segments.length + 1, true);
  putHeader(view, EHDR.size, { type: PT_NOTE, flags: 0, offset: notesAt, vaddr: 0, filesz: notesBytes, memsz: 0, align: 4 });
  let offset = dataAt;
  segments.forEach(({ vma, fileBytes }, i) => {
    const { prot } = vma;
    const flags = ((prot & PROT_READ) !== 0 ? PF_R : 0) | ((prot & PROT_WRITE) !== 0 ? PF_W : 0) | ((prot & PROT_EXEC) !== 0 ? PF_X : 0);
    putHeader(view, EHDR.size + PHDR.size * (i + 1), {
      type: PT_LOAD, flags, offset, vaddr: vma.start, filesz: fileBytes, memsz: vma.end - vma.start, align: PAGE_SIZE,
    });
    offset += fileBytes;
  });
  return bytes;
}

type Header = { readonly [K in Exclude<keyof typeof PHDR, 'size'>]: number };

function putHeader(view: DataView, at: number, header: Header): void {
  view.setUint32(at + PHDR.type, header.type, true);
  view.setUint32(at + PHDR.flags, header.flags, true);
  for (const name of ['offset', 'vaddr', 'filesz', 'memsz', 'align'] as const) view.setBigUint64(at + PHDR[name], BigInt(header[name]), true);
}

/** The pages that are there; the others are holes. False: no more can be written. */
function writeArea(writer: CoreWriter, mm: Mm, vma: Vma, fileBytes: number, at: number): boolean {
  const { frames } = mm.kernel;
  if (fileBytes === PAGE_SIZE) mm.translate(vma.start, false); // the first page of a program, present or not
  let isOpen = true;
  mm.pages.forEach(vma.start, vma.start + fileBytes, (gva, entry) => {
    const gpa = entryGpa(entry);
    if (isOpen && !frames.isForeign(gpa)) isOpen = writer.write(at + gva - vma.start, frames.bytes(gpa).slice());
  });
  return isOpen;
}

/** The file, up to the limit of what is written into it. */
class CoreWriter {
  private readonly task: Task;
  private readonly file: File;
  private left: number;
  private endsAt = 0;

  constructor(task: Task, file: File, limit: number) {
    this.task = task;
    this.file = file;
    this.left = limit;
  }

  /** False: not all of it. */
  write(pos: number, bytes: Uint8Array): boolean {
    if (bytes.length > this.left) return false;
    const written = this.file.pwrite(this.task, bytes, pos);
    this.left -= bytes.length;
    this.endsAt = Math.max(this.endsAt, pos + bytes.length);
    return written === bytes.length;
  }

  /** The file reaches up to `size`. */
  end(size: number): void {
    if (size > this.endsAt) this.write(size - 1, new Uint8Array(1));
  }
}
