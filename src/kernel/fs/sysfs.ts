// /sys: what libraries read to learn about processors and memory (sysfs(5)). One processor, one memory node, no devices.
//
// Interface: sysTree (the root directory). Missing paths are counted as "/sys/…".

import { DEV_SYSFS, TreeDir } from './pseudo.ts';
import type { Tree } from './pseudo.ts';

const CPU0: Tree = {
  online: '1\n',
  topology: {
    core_id: '0\n', physical_package_id: '0\n', die_id: '0\n', cluster_id: '-1\n', core_cpus: '1\n', core_cpus_list: '0\n',
    package_cpus: '1\n',
    package_cpus_list: '0\n', thread_siblings: '1\n', thread_siblings_list: '0\n', core_siblings: '1\n', core_siblings_list: '0\n',
    die_cpus: '1\n', die_cpus_list: '0\n',
  },
  cache: {
    index0: cache(1, 'Data', '32K', 64), index1: cache(1, 'Instruction', '32K', 64),
    index2: cache(2, 'Unified', '512K', 1024), index3: cache(3, 'Unified', '16384K', 16384),
  },
};

function cache(level: number, type: string, size: string, sets: number): Tree {
  return {
    level: `${level}\n`, type: `${type}\n`, size: `${size}\n`, coherency_line_size: '64\n', number_of_sets: `${sets}\n`,
    ways_of_associativity: `${level < 2 ? 8 : 16}\n`, physical_line_partition: '1\n', shared_cpu_list: '0\n', shared_cpu_map: '1\n',
  };
}

function cpuTree(): Tree {
  return {
    online: '0\n', possible: '0\n', present: '0\n', offline: '\n', isolated: '\n', kernel_max: '0\n', cpu0: CPU0,
    smt: { active: '0\n', control: 'notsupported\n' },
    vulnerabilities: {},
  };
}

function memoryTree(memory: SysMemory): Tree {
  const hugepages: Tree = { nr_hugepages: '0\n', free_hugepages: '0\n', surplus_hugepages: '0\n' };
  const kb = (): string => `${Math.floor(memory.limitBytes / 1024)}`;
  return {
    online: '0\n', possible: '0\n', has_cpu: '0\n', has_memory: '0\n', has_normal_memory: '0\n',
    node0: {
      cpulist: '0\n', cpumap: '1\n', distance: '10\n',
      meminfo: () => `Node 0 MemTotal:       ${kb()} kB\nNode 0 MemFree:        ${kb()} kB\n`,
      hugepages: { 'hugepages-2048kB': hugepages },
    },
  };
}

/** What /sys shows of the machine. */
export interface SysMemory { readonly limitBytes: number }

/** What coreutils ask for on every Linux, and few have. */
const ASKED_EVERYWHERE: ReadonlySet<string> = new Set(['fs/selinux']);

/** The root of /sys. `count` hears of missing paths. */
export function sysTree(memory: SysMemory, bootTime: bigint, count: (name: string) => void): TreeDir {
  return new TreeDir({ dev: DEV_SYSFS, bootTime }, '', () => ({
    block: {}, bus: {}, class: { net: {}, block: {} }, dev: {}, firmware: {}, module: {}, power: {},
    devices: { system: { cpu: cpuTree(), node: memoryTree(memory) }, virtual: {} },
    fs: {},
    kernel: {
      mm: {
        transparent_hugepage: {
          enabled: 'always madvise [never]\n', defrag: 'always defer defer+madvise [madvise] never\n', hpage_pmd_size: '2097152\n',
          shmem_enabled: 'always within_size advise [never] deny force\n', use_zero_page: '1\n',
        },
        hugepages: { 'hugepages-2048kB': { nr_hugepages: '0\n', free_hugepages: '0\n', resv_hugepages: '0\n', surplus_hugepages: '0\n' } },
      },
    },
  }), (key) => { if (!ASKED_EVERYWHERE.has(key)) count(`/sys/${key}`); });
}
