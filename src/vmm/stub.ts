// The machine code that runs in the guest on our behalf, as bytes with the assembly beside them (Intel SDM vol. 2).
// test/unit/stub.test.ts assembles the comments again and compares. There is no more ring-0 code than this; what answers calls in ring 3 is in answercode.ts.
//
// Port is 0x7e (layout.ts). Every piece ends the virtual CPU's run by writing to it; which piece did it follows from RIP.

import { HANDLER_STRIDE, VECTOR_COUNT } from './layout.ts';

/** Lines of assembly, each with its bytes. */
export type Listing = readonly (readonly [string, readonly number[]])[];

/**
 * Where `syscall` lands. On PVM-style hosts it is run at CPL 3 from a user-readable page, on hardware at CPL 0 from a
 * supervisor page; it never returns by itself: the host sets the registers for ring 3 and runs again.
 */
export const SYSCALL_STUB: Listing = [
  ['out %al, $0x7e', [0xe6, 0x7e]],
  ['ud2', [0x0f, 0x0b]],
];

/** One entry of the exception page: exits at once; the host reads the frame the CPU pushed. */
export const EXCEPTION_ENTRY: Listing = [
  ['out %al, $0x7e', [0xe6, 0x7e]],
  ['hlt', [0xf4]],
];

/**
 * The PTE writer, at CPL 0. rbx: queue of {gva of the first entry, count} pairs; edx: number of pairs, at least 1.
 * Stores each entry onto itself with an 8-byte store: the value is what the host has already written, the store is what
 * makes KVM's shadow page tables follow. Loading CR3 drops cached translations on hardware.
 */
export const PTE_WRITER: Listing = [
  ['1: mov (%rbx), %rdi', [0x48, 0x8b, 0x3b]],
  ['mov 8(%rbx), %rcx', [0x48, 0x8b, 0x4b, 0x08]],
  ['mov %rdi, %rsi', [0x48, 0x89, 0xfe]],
  ['rep movsq', [0xf3, 0x48, 0xa5]],
  ['add $16, %rbx', [0x48, 0x83, 0xc3, 0x10]],
  ['dec %edx', [0xff, 0xca]],
  ['jnz 1b', [0x75, 0xeb]],
  ['mov %cr3, %rax', [0x0f, 0x20, 0xd8]],
  ['mov %rax, %cr3', [0x0f, 0x22, 0xd8]],
  ['out %al, $0x7e', [0xe6, 0x7e]],
  ['hlt', [0xf4]],
];

/**
 * The toucher, at CPL 3 on PVM-style hosts. rdi: list of addresses; esi: how many, at least 1. Reads one byte of each page, so that
 * KVM maps them before a run needs them (touch.ts). A fault leaves rdi at the address that faulted.
 */
export const TOUCHER: Listing = [
  ['1: mov (%rdi), %rax', [0x48, 0x8b, 0x07]],
  ['mov (%rax), %al', [0x8a, 0x00]],
  ['add $8, %rdi', [0x48, 0x83, 0xc7, 0x08]],
  ['dec %esi', [0xff, 0xce]],
  ['jnz 1b', [0x75, 0xf3]],
  ['syscall', [0x0f, 0x05]],
];

/** The bytes of a listing. */
export function code(listing: Listing): Uint8Array {
  return new Uint8Array(listing.flatMap(([, bytes]) => bytes));
}

/** The exception page: one entry for each vector. */
export function handlerPage(): Uint8Array {
  const page = new Uint8Array(VECTOR_COUNT * HANDLER_STRIDE).fill(0xcc);
  const entry = code(EXCEPTION_ENTRY);
  for (let vector = 0; vector < VECTOR_COUNT; vector++) page.set(entry, vector * HANDLER_STRIDE);
  return page;
}

/** Ring-3 snippets of the self-test (selftest.ts). */
export const SELFTEST_CODE = {
  syscall: [['syscall', [0x0f, 0x05]]],
  ud2: [['ud2', [0x0f, 0x0b]]],
  jump: [['jmp *%rdx', [0xff, 0xe2]]],
  out: [['out %al, %dx', [0xee]]],
  loop: [['1: jmp 1b', [0xeb, 0xfe]]],
  load: [
    ['mov (%rdi), %rbx', [0x48, 0x8b, 0x1f]],
    ['syscall', [0x0f, 0x05]],
  ],
  sse: [
    ['movups (%rdi), %xmm7', [0x0f, 0x10, 0x3f]],
    ['syscall', [0x0f, 0x05]],
    ['movups %xmm7, 16(%rdi)', [0x0f, 0x11, 0x7f, 0x10]],
    ['syscall', [0x0f, 0x05]],
  ],
  rdtsc: [
    ['rdtsc', [0x0f, 0x31]],
    ['shl $32, %rdx', [0x48, 0xc1, 0xe2, 0x20]],
    ['or %rdx, %rax', [0x48, 0x09, 0xd0]],
    ['syscall', [0x0f, 0x05]],
  ],
} as const satisfies Record<string, Listing>;
