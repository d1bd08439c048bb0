// /proc/sys: the values programs ask for. proc_sys(5) and the sub-pages of proc_sys_*(5).
//
// Interface: sysctlTree, a literal tree for TreeDir. boot_id is made when first read and belongs to one sandbox: forks differ.

import { INOTIFY_EVENTS_MAX, INOTIFY_INSTANCES_MAX, INOTIFY_WATCHES_MAX } from '../../ipc/inotify.ts';
import { PTYS_MAX } from '../../tty/pty.ts';
import type { Kernel } from '../../kernel.ts';
import type { Tree } from '../pseudo.ts';
import { bytesOf, textOf, TextInode } from '../pseudo.ts';
import { FILES_MAX } from '../fdtable.ts';
import { KERNEL_NAME, KERNEL_RELEASE, KERNEL_VERSION } from '../../../abi/linux/utsname.ts';

/** A random UUID (version 4) in its text form. */
function uuid(kernel: Kernel): string {
  const bytes = new Uint8Array(16);
  kernel.host.random(bytes);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function randomTree(kernel: Kernel): Tree {
  let bootId = '';
  return {
    boot_id: () => `${(bootId ||= uuid(kernel))}\n`,
    uuid: () => `${uuid(kernel)}\n`,
    entropy_avail: '256\n', poolsize: '256\n', urandom_min_reseed_secs: '60\n', write_wakeup_threshold: '256\n',
  };
}

/** The host name: root may change it. */
function hostname(kernel: Kernel): Tree[string] {
  return {
    make: (fs, key) => new TextInode(fs, key, () => bytesOf(`${kernel.hostname}\n`), {
      mode: 0o644,
      store: (_task, bytes) => {
        kernel.hostname = textOf(bytes.subarray(0, 64)).split('\n')[0];
        return bytes.length;
      },
    }),
  };
}

function kernelTree(kernel: Kernel): Tree {
  return {
    ostype: `${KERNEL_NAME}\n`, osrelease: `${KERNEL_RELEASE}\n`, version: `${KERNEL_VERSION}\n`, hostname: hostname(kernel),
    domainname: '(none)\n', random: randomTree(kernel),
    pty: { max: `${PTYS_MAX}\n`, nr: () => `${kernel.ptys.indexes.length}\n` }, pid_max: '32768\n', 'threads-max': () => `${kernel.limits.processesMax}\n`,
    cap_last_cap: '40\n', ngroups_max: '65536\n', overflowuid: '65534\n', overflowgid: '65534\n', randomize_va_space: '2\n',
    core_pattern: 'core\n', core_uses_pid: '0\n', core_pipe_limit: '0\n', dmesg_restrict: '1\n', kptr_restrict: '1\n',
    perf_event_paranoid: '4\n', panic: '0\n', panic_on_oops: '0\n', printk: '4\t4\t1\t7\n', sysrq: '0\n', tainted: '0\n',
    msgmax: '8192\n', msgmnb: '16384\n', msgmni: '32000\n', sem: '32000\t1024000000\t500\t32000\n', shmmax: '18446744073692774399\n',
    shmall: '18446744073692774399\n', shmmni: '4096\n', sched_rt_period_us: '1000000\n', sched_rt_runtime_us: '950000\n',
    unprivileged_bpf_disabled: '2\n', io_uring_disabled: '2\n', yama: { ptrace_scope: '1\n' },
    seccomp: { actions_avail: 'kill_process kill_thread trap errno user_notif trace log allow\n' },
    keys: { maxkeys: '200\n', maxbytes: '20000\n' },
  };
}

const VM: Tree = {
  overcommit_memory: '1\n', overcommit_ratio: '50\n', overcommit_kbytes: '0\n', max_map_count: '65530\n', swappiness: '60\n',
  mmap_min_addr: '65536\n',
  nr_hugepages: '0\n', nr_overcommit_hugepages: '0\n', min_free_kbytes: '4096\n', legacy_va_layout: '0\n', panic_on_oom: '0\n',
  oom_kill_allocating_task: '0\n', dirty_ratio: '20\n', dirty_background_ratio: '10\n', vfs_cache_pressure: '100\n',
  zone_reclaim_mode: '0\n',
  unprivileged_userfaultfd: '0\n', mmap_rnd_bits: '28\n', compact_unevictable_allowed: '1\n',
};

function openFiles(kernel: Kernel): number {
  let count = 0;
  for (const process of kernel.processes.values()) if (process.exitStatus < 0) count += process.files.count;
  return count;
}

function fsTree(kernel: Kernel): Tree {
  return {
    'file-max': `${FILES_MAX}\n`, 'nr_open': '1048576\n',
    'file-nr': () => `${openFiles(kernel)}\t0\t${FILES_MAX}\n`,
    'inode-nr': '1024\t0\n', 'pipe-max-size': '1048576\n', 'pipe-user-pages-soft': '16384\n', 'pipe-user-pages-hard': '0\n',
    'aio-max-nr': '65536\n', 'aio-nr': '0\n', 'lease-break-time': '45\n', 'leases-enable': '1\n', 'suid_dumpable': '0\n',
    'protected_symlinks': '0\n', 'protected_hardlinks': '1\n', 'protected_fifos': '0\n', 'protected_regular': '0\n',
    epoll: { max_user_watches: '65536\n' },
    inotify: {
      max_user_watches: `${INOTIFY_WATCHES_MAX}\n`, max_user_instances: `${INOTIFY_INSTANCES_MAX}\n`, max_queued_events: `${INOTIFY_EVENTS_MAX}\n`,
    },
    mqueue: { msg_max: '10\n', msgsize_max: '8192\n', queues_max: '256\n' },
  };
}

const NET: Tree = {
  core: { somaxconn: '4096\n', rmem_default: '212992\n', rmem_max: '212992\n', wmem_default: '212992\n', wmem_max: '212992\n',
    netdev_max_backlog: '1000\n' },
  ipv4: {
    ip_local_port_range: '32768\t60999\n', ip_unprivileged_port_start: '1024\n', ip_forward: '0\n', tcp_fin_timeout: '60\n',
    tcp_keepalive_time: '7200\n', tcp_keepalive_intvl: '75\n', tcp_keepalive_probes: '9\n', tcp_syncookies: '1\n',
    tcp_rmem: '4096\t131072\t6291456\n',
    tcp_wmem: '4096\t16384\t4194304\n', tcp_tw_reuse: '2\n', tcp_max_syn_backlog: '128\n', tcp_fastopen: '1\n',
  },
  ipv6: { bindv6only: '0\n', conf: { all: { disable_ipv6: '0\n' }, default: { disable_ipv6: '0\n' }, lo: { disable_ipv6: '0\n' } } },
  unix: { max_dgram_qlen: '10\n' },
};

/** What lies below /proc/sys. */
export function sysctlTree(kernel: Kernel): Tree {
  return {
    kernel: kernelTree(kernel), vm: VM, fs: fsTree(kernel), net: NET, user: { max_user_namespaces: '0\n' }, debug: {}, dev: {}, abi: {},
  };
}
