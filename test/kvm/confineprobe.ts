// Loaded into a worker, or the process that freezes templates, with `--import` (confine.test.ts): once that is confined it tries, as a guest that has taken the
// process over would, what a worker must not do, and prints one line of JSON: what each attempt returned.

import koffi from 'koffi';
import fs, { writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const EPERM = 1;
const IN_A_MOMENT_MS = 20, WAIT_MS = 30_000;
const AF_UNIX = 1, AF_INET = 2, SOCK_STREAM = 1, AT_FDCWD = -100, SIGCHLD = 17;
/** What a thread is made with. */
const THREAD = 0x3d0f00;

const libc = koffi.load('libc.so.6');
const call = libc.func('syscall', 'long', ['long', 'void *', 'void *', 'void *', 'void *', 'void *', 'void *']) as
  (nr: number, ...args: (Buffer | bigint | null)[]) => number;

/** An argument: a number as it is, a string as a pointer to its bytes. */
function argument(value: number | string): Buffer | bigint | null {
  if (typeof value === 'string') return Buffer.from(`${value}\0`.padEnd(256, '\0'));
  return value === 0 ? null : BigInt.asUintN(64, BigInt(value));
}

const parent = process.ppid;
const PATH = '/etc/passwd', NEW = '/tmp/offshoot-probe';
/** Name, number, arguments. */
const ATTEMPTS: readonly (readonly [string, number, ...(number | string)[]])[] = [
  ['open', 2, PATH], ['creat', 85, NEW, 0o600], ['openat', 257, AT_FDCWD, PATH], ['openat a directory', 257, AT_FDCWD, '/', 0o200000],
  ['openat2', 437, AT_FDCWD, PATH, '', 24], ['open /proc/self/mem', 2, '/proc/self/mem', 2],
  ['write to /proc', 257, AT_FDCWD, '/proc/self/oom_score_adj', 1],
  ['open /dev/kvm', 2, '/dev/kvm', 2], ['open_by_handle_at', 304, AT_FDCWD, '', 0], ['name_to_handle_at', 303, AT_FDCWD, PATH, '', '', 0],
  ['stat', 4, PATH, ''], ['newfstatat', 262, AT_FDCWD, PATH, '', 0], ['statx', 332, AT_FDCWD, PATH, 0, 0xfff, ''], ['access', 21, PATH, 4],
  ['readlink', 89, '/proc/self/exe', '', 100], ['getdents64', 217, 0, '', 200], ['chdir', 80, '/'], ['getcwd', 79, '', 200], ['chroot', 161, '/'],
  ['mkdir', 83, NEW, 0o700], ['mknod', 133, NEW, 0o20600, 259], ['unlink', 87, NEW], ['rename', 82, PATH, NEW], ['link', 86, PATH, NEW],
  ['symlink', 88, PATH, NEW], ['chmod', 90, PATH, 0o666], ['fchmod', 91, 0, 0o666], ['chown', 92, PATH, 0, 0], ['truncate', 76, NEW, 0],
  ['setxattr', 188, PATH, 'user.x', '', 1, 0], ['mount', 165, 'none', '/mnt', 'tmpfs', 0], ['umount2', 166, '/proc', 2], ['fsopen', 430, 'tmpfs', 0],
  ['open_tree', 428, AT_FDCWD, '/', 1], ['pivot_root', 155, '/', '/'], ['swapon', 167, NEW, 0],
  ['inotify_init1', 294, 0], ['fanotify_init', 300, 0, 0],
  ['socket inet', 41, AF_INET, SOCK_STREAM, 0], ['socket unix', 41, AF_UNIX, SOCK_STREAM, 0], ['socket netlink', 41, 16, 3, 0],
  ['socketpair', 53, AF_UNIX, SOCK_STREAM, 0, ''], ['connect', 42, 3, '', 16], ['bind', 49, 3, '', 16],
  ['listen', 50, 3, 1], ['accept4', 288, 3, 0, 0, 0],
  ['sendmsg', 46, 3, '', 0], ['sendto', 44, 3, '', 1, 0, '', 16], ['sendmmsg', 307, 3, '', 1, 0], ['setsockopt', 54, 3, 1, 2, '', 4],
  ['execve', 59, '/bin/true', 0, 0], ['execveat', 322, AT_FDCWD, '/bin/true', 0, 0, 0], ['fork', 57], ['vfork', 58], ['clone a process', 56, SIGCHLD],
  ['clone a thread', 56, THREAD], ['clone3', 435, '', 88], ['unshare', 272, 0x10000000], ['setns', 308, 3, 0], ['ptrace attach', 101, 16, parent],
  ['ptrace traceme', 101, 0], ['process_vm_readv', 310, parent, '', 1, '', 1, 0], ['process_vm_writev', 311, parent, '', 1, '', 1, 0],
  ['kill the parent', 62, parent, 0], ['kill everything', 62, -1, 0], ['tgkill the parent', 234, parent, parent, 0], ['tkill', 200, parent, 0],
  ['rt_sigqueueinfo', 129, parent, 10, ''], ['pidfd_open', 434, parent, 0], ['pidfd_send_signal', 424, 3, 0, 0, 0], ['pidfd_getfd', 438, 3, 0, 0],
  ['kcmp', 312, parent, parent, 0], ['fcntl F_SETOWN', 72, 3, 8, parent], ['fcntl F_SETLEASE', 72, 3, 1024, 0], ['ioctl TIOCSTI', 16, 2, 0x5412, 'x'],
  ['ioctl KVM_CREATE_DEVICE', 16, 3, 0xc00caee0, ''], ['ioctl KVM_CREATE_IRQCHIP', 16, 3, 0xae60], ['ioctl KVM_IRQFD', 16, 3, 0x4020ae76, ''],
  ['ioctl FS_IOC_SETFLAGS', 16, 3, 0x40086602, ''], ['setuid', 105, 0], ['setresuid', 117, 0, 0, 0],
  ['setgroups', 116, 0, 0], ['capset', 126, '', ''],
  ['prctl PR_SET_DUMPABLE', 157, 4, 1], ['prctl PR_SET_PDEATHSIG', 157, 1, 0], ['prctl PR_SET_PTRACER', 157, 0x59616d61, -1],
  ['prlimit64 of the parent', 302, parent, 7, 0, ''], ['setrlimit', 160, 7, ''], ['setpriority', 141, 0, parent, 0],
  ['sched_setaffinity', 203, parent, 8, ''],
  ['sched_setscheduler', 144, 0, 1, ''], ['personality', 135, 0], ['arch_prctl', 158, 0x1001, 0], ['modify_ldt', 154, 0, '', 16], ['iopl', 172, 3],
  ['bpf', 321, 0, '', 16], ['perf_event_open', 298, '', 0, -1, -1, 0], ['userfaultfd', 323, 0],
  ['keyctl', 250, 0, -3, 0], ['add_key', 248, 'user', 'x', 'x', 1, -3],
  ['io_uring_setup', 425, 4, ''], ['io_uring_enter', 426, 4, 1, 0, 0, 0, 0], ['init_module', 175, '', 1, ''], ['kexec_load', 246, 0, 0, 0, 0],
  ['reboot', 169, 0, 0, 0], ['syslog', 103, 3, '', 100], ['acct', 163, 0], ['sethostname', 170, 'x', 1], ['settimeofday', 164, '', 0],
  ['clock_settime', 227, 0, ''], ['quotactl', 179, 0, 0, 0, 0], ['shmget', 29, 0, 4096, 0o1600],
  ['msgget', 68, 0, 0o1600], ['mq_open', 240, 'x', 0o102, 0o600, 0],
  ['splice', 275, 3, 0, 3, 0, 1, 0], ['sendfile', 40, 3, 3, 0, 1], ['memfd_secret', 447, 0],
  ['seccomp', 317, 0, 0, 0], ['landlock_create_ruleset', 444, 0, 0, 1],
  ['an x32 call', 0x4000_0000 + 39], ['a call that does not exist', 999],
];

function attempt(nr: number, args: readonly (number | string)[]): string {
  const given = [0, 1, 2, 3, 4, 5].map((i) => argument(args[i] ?? 0));
  const result = call(nr, ...given);
  return result >= 0 ? `returned ${result}` : koffi.errno() === EPERM ? 'refused' : `errno ${koffi.errno()}`;
}

/** Confined: no socket can be made any more. */
function isConfined(): boolean {
  const fd = call(41, ...[AF_UNIX, SOCK_STREAM, 0, 0, 0, 0].map(argument));
  if (fd >= 0) libc.func('int close(int)')(fd);
  return fd < 0;
}

function tell(name: string, confined: boolean): void {
  const results = !confined ? { confined: 'never' } : Object.fromEntries(ATTEMPTS.map(([name, nr, ...args]) => [name, attempt(nr, args)]));
  writeSync(2, `${name} ${JSON.stringify(results)}\n`);
}

if (process.argv[1]?.includes('/engine/worker.')) {
  const giveUpMs = Date.now() + WAIT_MS;
  const timer = setInterval(() => {
    const confined = isConfined();
    if (!confined && Date.now() < giveUpMs) return;
    clearInterval(timer);
    tell('PROBE', confined);
  }, IN_A_MOMENT_MS).unref();
}

// That process does all it does in one turn, and then writes its answer.
if (process.argv[1]?.includes('/engine/freezeprocess.')) {
  const write = fs.writeSync as (...args: unknown[]) => number;
  fs.writeSync = ((fd: number, ...rest: unknown[]) => {
    if (fd !== 1) return write(fd, ...rest);
    fs.writeSync = write as typeof fs.writeSync;
    syncBuiltinESMExports();
    tell('FREEZER', isConfined());
    return write(fd, ...rest);
  }) as typeof fs.writeSync;
  syncBuiltinESMExports();
}
