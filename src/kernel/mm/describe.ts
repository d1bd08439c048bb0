// An address space as text: /proc/PID/{maps,smaps,smaps_rollup,statm} and the Vm lines of status. Formats of proc(5) and
// fs/proc/task_mmu.c, byte for byte in maps because programs parse it.

import {
  PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE, VM_ACCOUNT, VM_DONTCOPY, VM_DONTDUMP, VM_DONTEXPAND, VM_GROWSDOWN, VM_HUGEPAGE,
  VM_LOCKED, VM_LOCKONFAULT, VM_NOHUGEPAGE, VM_NORESERVE, VM_RAND_READ, VM_SEQ_READ, VM_SHARED, VM_WIPEONFORK,
} from '../../abi/linux/mman.ts';
import { SpecialPages } from './backing.ts';
import type { Mm } from './mm.ts';
import { entryGpa } from './pages.ts';
import { isShared } from './vma.ts';
import type { Vma } from './vma.ts';

/** Column at which maps prints names. */
const NAME_COLUMN = 73;
const KB = PAGE_SIZE / 1024;

/** Two-letter codes of VmFlags in smaps. */
const FLAG_CODES: readonly (readonly [number, string])[] = [
  [VM_SHARED, 'sh'], [VM_GROWSDOWN, 'gd'], [VM_LOCKED, 'lo'], [VM_SEQ_READ, 'sr'], [VM_RAND_READ, 'rr'], [VM_DONTCOPY, 'dc'],
  [VM_DONTEXPAND, 'de'], [VM_LOCKONFAULT, 'lf'], [VM_ACCOUNT, 'ac'], [VM_NORESERVE, 'nr'], [VM_WIPEONFORK, 'wf'],
  [VM_DONTDUMP, 'dd'], [VM_HUGEPAGE, 'hg'], [VM_NOHUGEPAGE, 'nh'],
];

/** /proc/PID/maps. */
export function maps(mm: Mm): string {
  return mm.vmas.map((vma) => mapsLine(mm, vma)).join('');
}

function mapsLine(mm: Mm, vma: Vma): string {
  const dev = vma.inode?.dev ?? 0;
  const major = (dev >>> 8 & 0xfff).toString(16).padStart(2, '0');
  const minor = (dev & 0xff | dev >>> 12 & 0xfff00).toString(16).padStart(2, '0');
  const range = `${hex(vma.start)}-${hex(vma.end)}`;
  const fields = `${range} ${permissions(vma)} ${hex(vma.offset)} ${major}:${minor} ${vma.inode?.ino ?? 0} `;
  const name = areaName(mm, vma);
  return name === '' ? `${fields}\n` : `${fields.padEnd(NAME_COLUMN)}${name}\n`;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

function permissions(vma: Vma): string {
  return ((vma.prot & PROT_READ) !== 0 ? 'r' : '-') + ((vma.prot & PROT_WRITE) !== 0 ? 'w' : '-') +
    ((vma.prot & PROT_EXEC) !== 0 ? 'x' : '-') + (isShared(vma) ? 's' : 'p');
}

function areaName(mm: Mm, vma: Vma): string {
  if (vma.inode !== null) {
    if (vma.inode instanceof SpecialPages) return vma.path;
    return vma.path.replaceAll('\n', '\\012') + (vma.inode.nlink === 0 ? ' (deleted)' : '');
  }
  if (mm.brk > mm.startBrk && vma.start <= mm.brk && vma.end >= mm.startBrk) return '[heap]';
  if (vma.start <= mm.layout.startStack && vma.end >= mm.layout.startStack) return '[stack]';
  return vma.path;
}

/** Resident pages by kind. */
interface Resident {
  total: number;
  anon: number;
  file: number;
  shmem: number;
  /** Pages nobody else holds. */
  own: number;
}

function residentIn(mm: Mm, vma: Vma, sum: Resident): void {
  mm.pages.forEach(vma.start, vma.end, (_gva, entry) => {
    const own = mm.kernel.frames.refs(entryGpa(entry)) === 1;
    sum.total++;
    if (own) sum.own++;
    if (vma.inode === null || (own && !isShared(vma))) sum.anon++;
    else if (isShared(vma) && vma.inode.nlink === 0) sum.shmem++;
    else sum.file++;
  });
}

function residentOf(mm: Mm): Resident {
  const sum: Resident = { total: 0, anon: 0, file: 0, shmem: 0, own: 0 };
  for (const vma of mm.vmas) residentIn(mm, vma, sum);
  return sum;
}

function smapsFields(pages: number, rss: Resident): string {
  const shared = rss.total - rss.own;
  const rows: [string, number][] = [
    ['Size', pages], ['KernelPageSize', 1], ['MMUPageSize', 1], ['Rss', rss.total], ['Pss', rss.own + Math.floor(shared / 2)],
    ['Pss_Dirty', rss.own], ['Shared_Clean', shared], ['Shared_Dirty', 0], ['Private_Clean', 0], ['Private_Dirty', rss.own],
    ['Referenced', rss.total], ['Anonymous', rss.anon], ['KSM', 0], ['LazyFree', 0], ['AnonHugePages', 0],
    ['ShmemPmdMapped', 0], ['FilePmdMapped', 0], ['Shared_Hugetlb', 0], ['Private_Hugetlb', 0], ['Swap', 0], ['SwapPss', 0],
    ['Locked', 0],
  ];
  return rows.map(([name, count]) => `${`${name}:`.padEnd(16)}${String(count * KB).padStart(8)} kB\n`).join('');
}

function vmFlags(vma: Vma): string {
  const codes: string[] = [];
  for (const [bit, code] of [[PROT_READ, 'rd'], [PROT_WRITE, 'wr'], [PROT_EXEC, 'ex']] as const) if ((vma.prot & bit) !== 0) codes.push(code);
  for (const [bit, code] of [[PROT_READ, 'mr'], [PROT_WRITE, 'mw'], [PROT_EXEC, 'me']] as const) if ((vma.maxProt & bit) !== 0) codes.push(code);
  for (const [bit, code] of FLAG_CODES) if ((vma.flags & bit) !== 0) codes.push(code);
  return codes.map((code) => `${code} `).join('');
}

/** /proc/PID/smaps. */
export function smaps(mm: Mm): string {
  return mm.vmas.map((vma) => {
    const rss: Resident = { total: 0, anon: 0, file: 0, shmem: 0, own: 0 };
    residentIn(mm, vma, rss);
    return `${mapsLine(mm, vma)}${smapsFields((vma.end - vma.start) / PAGE_SIZE, rss)}THPeligible:           0\nVmFlags: ${vmFlags(vma)}\n`;
  }).join('');
}

/** /proc/PID/smaps_rollup. */
export function smapsRollup(mm: Mm): string {
  const first = mm.vmas[0]?.start ?? 0;
  const last = mm.vmas[mm.vmas.length - 1]?.end ?? 0;
  const head = `${hex(first)}-${hex(last)} ---p 00000000 00:00 0 `.padEnd(NAME_COLUMN);
  const fields = smapsFields(0, residentOf(mm)).split('\n').filter((line) => !/^(Size|KernelPageSize|MMUPageSize):/.test(line));
  return `${head}[rollup]\n${fields.join('\n')}`;
}

/** /proc/PID/statm: size resident shared text lib data dt, in pages. */
export function statm(mm: Mm): string {
  const rss = residentOf(mm);
  const { total, text, data, stack } = mm.list.totals;
  return `${total} ${rss.total} ${rss.file + rss.shmem} ${text} 0 ${data + stack} 0\n`;
}

/** The Vm* and Rss* lines of /proc/PID/status. */
export function statusLines(mm: Mm): string {
  const rss = residentOf(mm);
  const { total, text, data, stack, locked } = mm.list.totals;
  mm.peakPages = Math.max(mm.peakPages, total);
  mm.peakRss = Math.max(mm.peakRss, rss.total);
  const exe = Math.ceil((mm.layout.endCode - mm.layout.startCode) / PAGE_SIZE);
  const rows: [string, number][] = [
    ['VmPeak', mm.peakPages], ['VmSize', total], ['VmLck', locked], ['VmPin', 0], ['VmHWM', mm.peakRss], ['VmRSS', rss.total],
    ['RssAnon', rss.anon], ['RssFile', rss.file], ['RssShmem', rss.shmem], ['VmData', data], ['VmStk', stack], ['VmExe', exe],
    ['VmLib', Math.max(0, text - exe)], ['VmPTE', tablePages(mm)], ['VmSwap', 0],
  ];
  return rows.map(([name, pages]) => `${name}:\t${String(pages * KB).padStart(8)} kB\n`).join('');
}

/** Page tables an address space of this shape needs, roughly: one for each 2 MB that holds something. */
function tablePages(mm: Mm): number {
  return 3 + Math.ceil(mm.rssPages / 512) + Math.min(mm.list.count, Math.ceil(mm.totalPages / 512));
}
