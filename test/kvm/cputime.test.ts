// Processor time on a busy host: a run is charged what its worker's thread had of the processors, not the time that has passed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import test from 'node:test';
import type { RunResult } from '../../src/engine/index.ts';
import { pythonTemplate, sh, text } from './enginehelp.ts';
import { workerPids } from './workerhelp.ts';

/** Of /proc/PID/stat: utime and stime are told in these, and each is cut off. */
const TICK_MS = 10;

/** What the main thread of a process has had: it runs the guests. */
function threadCpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/task/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Runs `work` while two programs of this host for each of its processors compute. */
async function besideBusyLoops<T>(work: () => Promise<T>): Promise<T> {
  const loops = Array.from({ length: 2 * availableParallelism() }, () => spawn('/bin/sh', ['-c', 'while :; do :; done']));
  try {
    return await work();
  } finally {
    for (const loop of loops) loop.kill('SIGKILL');
  }
}

const CODE = `
import time, resource
clocks = (time.CLOCK_PROCESS_CPUTIME_ID, time.CLOCK_THREAD_CPUTIME_ID)
last, back = [0, 0], 0
for i in range(3000):
    for at, clock in enumerate(clocks):
        now = time.clock_gettime_ns(clock)
        back += now < last[at]
        last[at] = now
    sum(range(2000))
used = resource.getrusage(resource.RUSAGE_SELF)
print(back, last[0] / 1e6, (used.ru_utime + used.ru_stime) * 1e3)
`;

/** The run, and what its worker's thread had for it and for making it ready. */
async function run(): Promise<{ result: RunResult; hadMs: number }> {
  const sandbox = await (await pythonTemplate()).fork();
  try {
    const [pid] = workerPids();
    const before = threadCpuMs(pid);
    const result = await sandbox.run(CODE);
    return { result, hadMs: threadCpuMs(pid) - before };
  } finally {
    await sandbox.close();
  }
}

test('a run is charged what its thread had of the processor, also when others want it', async () => {
  await sh('true');
  const { result, hadMs } = await besideBusyLoops(run);
  const [back, clockMs, rusageMs] = text(result).split(' ').map(Number);
  assert.equal(back, 0, 'the clocks never go back');
  assert.ok(hadMs < result.execTimeMs * 0.8, `the thread had ${hadMs} of ${result.execTimeMs} ms: it was not kept from the processor`);
  assert.ok(result.cpuTimeMs <= hadMs + 2 * TICK_MS, `charged ${result.cpuTimeMs} ms, the thread had ${hadMs}`);
  assert.ok(result.cpuTimeMs > hadMs / 4, `charged ${result.cpuTimeMs} ms, the thread had ${hadMs}`);
  assert.ok(clockMs <= rusageMs && rusageMs <= result.cpuTimeMs, `${clockMs} ${rusageMs} ${result.cpuTimeMs}: the same time, one after the other`);
});

test('a limit of processor time ends nothing that only waited for a processor', async () => {
  const sandbox = await (await pythonTemplate()).fork();
  const { limit, cpuTimeMs } = await besideBusyLoops(() => sandbox.run('while True: pass', { cpuTimeMs: 300 })).finally(() => sandbox.close());
  assert.equal(limit, 'cpu');
  assert.ok(cpuTimeMs >= 300, `${cpuTimeMs} ms`);
});
