// `offshoot doctor`: whether this host can run sandboxes, how it isolates them, and what makes them slow; each problem with its fix.
// Exit code 1 when something keeps Offshoot from working, else 0.

import { existsSync, readFileSync } from 'node:fs';
import { access, constants, open, statfs } from 'node:fs/promises';
import { release } from 'node:os';
import { Engine } from '../engine/engine.ts';
import { OffshootError, kvmError } from '../engine/errors.ts';
import { readMemory } from '../engine/hostmemory.ts';
import { pagemapScanProblem } from '../host/pagemap.ts';
import type { SelfTestReport } from '../engine/protocol.ts';
import { makeDirectories, offshootHome } from '../image/home.ts';

/** 'problem': nothing works; 'note': it works, but slowly or not for everything. */
type Level = 'ok' | 'note' | 'problem';

interface Finding {
  readonly name: string;
  readonly level: Level;
  readonly detail: string;
  /** What to do; '' when nothing is to be done. */
  readonly fix: string;
}

export interface DoctorFlags {
  readonly selftest?: boolean;
  readonly json?: boolean;
}

const DISK_BYTES_MIN = 300 * 2 ** 20, DISK_BYTES_GOOD = 2 * 2 ** 30;
const MEMORY_BYTES_MIN = 128 * 2 ** 20, MEMORY_BYTES_GOOD = 2 ** 30;
const OPEN_FILES_GOOD = 4096, MAPS_GOOD = 65530;
const MARKS: Readonly<Record<Level, string>> = { ok: 'ok', note: 'note', problem: 'PROBLEM' };

/** Prints what was found and sets the exit code. */
export async function doctor(flags: DoctorFlags): Promise<void> {
  const kvm = await openKvm();
  const home = await homeFindings();
  const isReady = [kvm, ...home].every(({ level }) => level !== 'problem');
  const report = isReady ? await selfTest() : null;
  const none = kvm.level === 'problem' ? [problem('isolation', 'none: without KVM nothing is run', 'see /dev/kvm')] : [];
  const findings = [kvm, ...none, ...(report ? machineFindings(report) : []), ...kernelFindings(), ...home, memory(), apt()];
  const ok = findings.every(({ level }) => level !== 'problem');
  const checks = report && 'checks' in report ? report.checks : [];
  if (flags.json) {
    const kind = report && 'kind' in report ? report.kind : null;
    process.stdout.write(`${JSON.stringify({ ok, kind, findings, ...(flags.selftest ? { selftest: checks } : {}) })}\n`);
  } else {
    process.stdout.write(findings.map(line).join(''));
    const tested = checks.map((check) => `${check.ok ? 'ok' : 'FAILED'}  self-test: ${check.name}: ${check.detail}\n`);
    if (flags.selftest) process.stdout.write(tested.join(''));
    process.stdout.write(ok ? 'This host can run sandboxes.\n' : 'This host cannot run sandboxes as it is.\n');
  }
  process.exitCode = ok ? 0 : 1;
}

function line({ name, level, detail, fix }: Finding): string {
  return `${MARKS[level].padEnd(8)}${name.padEnd(16)}${detail}\n${fix === '' ? '' : `${''.padEnd(24)}fix: ${fix}\n`}`;
}

const ok = (name: string, detail: string): Finding => ({ name, level: 'ok', detail, fix: '' });
const note = (name: string, detail: string, fix: string): Finding => ({ name, level: 'note', detail, fix });
const problem = (name: string, detail: string, fix: string): Finding => ({ name, level: 'problem', detail, fix });

async function openKvm(): Promise<Finding> {
  try {
    await (await open('/dev/kvm', 'r+')).close();
    return ok('/dev/kvm', 'may be opened');
  } catch (error) {
    const [detail, ...fix] = kvmError((error as NodeJS.ErrnoException).code ?? 'unknown').message.replace(/\.$/, '').split(': ');
    return problem('/dev/kvm', detail, fix.join(': ') || 'see docs/errors.md, kvm-unusable');
  }
}

/** The engine's self-test, or why there is none. */
async function selfTest(): Promise<SelfTestReport | OffshootError> {
  const engine = await Engine.open({ workers: 1 });
  try {
    return await engine.selfTest();
  } catch (error) {
    if (error instanceof OffshootError) return error;
    throw error;
  } finally {
    await engine.close();
  }
}

const KINDS: Readonly<Record<string, string>> = {
  hardware: 'hardware virtualization (VT-x or AMD-V) separates their memory; a kernel in TypeScript serves their system calls',
  pvm: 'PVM-style KVM: shadow page tables, no hardware virtualization, separate their memory; a kernel in TypeScript serves their system calls',
};

function machineFindings(report: SelfTestReport | OffshootError): Finding[] {
  if (report instanceof OffshootError) return [problem('self-test', report.message, `see docs/errors.md, ${report.code}`)];
  const failed = report.checks.filter((check) => !check.ok);
  const off = report.confinement.filter((step) => !step.on);
  return [
    ok('isolation', KINDS[report.kind] ?? report.kind),
    failed.length === 0
      ? ok('self-test', `${report.checks.length} checks of this KVM passed`)
      : problem('self-test', `failed: ${failed.map(({ name }) => name).join(', ')}`, 'update the kernel of the host; if it is current, report this'),
    off.length === 0
      ? ok('workers', `confined: ${report.confinement.map(({ name }) => name).join(', ')}`)
      : note('workers', `not confined by: ${off.map(({ name, detail }) => `${name} (${detail})`).join(', ')}`, 'docs/security.md says what each needs'),
  ];
}

function kernelFindings(): Finding[] {
  const huge = text('/sys/module/kvm/parameters/nx_huge_pages');
  const thp = /\[(\w+)\]/.exec(text('/sys/kernel/mm/transparent_hugepage/enabled'))?.[1];
  const maps = Number(text('/proc/sys/vm/max_map_count') || MAPS_GOOD);
  const files = Number(/^Max open files\s+\S+\s+(\d+)/m.exec(text('/proc/self/limits'))?.[1] ?? Infinity);
  const scan = pagemapScanProblem();
  return [
    existsSync('/sys/fs/cgroup/cgroup.controllers') || !existsSync('/sys/fs/cgroup/memory')
      ? ok('control groups', 'version 2, or none')
      : note('control groups', 'version 1: making a VM waits for its locks', 'boot with systemd.unified_cgroup_hierarchy=1'),
    /^[Y1]/i.test(huge) && huge !== 'never'
      ? note('nx_huge_pages', 'on: KVM starts a recovery thread for each VM',
        'echo never | sudo tee /sys/module/kvm/parameters/nx_huge_pages, where the processor has no iTLB multihit')
      : ok('nx_huge_pages', 'off'),
    scan === null
      ? ok('PAGEMAP_SCAN', 'works')
      : note('PAGEMAP_SCAN', `does not work on this Linux ${release()} (${scan}): bringing a VM back takes longer`, 'Linux 6.7 or later'),
    thp === 'never'
      ? note('huge pages', 'transparent huge pages are off: more page faults', 'echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled')
      : ok('huge pages', thp ?? 'unknown'),
    files < OPEN_FILES_GOOD
      ? note('open files', `at most ${files} for each process: few sandboxes at a time`,
        `ulimit -Hn ${OPEN_FILES_GOOD}, or nofile in /etc/security/limits.conf`)
      : ok('open files', `at most ${files} for each process`),
    maps < MAPS_GOOD
      ? note('mappings', `at most ${maps} for each process: few sandboxes at a time`, `sudo sysctl vm.max_map_count=${MAPS_GOOD}`)
      : ok('mappings', `at most ${maps} for each process`),
  ];
}

async function homeFindings(): Promise<Finding[]> {
  const home = offshootHome();
  try {
    makeDirectories(home);
    await access(home, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = await statfs(home);
    const free = bavail * bsize;
    const detail = `${mb(free)} MB free for images and templates`;
    const fix = 'free space, "offshoot image prune", or set OFFSHOOT_HOME to another disk';
    return [
      ok('home', `${home} may be written`),
      free < DISK_BYTES_MIN ? problem('disk', detail, fix) : free < DISK_BYTES_GOOD ? note('disk', detail, fix) : ok('disk', detail),
    ];
  } catch (error) {
    return [problem('home', `${home} cannot be used (${(error as NodeJS.ErrnoException).code})`, 'set OFFSHOOT_HOME to a directory of your own')];
  }
}

function memory(): Finding {
  const { availableBytes } = readMemory();
  const detail = `${mb(availableBytes)} MB available`;
  const fix = 'stop other programs, raise the limit of the control group, or add memory';
  if (availableBytes < MEMORY_BYTES_MIN) return problem('memory', detail, fix);
  return availableBytes < MEMORY_BYTES_GOOD ? note('memory', detail, fix) : ok('memory', detail);
}

function apt(): Finding {
  const dirs = (process.env['PATH'] ?? '').split(':');
  if (dirs.some((dir) => dir !== '' && existsSync(`${dir}/apt-get`))) return ok('apt-get', 'there: images are made of Debian packages');
  return note('apt-get', 'missing: images cannot be made of Debian packages', 'offshoot template build python --from tar:FILE or dir:PATH (docs/images.md)');
}

function mb(bytes: number): number {
  return Math.floor(bytes / 2 ** 20);
}

/** A small file's text; '' when it cannot be read. */
function text(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return '';
  }
}
