// `offshoot bench syscall`: what a system call costs above the trap that any call costs, and what the usual pairs and triples of calls
// cost above theirs. bench/syscall.c runs in a sandbox and times itself; traps are measured between its rounds.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../engine/engine.ts';
import type { RunResult } from '../engine/run.ts';
import type { Template } from '../engine/template.ts';
import { compilerTemplate } from './bench-compile.ts';
import { BareTrap } from './bench-trap.ts';
import { row, single, type Row } from './benchrow.ts';

const SOURCE = fileURLToPath(new URL('../../bench/syscall.c', import.meta.url));
const CFLAGS = ['-O2', '-static', '-pthread'];

/** Operations in one batch: about a millisecond's worth, so that most batches are interrupted by nothing. */
const CASES = [
  { name: 'getpid', operations: 32 }, { name: 'read.1B', operations: 32 }, { name: 'write.1B', operations: 32 },
  { name: 'read.64KiB', operations: 32 }, { name: 'write.64KiB', operations: 32 }, { name: 'stat.deep', operations: 32 },
  { name: 'pipe.pingpong', operations: 8 }, { name: 'futex.handover', operations: 8 }, { name: 'fork.exec.wait', operations: 1 },
  { name: 'mmap.touch.munmap', operations: 8 },
] as const;
const ROUNDS = 10;
const PROGRAM = '/tmp/syscall';
const TIMEOUT_MS = 120_000;
/** The compiler of JavaScript gets to what is called often. */
const WARM_UP_BATCHES = 50;

/** `samples`: batches of each case, over all rounds. */
export async function benchSyscall(engine: Engine, template: Template, samples: number): Promise<Row[]> {
  const program = await guestProgram(engine);
  const { kind } = await engine.selfTest();
  const bare = new BareTrap(kind === 'pvm' ? 'pvm' : 'hardware');
  const rounds = Math.min(samples, ROUNDS);
  const batches = Math.ceil(samples / rounds);
  const traps: number[] = [];
  const above = new Map<string, number[]>(CASES.map(({ name }) => [name, []]));
  const calls = await countCalls(template, program);
  for (let i = 0; i < WARM_UP_BATCHES; i++) bare.sample();
  for (let round = 0; round < rounds; round++) {
    const now = Array.from({ length: batches }, () => bare.sample());
    const trap = row('', '', now).p50;
    for (const { name, operations } of CASES) {
      const { times } = await timeCase(template, program, name, batches, operations);
      above.get(name)?.push(...times.map((us) => us - trap * (calls.get(name) ?? 1)));
    }
    traps.push(...now);
  }
  bare.close();
  return [
    row('trap', 'us', traps),
    ...CASES.flatMap(({ name }) => [row(name, 'us', above.get(name) ?? []), single(`${name}.calls`, 'calls', calls.get(name) ?? 1)]),
  ];
}

/** System calls of one operation of each case, of all its processes; also warms up. */
async function countCalls(template: Template, program: Uint8Array): Promise<Map<string, number>> {
  const calls = new Map<string, number>();
  for (const { name, operations } of CASES) {
    const few = await timeCase(template, program, name, 1, operations);
    const many = await timeCase(template, program, name, 1 + WARM_UP_BATCHES, operations);
    // Each batch prints a line: that call is none of the operation's.
    const extra = many.result.syscalls - few.result.syscalls;
    calls.set(name, Math.round(extra / (WARM_UP_BATCHES * operations)));
  }
  return calls;
}

/** Microseconds of one operation, batch by batch. */
async function timeCase(
  template: Template, program: Uint8Array, name: string, batches: number, operations: number,
): Promise<{ readonly times: number[]; readonly result: RunResult }> {
  await using sandbox = await template.fork();
  const result = await sandbox.exec(['/bin/sh', '-c', `cat > ${PROGRAM} && chmod 755 ${PROGRAM} && exec ${PROGRAM} "$@"`, 'sh', name,
    String(batches), String(operations)], { stdin: program, timeoutMs: TIMEOUT_MS });
  const lines = result.stdout.toString().split('\n');
  if (lines.length !== batches + 2 || lines[batches] !== 'ok') {
    throw new Error(`bench/syscall.c, ${name}: ${result.stderr.toString() || (result.reason ?? 'printed something else')}`);
  }
  return { times: lines.slice(0, batches).map((ns) => Number(ns) / 1000), result };
}

/** bench/syscall.c compiled: by the host's compiler, or where there is none in a sandbox that has one. */
async function guestProgram(engine: Engine): Promise<Uint8Array> {
  const dir = mkdtempSync(`${tmpdir()}/offshoot-bench-`);
  try {
    execFileSync('cc', [...CFLAGS, '-o', `${dir}/syscall`, SOURCE], { stdio: 'ignore' });
    return readFileSync(`${dir}/syscall`);
  } catch {
    return await compileInside(engine);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function compileInside(engine: Engine): Promise<Uint8Array> {
  await using sandbox = await (await compilerTemplate(engine)).fork();
  const result = await sandbox.exec(['gcc', ...CFLAGS, '-o', PROGRAM, '-x', 'c', '-'], { stdin: readFileSync(SOURCE), collect: [PROGRAM] });
  const program = result.collected.get(PROGRAM);
  if (!program) throw new Error(`bench/syscall.c could not be compiled: ${result.stderr.toString()}`);
  return program;
}
