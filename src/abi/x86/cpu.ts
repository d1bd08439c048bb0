// x86-64 bits and numbers the machine needs: control registers, EFER, RFLAGS, MSRs, vectors, page-table entries
// (Intel SDM vol. 3A ch. 2, 4, 6; AMD APM vol. 2). Names are the manuals'.

export const PAGE_SIZE = 4096;

export const CR0_PE = 1n << 0n;
export const CR0_MP = 1n << 1n;
export const CR0_ET = 1n << 4n;
export const CR0_NE = 1n << 5n;
export const CR0_WP = 1n << 16n;
export const CR0_AM = 1n << 18n;
export const CR0_PG = 1n << 31n;

export const CR4_PAE = 1n << 5n;
export const CR4_OSFXSR = 1n << 9n;
export const CR4_OSXMMEXCPT = 1n << 10n;
export const CR4_UMIP = 1n << 11n;
export const CR4_FSGSBASE = 1n << 16n;
export const CR4_OSXSAVE = 1n << 18n;
export const CR4_SMEP = 1n << 20n;
export const CR4_SMAP = 1n << 21n;

export const EFER_SCE = 1n << 0n;
export const EFER_LME = 1n << 8n;
export const EFER_LMA = 1n << 10n;
export const EFER_NXE = 1n << 11n;

export const RFLAGS_CF = 0x1;
export const RFLAGS_RESERVED1 = 0x2;
export const RFLAGS_PF = 0x4;
export const RFLAGS_AF = 0x10;
export const RFLAGS_ZF = 0x40;
export const RFLAGS_SF = 0x80;
export const RFLAGS_TF = 0x100;
export const RFLAGS_IF = 0x200;
export const RFLAGS_DF = 0x400;
export const RFLAGS_OF = 0x800;
export const RFLAGS_IOPL = 0x3000;
export const RFLAGS_NT = 0x4000;
export const RFLAGS_RF = 0x1_0000;
export const RFLAGS_VM = 0x2_0000;
export const RFLAGS_AC = 0x4_0000;
export const RFLAGS_ID = 0x20_0000;

export const MSR_IA32_TSC = 0x10;
export const MSR_STAR = 0xc000_0081;
export const MSR_LSTAR = 0xc000_0082;
export const MSR_SYSCALL_MASK = 0xc000_0084;
export const MSR_KERNEL_GS_BASE = 0xc000_0102;

export const VECTOR_DE = 0;
export const VECTOR_DB = 1;
export const VECTOR_BP = 3;
export const VECTOR_OF = 4;
export const VECTOR_UD = 6;
export const VECTOR_GP = 13;
export const VECTOR_PF = 14;
export const VECTOR_AC = 17;
/** Vectors that push an error code: #DF #TS #NP #SS #GP #PF #AC #CP #VC #SX. */
export const VECTORS_WITH_ERROR_CODE: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17, 21, 29, 30]);

/** Bits of a page-table entry. Bit 63 (no execute) is bit 31 of the high half. */
export const PTE_P = 0x1;
export const PTE_W = 0x2;
export const PTE_U = 0x4;
export const PTE_A = 0x20;
export const PTE_D = 0x40;
/** Page size: a 2 MB page when set in a page-directory entry. */
export const PTE_PS = 0x80;
export const PTE_NX_HIGH = 0x8000_0000;
export const PTE_NX = 1n << 63n;

/** The XSAVE area in the processor's initial state: x87 control word and MXCSR (SDM vol. 1, 13.6). */
export const XSAVE_FCW = 0;
export const XSAVE_MXCSR = 24;
export const XSAVE_XSTATE_BV = 512;
export const FCW_INIT = 0x37f;
export const MXCSR_INIT = 0x1f80;
