// Constants of the host's system calls that src/host and src/vmm make themselves (mmap(2), madvise(2), timer_create(2),
// sigprocmask(2)); x86-64 values, verbatim names. The guest's ABI lives in its own files.

export const PROT_NONE = 0;
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_FIXED = 0x10, MAP_FIXED_NOREPLACE = 0x100000;
export const MAP_ANONYMOUS = 0x20;
export const MAP_NORESERVE = 0x4000;
export const RUSAGE_THREAD = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;
export const MADV_DONTNEED = 4;
export const MADV_HUGEPAGE = 14;
export const MADV_POPULATE_WRITE = 23;
export const MADV_COLLAPSE = 25;
/** This process, where a pidfd is wanted. */
export const PIDFD_SELF_THREAD_GROUP = -10001;
export const O_RDWR = 2;
export const O_CLOEXEC = 0o2000000;
export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;
export const MFD_CLOEXEC = 1;
export const SIG_BLOCK = 0;
export const SIGUSR2 = 12;
export const SIGEV_THREAD_ID = 4;
export const CLOCK_MONOTONIC = 1;
export const SOL_SOCKET = 1;
export const SCM_RIGHTS = 1;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_CMSG_CLOEXEC = 0x4000_0000;
