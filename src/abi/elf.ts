// ELF64 as elf(5) lays it out: header and program header, little endian.

export const EHDR = {
  size: 64, class: 4, data: 5, type: 16, machine: 18, entry: 24, phoff: 32, phentsize: 54, phnum: 56,
} as const;
export const PHDR = { size: 56, type: 0, flags: 4, offset: 8, vaddr: 16, filesz: 32, memsz: 40, align: 48 } as const;

export const ELF_MAGIC = 0x464c_457f;
export const ELFCLASS64 = 2, ELFDATA2LSB = 1, ET_EXEC = 2, ET_DYN = 3, EM_X86_64 = 62;
export const PT_LOAD = 1, PT_DYNAMIC = 2, PT_INTERP = 3, PT_PHDR = 6, PT_TLS = 7, PT_GNU_STACK = 0x6474_e551;
export const PF_X = 1, PF_W = 2, PF_R = 4;

// core(5) files
export const ET_CORE = 4, PT_NOTE = 4;
export const NT_PRSTATUS = 1, NT_PRFPREG = 2, NT_PRPSINFO = 3, NT_AUXV = 6, NT_X86_XSTATE = 0x202, NT_SIGINFO = 0x5349_4749, NT_FILE = 0x4649_4c45;
/** struct elf_prstatus; `pid` begins pid, ppid, pgrp, sid; `regs` is a user_regs_struct. */
export const PRSTATUS = {
  size: 336, signo: 0, cursig: 12, sigpend: 16, sighold: 24, pid: 32, utime: 48, cutime: 80, regs: 112, fpvalid: 328,
} as const;
/** struct elf_prpsinfo; `uid` begins uid, gid; `pid` as above. */
export const PRPSINFO = { size: 136, sname: 1, nice: 3, uid: 16, pid: 24, fname: 40, fnameBytes: 16, psargs: 56, psargsBytes: 80 } as const;
/** user_regs_struct's members, 8 bytes each. */
export const USER_REGS = [
  'r15', 'r14', 'r13', 'r12', 'rbp', 'rbx', 'r11', 'r10', 'r9', 'r8', 'rax', 'rcx', 'rdx', 'rsi', 'rdi', 'orig_rax', 'rip', 'cs', 'rflags', 'rsp', 'ss',
  'fs_base', 'gs_base', 'ds', 'es', 'fs', 'gs',
] as const;
