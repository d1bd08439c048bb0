// Signals as Linux x86-64 numbers and lays them out: signal(7), sigaction(2), include/uapi/asm/{signal,siginfo,sigcontext,ucontext}.h.

export const SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGILL = 4, SIGTRAP = 5, SIGABRT = 6, SIGBUS = 7, SIGFPE = 8;
export const SIGKILL = 9, SIGUSR1 = 10, SIGSEGV = 11, SIGUSR2 = 12, SIGPIPE = 13, SIGALRM = 14, SIGTERM = 15;
export const SIGSTKFLT = 16, SIGCHLD = 17, SIGCONT = 18, SIGSTOP = 19, SIGTSTP = 20, SIGTTIN = 21, SIGTTOU = 22;
export const SIGURG = 23, SIGXCPU = 24, SIGXFSZ = 25, SIGVTALRM = 26, SIGPROF = 27, SIGWINCH = 28, SIGIO = 29;
export const SIGPWR = 30, SIGSYS = 31, SIGRTMIN = 32, SIGRTMAX = 64;

/** Names by number; index 0 is unused. */
export const SIGNAL_NAMES: readonly string[] = [
  '', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGKILL', 'SIGUSR1', 'SIGSEGV',
  'SIGUSR2', 'SIGPIPE', 'SIGALRM', 'SIGTERM', 'SIGSTKFLT', 'SIGCHLD', 'SIGCONT', 'SIGSTOP', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU',
  'SIGURG', 'SIGXCPU', 'SIGXFSZ', 'SIGVTALRM', 'SIGPROF', 'SIGWINCH', 'SIGIO', 'SIGPWR', 'SIGSYS',
];

/** `SIGTERM`, `SIGRT_3`, … as strace prints it. */
export function signalName(signo: number): string {
  return SIGNAL_NAMES[signo] ?? (signo >= SIGRTMIN && signo <= SIGRTMAX ? `SIGRT_${signo - SIGRTMIN}` : String(signo));
}

/** What happens without a handler. */
export type DefaultAction = 'term' | 'core' | 'stop' | 'cont' | 'ign';

const CORE = new Set([SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS]);
const STOP = new Set([SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU]);
const IGNORE = new Set([SIGCHLD, SIGURG, SIGWINCH]);

/** The default action of a signal: signal(7), "Standard signals". */
export function defaultAction(signo: number): DefaultAction {
  if (CORE.has(signo)) return 'core';
  if (STOP.has(signo)) return 'stop';
  if (IGNORE.has(signo)) return 'ign';
  return signo === SIGCONT ? 'cont' : 'term';
}

export const SIG_DFL = 0n, SIG_IGN = 1n;
export const SIG_BLOCK = 0, SIG_UNBLOCK = 1, SIG_SETMASK = 2;

export const SA_NOCLDSTOP = 1, SA_NOCLDWAIT = 2, SA_SIGINFO = 4, SA_UNSUPPORTED = 0x400, SA_EXPOSE_TAGBITS = 0x800;
export const SA_RESTORER = 0x0400_0000, SA_ONSTACK = 0x0800_0000, SA_RESTART = 0x1000_0000, SA_NODEFER = 0x4000_0000;
export const SA_RESETHAND = 0x8000_0000;

export const SS_ONSTACK = 1, SS_DISABLE = 2, SS_AUTODISARM = 0x8000_0000;
export const MINSIGSTKSZ = 2048;

/** si_code values. */
export const SI_USER = 0, SI_KERNEL = 0x80, SI_QUEUE = -1, SI_TIMER = -2, SI_TKILL = -6;
export const ILL_ILLOPN = 2, FPE_INTDIV = 1, FPE_FLTDIV = 3, FPE_FLTOVF = 4, FPE_FLTUND = 5, FPE_FLTRES = 6, FPE_FLTINV = 7;
export const SEGV_MAPERR = 1, SEGV_ACCERR = 2, BUS_ADRALN = 1, BUS_ADRERR = 2, TRAP_BRKPT = 1, TRAP_TRACE = 2;
export const CLD_EXITED = 1, CLD_KILLED = 2, CLD_DUMPED = 3, CLD_STOPPED = 5, CLD_CONTINUED = 6;

/** struct kernel_sigaction: handler, flags, restorer, mask; 8 bytes each. */
export const SIGACTION = { size: 32, handler: 0, flags: 8, restorer: 16, mask: 24 } as const;

/** siginfo_t, the members of all its unions. */
export const SIGINFO = {
  size: 128, signo: 0, errno: 4, code: 8, pid: 16, uid: 20, status: 24, utime: 32, stime: 40, value: 24, addr: 16,
  timerid: 16, overrun: 20,
} as const;

/** struct rt_sigframe as the handler finds it at rsp: return address, ucontext, siginfo. */
export const SIGFRAME = { size: 440, pretcode: 0, uc: 8, info: 312 } as const;

/** struct ucontext with struct sigcontext in the middle; offsets from the ucontext. */
export const UCONTEXT = {
  size: 304, flags: 0, link: 8, stackSp: 16, stackFlags: 24, stackSize: 32, mcontext: 40, cs: 184, gs: 186, fs: 188, ss: 190,
  err: 192, trapno: 200, oldmask: 208, cr2: 216, fpstate: 224, sigmask: 296,
} as const;

/** Order of the registers in struct sigcontext, from offset 0 of mcontext. */
export const SIGCONTEXT_REGS = [
  'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'rdi', 'rsi', 'rbp', 'rbx', 'rdx', 'rax', 'rcx', 'rsp', 'rip', 'rflags',
] as const;

export const UC_FP_XSTATE = 1, UC_SIGCONTEXT_SS = 2, UC_STRICT_RESTORE_SS = 4;

/** The XSAVE area in a signal frame: struct _fpx_sw_bytes at 464, FP_XSTATE_MAGIC2 after the area. */
export const FPSTATE = {
  mxcsr: 24, mxcsrMask: 28, swMagic1: 464, swExtendedSize: 468, swXfeatures: 472, swXstateSize: 480, legacySize: 512,
  xstateBv: 512, xcompBv: 520, headerEnd: 576,
} as const;
export const FP_XSTATE_MAGIC1 = 0x4650_5853, FP_XSTATE_MAGIC2 = 0x4650_5845;

/** sigevent.sigev_notify. */
export const SIGEV_SIGNAL = 0, SIGEV_NONE = 1, SIGEV_THREAD = 2, SIGEV_THREAD_ID = 4;

/** Bit of a signal in a sigset_t. */
export function sigbit(signo: number): bigint {
  return 1n << BigInt(signo - 1);
}
