// The files of /proc that describe the whole sandbox: meminfo, cpuinfo, stat, loadavg, uptime, … proc(5).

import { KERNEL_NAME, KERNEL_RELEASE, KERNEL_VERSION } from '../../../abi/linux/utsname.ts';
import type { Kernel } from '../../kernel.ts';
import { pathOf } from '../dentry.ts';
import type { Tree } from '../pseudo.ts';
import type { Vfs } from '../vfs.ts';

/** sysconf(_SC_CLK_TCK) ticks of a time in nanoseconds. */
export function ticks(ns: number): number {
  return Math.floor(ns / 10_000_000);
}

function meminfo(kernel: Kernel): string {
  const { frames } = kernel;
  const kb = (pages: number): number => pages * 4;
  const free = Math.max(0, frames.limitPages - frames.usedPages);
  const rows: [string, number][] = [
    ['MemTotal', kb(frames.limitPages)], ['MemFree', kb(free)], ['MemAvailable', kb(free)], ['Buffers', 0], ['Cached', 0],
    ['SwapCached', 0], ['Active', kb(frames.usedPages)], ['Inactive', 0], ['Active(anon)', kb(frames.usedPages)], ['Inactive(anon)', 0],
    ['Active(file)', 0], ['Inactive(file)', 0], ['Unevictable', 0], ['Mlocked', 0], ['SwapTotal', 0], ['SwapFree', 0], ['Dirty', 0],
    ['Writeback', 0], ['AnonPages', kb(frames.usedPages)], ['Mapped', 0], ['Shmem', 0], ['KReclaimable', 0], ['Slab', 0],
    ['SReclaimable', 0], ['SUnreclaim', 0], ['KernelStack', 0], ['PageTables', 0], ['NFS_Unstable', 0], ['Bounce', 0],
    ['WritebackTmp', 0], ['CommitLimit', kb(frames.limitPages)], ['Committed_AS', kb(frames.usedPages)], ['VmallocTotal', 34359738367],
    ['VmallocUsed', 0], ['VmallocChunk', 0], ['Percpu', 0], ['AnonHugePages', 0], ['ShmemHugePages', 0], ['ShmemPmdMapped', 0],
    ['FileHugePages', 0], ['FilePmdMapped', 0],
  ];
  const lines = rows.map(([name, value]) => `${`${name}:`.padEnd(16)}${String(value).padStart(8)} kB\n`).join('');
  return `${lines}HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\nHugePages_Surp:        0\n`
    + 'Hugepagesize:       2048 kB\nHugetlb:               0 kB\n';
}

/** One processor. Ring 3 can ask CPUID itself; this says no more than the kernel was told of it. */
function cpuinfo(kernel: Kernel): string {
  // The last four Linux makes up itself: they say what it relies on.
  const flags = [...kernel.cpu.flags, 'constant_tsc', 'rep_good', 'nopl', 'cpuid'];
  const rows: [string, string][] = [
    ['processor', '0'], ['vendor_id', 'Offshoot'], ['cpu family', '6'], ['model', '0'], ['model name', 'Virtual CPU'], ['stepping', '0'],
    ['cpu MHz', '2000.000'], ['cache size', '512 KB'], ['physical id', '0'], ['siblings', '1'], ['core id', '0'], ['cpu cores', '1'],
    ['apicid', '0'], ['initial apicid', '0'], ['fpu', 'yes'], ['fpu_exception', 'yes'], ['cpuid level', '13'], ['wp', 'yes'],
    ['flags', flags.join(' ')], ['bugs', ''], ['bogomips', '4000.00'], ['clflush size', '64'], ['cache_alignment', '64'],
    ['address sizes', '40 bits physical, 48 bits virtual'], ['power management', ''],
  ];
  return `${rows.map(([name, value]) => `${name}${'\t'.repeat(name.length < 8 ? 2 : 1)}: ${value}\n`).join('')}\n`;
}

/** CPU time of all live processes and the sandbox's age, nanoseconds. */
function times(kernel: Kernel): { busyNs: number; upNs: number } {
  let busyNs = 0;
  for (const process of kernel.processes.values()) busyNs += process.cpuNs;
  return { busyNs, upNs: Math.max(kernel.clock.monotonicNs() - kernel.clock.bootNs, busyNs) };
}

function stat(kernel: Kernel): string {
  const { busyNs, upNs } = times(kernel);
  const cpu = `${ticks(busyNs)} 0 0 ${ticks(upNs - busyNs)} 0 0 0 0 0 0`;
  const bootSeconds = kernel.clock.realtimeNs() / 1_000_000_000n - BigInt(Math.floor(upNs / 1e9));
  return `cpu  ${cpu}\ncpu0 ${cpu}\nintr 0\nctxt ${kernel.syscallCount}\nbtime ${bootSeconds}\nprocesses ${kernel.nextPid}\n`
    + `procs_running ${Math.max(1, kernel.sched.runnable)}\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n`;
}

function uptime(kernel: Kernel): string {
  const { busyNs, upNs } = times(kernel);
  return `${(upNs / 1e9).toFixed(2)} ${((upNs - busyNs) / 1e9).toFixed(2)}\n`;
}

/** A sandbox that looks at its load is one that runs: sysinfo(2) says the same. */
function loadavg(kernel: Kernel): string {
  return `1.00 1.00 1.00 ${Math.max(1, kernel.sched.runnable)}/${kernel.tasks.size} ${kernel.nextPid}\n`;
}

/** /proc/mounts and /proc/PID/mounts. */
export function mounts(vfs: Vfs): string {
  return vfs.mounts.map((mount) => `${mount.source} ${escaped(pathOf(mount.root))} ${mount.type} ${mount.options} 0 0\n`).join('');
}

/** /proc/PID/mountinfo. */
export function mountinfo(vfs: Vfs): string {
  return vfs.mounts.map((mount) => {
    const parent = mount.at ? vfs.mountOf(mount.at.inode)?.id ?? 1 : 0;
    const { dev } = mount.root.inode;
    const flags = mount.options.split(',').filter((option) => option !== 'rw' && option !== 'ro');
    const access = mount.options.split(',')[0];
    const options = [access, ...flags].join(',');
    return `${mount.id} ${parent} ${dev >>> 8 & 0xfff}:${dev & 0xff} / ${escaped(pathOf(mount.root))} ${options} - `
      + `${mount.type} ${mount.source} ${access}\n`;
  }).join('');
}

function escaped(path: string): string {
  return path.replace(/[ \t\n\\#]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

const FILESYSTEMS = ['sysfs', 'tmpfs', 'proc', 'devtmpfs', 'sockfs', 'pipefs', 'overlay'].map((name) => `nodev\t${name}\n`).join('');
const DEVICES = 'Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/ptmx\n136 pts\n\nBlock devices:\n';

/** Files directly below /proc, besides processes. */
export function systemTree(kernel: Kernel): Tree {
  return {
    meminfo: () => meminfo(kernel), cpuinfo: () => cpuinfo(kernel), stat: () => stat(kernel), uptime: () => uptime(kernel),
    loadavg: () => loadavg(kernel),
    version: `${KERNEL_NAME} version ${KERNEL_RELEASE} (offshoot) ${KERNEL_VERSION}\n`, filesystems: FILESYSTEMS, devices: DEVICES,
    cmdline: '\n',
    swaps: 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n', partitions: 'major minor  #blocks  name\n\n', diskstats: '', modules: '',
    interrupts: '           CPU0       \n', locks: '', misc: '', cgroups: '#subsys_name\thierarchy\tnum_cgroups\tenabled\n',
    'key-users': '',
    vmstat: () => `nr_free_pages ${kernel.frames.freePages}\npgfault 0\npgmajfault 0\npswpin 0\npswpout 0\n`,
  };
}
