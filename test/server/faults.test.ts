// What goes wrong between a client and the service: each has its status, and nothing is left behind.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { before, test } from 'node:test';
import { allGone, descendants } from '../kvm/prochelp.ts';
import { events, newService, raw, until, type TestService } from './serverhelp.ts';

let service: TestService;
before(async () => {
  service = await newService({ body_mb_max: 1, stall_seconds: 1, output_mb_max: 64, workers: 2 });
});

const head = (length: number | string, more = ''): string =>
  `POST /v1/exec HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${more}Content-Length: ${length}\r\n\r\n`;
const chunked = 'POST /v1/exec HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n';
const bodyOf = (answer: string): { code: string; error: string; hint: string } => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as never;

for (const [what, pieces, status, code] of [
  ['invalid JSON', [head(3), '{"a'], '400', 'bad-request'],
  ['no body', [head(0)], '400', 'bad-request'],
  ['invalid UTF-8', [head(12), Buffer.concat([Buffer.from('{"code":"'), Buffer.from([0xff]), Buffer.from('"}')])], '400', 'bad-request'],
  ['__proto__', [head(32), '{"code":"1","__proto__":{"a":1}} '.slice(0, 32)], '400', 'bad-request'],
  ['__proto__ in escapes', [`${head(37)}{"code":"1","\\u005f_proto__":{"a":1}}`], '400', 'bad-request'],
  ['constructor.prototype', [`${head(48)}{"code":"1","constructor":{"prototype":{"a":1}}}`], '400', 'bad-request'],
  ['a body beyond the limit', [head(2_000_000)], '413', 'too-large'],
  ['chunks beyond the limit', [chunked, ...Array.from({ length: 17 }, () => `10000\r\n${'x'.repeat(0x10000)}\r\n`)], '413', 'too-large'],
  ['another type', [head(3).replace('application/json', 'text/plain'), 'abc'], '415', 'unsupported-media-type'],
  ['no such address', ['GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n'], '404', 'not-found'],
  ['a bad address', ['GET /v1/templates/%ff HTTP/1.1\r\nHost: localhost\r\n\r\n'], '400', 'bad-request'],
  ['a path upwards', ['GET /v1/templates/..%2f..%2fetc HTTP/1.1\r\nHost: localhost\r\n\r\n'], '422', 'invalid'],
  ['no HTTP', ['hello\r\n\r\n'], '400', 'bad-request'],
  ['headers beyond the limit', [`GET /v1/health HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`], '413', 'too-large'],
  ['a body that stops half way', [head(100), '{"code":'], '408', 'request-timeout'],
] as const) {
  test(`${what}: ${status} ${code}`, async () => {
    const answer = await raw(service.url, pieces, 2500);
    assert.equal(answer.slice(9, 12), status, answer);
    const body = bodyOf(answer);
    assert.deepEqual([Object.keys(body), body.code], [['code', 'error', 'hint'], code]);
  });
}

const last = head(19, 'Connection: close\r\n');
for (const [how, pieces] of [
  ['with its headers', [`${last}{"code":"print(7)"}`]],
  ['behind its headers', [last, '{"code":', '"print(7)"}']],
  ['with half of it', [`${last}{"code":`, '"print(7)"}']],
  ['in chunks', [chunked, '8\r\n{"code":\r\n', 'b\r\n"print(7)"}\r\n', '0\r\n\r\n']],
  ['in chunks, at once', [`${chunked}8\r\n{"code":\r\nb\r\n"print(7)"}\r\n0\r\n\r\n`]],
  ['with the next request', [`${head(19)}{"code":"print(7)"}${last}{"code":"print(7)"}`]],
] as const) {
  test(`a body that comes ${how}`, async () => {
    const answers = (await raw(service.url, pieces, 60_000)).split('HTTP/1.1 ').slice(1);
    assert.equal(answers.length, how === 'with the next request' ? 2 : 1);
    for (const answer of answers) assert.deepEqual([answer.slice(0, 3), (bodyOf(answer) as never as { stdout: string }).stdout], ['200', '7\n']);
  });
}

test('a client that leaves in the middle of its body leaves nothing', async () => {
  assert.equal(await raw(service.url, [head(100), '{"code"'], 200), '');
  assert.equal((await service.post('/v1/exec', { code: 'print(1)' })).json['stdout'], '1\n');
});

test('headers that come too slowly end the connection', async () => {
  const answer = await raw(service.url, ['GET /v1/health HTTP/1.1\r\nHost: loc'], 60_000);
  assert.equal(answer.slice(9, 12), '408');
});

/** And waits until they are missed: a run that is given to a dead one is lost too. */
async function killWorkers(): Promise<void> {
  const pids = descendants(process.pid);
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await allGone(pids);
  const workers = service.service.engine['workers'];
  await until('they are missed', () => workers['places'].length === 0 && (workers['spare']?.isGone ?? true));
}

test('a worker that is killed: 503 for what ran in it, and the next run is fine', async () => {
  const running = service.post('/v1/exec', { code: 'print(1, flush=True)\nwhile True: pass' });
  await until('it runs', () => service.service.engine.stats().sandboxes > 0);
  await killWorkers();
  const answer = await running;
  assert.deepEqual([answer.status, answer.json['code'], answer.headers.get('retry-after')], [503, 'worker-lost', null]);
  assert.equal((await service.post('/v1/exec', { code: 'print(2)' })).json['stdout'], '2\n');
});

test('a worker that is killed in the middle of a stream: the stream ends with an error event', async () => {
  const response = await fetch(`${service.url}/v1/exec`, {
    method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/x-ndjson' },
    body: JSON.stringify({ code: 'print(1, flush=True)\nwhile True: pass' }),
  });
  const reader = response.body?.getReader();
  await reader?.read();
  await killWorkers();
  let rest = '';
  for (let piece = await reader?.read(); piece && !piece.done; piece = await reader?.read()) rest += Buffer.from(piece.value).toString();
  assert.equal((JSON.parse(rest.trim()) as { error: { code: string } }).error.code, 'worker-lost');
});

test('a program beyond its memory is ended, its sandbox goes on; one whose worker is lost is in no list, and says why', async () => {
  const ids = async (): Promise<string[]> => ((await service.get('/v1/sandboxes')).json['sandboxes'] as { id: string }[]).map(({ id }) => id);
  const id: string = (await service.post('/v1/sandboxes', { memory_mb: 256 })).json['id'];
  const run = async (code: string): Promise<Record<string, never>> => (await service.post(`/v1/sandboxes/${id}/run`, { code })).json;
  const full = await run('data = bytearray(b"x") * (400 << 20)');
  assert.ok(full['ended'] === 'memory' || /MemoryError/.test(full['stderr']), JSON.stringify(full));
  assert.equal((await run('print(1)'))['stdout'], '1\n');
  assert.deepEqual(await ids(), [id]);
  await killWorkers();
  await until('it is in no list', async () => (await ids()).length === 0);
  const { status, json } = await service.get(`/v1/sandboxes/${id}`);
  assert.deepEqual([status, json['code']], [404, 'sandbox-ended']);
  assert.match(json['error'], /^This sandbox has ended: its worker process ended/);
});

test('forged ids: nothing is found, whatever they look like', async () => {
  const odd = ['__proto__', 'constructor', '..', '.', '%00', '..%2f..%2fetc%2fpasswd', '%c3%28', '0', '-1', '%0d%0a'];
  const ids = [...odd, randomUUID(), 'x'.repeat(101), 'x'.repeat(5000)];
  for (const id of ids) {
    const what = [['GET', ''], ['POST', '/run'], ['POST', '/fork'], ['GET', '/files?path=%2F'], ['GET', '/processes/1/output'], ['DELETE', '']];
    for (const [method, rest] of what) {
      const more = method === 'POST' ? `Content-Type: application/json\r\nContent-Length: 13\r\n\r\n{"code": "1"}` : '\r\n';
      const answer = await raw(service.url, [`${method} /v1/sandboxes/${id}${rest} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${more}`], 2500);
      assert.match(answer.slice(9, 12), /^(400|404|413|414|422)$/, `${method} ${id}${rest}: ${answer}`);
      assert.deepEqual(Object.keys(bodyOf(answer)), ['code', 'error', 'hint']);
    }
  }
});

test('100 MB of output: it is ended at its limit, with what came before', async () => {
  const { json } = await service.post('/v1/exec', { code: 'import sys\nfor i in range(100): sys.stdout.write("x" * (1 << 20))' });
  assert.deepEqual([json['ended'], (json['stdout'] as string).length <= 64 << 20, (json['stdout'] as string).length > 32 << 20], ['output', true, true]);
});

test('a program that says nothing for long keeps its stream', async () => {
  const { text } = await service.post('/v1/exec', { code: 'import time\nprint(1, flush=True)\ntime.sleep(3)\nprint(2)' }, { accept: 'application/x-ndjson' });
  assert.deepEqual(events(text).map((event) => event['text'] ?? event['type']), ['1\n', '2\n', 'result']);
});

test('a reader that takes nothing is disconnected, and its program stopped', async () => {
  const body = JSON.stringify({ code: 'for i in range(50): print("x" * (1 << 20))', timeout_seconds: 100 });
  const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
  socket.on('error', () => { /* it is reset */ });
  socket.write(head(Buffer.byteLength(body), 'Accept: application/x-ndjson\r\n') + body);
  socket.pause();
  await until('it runs', () => service.service.engine.stats().sandboxes > 0);
  await until('it is stopped', () => service.service.engine.stats().sandboxes === 0);
  socket.destroy();
});

test('after all that nothing lives and nothing is counted as running', async () => {
  await until('no sandbox', () => service.service.engine.stats().sandboxes === 0);
  const text = (await service.get('/v1/metrics')).text;
  assert.match(text, /^offshoot_live_sandboxes 0$/m);
  assert.match(text, /^offshoot_errors_total\{code="worker-lost"\} 2$/m);
});
