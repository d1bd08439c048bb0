// ELF64 as elf(5) lays it out: header and program header, little endian.

export const EHDR = {
  size: 64, class: 4, data: 5, type: 16, machine: 18, entry: 24, phoff: 32, phentsize: 54, phnum: 56,
} as const;
export const PHDR = { size: 56, type: 0, flags: 4, offset: 8, vaddr: 16, filesz: 32, memsz: 40, align: 48 } as const;

export const ELF_MAGIC = 0x464c_457f;
export const ELFCLASS64 = 2, ELFDATA2LSB = 1, ET_EXEC = 2, ET_DYN = 3, EM_X86_64 = 62;
export const PT_LOAD = 1, PT_DYNAMIC = 2, PT_INTERP = 3, PT_PHDR = 6, PT_TLS = 7, PT_GNU_STACK = 0x6474_e551;
export const PF_X = 1, PF_W = 2, PF_R = 4;
