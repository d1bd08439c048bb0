// Limits: each ends its own run with a reason, and what was printed before is returned.

import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SLOW, py, pythonTemplate, text } from './enginehelp.ts';

for (const [name, code] of [
  ['spinning', 'while True: pass'], ['sleeping', 'import time; time.sleep(1000)'], ['blocked', 'import sys; sys.stdin.read()'],
  ['blocked in a lock', 'import threading; l = threading.Lock(); l.acquire(); l.acquire()'],
] as const) {
  test(`timeout ends a ${name} program and keeps its output`, async () => {
    const result = await py(`print("before")\n${code}`, { timeoutMs: 400 * SLOW, stdin: name === 'blocked' ? never() : '' });
    assert.deepEqual([text(result), result.timedOut, result.limit, result.exitCode], ['before\n', true, 'timeout', 124]);
    assert.ok(result.reason?.includes(`timed out after ${400 * SLOW / 1000} s`), result.reason ?? '');
  });
}

async function* never(): AsyncGenerator<Uint8Array> {
  await new Promise(() => {});
  yield new Uint8Array();
}

test('memory: a large allocation is a MemoryError', async () => {
  const result = await py('try:\n    x = bytearray(10**10)\nexcept MemoryError:\n    print("MemoryError")');
  assert.equal(text(result), 'MemoryError\n');
});

test('memory: filling it ends the run with a reason', async () => {
  const result = await py('print("before", flush=True)\nl = []\nwhile True: l.append(bytearray(1 << 20))', { memory: 160 << 20 });
  assert.equal(text(result), 'before\n');
  assert.ok(result.limit === 'memory' || /MemoryError/.test(result.stderr.toString()), JSON.stringify([result.reason, result.stderr.toString()]));
  assert.notEqual(result.exitCode, 0);
});

test('memory: what fits under the limit works, past the template\'s own memory', async () => {
  const result = await py('import numpy as np\nx = np.ones(40_000_000)\nprint(x.sum())', { memory: 512 << 20 });
  assert.equal(text(result), '40000000.0\n', result.stderr.toString());
});

test('cpu time: of all processes, not the wall clock\'s', async () => {
  const spin = await py('print("before", flush=True)\nwhile True: pass', { cpuTimeMs: 300 * SLOW });
  assert.deepEqual([text(spin), spin.limit, spin.exitCode], ['before\n', 'cpu', 137]);
  assert.ok(spin.cpuTimeMs >= 300 * SLOW && spin.cpuTimeMs < 1000 * SLOW, `${spin.cpuTimeMs} ms`);
  assert.ok(spin.reason?.includes(`cpu limit: ${300 * SLOW / 1000} s`), spin.reason ?? '');
  const child = await py('import os\nif os.fork() == 0:\n    while True: pass\nos.wait()', { cpuTimeMs: 300 * SLOW });
  assert.equal(child.limit, 'cpu');
  const slept = await py(`import time; time.sleep(${SLOW}); print("slept")`, { cpuTimeMs: 800 * SLOW });
  assert.deepEqual([text(slept), slept.limit], ['slept\n', null]);
});

test('processes, open files, disk, inodes: the call fails as on Linux, the program sees its limits', async () => {
  const code = `
import os, resource, errno
def fails(what):
    try: what()
    except OSError as e: return errno.errorcode[e.errno]
def children():
    while True:
        if os.fork() == 0: os.read(r, 1); os._exit(0)
def files():
    held = []
    try:
        while True: held.append(os.open("/", 0))
    finally:
        for fd in held: os.close(fd)
def big():
    with open("/tmp/big", "wb", 0) as f:
        while True: f.write(bytes(4096))
def many():
    i = 0
    while True: open(f"/tmp/{i}", "w").close(); i += 1
r, w = os.pipe()
print(fails(children), fails(files), fails(big), fails(many), len(os.listdir("/tmp")) < 60)
print(resource.getrlimit(resource.RLIMIT_NPROC), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
v = os.statvfs("/tmp")
print(v.f_files, v.f_favail, v.f_bfree)
`;
  const result = await py(code, { processes: 20, files: 30, diskBytes: 2 << 20, inodes: 60 });
  assert.equal(text(result), 'EAGAIN EMFILE ENOSPC ENOSPC True\n(20, 20) 30\n60 0 0\n', result.stderr.toString());
  assert.equal(result.limit, null);
  const other = await py('import resource, os; print(resource.getrlimit(resource.RLIMIT_NOFILE)[1], os.statvfs("/tmp").f_favail > 1000)');
  assert.equal(text(other), '4096 True\n');
});

test('limits that are no limits are refused', async () => {
  for (const init of [
    { cpuTimeMs: -1 }, { processes: 0 }, { processes: 1.5 }, { processes: 4097 }, { files: 3 }, { diskBytes: NaN }, { inodes: -1 }, { outputBytes: Infinity },
  ]) {
    await assert.rejects(py('pass', init), (error: Error & { code?: string }) => error.code === 'bad-argument', JSON.stringify(init));
  }
});

test('short runs end while others compute on the same worker', async () => {
  const stop = new AbortController();
  const hogs = Array.from({ length: 4 }, () => py('while True: pass', { signal: stop.signal }));
  assert.equal(text(await py('print(1)')), '1\n');
  assert.equal(text(await py('import time\nfor i in range(3): time.sleep(0.01)\nprint(2)')), '2\n');
  stop.abort();
  for (const hog of await Promise.all(hogs)) assert.equal(hog.limit, 'cancelled');
});

test('output: exactly the limit is delivered, then the run ends', async () => {
  const result = await py('while True: print("x" * 99)', { outputBytes: 100_000 });
  assert.deepEqual([result.stdout.length, result.limit], [100_000, 'output']);
});

test('cancelling returns what was printed', async () => {
  const stop = new AbortController();
  const result = await py('print("before")\nwhile True: pass', { signal: stop.signal, onStdout: () => stop.abort() });
  assert.deepEqual([text(result), result.limit], ['before\n', 'cancelled']);
});

test('the caller\'s event loop goes on, and output and input arrive, while a guest computes', async () => {
  const sandbox = await (await pythonTemplate()).fork();
  let told = (): void => {};
  const code = `
import os
os.set_blocking(0, False)
for i in range(20):
    print(i)
    while True:
        try:
            if os.read(0, 1): break
        except BlockingIOError: pass`;
  let seen = 0;
  async function* input(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 20; i++) {
      while (seen <= i) await new Promise<void>((resolve) => (told = resolve));
      for (let turns = 0; turns < 5; turns++) await sleep(1); // the guest goes on and on
      yield Buffer.from('.');
    }
  }
  const result = await sandbox.run(code, {
    stdin: input(), timeoutMs: 60_000 * SLOW,
    onStdout: (bytes) => {
      seen += Buffer.from(bytes).toString().split('\n').length - 1;
      told();
    },
  });
  await sandbox.close();
  assert.deepEqual([result.exitCode, seen], [0, 20]);
});
