// What the kernel needs of the machine below it: interfaces only, no code.
//
// kernel/ imports this and abi/, never vmm/ or host/. vmm/ implements it on KVM; a unit test implements it on a plain
// ArrayBuffer; a ptrace or full-guest platform could be added without touching kernel/.
// Addresses: `gva` guest-virtual, `gpa` guest-physical; both are exact JavaScript numbers (47 and < 40 bits).

/** Guest-physical memory, one flat byte array from gpa 0. `u8[gpa]` is the byte at gpa. */
export interface GuestMemory {
  /** Views over [0, sizeBytes). Replaced by `grow`: never keep them across a call that may grow. */
  readonly u8: Uint8Array;
  readonly view: DataView;
  /** Bytes backed by memslots now. */
  readonly sizeBytes: number;
  /** Bytes this memory may ever have (the sandbox's memory limit). */
  readonly limitBytes: number;
  /** First gpa the kernel's frame allocator may hand out; below it lies the machine's own area. */
  readonly firstFrame: number;
  /** Makes at least `sizeBytes` usable, zero-filled. False when that passes the limit or the host refuses. */
  grow(sizeBytes: number): boolean;
  /** [gpa, gpa+sizeBytes) will be written soon: a hint, and the content stays. */
  willWrite(gpa: number, sizeBytes: number): void;
}

/** Where page tables take their frames from (implemented by kernel/mm/frames.ts). A frame is one zero-filled page. */
export interface FrameSource {
  /** gpa of a zeroed frame, or 0 when memory is exhausted. */
  allocTableFrame(): number;
}

/** One past the highest address programs may map: the 2 MB below Linux's TASK_SIZE_MAX belong to the machine. */
export const USER_END = 0x7fff_ffe0_0000;

/** Page protection and kind bits of an entry, as `AddressSpace.entry` returns and `map` takes them. */
export const PAGE_READ = 1;
export const PAGE_WRITE = 2;
export const PAGE_EXEC = 4;

/**
 * One set of page tables: gva → gpa. Entries live in guest memory, so they are copied by a fork with everything else.
 * Any change is in force before ring 3 runs again; removals and changes are replayed inside the guest (ARCHITECTURE.md,
 * "Page tables").
 */
export interface AddressSpace {
  /** gpa of the top-level table (CR3). With `tableFrames` all there is to save. */
  readonly root: number;
  /** Maps one page; replaces what was there. `prot` is a combination of PAGE_*; 0 is never passed. False: no frame for a table. */
  map(gva: number, gpa: number, prot: number): boolean;
  /** Maps pages that are not mapped, one behind the other: how many of them, fewer only where there is no frame for a table. */
  mapRun(gva: number, gpas: readonly number[], prot: number): number;
  /**
   * Maps the 2 MB at gva, all or none of them mapped, to the 2 MB at gpa with one entry, both aligned. Later calls may change parts of it.
   * Only while nothing has run here.
   */
  mapLarge(gva: number, gpa: number, prot: number): void;
  /** Removes all pages in [gva, gva+sizeBytes). Cheap for ranges that were never mapped, however large. */
  unmap(gva: number, sizeBytes: number): void;
  /** Changes the protection of the pages mapped in the range; prot 0 removes them. */
  protect(gva: number, sizeBytes: number, prot: number): void;
  /** The page that maps gva: `gpa | prot bits` (gpa is page-aligned), or 0 when there is none. */
  entry(gva: number): number;
  /** Calls back for every mapped page in the range, ascending; skips absent tables. */
  forEach(gva: number, sizeBytes: number, visit: (gva: number, entry: number) => void): void;
  /** Gives all tables back (process exit, execve). The address space must not be run again. */
  destroy(): void;
}

/** Indexes into `Context.regs`: the order of struct kvm_regs. */
export const REG = {
  rax: 0, rbx: 1, rcx: 2, rdx: 3, rsi: 4, rdi: 5, rsp: 6, rbp: 7,
  r8: 8, r9: 9, r10: 10, r11: 11, r12: 12, r13: 13, r14: 14, r15: 15, rip: 16, rflags: 17,
} as const;
export const REG_COUNT = 18;

/** A task's ring-3 state. Plain data: copied by fork, saved by name. */
export interface Context {
  /** 18 registers in REG order; `regs32` is the same memory as 36 halves, low half first. */
  readonly regs: BigUint64Array;
  readonly regs32: Uint32Array;
  fsBase: bigint;
  gsBase: bigint;
  /**
   * The XSAVE area in standard format, or null for the processor's initial state. Stale while this context is the one
   * loaded in the machine: call `Machine.saveFpu(context)` before reading it.
   */
  fpu: Uint8Array | null;
}

/** Why ring 3 stopped. `context` has been brought up to date before it is returned. */
export type Trap =
  /** RIP is the instruction after `syscall`; rax is the number; rcx and r11 are as Linux leaves them. */
  | { readonly kind: 'syscall' }
  /** RIP is the faulting instruction (or the one after, for traps like #BP); `address` is CR2 for #PF (vector 14), else 0. */
  | { readonly kind: 'exception'; readonly vector: number; readonly errorCode: number; readonly address: number }
  /** The deadline passed to `run` was reached, or someone kicked. */
  | { readonly kind: 'kick' }
  | { readonly kind: 'io'; readonly port: number; readonly sizeBytes: number; readonly isWrite: boolean; readonly data: Uint8Array }
  | { readonly kind: 'mmio'; readonly gpa: number; readonly isWrite: boolean; readonly data: Uint8Array }
  | { readonly kind: 'hlt' }
  | { readonly kind: 'shutdown' }
  /** KVM_EXIT_INTERNAL_ERROR and exits nobody expected: the sandbox is ended with `reason`. */
  | { readonly kind: 'failed'; readonly reason: string };

/** What is known of one open file of the context that runs next. */
export interface FileFacts {
  readonly fd: number;
  /** Its position, below 2^31. */
  readonly pos: number;
  /** A read of it would give 0 and change nothing. */
  readonly atEnd: boolean;
  /** The same of getdents64. */
  readonly atLastEntry: boolean;
  /** Its struct stat. It is no terminal. */
  readonly stat: Uint8Array;
}

/** The thread that runs next. */
export interface ThreadFacts {
  readonly tid: number;
  /** What it gave to set_robust_list(2); 0: nothing yet. */
  readonly robustList: number;
}

/** By signal number, up to 255: 0 where rt_sigaction would fill struct sigaction with zeros, 1 elsewhere. */
export type SignalFacts = Uint8Array;

/** Answers about paths: kept from run to run, given in runs that `answerFrom` was called for. */
export interface PathAnswers {
  /** How many paths there may be. */
  readonly slots: number;
  /** No other machine has run since the first `set`: all are still there. */
  readonly isKept: boolean;
  /**
   * From now on this slot tells what newfstatat(AT_FDCWD, `path`, …, 0) does: fills in `stat`, or gives the error `result`. Null: it tells of no path.
   * False: the path is too long.
   */
  set(slot: number, path: string | null, result: number, stat: Uint8Array | null): boolean;
  /** What getcwd gives. Null, or too long: it is not answered. */
  setCwd(path: string | null): void;
  /** None of all that is told any more. */
  clear(): void;
}

/** A vCPU with memory. One context runs at a time. */
export interface Machine {
  readonly memory: GuestMemory;
  /**
   * The next run may answer calls about this thread and this file itself, as the kernel would (vmm/answers.ts), until it traps. A machine
   * that cannot do that has no such method.
   */
  answerFrom?(thread: ThreadFacts, facts: FileFacts | null, signals?: SignalFacts | null): void;
  /** Answers that are kept from run to run. Undefined: it keeps none. */
  readonly paths?: PathAnswers | undefined;
  /**
   * Runs `context` in `space` at CPL 3 until it traps. Control bits that ring 3 may not choose (IOPL, NT, VM, RF, VIP, VIF)
   * are cleared in rflags and IF is set. `context.regs[rip]` must be below TASK_SIZE: the kernel checks before it calls.
   * `sliceNs`: a kick comes after about so many nanoseconds; 0 means none.
   */
  run(context: Context, space: AddressSpace, sliceNs: number): Trap;
  newAddressSpace(frames: FrameSource): AddressSpace | null;
  /** An address space whose tables are already in memory (after a fork). */
  attachAddressSpace(root: number, frames: FrameSource): AddressSpace;
  /** Brings `context.fpu` up to date if this context is loaded in the vCPU. */
  saveFpu(context: Context): void;
  /** Says that `context.fpu` was changed by the kernel (sigreturn, execve) and must be loaded before it runs again. */
  fpuChanged(context: Context): void;
  /** Forget the loaded context (its task ended). */
  unload(context: Context): void;
}

/** Time as the host has it; the sandbox's own offsets are applied by kernel/time. */
export interface HostClock {
  /** CLOCK_MONOTONIC of the host, nanoseconds. */
  monotonicNs(): number;
  /** CLOCK_REALTIME, nanoseconds since 1970; a bigint because it passes 2^53. */
  realtimeNs(): bigint;
  /** CLOCK_THREAD_CPUTIME_ID of the calling thread, the one that runs the machine, nanoseconds. */
  threadCpuNs(): number;
}

/** What a sandbox may reach of the outside, besides its machine. Everything is synchronous and never blocks. */
export interface Host {
  readonly clock: HostClock;
  /** Fills `bytes` from the host's random number generator. */
  random(bytes: Uint8Array): void;
  /** The bytes of the image's blob: a view of [offset, offset+length). */
  blob(offset: number, length: number): Uint8Array;
  /**
   * What the guest wrote to one of its host streams (1 stdout, 2 stderr; of program n beside the first 4n + 1, 4n + 2). The bytes are only
   * valid during the call.
   */
  output(stream: number, bytes: Uint8Array): void;
}
