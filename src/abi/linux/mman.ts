// Constants of <sys/mman.h> on x86-64: mmap(2), mprotect(2), mremap(2), madvise(2), msync(2), mlock(2), and the layout
// of the address space (arch/x86/include/asm/page_64_types.h, include/linux/mm.h).

export const PAGE_SIZE = 4096;
/** First gva no user mapping may reach: 47 bits less one guard page. */
export const TASK_SIZE_MAX = 0x7ffffffff000;
/** vm.mmap_min_addr. */
export const MMAP_MIN_ADDR = 0x10000;
/** vm.max_map_count. */
export const MAX_MAP_COUNT = 65530;
/** stack_guard_gap, in bytes: kept free below a MAP_GROWSDOWN mapping. */
export const STACK_GUARD_GAP = 256 * PAGE_SIZE;

export const PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, PROT_SEM = 8;
export const PROT_GROWSDOWN = 0x01000000, PROT_GROWSUP = 0x02000000;

export const MAP_SHARED = 0x01, MAP_PRIVATE = 0x02, MAP_SHARED_VALIDATE = 0x03, MAP_TYPE = 0x0f;
export const MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20, MAP_32BIT = 0x40;
export const MAP_GROWSDOWN = 0x100, MAP_DENYWRITE = 0x800, MAP_EXECUTABLE = 0x1000, MAP_LOCKED = 0x2000;
export const MAP_NORESERVE = 0x4000, MAP_POPULATE = 0x8000, MAP_NONBLOCK = 0x10000, MAP_STACK = 0x20000;
export const MAP_HUGETLB = 0x40000, MAP_SYNC = 0x80000, MAP_FIXED_NOREPLACE = 0x100000, MAP_UNINITIALIZED = 0x4000000;
/** Flags every kernel accepted before MAP_SHARED_VALIDATE existed. */
export const LEGACY_MAP_MASK = MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE |
  MAP_UNINITIALIZED | MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK |
  MAP_HUGETLB | MAP_32BIT | 0x7c000000;

export const MREMAP_MAYMOVE = 1, MREMAP_FIXED = 2, MREMAP_DONTUNMAP = 4;

export const MS_ASYNC = 1, MS_INVALIDATE = 2, MS_SYNC = 4;

export const MCL_CURRENT = 1, MCL_FUTURE = 2, MCL_ONFAULT = 4;
export const MLOCK_ONFAULT = 1;

export const MADV_NORMAL = 0, MADV_RANDOM = 1, MADV_SEQUENTIAL = 2, MADV_WILLNEED = 3, MADV_DONTNEED = 4;
export const MADV_FREE = 8, MADV_REMOVE = 9, MADV_DONTFORK = 10, MADV_DOFORK = 11, MADV_MERGEABLE = 12;
export const MADV_UNMERGEABLE = 13, MADV_HUGEPAGE = 14, MADV_NOHUGEPAGE = 15, MADV_DONTDUMP = 16, MADV_DODUMP = 17;
export const MADV_WIPEONFORK = 18, MADV_KEEPONFORK = 19, MADV_COLD = 20, MADV_PAGEOUT = 21;
export const MADV_POPULATE_READ = 22, MADV_POPULATE_WRITE = 23, MADV_DONTNEED_LOCKED = 24;
export const MADV_HWPOISON = 100, MADV_SOFT_OFFLINE = 101;

/** VM_* bits of `Vma.flags`, as in include/linux/mm.h (the permission bits live in `Vma.prot` and `Vma.maxProt`). */
export const VM_SHARED = 0x8, VM_GROWSDOWN = 0x100, VM_LOCKED = 0x2000, VM_SEQ_READ = 0x8000, VM_RAND_READ = 0x10000;
export const VM_DONTCOPY = 0x20000, VM_DONTEXPAND = 0x40000, VM_LOCKONFAULT = 0x80000, VM_ACCOUNT = 0x100000;
export const VM_NORESERVE = 0x200000, VM_WIPEONFORK = 0x2000000, VM_DONTDUMP = 0x4000000;
export const VM_HUGEPAGE = 0x20000000, VM_NOHUGEPAGE = 0x40000000;

/** Resource numbers of getrlimit(2) that the address space obeys. */
export const RLIMIT_DATA = 2, RLIMIT_STACK = 3, RLIMIT_MEMLOCK = 8, RLIMIT_AS = 9;

export const MPOL_DEFAULT = 0, MPOL_PREFERRED = 1, MPOL_BIND = 2, MPOL_INTERLEAVE = 3, MPOL_LOCAL = 4;
export const MPOL_F_NODE = 1, MPOL_F_ADDR = 2, MPOL_F_MEMS_ALLOWED = 4;
export const MPOL_MF_STRICT = 1, MPOL_MF_MOVE = 2;
