// What the tests of hostile guests share: building a C program, running it in a sandbox, and what must hold after any run:
// the sandbox ended by the guest's own doing, in time, and its worker lives, in bounded memory.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RunResult } from '../../src/engine/index.ts';
import { pythonTemplate } from './enginehelp.ts';

const SOURCES = fileURLToPath(new URL('hostile/', import.meta.url));
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/hostile/', import.meta.url));
const CFLAGS = ['-std=gnu11', '-O1', '-s', '-w', '-static', '-pthread'];
const MEMORY_BYTES = 256 << 20;
/** What a worker may take beyond the memory of its guest: its own heap and what a kernel keeps of names, files and areas. */
const WORKER_BYTES = 700 << 20;

/** Why the programs cannot be built here; false when they can. */
export const cannotBuild = process.env['OFFSHOOT_HWKVM'] !== undefined || spawnSync('gcc', ['--version']).status !== 0 ? 'gcc is missing' : false;

/** The program of test/kvm/hostile/NAME.c, built once for each content. */
function build(name: string): Buffer {
  const source = join(SOURCES, `${name}.c`);
  const hash = createHash('sha256').update(CFLAGS.join(' ')).update(readFileSync(source)).digest('hex').slice(0, 16);
  const program = join(CACHE, `${name}-${hash}`);
  if (!existsSync(program)) {
    mkdirSync(CACHE, { recursive: true });
    execFileSync('gcc', [...CFLAGS, '-o', `${program}.${process.pid}`, source]);
    renameSync(`${program}.${process.pid}`, program);
  }
  return readFileSync(program);
}

/** Bytes resident in this process's children (the worker). */
function workerBytes(): number {
  let bytes = 0;
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      if (!readFileSync(`/proc/${pid}/stat`, 'latin1').includes(`) S ${process.pid} `) &&
        !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(`) R ${process.pid} `)) continue;
      bytes += Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
    } catch { /* it has just ended */ }
  }
  return bytes;
}

/** Asserts that the sandbox, not the kernel under it, ended a run, and that the worker goes on. */
export async function assertHarmless(result: RunResult, timeoutMs: number): Promise<void> {
  assert.notEqual(result.limit, 'kernel-bug', result.reason ?? '');
  assert.ok(result.execTimeMs < timeoutMs + 10_000, `ended ${result.execTimeMs} ms after it started, the limit being ${timeoutMs}`);
  const bytes = workerBytes();
  assert.ok(bytes < MEMORY_BYTES + WORKER_BYTES, `the worker took ${bytes >> 20} MB`);
  const other = await (await pythonTemplate()).fork();
  const after = await other.run('print("alive")', { timeoutMs: 20_000 });
  await other.close();
  assert.equal(after.stdout.toString(), 'alive\n');
}

/** Runs a program of test/kvm/hostile/ as the guest; what must hold of every run is asserted. */
export async function attack(name: string, args: readonly string[], timeoutMs = 60_000): Promise<RunResult> {
  const sandbox = await (await pythonTemplate()).fork({ memoryBytes: MEMORY_BYTES });
  try {
    const script = 'cat > /tmp/attack && chmod 755 /tmp/attack && exec /tmp/attack "$@" < /dev/null';
    const result = await sandbox.exec(['/bin/bash', '-c', script, 'attack', ...args], { stdin: build(name), timeoutMs });
    await assertHarmless(result, timeoutMs);
    return result;
  } finally {
    await sandbox.close();
  }
}
