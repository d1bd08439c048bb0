// layout.ts: every magic address of the machine, with a sentence each. No logic.
//
// Guest-physical, from 0:
//   AREA      shared by all VMs of a process, read-only for the guest, built for the host's kind at load (area.ts)
//   PRIVATE   per VM, saved in templates: exception stack, PTE-writer queue, free list of page tables
//   FRAMES    everything from FIRST_FRAME on belongs to the kernel's frame allocator
// Guest-virtual, in every address space:
//   [0, USER_END)              the kernel's to hand out; it keeps to less (USER_END of platform.ts)
//   [USER_END, 2^47)           the machine's, one page table that all address spaces share: the time page, on PVM-style hosts with the
//                              system-call stub in its second half; below it answers
//   PML4 slot 256              supervisor only, shared: direct map of guest-physical memory, code and tables of the machine

/** End of what the kernel may map: what is behind it has a page table of its own. */
export const USER_END = 0x7fff_ffe0_0000;
/** The time page, readable in ring 3, written by the host (vvar.ts). */
export const VVAR_GVA = 0x7fff_ffff_f000;
/** Where the stub starts in the time page. */
export const USER_STUB_OFFSET = 0x800;
/** Where `syscall` lands on PVM-style hosts: user-readable, because it is entered at CPL 3 there. */
export const USER_STUB_GVA = VVAR_GVA + USER_STUB_OFFSET;
/** Right behind it: the answers (stub.ts, answers.ts), and the struct stat they give. */
export const ANSWERS_OFFSET = USER_STUB_OFFSET + 4;
export const ANSWERS_STAT_OFFSET = 0xf00;
/** The page below: more answers, by offset: newfstatat, getcwd, rt_sigaction, which signals have their default action, and where the slots are. */
export const PATHS_GVA = VVAR_GVA - 0x1000;
export const CWD_OFFSET = 0x400;
export const SIGNALS_OFFSET = 0x800;
export const SIGNAL_TABLE_OFFSET = 0xb00;
export const SLOT_INDEX_OFFSET = 0xc00;
/** Below it: the slots, one for each path that is answered (answers.ts). */
export const SLOTS_BYTES = 0x20000;
export const SLOTS_GVA = PATHS_GVA - SLOTS_BYTES;
/** The toucher (stub.ts), in the same page, on PVM-style hosts. */
export const TOUCHER_OFFSET = 0xe00;
export const TOUCHER_GVA = VVAR_GVA + TOUCHER_OFFSET;

/** High half of every supervisor address used below; low halves are the SUPER_* numbers. */
export const SUPER_HIGH = 0xffff_8000;
/** gva of guest-physical 0 in the direct map; supervisor, read-write, never executable, 2 MB pages. */
export const DIRECT_BASE = 0xffff_8000_0000_0000n;
/** Most guest-physical memory the direct map (and so a machine) can have. */
export const DIRECT_MAX_BYTES = 4 * 2 ** 30;
/** The supervisor pages sit 4 GB above the direct map's start, so their high half is SUPER_HIGH + 1. */
export const SUPER_PAGES_HIGH = SUPER_HIGH + 1;
export const SUPER_BASE = 0xffff_8001_0000_0000n;
export const GDT_LOW = 0x0000;
export const IDT_LOW = 0x1000;
/** Exception entries, HANDLER_STRIDE bytes apart, by vector. */
export const HANDLER_LOW = 0x2000;
/** PTE writer, and the system-call stub of hardware hosts. */
export const CODE_LOW = 0x3000;
/** Exception stack (one page; RSP0 is its end) and PTE-writer queue. */
export const STACK_LOW = 0x4000;
export const QUEUE_LOW = 0x5000;

/** Pages of the shared area, by gpa. */
export const GDT_GPA = 0x1000;
export const IDT_GPA = 0x2000;
export const HANDLER_GPA = 0x3000;
export const CODE_GPA = 0x4000;
/** Mapped at VVAR_GVA. */
export const VVAR_GPA = 0x5000;
/** Mapped at PATHS_GVA. */
export const PATHS_GPA = 0x6000;
/** The page table of the 2 MB behind USER_END. */
export const USER_PT_GPA = 0x7000;
/** Supervisor half: PDPT; page directories of the direct map (4 pages); directory and table of the supervisor pages. */
export const SUPER_PDPT_GPA = 0x8000;
export const DIRECT_PD_GPA = 0x9000;
export const SUPER_PD_GPA = 0xd000;
export const SUPER_PT_GPA = 0xe000;
/** Mapped at SLOTS_GVA. */
export const SLOTS_GPA = 0x10000;
export const AREA_BYTES = SLOTS_GPA + SLOTS_BYTES;

/** Private pages. */
export const STACK_GPA = AREA_BYTES;
export const QUEUE_GPA = AREA_BYTES + 0x1000;
/** First word: gpa of the first free page-table frame (a list through the frames), or 0. */
export const STATE_GPA = AREA_BYTES + 0x2000;
/** First gpa of the kernel's frame allocator. */
export const FIRST_FRAME = AREA_BYTES + 0x10000;

/** The TSS lies in the GDT's page. */
export const TSS_OFFSET = 0x100;
export const HANDLER_STRIDE = 8;
export const VECTOR_COUNT = 256;

/**
 * The port the machine's own `out` uses. 0x7e because KVM moves RIP past `out` to this port before it exits
 * (KVM_X86_QUIRK_OUT_7E_INC_RIP), so hardware and PVM-style hosts agree and no half-done I/O is left in the vCPU.
 */
export const PORT = 0x7e;

/** Selectors: as Linux has them, so that programs that look see what they expect. */
export const SEL_KERNEL_CS = 0x10;
export const SEL_KERNEL_SS = 0x18;
export const SEL_USER_SS = 0x2b;
export const SEL_USER_CS = 0x33;
export const SEL_TSS = 0x40;
/** MSR_STAR: `syscall` loads CS 0x10 / SS 0x18, `sysret` CS 0x33 / SS 0x2b. */
export const STAR_VALUE = (0x23n << 48n) | (0x10n << 32n);
/** MSR_SYSCALL_MASK: `syscall` clears IF, which ring 3 cannot: that tells a `syscall` from a jump into the stub. At CPL 0 it clears every flag. */
export const SYSCALL_MASK_VALUE = { pvm: 0x200n, hardware: 0xffff_fffdn } as const;
