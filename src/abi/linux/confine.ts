// Constants for giving up privileges: seccomp(2) with classic BPF, landlock(7), prctl(2), capabilities(7), setrlimit(2).

/** struct sock_filter codes (linux/bpf_common.h): load a word of seccomp_data, compare it with a constant, return. */
export const BPF_LD_W_ABS = 0x20;
export const BPF_JEQ_K = 0x15;
export const BPF_JGE_K = 0x35;
export const BPF_RET_K = 0x06;
/** Offsets in struct seccomp_data. */
export const SECCOMP_DATA_NR = 0;
export const SECCOMP_DATA_ARCH = 4;
export const SECCOMP_DATA_ARGS = 16;
export const SECCOMP_SET_MODE_FILTER = 1;
export const SECCOMP_FILTER_FLAG_TSYNC = 1;
export const SECCOMP_RET_KILL_PROCESS = 0x8000_0000;
export const SECCOMP_RET_ERRNO = 0x0005_0000;
export const SECCOMP_RET_ALLOW = 0x7fff_0000;
export const AUDIT_ARCH_X86_64 = 0xc000_003e;
/** Set in the numbers of x32 system calls. */
export const X32_SYSCALL_BIT = 0x4000_0000;

export const LANDLOCK_CREATE_RULESET_VERSION = 1;
/** Since ABI 8. */
export const LANDLOCK_RESTRICT_SELF_TSYNC = 8;
/** How many file system rights each ABI knows, from version 1 on: all lower bits. */
export const LANDLOCK_ACCESS_FS_BITS = [13, 14, 15, 15, 16] as const;
/** LANDLOCK_ACCESS_NET_BIND_TCP | CONNECT_TCP, since ABI 4. */
export const LANDLOCK_ACCESS_NET_ALL = 3;
/** LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | SIGNAL, since ABI 6. */
export const LANDLOCK_SCOPE_ALL = 3;

export const PR_SET_PDEATHSIG = 1;
export const PR_SET_DUMPABLE = 4;
export const PR_SET_NAME = 15;
export const PR_CAPBSET_DROP = 24;
export const PR_SET_NO_NEW_PRIVS = 38;
export const PR_CAP_AMBIENT = 47;
export const PR_CAP_AMBIENT_CLEAR_ALL = 4;
/** 'VMA': naming anonymous memory. */
export const PR_SET_VMA = 0x53564d41;

export const CAP_KILL = 5;
export const CAP_SETGID = 6;
export const CAP_SETUID = 7;
export const LINUX_CAPABILITY_VERSION_3 = 0x2008_0522;

export const RLIMIT_CORE = 4;
export const RLIMIT_NOFILE = 7;
