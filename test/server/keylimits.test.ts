// What all live sandboxes of one key may have together: each setting of it arrives where it counts, and a run says which one it met.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { bearer, newKeys, newService, type Answer, type TestService } from './serverhelp.ts';

const { file, keys } = newKeys({}, {}, {}, {}, {}, {}, {}, {});
let service: TestService;
before(async () => {
  service = await newService({
    cpus: 0.2, memory_mb_per_key: 1100, disk_mb_per_key: 4, inodes_per_key: 60, processes_per_key: 12, files_per_key: 100, output_mb_per_key: 1,
    kernel_memory_mb_per_key: 3,
    sandboxes: 2, concurrency: 3, requests_per_minute: 40, runs_per_day: 5, cpu_seconds_per_day: 1,
  }, file);
});

const run = (key: string, code: string, more: object = {}): Promise<Answer> => service.post('/v1/exec', { code, ...more }, bearer(key));

/** Takes steps until one fails; prints how many there were and the errno. */
const untilRefused = (step: string): string => `import os, errno, time
kept, n = [], 0
try:
  while n < 500: ${step}; n += 1
except OSError as error: print(n, errno.errorcode[error.errno], flush=True)
os._exit(0)`;

for (const [setting, limit, step, atMost, error] of [
  ['disk_mb_per_key', 'diskBytes', 'open(f"/tmp/{n % 5}", "ab").write(bytes(65536))', 64, 'ENOSPC'],
  ['inodes_per_key', 'inodes', 'os.mkdir(f"/tmp/{n}")', 60, 'ENOSPC'],
  ['processes_per_key', 'processes', 'os.fork() or time.sleep(1000)', 12, 'EAGAIN'],
  ['files_per_key', 'files', 'kept.append(os.open("/dev/null", 0))', 100, 'ENFILE'],
] as const) {
  test(setting, async () => {
    const { json, text } = await run(keys[0], untilRefused(step));
    const [steps, errno] = (json['stdout'] as string).trim().split(' ');
    assert.deepEqual([errno, json['limits_met'], json['ended']], [error, [`tenant.${limit}`], 'exit'], text);
    assert.ok(Number(steps) > atMost / 4 && Number(steps) <= atMost, text);
  });
}

test('output_mb_per_key', async () => {
  const { json } = await run(keys[1], 'import sys\nsys.stdout.write("x" * (2 << 20))');
  assert.deepEqual([json['ended'], (json['stdout'] as string).length], ['output', 1 << 20]);
  assert.match(json['reason'], /this tenant/);
});

test('kernel_memory_mb_per_key, and what one request may ask for', async () => {
  const code = 'import mmap\nkept = []\nwhile True:\n  kept.append(mmap.mmap(-1, 4096))\n  kept[-1][0] = 1';
  const { json } = await run(keys[7], code);
  assert.equal(json['ended'], 'kernel-memory', JSON.stringify(json));
  assert.match(json['reason'], /^kernel-memory limit: 3 MB .* this tenant\.$/);
  const own = await run(keys[7], code, { kernel_memory_mb: 2 });
  assert.match(own.json['reason'], /^kernel-memory limit: 2 MB .* in it\.$/);
  assert.equal((await run(keys[7], '1', { kernel_memory_mb: 0.5 })).status, 422);
});

test('timeout_seconds_per_key: also of a program in the background, which has no limit else', async () => {
  const short = await newService({ timeout_seconds_per_key: 1 }, file);
  const { json: { id } } = await short.post('/v1/sandboxes', { memory_mb: 200 }, bearer(keys[7]));
  const { json: { pid } } = await short.post(`/v1/sandboxes/${id}/processes`, { argv: ['sleep', '1000'] }, bearer(keys[7]));
  const { json } = await short.post(`/v1/sandboxes/${id}/run`, { code: 'import time; time.sleep(1000)' }, bearer(keys[7]));
  assert.deepEqual([json['ended'], json['reason']], ['timeout', 'timed out after 1 s, the longest that a run of this tenant may take.']);
  let last: Answer | null = null;
  for (let i = 0; i < 100 && last?.json['processes'][0]['exit_code'] !== 124; i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    last = await short.get(`/v1/sandboxes/${id}/processes`, bearer(keys[7]));
  }
  assert.deepEqual([last?.json['processes'][0]['pid'], last?.json['processes'][0]['exit_code']], [pid, 124], last?.text);
});

test('cpus', async () => {
  const { json } = await run(keys[1], 'while True: pass', { timeout_seconds: 3 });
  assert.equal(json['ended'], 'timeout');
  assert.ok(json['cpu_time_ms'] as number < 1500, `${json['cpu_time_ms']} ms of 3000`);
});

test('memory_mb_per_key: a sandbox more is refused, a run waits', async () => {
  const make = (memory: number): Promise<Answer> => service.post('/v1/sandboxes', { memory_mb: memory }, bearer(keys[2]));
  const first = await make(600);
  assert.equal(first.status, 201, first.text);
  const second = await make(600);
  assert.deepEqual([second.status, second.json['code']], [429, 'tenant-limit'], second.text);
  let isOver = false;
  const waiting = run(keys[2], 'print(1)', { memory_mb: 600 }).finally(() => (isOver = true));
  const other = await run(keys[3], 'print(2)', { memory_mb: 600 });
  assert.deepEqual([other.json['stdout'], isOver], ['2\n', false]);
  await service.request('DELETE', `/v1/sandboxes/${first.json['id']}`, { headers: bearer(keys[2]) });
  assert.equal((await waiting).json['stdout'], '1\n');
});

test('sandboxes', async () => {
  const answers = [];
  for (let i = 0; i < 3; i++) answers.push(await service.post('/v1/sandboxes', { memory_mb: 200 }, bearer(keys[3])));
  assert.deepEqual(answers.map(({ status }) => status), [201, 201, 429], answers[2].text);
});

test('concurrency, runs_per_day', async () => {
  const answers = await Promise.all([1, 2, 3, 4].map(() => run(keys[4], 'import time; time.sleep(1)')));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 200, 429]);
  assert.equal(answers.find(({ status }) => status === 429)?.json['code'], 'concurrency-limit');
  for (let i = 3; i < 5; i++) assert.equal((await run(keys[4], '1')).status, 200);
  assert.equal((await run(keys[4], '1')).json['code'], 'quota');
});

test('cpu_seconds_per_day', async () => {
  const burn = 'import time\nend = time.process_time() + 1.1\nwhile time.process_time() < end: pass';
  assert.equal((await run(keys[5], burn, { timeout_seconds: 200 })).status, 200);
  assert.equal((await run(keys[5], '1')).json['code'], 'quota');
});

test('requests_per_minute', async () => {
  const statuses = await Promise.all(Array.from({ length: 41 }, async () => (await service.get('/v1/templates', bearer(keys[6]))).status));
  assert.equal(statuses.filter((status) => status === 429).length, 1);
});
