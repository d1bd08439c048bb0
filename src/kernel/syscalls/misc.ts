// Calls about the system as a whole, and calls that a sandbox answers with a fixed errno so that programs take their other
// path. The rows with ENOSYS say why a call is not there; docs/syscalls.md is made from them.

import { EINVAL, EPERM } from '../../abi/linux/errno.ts';
import type { Task } from '../process/task.ts';
import { ADDR, ENOSYS, FLAGS, FULL, INT, LONG, PARTIAL, PATH, PID, SIZE, STR, STRUCT, UINT, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const SYSINFO_BYTES = 112;
const MEMBARRIER_QUERY = 0;
/** GLOBAL, the two expedited global ones, PRIVATE_EXPEDITED with its registration, and the SYNC_CORE pair. */
const MEMBARRIER_COMMANDS = 1 | 2 | 4 | 8 | 16 | 32 | 64;

function sysinfo(task: Task, gva: number): number {
  const { kernel } = task;
  const { frames } = kernel;
  const bytes = new Uint8Array(SYSINFO_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, BigInt(Math.floor(kernel.clock.monotonicNs() / 1e9)), true);
  const load = BigInt(Math.min(kernel.sched.runnable, 1024)) << 16n;
  for (const at of [8, 16, 24]) view.setBigUint64(at, load, true);
  view.setBigUint64(32, BigInt(frames.limitPages) * 4096n, true);
  view.setBigUint64(40, BigInt(Math.max(0, frames.limitPages - frames.usedPages)) * 4096n, true);
  view.setUint16(80, Math.min(kernel.tasks.size, 65535), true);
  view.setUint32(104, 1, true);
  return task.process.mm.copyOut(gva, bytes);
}

/** One vCPU: every switch between threads is a full barrier, so all commands hold as soon as they are asked for. */
function membarrier(_task: Task, command: number, flags: number): number {
  if (flags !== 0) return -EINVAL;
  if (command === MEMBARRIER_QUERY) return MEMBARRIER_COMMANDS;
  return (command & MEMBARRIER_COMMANDS) === command && (command & (command - 1)) === 0 ? 0 : -EINVAL;
}

/** Only PER_LINUX, with or without ADDR_NO_RANDOMIZE and friends, which have no effect. */
function personality(task: Task, persona: number): number {
  if (persona === 0xffff_ffff || (persona & 0xff) === 0) return 0;
  task.kernel.count(`personality 0x${persona.toString(16)}`);
  return -EINVAL;
}

function eperm(): number {
  return -EPERM;
}

/** seccomp(2): no filters; the query of actions says so too. */
function seccomp(task: Task, operation: number): number {
  task.kernel.count(`seccomp ${operation}`);
  return -EINVAL;
}

/** modify_ldt(2): reading gives an empty table. */
function modifyLdt(task: Task, operation: number): number {
  if (operation === 0) return 0;
  task.kernel.count(`modify_ldt ${operation}`);
  return -EINVAL;
}

const OBSOLETE = 'removed from Linux or never implemented there';
const PRIVILEGED = 'administration of a machine; a sandbox has none';
const KEYS = 'no kernel keyrings';
const SYSV = 'no System V IPC';
const MQ = 'no POSIX message queues';
const NEW_MOUNT = 'the mount table is fixed';
const NEWER = 'newer than the emulated kernel (6.1)';
const LSM = 'no security modules to configure';
const TRACING = 'no tracing or programs in the kernel';

export const rows: SyscallRow[] = [
  sys(99, 'sysinfo', sysinfo, FULL, [STRUCT]),
  sys(101, 'ptrace', eperm, PARTIAL('always EPERM'), [LONG, PID, ADDR, ADDR]),
  sys(103, 'syslog', eperm, PARTIAL('always EPERM'), [INT, STR, INT]),
  sys(135, 'personality', personality, PARTIAL('PER_LINUX only'), [UINT]),
  sys(153, 'vhangup', eperm, PARTIAL('always EPERM'), []),
  sys(154, 'modify_ldt', modifyLdt, PARTIAL('no entries can be set'), [INT, ADDR, SIZE]),
  sys(163, 'acct', eperm, PARTIAL('always EPERM'), [PATH]),
  sys(167, 'swapon', eperm, PARTIAL('always EPERM'), [PATH, FLAGS]),
  sys(168, 'swapoff', eperm, PARTIAL('always EPERM'), [PATH]),
  sys(169, 'reboot', eperm, PARTIAL('always EPERM'), [INT, INT, UINT, ADDR]),
  sys(172, 'iopl', eperm, PARTIAL('always EPERM'), [UINT]),
  sys(173, 'ioperm', eperm, PARTIAL('always EPERM'), [LONG, LONG, INT]),
  sys(175, 'init_module', eperm, PARTIAL('always EPERM'), [ADDR, SIZE, STR]),
  sys(176, 'delete_module', eperm, PARTIAL('always EPERM'), [STR, FLAGS]),
  sys(313, 'finit_module', eperm, PARTIAL('always EPERM'), [INT, STR, FLAGS]),
  sys(308, 'setns', eperm, PARTIAL('always EPERM'), [INT, FLAGS]),
  sys(317, 'seccomp', seccomp, PARTIAL('no filters: EINVAL'), [UINT, FLAGS, ADDR]),
  sys(321, 'bpf', eperm, PARTIAL('always EPERM'), [INT, STRUCT, UINT]),
  sys(298, 'perf_event_open', eperm, PARTIAL('always EPERM'), [STRUCT, PID, INT, INT, FLAGS]),
  sys(324, 'membarrier', membarrier, FULL, [INT, FLAGS, INT]),
  sys(246, 'kexec_load', eperm, PARTIAL('always EPERM'), [SIZE, SIZE, ADDR, FLAGS]),
  sys(320, 'kexec_file_load', eperm, PARTIAL('always EPERM'), [INT, INT, SIZE, STR, FLAGS]),

  ENOSYS(29, 'shmget', SYSV), ENOSYS(30, 'shmat', SYSV), ENOSYS(31, 'shmctl', SYSV), ENOSYS(67, 'shmdt', SYSV),
  ENOSYS(64, 'semget', SYSV), ENOSYS(65, 'semop', SYSV), ENOSYS(66, 'semctl', SYSV), ENOSYS(220, 'semtimedop', SYSV),
  ENOSYS(68, 'msgget', SYSV), ENOSYS(69, 'msgsnd', SYSV), ENOSYS(70, 'msgrcv', SYSV), ENOSYS(71, 'msgctl', SYSV),
  ENOSYS(240, 'mq_open', MQ), ENOSYS(241, 'mq_unlink', MQ), ENOSYS(242, 'mq_timedsend', MQ), ENOSYS(243, 'mq_timedreceive', MQ),
  ENOSYS(244, 'mq_notify', MQ), ENOSYS(245, 'mq_getsetattr', MQ),
  ENOSYS(248, 'add_key', KEYS), ENOSYS(249, 'request_key', KEYS), ENOSYS(250, 'keyctl', KEYS),
  ENOSYS(134, 'uselib', OBSOLETE), ENOSYS(136, 'ustat', OBSOLETE), ENOSYS(139, 'sysfs', OBSOLETE), ENOSYS(156, '_sysctl', OBSOLETE),
  ENOSYS(174, 'create_module', OBSOLETE), ENOSYS(177, 'get_kernel_syms', OBSOLETE), ENOSYS(178, 'query_module', OBSOLETE),
  ENOSYS(180, 'nfsservctl', OBSOLETE), ENOSYS(181, 'getpmsg', OBSOLETE), ENOSYS(182, 'putpmsg', OBSOLETE),
  ENOSYS(183, 'afs_syscall', OBSOLETE), ENOSYS(184, 'tuxcall', OBSOLETE), ENOSYS(185, 'security', OBSOLETE),
  ENOSYS(205, 'set_thread_area', 'for 32-bit programs'), ENOSYS(211, 'get_thread_area', 'for 32-bit programs'),
  ENOSYS(212, 'lookup_dcookie', OBSOLETE), ENOSYS(214, 'epoll_ctl_old', OBSOLETE), ENOSYS(215, 'epoll_wait_old', OBSOLETE),
  ENOSYS(236, 'vserver', OBSOLETE), ENOSYS(179, 'quotactl', PRIVILEGED), ENOSYS(443, 'quotactl_fd', PRIVILEGED),
  ENOSYS(303, 'name_to_handle_at', 'files have no handles'), ENOSYS(312, 'kcmp', 'for checkpointing tools'),
  ENOSYS(448, 'process_mrelease', 'memory of a killed process is given back at once'),
  ENOSYS(428, 'open_tree', NEW_MOUNT), ENOSYS(429, 'move_mount', NEW_MOUNT), ENOSYS(430, 'fsopen', NEW_MOUNT),
  ENOSYS(431, 'fsconfig', NEW_MOUNT), ENOSYS(432, 'fsmount', NEW_MOUNT), ENOSYS(433, 'fspick', NEW_MOUNT),
  ENOSYS(442, 'mount_setattr', NEW_MOUNT),
  ENOSYS(444, 'landlock_create_ruleset', LSM), ENOSYS(445, 'landlock_add_rule', LSM), ENOSYS(446, 'landlock_restrict_self', LSM),
  ENOSYS(450, 'set_mempolicy_home_node', 'one memory node'), ENOSYS(451, 'cachestat', NEWER),
  ENOSYS(457, 'statmount', NEWER), ENOSYS(458, 'listmount', NEWER), ENOSYS(459, 'lsm_get_self_attr', NEWER),
  ENOSYS(460, 'lsm_set_self_attr', NEWER), ENOSYS(461, 'lsm_list_modules', NEWER), ENOSYS(462, 'mseal', NEWER),
  ENOSYS(335, 'uretprobe', TRACING), ENOSYS(336, 'uprobe', TRACING),
];
