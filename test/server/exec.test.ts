// POST /v1/exec and /v1/exec/batch: results, limits, files, streams, and what is refused.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { events, newService, until, type TestService } from './serverhelp.ts';

let service: TestService;
before(async () => {
  service = await newService({ timeout_seconds_max: 20, output_mb_max: 64, batch_max: 5 });
});

test('a result has exact output, the exit code and why it ended', async () => {
  const { status, json } = await service.post('/v1/exec', { code: 'import sys\nprint("out")\nprint("err", file=sys.stderr)\nsys.exit(3)' });
  assert.equal(status, 200);
  const { stdout, stderr, exit_code, ended, reason, limit, signal, timed_out } = json as Record<string, unknown>;
  assert.deepEqual({ stdout, stderr, exit_code, ended, reason, limit, signal, timed_out },
    { stdout: 'out\n', stderr: 'err\n', exit_code: 3, ended: 'exit', reason: null, limit: null, signal: null, timed_out: false });
});

for (const [ended, body, code] of [
  ['timeout', { code: 'print(1, flush=True)\nwhile True: pass', timeout_seconds: 0.5 }, 124],
  ['cpu', { code: 'print(1, flush=True)\nwhile True: pass', cpu_seconds: 0.2 }, 137],
  ['output', { code: 'print(1, flush=True)\nwhile True: print("x" * 10000)', output_mb: 0.5 }, 137],
  ['signal', { code: 'import os\nprint(1, flush=True)\nos.kill(os.getpid(), 11)' }, 139],
] as const) {
  test(`ended: ${ended}`, async () => {
    const { json } = await service.post('/v1/exec', body);
    assert.deepEqual([json['ended'], json['exit_code']], [ended, code]);
    assert.ok((json['stdout'] as string).startsWith('1\n'));
    assert.ok((json['reason'] as string).length > 5);
  });
}

test('languages, arguments, environment, standard input, working directory', async () => {
  const ok = async (body: object): Promise<string> => {
    const { status, text, json } = await service.post('/v1/exec', body);
    assert.equal(status, 200, text);
    return json['stdout'];
  };
  assert.equal(await ok({ code: 'import sys, os; print(sys.argv[1:], os.environ["A"], input(), os.getcwd())', args: ['x', 'y'], env: { A: 'ä' },
    stdin: 'line\n', cwd: '/tmp' }), "['x', 'y'] ä line /tmp\n");
  assert.equal(await ok({ code: 'echo "$1-$A"; cat', language: 'bash', args: ['q'], env: { A: '1' }, stdin: { base64: 'aGk=' } }), 'q-1\nhi');
  assert.equal(await ok({ argv: ['printf', '%s', 'a b'] }), 'a b');
});

test('bytes that are not UTF-8 come in base64 too', async () => {
  const { json } = await service.post('/v1/exec', { code: 'import sys; sys.stdout.buffer.write(bytes([255, 0, 65]))' });
  assert.equal(json['stdout_base64'], Buffer.from([255, 0, 65]).toString('base64'));
});

test('files in, files collected', async () => {
  const code = 'import pathlib; pathlib.Path("out").mkdir(); pathlib.Path("out/b").write_bytes(pathlib.Path("in/a").read_bytes() + bytes([0, 255]))\n'
    + 'pathlib.Path("out/t").write_text(pathlib.Path("/data.txt").read_text()); pathlib.Path("out/l").symlink_to("/etc/passwd")';
  const files = { 'in/a': { base64: Buffer.from('A').toString('base64') }, '/data.txt': 'text' };
  const { json, text } = await service.post('/v1/exec', { code, files, collect: ['out'] });
  assert.deepEqual(json['collected'], { '/home/user/out/b': { base64: Buffer.from([65, 0, 255]).toString('base64') }, '/home/user/out/t': 'text' }, text);
  assert.equal((json['not_collected'] as { path: string }[])[0].path, '/home/user/out/l');
});

test('paths do not leave the sandbox', async () => {
  const files = { '../../../../tmp/up': 'x' };
  const { json } = await service.post('/v1/exec', { code: 'print(open("/tmp/up").read())', files, collect: ['../../../etc/hostname', '/proc/self/environ'] });
  assert.equal(json['stdout'], 'x\n');
  assert.deepEqual(json['collected'], {});
});

for (const [what, body, status, code, part] of [
  ['neither code nor argv', {}, 422, 'invalid', 'either code or argv'],
  ['both', { code: '1', argv: ['a'] }, 422, 'invalid', 'either code or argv'],
  ['an unknown field', { code: '1', timeout: 3 }, 422, 'invalid', '"timeout" is not a field here'],
  ['an unknown language', { code: '1', language: 'perl' }, 422, 'invalid', 'python, bash'],
  ['a wrong type', { code: 1 }, 422, 'invalid', 'code must be string'],
  ['too long a timeout', { code: '1', timeout_seconds: 21 }, 422, 'invalid', '20 at most'],
  ['too much memory', { code: '1', memory_mb: 5000 }, 422, 'invalid', 'at most'],
  ['a NUL in a path', { code: '1', files: { 'a\0b': '' } }, 422, 'invalid', 'cannot be in files'],
  ['a NUL in an argument', { argv: ['a\0'] }, 422, 'invalid', 'characters'],
  ['bad base64', { code: '1', stdin: { base64: '!!' } }, 422, 'invalid', 'base64'],
  ['an unknown template', { code: '1', template: 'nope' }, 404, 'template-unknown', 'nope'],
  ['a template that is a path', { code: '1', template: '../x' }, 422, 'invalid', 'template'],
  ['javascript without its template', { code: '1', language: 'javascript' }, 404, 'template-unknown', 'node'],
  ['a list', [], 422, 'invalid', 'object'],
  ['too many files', { code: '1', files: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`f${i}`, ''])) }, 422, 'invalid', 'files'],
] as const) {
  test(`refused: ${what}`, async () => {
    const answer = await service.post('/v1/exec', body);
    assert.deepEqual([answer.status, answer.json['code']], [status, code], answer.text);
    assert.ok((answer.json['error'] as string).includes(part), answer.text);
    assert.match(answer.json['error'], /^[A-Z"a-z].*\.$/);
    assert.match(answer.json['hint'], /^[A-Z].*\.$/);
  });
}

test('a batch: results in their places, what cannot be run is an error in its place, more than allowed is refused', async () => {
  const code = (n: number): object => ({ code: `print(${n})` });
  const { status, json } = await service.post('/v1/exec/batch', { executions: [code(0), { code: '1', template: 'nope' }, code(2)], concurrency: 2 });
  assert.equal(status, 200);
  const results = json['results'] as Record<string, unknown>[];
  assert.deepEqual(results.map((each) => each['stdout'] ?? each['code']), ['0\n', 'template-unknown', '2\n']);
  assert.equal((await service.post('/v1/exec/batch', { executions: Array.from({ length: 6 }, (_, i) => code(i)) })).status, 413);
  assert.equal((await service.post('/v1/exec/batch', { executions: [] })).status, 422);
});

test('a batch as a stream: each result with its place', async () => {
  const executions = Array.from({ length: 4 }, (_, i) => ({ code: `print(${i})` }));
  const { text } = await service.post('/v1/exec/batch', { executions }, { accept: 'application/x-ndjson' });
  const got = events(text) as unknown as { type: string; index: number; result: { stdout: string } }[];
  assert.deepEqual(got.map(({ type, index, result }) => [type, index, result.stdout]).sort(), executions.map((_, i) => ['result', i, `${i}\n`]));
});

test('NDJSON and SSE carry the bytes in order, then the result', async () => {
  const code = 'import sys\nfor i in range(3): print("é", i, flush=True); print("e", i, file=sys.stderr, flush=True)\nsys.stdout.buffer.write(b"\\xff")';
  const nd = await service.post('/v1/exec', { code }, { accept: 'application/x-ndjson' });
  assert.match(nd.headers.get('content-type') ?? '', /x-ndjson/);
  const got = events(nd.text) as unknown as { type: string; text?: string; base64?: string; result?: { ended: string } }[];
  const bytes = (type: string): string => Buffer.concat(got.filter((each) => each.type === type)
    .map((each) => (each.text === undefined ? Buffer.from(each.base64 ?? '', 'base64') : Buffer.from(each.text)))).toString('latin1');
  assert.equal(bytes('stdout'), Buffer.concat([Buffer.from('é 0\né 1\né 2\n'), Buffer.from([255])]).toString('latin1'));
  assert.equal(bytes('stderr'), 'e 0\ne 1\ne 2\n');
  assert.equal(got.at(-1)?.result?.ended, 'exit');
  const sse = await service.post('/v1/exec', { code: 'print(1)' }, { accept: 'text/event-stream' });
  assert.match(sse.text, /^event: stdout\ndata: \{"type":"stdout","text":"1\\n"\}\n\nevent: result\ndata: \{.*\}\n\n$/);
});

test('a stream that cannot begin has a status of its own', async () => {
  const answer = await service.post('/v1/exec', { code: '1', template: 'nope' }, { accept: 'application/x-ndjson' });
  assert.deepEqual([answer.status, answer.json['code']], [404, 'template-unknown']);
});

test('a client that disconnects stops its program', async () => {
  const stop = new AbortController();
  const response = await fetch(`${service.url}/v1/exec`, {
    method: 'POST', signal: stop.signal, headers: { 'content-type': 'application/json', accept: 'application/x-ndjson' },
    body: JSON.stringify({ code: 'print(1, flush=True)\nwhile True: pass' }),
  });
  await response.body?.getReader().read();
  assert.ok(service.service.engine.stats().sandboxes > 0);
  stop.abort();
  await until('its sandbox is gone', () => service.service.engine.stats().sandboxes === 0);
  const unary = new AbortController();
  const waiting = fetch(`${service.url}/v1/exec`, {
    method: 'POST', signal: unary.signal, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ code: 'while True: pass' }),
  }).catch(() => null);
  await until('it runs', () => service.service.engine.stats().sandboxes > 0);
  unary.abort();
  await waiting;
  await until('its sandbox is gone', () => service.service.engine.stats().sandboxes === 0);
});

test('a slow reader holds its program back, and gets all of it', async () => {
  const count = 40;
  const response = await fetch(`${service.url}/v1/exec`, {
    method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/x-ndjson' },
    body: JSON.stringify({ code: `for i in range(${count * 16}): print("x" * 65535)` }),
  });
  await until('it runs', () => service.service.engine.stats().sandboxes > 0);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.equal(service.service.engine.stats().sandboxes, 1, 'it was not held back');
  const got = events(await response.text()) as unknown as { type: string; text: string; result?: { exit_code: number } }[];
  assert.equal(got.filter(({ type }) => type === 'stdout').reduce((sum, { text }) => sum + text.length, 0), count * 2 ** 20);
  assert.equal(got.at(-1)?.result?.exit_code, 0);
});
