// The limit of our own memory for a sandbox, and for a tenant's sandboxes together: for each kind of thing that a guest can make us keep, it
// is ended with a reason, and its neighbours in the same worker go on. That what is computed is right: kernelmemory.test.ts.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Engine } from '../../src/engine/index.ts';

type Coded = Error & { code?: string };

const MB = 1 << 20;
const KERNEL_MEMORY = 4 * MB;
/** More than fits into it, as far as other limits allow. */
const KINDS: Readonly<Record<string, number>> = {
  names: 100_000, longNames: 100_000, tree: 100_000, links: 100_000, xattrs: 100_000, locks: 100_000, maps: 60_000, fileMaps: 60_000,
  sparseFile: 60_000, sparseShared: 60_000, hidden: 120_000, pipes: 30_000, fullPipes: 1000, eventfds: 60_000, timerfds: 60_000, sockets: 8000,
  messages: 100_000, readMessages: 1000, watches: 60_000, polling: 1000, inotifyEvents: 65_000, threads: 4000, processes: 4000,
  signals: 1_000_000, posixTimers: 100_000,
};

let directory = '', program = '', engine: Engine;
before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'offshoot-kernellimit-'));
  program = join(directory, 'guest');
  const source = fileURLToPath(new URL('kernelmemoryguest.c', import.meta.url));
  execFileSync('gcc', ['-std=gnu11', '-O1', '-s', '-w', '-static', '-pthread', '-o', program, source]);
  engine = await Engine.open({ workers: 1 });
});
after(async () => {
  await engine.close();
  rmSync(directory, { recursive: true, force: true });
});

test('each kind of thing ends the run that has too many; a neighbour goes on', async () => {
  const stop = new AbortController();
  const neighbour = engine.run('python', 'import sys\nprint(sum(len(line) for line in sys.stdin))', { stdin: beats(stop.signal) });
  for (const [kind, count] of Object.entries(KINDS)) {
    const result = await engine.exec('python', ['/tmp/guest', kind, String(count)], {
      mounts: { '/tmp/guest': { from: program } }, stdin: 'xx', kernelMemoryBytes: KERNEL_MEMORY, processes: 4096, files: 65_536,
    });
    const said = `${kind}: ${result.reason} ${result.stdout} ${result.stderr}`;
    assert.deepEqual([result.limit, result.exitCode, result.stdout.toString()], ['kernel-memory', 137, ''], said);
    assert.equal(result.reason, "kernel-memory limit: 4 MB of the host's memory for what is open, mapped, queued and named in it.");
  }
  stop.abort();
  const { limit, exitCode, stdout } = await neighbour;
  assert.deepEqual([limit, exitCode, Number(stdout) > 0], [null, 0, true]);
});

test('what programs do is far from the limit: many processes and threads with numpy, find over the image, a tree of files', async () => {
  const code = `
import os, subprocess, threading, time, numpy
numpy.linalg.inv(numpy.random.rand(200, 200))
for i in range(100):
    if os.fork() == 0: time.sleep(1000)
for i in range(40): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
subprocess.run("find / -ls > /dev/null 2>&1; cat /usr/bin/* | wc -c > /tmp/size", shell=True)
for d in range(50):
    os.mkdir(f"/tmp/dir{d}")
    for f in range(100): open(f"/tmp/dir{d}/some_source_file_{f}.c", "w").close()
print("done", flush=True)
os._exit(0)`;
  const result = await engine.run('python', code, { kernelMemoryBytes: 32 * MB });
  assert.deepEqual([result.stdout.toString(), result.limit], ['done\n', null], result.reason ?? result.stderr.toString());
});

test('a stateful sandbox ends with that reason, and its neighbour does not; stats() says how much it is', async () => {
  const template = await engine.template('python');
  const [box, other] = await Promise.all([KERNEL_MEMORY, undefined].map((kernelMemoryBytes) => template.fork({ stateful: true, kernelMemoryBytes })));
  const before = (await box.stats()).kernelMemoryBytes;
  await box.run('import os\nfor i in range(1000): os.mknod(f"/tmp/{i}")');
  const grown = (await box.stats()).kernelMemoryBytes - before;
  assert.ok(grown > 700_000 && grown < 1_400_000, `${grown}`);
  await (await other.start(['/bin/sh', '-c', 'head -c 3000000 /dev/zero'])).wait();
  assert.ok((await other.stats()).kernelMemoryBytes > MB, 'the last megabyte of its output is kept');
  const running = box.exec(['/bin/sleep', '1000']);
  const result = await box.run('for i in range(1000, 100000): os.mknod(f"/tmp/{i}")');
  for (const { limit, reason } of [result, await running]) {
    assert.equal(limit, 'kernel-memory');
    assert.match(reason ?? '', /^kernel-memory limit: 4 MB/);
  }
  assert.match(await box.ended ?? '', /^kernel-memory limit: 4 MB/);
  await assert.rejects(box.run('1'), (error: Coded) => error.code === 'sandbox-ended' && /kernel-memory/.test(error.message));
  assert.equal((await other.run('print(1)')).stdout.toString(), '1\n');
  await Promise.all([box.close(), other.close()]);
});

test('numbers that cannot be are refused', async () => {
  for (const kernelMemoryBytes of [0, MB - 1, NaN, Infinity, 2 ** 30 + 1]) {
    await assert.rejects(engine.run('python', '1', { kernelMemoryBytes }), (error: Coded) => error.code === 'bad-argument', `${kernelMemoryBytes}`);
  }
});

async function* beats(signal: AbortSignal): AsyncGenerator<Uint8Array> {
  do {
    yield Buffer.from('x\n');
    await new Promise((resolve) => setTimeout(resolve, 20));
  } while (!signal.aborted);
}
