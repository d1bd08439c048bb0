// Who may use the service: keys, roles, rates, concurrency, quotas; Host and Origin on loopback; nothing of the host in answers.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { Allowance } from '../../src/server/allowance.ts';
import { Callers } from '../../src/server/callers.ts';
import { readKeys, writeKeys } from '../../src/server/keyfile.ts';
import { SettingsError, settingsOf } from '../../src/server/settings.ts';
import { bearer, newDirectory, newKeys, newService, raw, until, type TestService } from './serverhelp.ts';

const past = new Date(Date.now() - 1000).toISOString();
const { file, keys, entries } = newKeys({ admin: true }, {}, { expires_at: past }, { limits: { requests_per_minute: 3 } }, { limits: { concurrency: 1 } },
  { limits: { runs_per_day: 2 } }, { limits: { cpu_seconds_per_day: 1 } }, {});
const [admin, plain, expired, slow, single, few, little, doomed] = keys;
let service: TestService;
before(async () => {
  service = await newService({}, file);
});

const run = (key: string, code = 'print(1)', path = '/v1/exec'): ReturnType<TestService['post']> => service.post(path, { code }, bearer(key));

test('no key, a wrong one, a forged one, an expired one: 401 in one shape', async () => {
  const forged = `${plain.slice(0, 20)}${'A'.repeat(43)}`;
  for (const headers of [{}, bearer('x'), bearer(forged), bearer(expired), bearer(`${plain}x`), { authorization: `Basic ${plain}` }, bearer('')]) {
    const answer = await service.post('/v1/exec', { code: '1' }, headers as Record<string, string>);
    assert.deepEqual([answer.status, answer.json['code'], Object.keys(answer.json)], [401, 'unauthorized', ['code', 'error', 'hint']]);
    assert.equal(answer.headers.get('www-authenticate'), 'Bearer');
  }
  assert.equal((await run(plain)).status, 200);
  assert.equal((await service.get('/v1/health')).status, 200);
});

test('the log and the key file hold no key, and the log no code', async () => {
  await run(plain, 'secret_code = 1');
  await until('it is logged', () => service.log.some((line) => line['path'] === '/v1/exec'));
  const said = JSON.stringify(service.log);
  for (const key of keys) assert.ok(!said.includes(key.slice(17)) && !JSON.stringify(readKeys(file)).includes(key.slice(17)));
  assert.ok(!said.includes('secret_code'));
});

test('a tenant may not build, remove or read metrics: 403; an admin may', async () => {
  assert.equal((await service.get('/v1/metrics', bearer(plain))).status, 403);
  assert.match((await service.get('/v1/metrics', bearer(admin))).text, /^offshoot_runs_total\{ended="exit",vm="\w+"\} \d+$/m);
  assert.equal((await service.post('/v1/templates', { name: 'mine' }, bearer(plain))).status, 403);
  assert.equal((await service.request('DELETE', '/v1/templates/python', { headers: bearer(plain) })).status, 403);
  assert.equal((await service.get('/v1/templates', bearer(plain))).status, 200);
});

test('requests a minute: 429 with Retry-After; what a batch has counts', async () => {
  const batch = await service.post('/v1/exec/batch', { executions: [{ code: '1' }, { code: '1' }] }, bearer(slow));
  assert.equal(batch.status, 200, batch.text);
  assert.equal((await run(slow)).status, 200);
  const answer = await run(slow);
  assert.deepEqual([answer.status, answer.json['code']], [429, 'rate-limit']);
  const seconds = Number(answer.headers.get('retry-after'));
  assert.ok(seconds >= 1 && seconds <= 20, `${seconds}`);
});

test('runs at a time: 429; the place is free again afterwards', async () => {
  const first = run(single, 'import time; time.sleep(1.5); print("slept")');
  await until('it runs', () => service.service.engine.stats().sandboxes > 0);
  const second = await run(single);
  assert.deepEqual([second.status, second.json['code'], second.headers.get('retry-after')], [429, 'concurrency-limit', '1']);
  assert.equal((await first).json['stdout'], 'slept\n');
  assert.equal((await run(single)).status, 200);
});

test('runs and processor time a day: 429 until the day ends', async () => {
  assert.deepEqual([(await run(few)).status, (await run(few)).status], [200, 200]);
  const answer = await run(few);
  assert.deepEqual([answer.status, answer.json['code']], [429, 'quota']);
  assert.ok(Number(answer.headers.get('retry-after')) <= 86_400);
  assert.equal((await run(little, 'import time\nend = time.process_time() + 1.2\nwhile time.process_time() < end: pass')).status, 200);
  assert.equal((await run(little)).json['code'], 'quota');
});

test('a quota is not new after a restart', async () => {
  await service.stop(5);
  service = await newService({}, file);
  assert.equal((await run(few)).json['code'], 'quota');
});

test('two services of one home count together', async () => {
  const home = newDirectory();
  const callers = (): Promise<Callers> => Callers.open({
    settings: settingsOf({}, {}, {}), keyFile: file, usageDirectory: join(home, 'quota'), warn: (problem) => assert.fail(problem),
  });
  const [one, two] = [await callers(), await callers()];
  const allowance = (of: Callers): Allowance => of.identify(`Bearer ${few}`).allowance;
  allowance(one).startRun();
  allowance(two).startRun();
  await one.close(); // writes, and reads what the other has written
  await two.close();
  assert.throws(() => allowance(two).startRun(), { code: 'quota' });
  const later = await callers();
  assert.throws(() => allowance(later).startRun(), { code: 'quota' });
  await later.close();
});

test('X-Forwarded-For is believed with trust_proxy only, and only for the log', async () => {
  for (const [trust, from] of [[false, '127.0.0.1'], [true, '203.0.113.7']] as const) {
    const proxied = await newService({ trust_proxy: trust });
    const forwarded = { 'x-forwarded-for': '203.0.113.7', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' };
    assert.equal((await proxied.get('/v1/health', forwarded)).status, 200);
    await until('it is logged', () => proxied.log.some((line) => line['path'] === '/v1/health'));
    assert.equal(proxied.log.find((line) => line['path'] === '/v1/health')?.['from'], from);
    const host = await raw(proxied.url, ['GET /v1/health HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: localhost\r\nConnection: close\r\n\r\n']);
    assert.equal(host.slice(9, 12), '403');
  }
});

test('a key that is revoked while the service runs is refused; a damaged key file changes nothing', async () => {
  assert.equal((await run(doomed)).status, 200);
  writeKeys(file, entries.map((entry, i) => (i === 7 ? { ...entry, revoked_at: past } : entry)));
  await until('it is refused', async () => (await run(doomed)).status === 401);
  writeKeys(file, [{ ...entries[0], hash: 'short' }]);
  await until('it is logged', () => service.log.some((line) => String(line['msg']).includes('damaged')));
  assert.equal((await run(plain)).status, 200);
  assert.equal((await run(doomed)).status, 401);
});

test('without keys it listens on loopback only, and says so', async () => {
  await assert.rejects(newService({ host: '0.0.0.0' }), (error: unknown) => error instanceof SettingsError && /keys create/.test(error.message));
  const open = await newService();
  assert.ok(open.log.some((line) => /no key file/.test(String(line['msg']))));
  assert.equal((await open.post('/v1/exec', { code: 'print(1)' })).status, 200);
});

test('on loopback, other Hosts and Origins are refused, also for open addresses', async () => {
  const open = await newService({ allowed_hosts: ['box.example'], allowed_origins: ['https://ok.example'] });
  const { port } = new URL(open.url);
  const status = async (host: string, more = ''): Promise<string> =>
    (await raw(open.url, [`GET /v1/health HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`])).slice(9, 12);
  assert.deepEqual(await Promise.all(['evil.example', `evil.example:${port}`, 'localhost.evil.example', '127.0.0.1.evil.example'].map((host) => status(host))),
    ['403', '403', '403', '403']);
  const own = [`localhost:${port}`, `127.0.0.1:${port}`, '[::1]', 'box.example'];
  assert.deepEqual(await Promise.all(own.map((host) => status(host))), ['200', '200', '200', '200']);
  const local = `localhost:${port}`;
  assert.equal(await status(local, 'Origin: http://evil.example\r\n'), '403');
  assert.equal(await status(local, 'Origin: null\r\n'), '403');
  assert.equal(await status(local, 'Origin: http://localhost:1\r\n'), '403');
  assert.equal(await status(local, `Origin: http://${local}\r\n`), '200');
  const allowed = await raw(open.url, [`GET /v1/health HTTP/1.1\r\nHost: ${local}\r\nOrigin: https://ok.example\r\nConnection: close\r\n\r\n`]);
  assert.match(allowed, /access-control-allow-origin: https:\/\/ok\.example/i);
});

test('no answer names a path or an address of the host', async () => {
  const said: string[] = [];
  for (const body of [{ code: '1', template: 'nope' }, { code: '1', files: { '/': 'x' } }, { code: '1', cwd: '/nope' }, { argv: ['nope'] }]) {
    said.push((await run(plain)).text, (await service.post('/v1/exec', body, bearer(plain))).text);
  }
  said.push((await service.get('/v1/templates/python', bearer(plain))).text, (await service.get('/v1/templates', bearer(plain))).text);
  for (const secret of [service.service.engine.home, process.cwd(), newDirectory(), '/tmp/offshoot']) assert.ok(!said.join().includes(secret), secret);
});
