// What the tests of hostile guests share: running a C program in a sandbox, and what must hold after any run:
// the sandbox ended by the guest's own doing, in time, and its worker lives, in bounded memory.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import type { RunResult } from '../../src/engine/index.ts';
import { SLOW, pythonTemplate } from './enginehelp.ts';
import { buildHostile } from './hostilebuild.ts';

const MEMORY_BYTES = 256 << 20;
/** What a worker may take beyond the memory of its guest: its own heap and what a kernel keeps of names, files and areas. */
const WORKER_BYTES = 700 << 20;

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
  assert.ok(result.execTimeMs < timeoutMs + 10_000 * SLOW, `ended ${result.execTimeMs} ms after it started, the limit being ${timeoutMs}`);
  const bytes = workerBytes();
  assert.ok(bytes < MEMORY_BYTES + WORKER_BYTES, `the worker took ${bytes >> 20} MB`);
  const other = await (await pythonTemplate()).fork();
  const after = await other.run('print("alive")', { timeoutMs: 20_000 * SLOW });
  await other.close();
  assert.equal(after.stdout.toString(), 'alive\n');
}

/** Runs a program of test/kvm/hostile/ as the guest, `usualTimeoutMs` long where nothing is slow; what must hold of every run is asserted. */
export async function attack(name: string, args: readonly string[], usualTimeoutMs = 60_000): Promise<RunResult> {
  const timeoutMs = usualTimeoutMs * SLOW;
  const sandbox = await (await pythonTemplate()).fork({ memoryBytes: MEMORY_BYTES });
  try {
    const script = 'cat > /tmp/attack && chmod 755 /tmp/attack && exec /tmp/attack "$@" < /dev/null';
    const result = await sandbox.exec(['/bin/bash', '-c', script, 'attack', ...args], { stdin: readFileSync(buildHostile(name)), timeoutMs });
    await assertHarmless(result, timeoutMs);
    return result;
  } finally {
    await sandbox.close();
  }
}
