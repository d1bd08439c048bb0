// npm test: runs the groups of tests, each file in a process of its own, and ends with one line `N passed, N failed`.
//
//   node tools/test.ts [GROUP | PATH-PART]... [--skip-kvm] [--except PATH-PART]... [--jobs N] [--timeout S] [--again] [--verbose]
//
// Groups: tidy (test/*.test.ts), unit, conformance, kvm, server, programs, compat; all of these by default; programs-slow and hwkvm and install only by name.
// A file that hangs, crashes, does not exit or holds no test counts as one failure. Without a usable /dev/kvm the files that need it fail,
// unless --skip-kvm says to leave them out. $OFFSHOOT_TEST_SLOW multiplies the time limits (the emulated machine sets it).
// --again: a file that failed is run a second time when all others have ended, and this counts; the first failure is printed all the same,
// and the file named at the end: such a test is to be mended, whatever disturbed it.

import { globSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { kvmProblem } from './kvm.ts';
import { type FileResult, runFile } from './testfile.ts';

const ROOT = resolve(import.meta.dirname, '..');

interface Group {
  readonly pattern: string;
  readonly kvm: boolean;
  readonly jobs: number;
  /** For each file; TIMEOUT_SECONDS unless given. */
  readonly timeoutSeconds?: number;
}

/** Files that use VMs run one at a time: timing matters to them and live VMs slow each other. */
const GROUPS: Readonly<Record<string, Group>> = {
  tidy: { pattern: 'test/*.test.ts', kvm: false, jobs: 2 },
  unit: { pattern: 'test/unit/**/*.test.ts', kvm: false, jobs: 2 },
  conformance: { pattern: 'test/conformance/**/*.test.ts', kvm: true, jobs: 1 },
  kvm: { pattern: 'test/kvm/**/*.test.ts', kvm: true, jobs: 1 },
  server: { pattern: 'test/server/**/*.test.ts', kvm: true, jobs: 1 },
  programs: { pattern: 'test/programs/fast.test.ts', kvm: true, jobs: 1, timeoutSeconds: 1500 },
  'programs-slow': { pattern: 'test/programs/slow.test.ts', kvm: true, jobs: 1, timeoutSeconds: 5400 },
  compat: { pattern: 'test/compat/**/*.test.ts', kvm: true, jobs: 1, timeoutSeconds: 900 },
  hwkvm: { pattern: 'test/hwkvm/**/*.test.ts', kvm: true, jobs: 1 },
  install: { pattern: 'test/install/**/*.test.ts', kvm: true, jobs: 1 },
};
const DEFAULT_GROUPS = ['tidy', 'unit', 'conformance', 'kvm', 'server', 'programs', 'compat'];
const TIMEOUT_SECONDS = 300;

interface Options {
  readonly groups: readonly string[];
  /** Run only files whose path contains one of these. */
  readonly filters: readonly string[];
  readonly skipKvm: boolean;
  /** Leave out files whose path contains one of these, and count them as skipped. */
  readonly except: readonly string[];
  /** 0: as the group says. */
  readonly jobs: number;
  /** Null: as the group says. */
  readonly timeoutSeconds: number | null;
  readonly again: boolean;
  readonly verbose: boolean;
}

/** How many times slower than usual this machine is. */
const SLOW = Number(process.env['OFFSHOOT_TEST_SLOW'] ?? '1');

class Totals {
  passed = 0;
  failed = 0;
  skipped = 0;

  add(result: FileResult): void {
    this.passed += result.passed;
    this.failed += result.failures.length;
    this.skipped += result.skipped;
  }

  text(): string {
    return `${this.passed} passed, ${this.failed} failed${this.skipped > 0 ? `, ${this.skipped} skipped` : ''}`;
  }
}

/** A file that failed, and how to run it again. */
interface Failed { readonly file: string; readonly timeoutMs: number }

function parse(): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      'skip-kvm': { type: 'boolean', default: false }, except: { type: 'string', multiple: true, default: [] },
      jobs: { type: 'string', default: '0' },
      timeout: { type: 'string' }, again: { type: 'boolean', default: false }, verbose: { type: 'boolean', default: false },
    },
  });
  const named = positionals.filter(word => Object.hasOwn(GROUPS, word));
  const filters = positionals.filter(word => !Object.hasOwn(GROUPS, word) && word !== 'all');
  const groups = named.length > 0 ? named : filters.length > 0 ? Object.keys(GROUPS) : DEFAULT_GROUPS;
  return {
    groups, filters, skipKvm: values['skip-kvm'], except: values.except, jobs: Number(values.jobs),
    timeoutSeconds: values.timeout === undefined ? null : Number(values.timeout), again: values.again, verbose: values.verbose,
  };
}

function filesOf(group: Group, options: Options): string[] {
  const files = globSync(group.pattern, { cwd: ROOT }).sort();
  return options.filters.length === 0 ? files : files.filter(file => options.filters.some(part => file.includes(part)));
}

function indent(text: string): string {
  return text.trimEnd().replace(/^/gm, '    ');
}

function print(result: FileResult): void {
  const parts = [`${result.passed} passed`];
  if (result.failures.length > 0) parts.push(`${result.failures.length} failed`);
  if (result.skipped > 0) parts.push(`${result.skipped} skipped`);
  const mark = result.failures.length > 0 ? 'FAIL' : 'ok  ';
  console.log(`${mark} ${result.file}  ${parts.join(', ')}  ${(result.timeMs / 1000).toFixed(1)} s`);
  for (const failure of result.failures) console.log(`  ✗ ${failure.name}\n${indent(failure.error)}`);
  if (result.failures.length > 0 && result.output.trim() !== '') console.log(`  output:\n${indent(result.output)}`);
}

/** Runs the files, `jobs` at a time, printing each result when it is there. Those that failed and are to run again are returned. */
async function runFiles(files: readonly string[], group: Group, options: Options, totals: Totals): Promise<Failed[]> {
  const waiting = [...files];
  const failed: Failed[] = [];
  const jobs = options.jobs > 0 ? options.jobs : group.jobs;
  const timeoutMs = (options.timeoutSeconds ?? group.timeoutSeconds ?? TIMEOUT_SECONDS) * 1000 * SLOW;
  const worker = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await runFile(ROOT, file, timeoutMs, options.verbose);
      print(result);
      if (options.again && result.failures.length > 0) failed.push({ file, timeoutMs });
      else totals.add(result);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return failed;
}

/** Runs the files of a group for which there is what they need. */
async function runGroup(name: string, files: readonly string[], options: Options, totals: Totals): Promise<Failed[]> {
  const group = GROUPS[name];
  const problem = !group.kvm ? null : options.skipKvm ? 'left out by --skip-kvm' : kvmProblem();
  if (problem !== null && files.length > 0) {
    console.log(`${options.skipKvm ? 'skip' : 'FAIL'} ${name}: ${files.length} files not run: ${problem}`);
    totals[options.skipKvm ? 'skipped' : 'failed'] += files.length;
    return [];
  }
  const left = files.filter(file => options.except.some(part => file.includes(part)));
  for (const file of left) console.log(`skip ${file}: left out by --except`);
  totals.skipped += left.length;
  return await runFiles(files.filter(file => !left.includes(file)), group, options, totals);
}

/** The second time counts. */
async function runAgain(failed: readonly Failed[], options: Options, totals: Totals): Promise<void> {
  const mended: string[] = [];
  for (const { file, timeoutMs } of failed) {
    console.log(`again ${file}`);
    const result = await runFile(ROOT, file, timeoutMs, options.verbose);
    print(result);
    totals.add(result);
    if (result.failures.length === 0) mended.push(file);
  }
  if (mended.length > 0) console.log(`passed only when run again: ${mended.join(', ')}`);
}

async function main(): Promise<void> {
  const options = parse();
  const totals = new Totals();
  const failed: Failed[] = [];
  let found = 0;
  for (const name of options.groups) {
    const files = filesOf(GROUPS[name], options);
    found += files.length;
    failed.push(...await runGroup(name, files, options, totals));
  }
  await runAgain(failed, options, totals);
  if (found === 0) {
    console.log('FAIL no test file matches');
    totals.failed++;
  }
  console.log(totals.text());
  process.exitCode = totals.failed > 0 ? 1 : 0;
}

await main();
