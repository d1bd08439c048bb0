// Which system calls the cases make, and which errors they see: node test/conformance/coverage.ts [NAME-PATTERN]
// Runs every case in a sandbox and prints the rows marked FULL that no case calls, or that no case makes fail.

import type { Task } from '../../src/kernel/process/task.ts';
import { ROWS } from '../../src/kernel/syscalls/table.ts';
import type { Tracer } from '../../src/kernel/trace/tracer.ts';
import { build, loadCases, variantsOf } from './cases.ts';
import { Forks } from './forked.ts';

/** Calls that cannot fail, or that fail only for want of memory. */
const NEVER_FAIL = new Set(['getpid', 'gettid', 'getppid', 'getuid', 'geteuid', 'getgid', 'getegid', 'getpgrp', 'umask', 'sync', 'sched_yield',
  'alarm', 'setfsuid', 'setfsgid', 'exit', 'exit_group', 'brk', 'set_tid_address', 'munlockall', 'rt_sigreturn', 'restart_syscall', 'vfork', 'pause']);

class Coverage implements Tracer {
  readonly calls = new Map<number, Set<number>>();

  call(task: Task, result: number): void {
    const seen = this.calls.get(task.syscallNr) ?? new Set();
    this.calls.set(task.syscallNr, seen);
    if (result < 0 && result > -512) seen.add(-result);
  }

  enter(task: Task): void {
    if (!this.calls.has(task.syscallNr)) this.calls.set(task.syscallNr, new Set());
  }

  blocked(): void {}
  idle(): void {}
  attached(): void {}
  event(): void {}
  exit(): void {}
}

const pattern = new RegExp(process.argv[2] ?? '.');
const coverage = new Coverage();
const forks = await Forks.open();
for (const variant of loadCases().flatMap(variantsOf).filter(({ name, link }) => pattern.test(name) && link !== 'dynamic')) {
  const { uid, timeoutMs, language, part } = variant.case;
  await forks.run({ program: await build(variant), language, part, uid, timeoutMs }, coverage);
}
for (const { nr, name, support } of ROWS) {
  const seen = coverage.calls.get(nr);
  if (support.level !== 'full') continue;
  if (!seen) console.log(`${name}: never called`);
  else if (seen.size === 0 && !NEVER_FAIL.has(name)) console.log(`${name}: never fails`);
  else if (process.env['VERBOSE']) console.log(`${name}: ${[...seen].join(' ')}`);
}
process.exit(0);
