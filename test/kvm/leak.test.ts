// Thousands of runs leave nothing behind in the worker: descriptors, mappings, VMs, memory. Neither do sandboxes that are
// killed, cancelled, or closed without a run.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test, { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Engine } from '../../src/engine/index.ts';
import { links, workerPids } from './workerhelp.ts';

/** Under emulation (docs/hwkvm.md) a run takes many times longer. */
const RUNS = process.env['OFFSHOOT_TEST_SLOW'] === undefined ? 2000 : 100;
/** Growth allowed in half of the runs: 16 KB a run. */
const GROWTH_MAX_MB = 16;

// With room, V8 collects garbage so late that it looks like a leak. With little, a real one ends the worker.
process.env['NODE_OPTIONS'] = '--max-old-space-size=96 --max-semi-space-size=4';
const engine = await Engine.open({ workers: 1 });
after(() => engine.close());
const template = await engine.template('python');

/** The worker: this process's only child that holds /dev/kvm. */
function workerPid(): number {
  const pids = workerPids();
  assert.equal(pids.length, 1);
  return pids[0];
}

/** `ownMb`: resident memory that is shared with no file; views of a template show more and more of its pages, which are the page cache's. */
interface Usage { readonly fds: number; readonly vms: number; readonly maps: number; readonly ownMb: number }

const pid = workerPid();

function usage(): Usage {
  const open = links(pid);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kb = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]);
  return {
    fds: open.length, vms: open.filter((link) => link.includes('kvm-v')).length,
    maps: readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n').length, ownMb: (kb('RssAnon') + kb('RssShmem')) / 1024,
  };
}

/** When the worker is at rest: closing is a message without an answer, and the pool fills up behind the runs. */
async function settled(): Promise<Usage> {
  for (let before = -1; ;) {
    await engine.selfTest();
    const now = usage();
    if (now.vms === before) return now;
    before = now.vms;
    await sleep(REST_MS);
  }
}

/** Python in every tenth sandbox, a smaller program in the others. */
async function runs(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const sandbox = await template.fork();
    const result = await (i % 10 === 0 ? sandbox.run(`print(${i})`) : sandbox.exec(['/bin/echo', String(i)]));
    await sandbox.close();
    assert.equal(result.stdout.toString(), `${i}\n`);
  }
}

/** What a worker may hold at rest: a vCPU for its clock, forks kept ready for the build in use and for one that replaces it. */
const VMS_MAX = 10;
const REST_MS = 1000;
/** Of the VM and of its vCPU. */
const FDS_OF_VM = 2;

/** No more descriptors and VMs than the worker's own; mappings and memory have some room for V8. */
function isSame(before: Usage, now: Usage, what: string): void {
  assert.ok(now.vms <= VMS_MAX, `${what}: ${now.vms} VMs are left`);
  // Each VM has descriptors of its own, and the pool may be less full at one of the two moments.
  assert.ok(now.fds - FDS_OF_VM * now.vms <= before.fds - FDS_OF_VM * before.vms, `${what}: descriptors are left: ${before.fds}, ${now.fds}`);
  assert.ok(now.maps <= before.maps + 40, `${what}: mappings grew from ${before.maps} to ${now.maps}`);
  assert.ok(now.ownMb <= before.ownMb + GROWTH_MAX_MB, `${what}: memory grew from ${before.ownMb} to ${now.ownMb} MB`);
}

test('thousands of runs leak no descriptor, mapping, VM or memory', async (t) => {
  const started = performance.now();
  await runs(RUNS * 1.2); // measured over 6,000 runs: V8's last step up, of 30 MB, is before the 2,400th, then less than 1 MB more
  const before = await settled();
  await runs(RUNS / 2);
  const now = await settled();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  t.diagnostic(`${1.7 * RUNS} runs in ${seconds} s; after ${1.2 * RUNS} of them ${JSON.stringify(before)}, at the end ${JSON.stringify(now)}`);
  isSame(before, now, 'runs');
});

test('sandboxes that never run, time out, are cancelled, or are closed while they run, leave nothing', async () => {
  await runs(10);
  const before = await settled();
  for (let i = 0; i < 20; i++) {
    await (await template.fork()).close();
    const late = await template.fork();
    assert.equal((await late.run('while True: pass', { timeoutMs: 20 })).limit, 'timeout');
    await late.close();
    const stop = new AbortController();
    const cancelled = await template.fork();
    const ending = cancelled.run('import time; print(1); time.sleep(1000)', { signal: stop.signal, onStdout: () => stop.abort() });
    assert.equal((await ending).limit, 'cancelled');
    await cancelled.close();
    const closed = await template.fork();
    const pending = closed.run('while True: pass');
    await closed.close();
    assert.equal((await pending).limit, 'cancelled');
  }
  isSame(before, await settled(), 'ended sandboxes');
});

test('a fork with an impossible limit leaves nothing', async () => {
  const before = await settled();
  for (let i = 0; i < 10; i++) await assert.rejects(template.fork({ memoryBytes: 1 }), /memoryBytes must be/);
  isSame(before, await settled(), 'refused forks');
});

test('a worker that is killed is replaced; what ran there is told', async () => {
  const sandbox = await template.fork();
  const pending = sandbox.run('while True: pass');
  setTimeout(() => process.kill(pid, 'SIGKILL'), 100);
  await assert.rejects(pending, (error: Error & { code?: string }) => error.code === 'worker-lost');
  await sandbox.close();
  await runs(1);
});
