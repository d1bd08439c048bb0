// What a worker gives up once it has started, before it hears of any guest: docs/security.md says what protects what.
//
// A worker that a guest has taken over has the calls below, the open descriptors (/dev/kvm and VMs, templates and images read-only,
// the sockets to its parent, standard error) and nothing else. Each step that this host does not know or permit is left out and
// reported; the steps do not depend on one another.

import { readFileSync, readdirSync } from 'node:fs';
import * as K from '../abi/kvm/ioctls.ts';
import { CAP_KILL, CAP_SETGID, CAP_SETUID, PR_SET_NAME, PR_SET_VMA, RLIMIT_CORE, RLIMIT_NOFILE } from '../abi/linux/confine.ts';
import { F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL } from '../abi/linux/fcntl.ts';
import { LOCK_EX, LOCK_NB, LOCK_UN, PIDFD_SELF_THREAD_GROUP } from '../abi/linux/host.ts';
import * as N from '../abi/linux/hostcalls.ts';
import { FIONBIO, FIONREAD } from '../abi/linux/ioctl.ts';
import { becomeUser, dropCapabilities, lowerLimit } from '../host/credentials.ts';
import { HostError } from '../host/errors.ts';
import { landlockDenyAll } from '../host/landlock.ts';
import { reopenEventLoop, usesIoUring } from '../host/libuv.ts';
import { PAGEMAP_SCAN } from '../host/pagemap.ts';
import { dropBoundingSet, setNoNewPrivileges, setUndumpable } from '../host/prctl.ts';
import { compileFilter, installFilter, type AllowedCall } from '../host/seccomp.ts';
import { endWithParent } from './parent.ts';
import type { Confinement } from './protocol.ts';

/** All that a running VM needs of KVM; not in it: what only the self-test uses, devices, interrupts, dirty logs, migration. */
export const IOCTLS: readonly number[] = [
  K.KVM_RUN,
  K.KVM_CREATE_VM, K.KVM_SET_USER_MEMORY_REGION, K.KVM_CREATE_VCPU, K.KVM_SET_CPUID2, K.KVM_SET_DEVICE_ATTR, K.KVM_SET_SIGNAL_MASK, // making a VM
  K.KVM_SET_XCRS, K.KVM_SET_XSAVE, K.KVM_SET_MSRS, K.KVM_SET_VCPU_EVENTS, K.KVM_SET_DEBUGREGS, // a vCPU's state put in
  K.KVM_GET_XSAVE2, K.KVM_GET_MSRS, K.KVM_GET_VCPU_EVENTS, K.KVM_GET_SREGS, K.KVM_GET_DEBUGREGS, K.KVM_GET_TSC_KHZ, K.KVM_CHECK_EXTENSION, // and read
  PAGEMAP_SCAN, // which pages of a guest were changed
  FIONBIO, FIONREAD, // libuv, on its sockets
];

/** The calls that a worker may make; the most frequent first, because the kernel reads the list in this order. */
function allowedCalls(pid: number): AllowedCall[] {
  const always = (nr: number): AllowedCall => ({ nr });
  return [
    { nr: N.SYS_ioctl, arg: 1, oneOf: IOCTLS }, // KVM
    { nr: N.SYS_flock, arg: 1, oneOf: [LOCK_EX | LOCK_NB, LOCK_UN] }, // workers take turns at closing VMs (vmm/vm.ts)
    always(N.SYS_rt_sigtimedwait), // takes back the signal that ended a slice
    always(N.SYS_timer_settime), // the timer of slices, made before
    always(N.SYS_clock_gettime), // where the vDSO cannot tell the time
    always(N.SYS_futex), // V8's threads
    always(N.SYS_mmap), // guest memory, V8's heap; of files only those that are open
    always(N.SYS_munmap),
    always(N.SYS_mprotect), // V8's compiled code
    always(N.SYS_pkey_mprotect), // the same with memory protection keys
    always(N.SYS_madvise), // gives memory back
    { nr: N.SYS_process_madvise, arg: 0, oneOf: [PIDFD_SELF_THREAD_GROUP] }, // the same for many ranges: this process only
    always(N.SYS_mremap), // libc's realloc
    always(N.SYS_brk), // libc's malloc
    always(N.SYS_epoll_pwait), // Node's event loop
    always(N.SYS_epoll_wait),
    always(N.SYS_epoll_ctl),
    always(N.SYS_epoll_create1), // the loop, opened again without io_uring (host/libuv.ts)
    always(N.SYS_eventfd2),
    always(N.SYS_pipe2),
    always(N.SYS_poll), // Node writing to a pipe that is full
    always(N.SYS_read), // sockets, template and image files
    always(N.SYS_readv),
    always(N.SYS_pread64),
    always(N.SYS_lseek),
    always(N.SYS_fstat), // Node reading a file that is open
    always(N.SYS_write), // sockets, standard error, event descriptors
    always(N.SYS_writev),
    always(N.SYS_recvmsg), // templates arrive as descriptors
    always(N.SYS_close),
    { nr: N.SYS_fcntl, arg: 1, oneOf: [F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC] }, // not F_SETOWN, which aims signals
    always(N.SYS_memfd_create), // memory that branches share (vmm/layers.ts)
    always(N.SYS_ftruncate), // its size
    always(N.SYS_pwrite64), // what is put into it
    always(N.SYS_fallocate), // and given back
    always(N.SYS_getrandom), // the guests' randomness, and ours
    always(N.SYS_rt_sigprocmask), // kicks
    always(N.SYS_rt_sigaction), // Node at its end
    always(N.SYS_rt_sigreturn),
    always(N.SYS_sigaltstack),
    always(N.SYS_restart_syscall), // what a stopped and continued call becomes
    { nr: N.SYS_tgkill, arg: 0, oneOf: [pid] }, // kicks and abort(3): this process only
    always(N.SYS_timer_gettime),
    always(N.SYS_timer_delete),
    always(N.SYS_nanosleep),
    always(N.SYS_clock_nanosleep),
    always(N.SYS_clock_getres),
    always(N.SYS_gettimeofday),
    always(N.SYS_sched_yield), // V8's locks
    always(N.SYS_sched_getaffinity), // libc's mutexes, V8's threads
    always(N.SYS_sched_getparam),
    always(N.SYS_sched_getscheduler),
    always(N.SYS_membarrier), // V8's code changes
    always(N.SYS_getrusage), // CPU time
    always(N.SYS_getpid),
    always(N.SYS_gettid),
    { nr: N.SYS_prctl, arg: 0, oneOf: [PR_SET_NAME, PR_SET_VMA] }, // names of threads and of V8's memory
    always(N.SYS_rseq), // libc at the end of a thread
    always(N.SYS_exit),
    always(N.SYS_exit_group),
  ];
}

/** User and group ids that neither Debian nor systemd gives to anybody: a worker takes one by its process id. */
const USER_FIRST = 60578, USERS = 606;

/**
 * Gives up what a worker does not need, for good. `parentPid` as in endWithParent, because changing the user forgets that.
 * Everything that opens something must have happened: nothing can be opened afterwards. Returns what is on, for `offshoot doctor`.
 */
export function confine(parentPid: number): Confinement[] {
  const hasIoUring = usesIoUring();
  dropBoundingSet(); // while root still may
  return [
    step('core dumps and open files', () => {
      lowerLimit(RLIMIT_CORE, 0n);
      lowerLimit(RLIMIT_NOFILE, 2n ** 63n - 1n); // the soft limit becomes the hard one, once
      return 'limits are set';
    }),
    step('own user', () => ownUser()),
    step('ends with its parent', () => {
      endWithParent(parentPid);
      return 'SIGKILL';
    }),
    step('not dumpable', () => {
      setUndumpable();
      return 'no core, no ptrace, /proc closed';
    }),
    step('no_new_privs', () => {
      setNoNewPrivileges();
      return 'no program gives privileges';
    }),
    step('capabilities', () => {
      dropCapabilities();
      return heldByThreads();
    }),
    step('landlock', () => {
      const { abi, allThreads } = landlockDenyAll();
      return `version ${abi}, ${allThreads ? 'all threads' : 'the thread that runs VMs'}`;
    }),
    step('seccomp', () => {
      const calls = allowedCalls(process.pid);
      installFilter(compileFilter(calls));
      if (hasIoUring) reopenEventLoop();
      return `${calls.length} system calls and ${IOCTLS.length} ioctls, all threads`;
    }),
  ];
}

/** Runs one step; a host that does not permit it, or lacks it, goes without. */
function step(name: string, take: () => string): Confinement {
  try {
    return { name, on: true, detail: take() };
  } catch (error) {
    if (!(error instanceof HostError || error instanceof NotHere)) throw error;
    return { name, on: false, detail: error.message };
  }
}

/** A step that makes no sense on this host; the message says why. */
class NotHere extends Error {}

/** Root's workers become nobody in particular. Without CAP_KILL their parent could not end them, so then they stay. */
function ownUser(): string {
  if (process.getuid?.() !== 0) throw new NotHere('the user of the parent, who is not root');
  const held = BigInt(`0x${statusField('/proc/self/status', 'CapEff')}`);
  const needed = [CAP_KILL, CAP_SETGID, CAP_SETUID];
  if (needed.some((capability) => !(held >> BigInt(capability) & 1n))) throw new NotHere('root without the capability to be somebody else');
  const id = USER_FIRST + process.pid % USERS;
  becomeUser(id);
  return `${id}`;
}

/** Capabilities are dropped thread by thread: helper threads of a root that could not become another user keep theirs. */
function heldByThreads(): string {
  const dir = '/proc/self/task';
  const holding = readdirSync(dir).filter((tid) => /[1-9a-f]/.test(statusField(`${dir}/${tid}/status`, 'CapPrm')));
  return holding.length === 0 ? 'none' : `none, but ${holding.length} helper threads keep theirs, which no permitted call uses`;
}

function statusField(path: string, name: string): string {
  return new RegExp(`^${name}:\\s*(\\w+)`, 'm').exec(readFileSync(path, 'utf8'))?.[1] ?? '0';
}
