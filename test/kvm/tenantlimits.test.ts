// What a tenant's sandboxes have together, in several worker processes: files, inodes, processes, open files, output, our own memory; and
// how long a run of it may take. One sandbox a worker, so that each of a tenant's is in another process.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Engine, type EngineInit, type StatefulSandbox } from '../../src/engine/index.ts';
import { SLOW } from './enginehelp.ts';
import { workerPids } from './workerhelp.ts';

type Coded = Error & { code?: string };

async function withTenants(init: EngineInit, body: (fork: (tenant?: string) => Promise<StatefulSandbox>, engine: Engine) => Promise<void>): Promise<void> {
  const engine = await Engine.open({ workers: 2, sandboxes: 1, layouts: { perTenant: false }, ...init });
  const open: StatefulSandbox[] = [];
  try {
    const template = await engine.template('python');
    await body(async (tenant = 'a') => {
      const sandbox = await template.fork({ stateful: true, tenant });
      open.push(sandbox);
      return sandbox;
    }, engine);
  } finally {
    await Promise.all(open.map((sandbox) => sandbox.close()));
    await engine.close();
  }
}

/** Prints how many times of `times` a step succeeded, and the errno that ended it. */
const repeat = (times: number, step: string, setup = ''): string => `import os, errno, time\n${setup}
done = 0
try:
    for i in range(${times}):
        ${step}
        done += 1
    print(done)
except OSError as error:
    print(done, errno.errorcode[error.errno])`;

const MB = 1 << 20;
const WRITE = repeat(6, 'os.write(fd, bytes(1 << 20))', 'fd = os.open("/tmp/data", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)');
const MAKE = repeat(60, 'os.mkdir(f"/tmp/{os.getpid()}-{i}")');
/** Children that live until the sandbox ends. */
const SPAWN = repeat(6, 'os.fork() or time.sleep(1000)');
const OPEN = repeat(60, 'kept.append(os.open("/dev/null", 0))', 'kept = []');

const CASES = [
  { name: 'diskBytes', limits: { diskBytes: 8 * MB }, code: WRITE, all: '6', errno: 'ENOSPC' },
  { name: 'inodes', limits: { inodes: 100 }, code: MAKE, all: '60', errno: 'ENOSPC' },
  { name: 'processes', limits: { processes: 12 }, code: SPAWN, all: '6', errno: 'EAGAIN' },
  { name: 'files', limits: { files: 100 }, code: OPEN, all: '60', errno: 'ENFILE' },
];

for (const { name, limits, code, all, errno } of CASES) {
  test(`${name} of a tenant, in two workers: what one has the other cannot have; another tenant can; closing gives it back`, async () => {
    await withTenants({ tenantLimits: limits }, async (fork) => {
      const one = await fork(), two = await fork();
      const first = await one.run(code);
      assert.deepEqual([first.stdout.toString(), first.limitsMet], [`${all}\n`, []]);
      const refused = await two.run(code);
      assert.match(refused.stdout.toString(), new RegExp(`^[0-9]+ ${errno}\n$`), refused.stderr.toString());
      assert.deepEqual([refused.limitsMet, refused.limit, refused.exitCode], [[`tenant.${name}`], null, 0]);
      const stranger = await (await fork('b')).run(code);
      assert.deepEqual([stranger.stdout.toString(), stranger.limitsMet], [`${all}\n`, []]);
      assert.deepEqual((await two.run('print(1)')).limitsMet, [], 'it is told again');
      await two.close();
      await one.close();
      assert.equal((await (await fork()).run(code)).stdout.toString(), `${all}\n`);
    });
  });
}

test('a killed worker had nothing; a copy has what its source has', async () => {
  await withTenants({ tenantLimits: { diskBytes: 8 * MB }, workers: 1, sandboxes: 2 }, async (fork) => {
    const lost = await fork('default');
    const pids = workerPids();
    assert.equal(pids.length, 1);
    assert.equal((await lost.run(WRITE)).stdout.toString(), '6\n');
    const copies = await lost.fork(1);
    assert.match((await copies[0].run('open("/tmp/more", "wb").write(bytes(1 << 20))')).stderr.toString(), /No space left/);
    const other = await fork('default'); // in another process: the table stays
    assert.equal(workerPids().length, 2);
    process.kill(pids[0], 'SIGKILL');
    assert.match(await lost.ended ?? '', /SIGKILL/);
    assert.equal((await other.run(WRITE)).stdout.toString(), '6\n');
  });
});

test('runs one after another have it anew, with rewound VMs too; their own limits are told as well', async () => {
  await withTenants({ tenantLimits: { diskBytes: 8 * MB, files: 100, processes: 3 }, sandboxes: 32 }, async (_fork, engine) => {
    for (let i = 0; i < 12; i++) {
      const result = await engine.run('python', WRITE, { tenant: 'a', reuse: i % 2 === 0 });
      assert.deepEqual([result.stdout.toString(), result.limitsMet], ['6\n', []], `run ${i}`);
    }
    const own = await engine.run('python', WRITE, { tenant: 'a', diskBytes: 2 * MB });
    assert.deepEqual([own.stdout.toString(), own.limitsMet], ['2 ENOSPC\n', ['diskBytes']]);
    const few = await engine.run('python', OPEN, { tenant: 'a', files: 16 });
    assert.deepEqual([few.stdout.toString().split(' ')[1], few.limitsMet], ['EMFILE\n', ['files']]);
    const alone = await engine.run('python', repeat(4, 'os.fork() or time.sleep(1000)'), { tenant: 'a', processes: 2 });
    assert.deepEqual([alone.stdout.toString(), alone.limitsMet], ['1 EAGAIN\n', ['processes']]);
  });
});

test('a tenant has no more sandboxes than processes', async () => {
  await withTenants({ tenantLimits: { processes: 1 } }, async (fork) => {
    await fork();
    await assert.rejects(fork(), (error: Coded) => error.code === 'tenant-limit' && /limit of processes/.test(error.message));
  });
});

test('programs that are started in a sandbox are processes of its tenant', async () => {
  await withTenants({ tenantLimits: { processes: 5 } }, async (fork) => {
    const [one, two] = [await fork(), await fork()];
    const sleeping = await one.start(['/bin/sleep', '1000']);
    const refused = await two.exec(['/bin/true']);
    assert.deepEqual([refused.exitCode, refused.limitsMet], [126, ['tenant.processes']], refused.stderr.toString());
    await sleeping.kill();
    await sleeping.wait();
    assert.equal((await two.exec(['/bin/true'])).exitCode, 0);
  });
});

test('output of the runs of a tenant that are under way: who passes it is ended, and nothing beyond it arrives', async () => {
  await withTenants({ tenantLimits: { outputBytes: 3 * MB }, sandboxes: 32 }, async (fork, engine) => {
    const print = 'import sys, time\nsys.stdout.write("x" * (2 << 20)); sys.stdout.flush()\ntime.sleep(float(sys.argv[1]))';
    const stop = new AbortController();
    let seen = 0, full = (): void => {};
    const isThere = new Promise<void>((resolve) => {
      full = resolve;
    });
    const onStdout = ({ length }: Uint8Array): void => void ((seen += length) >= 2 * MB && full());
    const holding = engine.run('python', print, { tenant: 'a', args: ['1000'], signal: stop.signal, onStdout });
    await isThere;
    const box = await fork();
    for (const result of [await engine.run('python', print, { tenant: 'a', args: ['1000'] }), await box.run(print, { args: ['1000'] })]) {
      assert.deepEqual([result.limit, result.exitCode, result.stdout.length], ['output', 137, MB], result.reason ?? '');
      assert.match(result.reason ?? '', /this tenant/);
    }
    assert.equal((await engine.run('python', print, { tenant: 'b', args: ['0'] })).stdout.length, 2 * MB);
    stop.abort();
    assert.equal((await holding).stdout.length, 2 * MB);
    assert.equal((await engine.run('python', print, { tenant: 'a', args: ['0'] })).limit, null);
    assert.equal((await box.run('print(1)')).stdout.toString(), '1\n');
  });
});

test('our own memory for a tenant, in two workers: who passes it is ended; another tenant is not; what has ended has none', async () => {
  const make = (megabytes: number): string => `import os\nfor i in range(${megabytes} * 1100): os.mknod(f"/tmp/{i}")\nprint("made")`;
  await withTenants({ tenantLimits: { kernelMemoryBytes: 10 * MB } }, async (fork) => {
    const [one, two, stranger] = [await fork(), await fork(), await fork('b')];
    assert.equal((await one.run(make(5))).limit, null);
    const result = await two.run(make(6));
    assert.deepEqual([result.limit, result.exitCode, result.stdout.length], ['kernel-memory', 137, 0]);
    assert.equal(result.reason?.split(';')[0].replace(/\.$/, ''),
      "kernel-memory limit: 10 MB of the host's memory for what is open, mapped, queued and named by all sandboxes of this tenant");
    assert.match(await two.ended ?? '', /this tenant/);
    assert.equal((await one.run('print(1)')).limit, null, 'it took nothing more');
    assert.equal((await stranger.run(make(6))).stdout.toString(), 'made\n');
    await Promise.all([one.close(), two.close()]);
    assert.equal((await (await fork()).run(make(6))).stdout.toString(), 'made\n');
  });
});

test('no run of a tenant takes longer than it may, whatever it asks for; its reason says so', async () => {
  const timeoutMs = 700 * SLOW;
  await withTenants({ tenantLimits: { timeoutMs }, sandboxes: 32 }, async (fork, engine) => {
    const code = 'print("begun", flush=True)\nimport time; time.sleep(1000)';
    const longest = `timed out after ${timeoutMs / 1000} s, the longest that a run of this tenant may take.`;
    const template = await engine.template('python');
    const [box, single] = [await fork(), await template.fork({ tenant: 'a' })];
    for (const result of [
      await engine.run('python', code, { tenant: 'a' }), await engine.run('python', code, { tenant: 'a', timeoutMs: 2 * timeoutMs }),
      await single.run(code), await box.run(code), await box.exec(['python3', '-c', code]), await (await box.start(['python3', '-c', code])).wait(),
    ]) assert.deepEqual([result.limit, result.reason, result.exitCode], ['timeout', longest, 124], result.stderr.toString());
    const own = await engine.run('python', code, { tenant: 'a', timeoutMs: timeoutMs / 2 });
    assert.deepEqual([own.limit, own.reason], ['timeout', `timed out after ${timeoutMs / 2000} s.`]);
    const [copy] = await box.fork(1);
    assert.equal((await copy.run(code)).reason, longest);
    await Promise.all([copy.close(), single.close()]);
  });
});

test('limits that cannot be are refused', async () => {
  for (const tenantLimits of [{ diskBytes: -1 }, { files: NaN }, { outputBytes: '1' as unknown as number }, { kernelMemoryBytes: -1 }, { timeoutMs: 0 }]) {
    await assert.rejects(Engine.open({ tenantLimits }), (error: Coded) => error.code === 'bad-argument');
  }
});
