// /v1/sandboxes: lifetimes, whose they are, code, programs, background programs with re-attach, files, archives.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { bearer, events, newKeys, newService, until, type Answer, type TestService } from './serverhelp.ts';

const { file, keys: [alice, bob] } = newKeys({ limits: { sandboxes: 12 } }, {});
let service: TestService;
let box: string;
before(async () => {
  service = await newService({ idle_seconds_max: 600, stall_seconds: 10 }, file);
  box = (await make({ metadata: { job: '1' } })).json['id'];
});

const make = (body: object = {}, key = alice): Promise<Answer> => service.post('/v1/sandboxes', body, bearer(key));
const call = (method: string, path: string, body?: unknown, key = alice, more: Record<string, string> = {}): Promise<Answer> =>
  service.request(method, `/v1/sandboxes/${path}`, {
    headers: { ...bearer(key), ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...more },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

test('made, found, listed in pages with filters; another key does not see it', async () => {
  const { status, json } = await make({ idle_seconds: 100, lifetime_seconds: 200, metadata: { job: '2' } });
  assert.equal(status, 201);
  assert.equal(Date.parse(json['expires_at']) - Date.parse(json['created_at']), 200_000);
  const { json: details } = await call('GET', json['id']);
  assert.ok(details['memory_bytes'] as number > 0);
  const list = async (query: string, key = alice): Promise<{ sandboxes: { id: string }[]; next_cursor: string | null }> =>
    (await service.get(`/v1/sandboxes?${query}`, bearer(key))).json as never;
  assert.deepEqual((await list('metadata=job%3D2')).sandboxes.map(({ id }) => id), [json['id']]);
  const first = await list('limit=1');
  assert.deepEqual([first.sandboxes.length, first.sandboxes[0].id], [1, box]);
  const second = await list(`limit=1&cursor=${first.next_cursor}`);
  assert.deepEqual([second.sandboxes[0].id, second.next_cursor], [json['id'], null]);
  assert.deepEqual((await list('', bob)).sandboxes, []);
  for (const [method, path, body] of [['GET', ''], ['DELETE', ''], ['POST', '/run', { code: '1' }], ['GET', '/files?path=%2F'], ['PATCH', '', {}]] as const) {
    const answer = await call(method, json['id'] + path, body, bob);
    assert.deepEqual([answer.status, answer.json['code']], [404, 'not-found'], `${method} ${path}`);
  }
  assert.equal((await call('GET', '../x')).status, 404);
  assert.equal((await call('DELETE', json['id'])).status, 204);
  const gone = await call('POST', `${json['id'] as string}/run`, { code: '1' });
  assert.deepEqual([gone.status, gone.json['code'], gone.json['error']], [404, 'sandbox-ended', 'This sandbox has ended: it was deleted.']);
});

test('a sandbox ends when idle or when its time is over, not while it is used, and says why', async () => {
  const idle = (await make()).json['id'] as string;
  const short = (await make({ lifetime_seconds: 2 })).json['id'] as string;
  const used = call('POST', `${idle}/run`, { code: 'import time; time.sleep(2.5); print("used")' });
  await call('PATCH', idle, { idle_seconds: 1 });
  assert.equal((await used).json['stdout'], 'used\n');
  await until('they are gone', async () => (await call('GET', idle)).status === 404 && (await call('GET', short)).status === 404);
  assert.match((await call('GET', idle)).json['error'], /not used for 1 seconds/);
  assert.match((await call('GET', short)).json['error'], /its 2 seconds were over/);
  const kept = (await make({ idle_seconds: 2 })).json['id'] as string;
  assert.equal((await call('PATCH', kept, { idle_seconds: 300 })).json['idle_seconds'], 300);
  await new Promise((resolve) => setTimeout(resolve, 2300));
  assert.equal((await call('GET', kept)).status, 200);
  assert.equal((await call('PATCH', kept, { idle_seconds: 601 })).status, 422);
  await call('DELETE', kept);
});

test('as many as the key may have, then 429', async () => {
  const made = await Promise.all(Array.from({ length: 14 }, () => make()));
  assert.equal(made.filter(({ status }) => status === 201).length, 11);
  const refused = made.find(({ status }) => status !== 201);
  assert.deepEqual([refused?.status, refused?.json['code']], [429, 'tenant-limit']);
  await Promise.all(made.filter(({ status }) => status === 201).map(({ json }) => call('DELETE', json['id'])));
});

test('code finds what the code before left; contexts are apart', async () => {
  assert.equal((await call('POST', `${box}/run`, { code: 'x = 41' })).json['ended'], 'exit');
  const { json } = await call('POST', `${box}/run`, { code: 'x += 1; print(x)' });
  assert.deepEqual([json['stdout'], json['context'], json['context_lost']], ['42\n', 'default', false]);
  const { json: { context } } = await call('POST', `${box}/contexts`, { env: { A: 'b' } });
  const other = await call('POST', `${box}/run`, { code: 'import os; print("x" in globals(), os.environ["A"])', context });
  assert.equal(other.json['stdout'], 'False b\n');
  assert.deepEqual((await call('GET', `${box}/contexts`)).json['contexts'], ['default', context]);
  assert.equal((await call('DELETE', `${box}/contexts/${context as string}`)).status, 204);
  assert.equal((await call('DELETE', `${box}/contexts/nope`)).status, 404);
  assert.equal((await call('POST', `${box}/run`, { code: '1/0' })).json['exit_code'], 1);
});

test('programs: foreground, streamed, timed out', async () => {
  assert.equal((await call('POST', `${box}/exec`, { argv: ['sh', '-c', 'cat; echo $A'], stdin: 'in ', env: { A: '1' } })).json['stdout'], 'in 1\n');
  const streamed = await call('POST', `${box}/run`, { code: 'print("a", flush=True)\nprint("b")' }, alice, { accept: 'application/x-ndjson' });
  const got = events(streamed.text) as unknown as { type: string; text: string; result?: { ended: string } }[];
  assert.deepEqual([got.filter(({ type }) => type === 'stdout').map(({ text }) => text).join(''), got.at(-1)?.result?.ended], ['a\nb\n', 'exit']);
  assert.equal((await call('POST', `${box}/exec`, { argv: ['sleep', '100'], timeout_seconds: 0.3 })).json['ended'], 'timeout');
  assert.equal((await call('POST', `${box}/exec`, { argv: [] })).status, 422);
});

test('background: it goes on without its client; output from any position, by any number; stdin, signals', async () => {
  const start = await call('POST', `${box}/processes`, { argv: ['sh', '-c', 'echo one; read x; echo got $x >&2; echo two; exec sleep 100'] });
  assert.equal(start.status, 201, start.text);
  const path = `${box}/processes/${String(start.json['pid'])}`;
  assert.match(await firstOf(`${path}/output`), /"text":"one\\n"/);
  assert.equal((await call('POST', `${path}/stdin`, { content: 'typed\n' })).status, 204);
  const listening = call('GET', `${path}/output?stdout=4`);
  await until('it has answered', async () => (await firstOf(`${path}/output?stdout=4`)).includes('two'));
  const { processes } = (await call('GET', `${box}/processes`)).json as unknown as { processes: { pid: number; exit_code: number | null }[] };
  assert.deepEqual(processes.map(({ pid, exit_code }) => [pid, exit_code]), [[start.json['pid'], null]]);
  assert.deepEqual((await call('POST', `${path}/signal`, { signal: 'SIGKILL' })).json, { delivered: true });
  const all = events((await listening).text) as unknown as { type: string; text: string; result?: { exit_code: number; signal: string } }[];
  const said = (stream: string): string => all.filter(({ type }) => type === stream).map(({ text }) => text).join('');
  assert.deepEqual([said('stdout'), said('stderr'), all.at(-1)?.result?.signal], ['two\n', 'got typed\n', 'SIGKILL']);
  assert.deepEqual((await call('POST', `${path}/signal`, {})).json, { delivered: false });
  assert.equal((await call('GET', `${box}/processes/99999/output`)).status, 404);
  assert.equal((await call('POST', `${path}/signal`, { signal: 'SIGNOPE' })).status, 422);
});

test('fork: copies with its variables and files, which go their own ways', async () => {
  await call('POST', `${box}/run`, { code: 'forked = [1]; open("of", "w").write("all")' });
  const { status, json, text } = await call('POST', `${box}/fork`, { count: 2 });
  assert.equal(status, 201, text);
  const ids = (json['sandboxes'] as { id: string }[]).map(({ id }) => id);
  assert.equal(new Set([box, ...ids]).size, 3);
  await call('POST', `${ids[0]}/run`, { code: 'forked.append(2); open("of", "w").write("one")' });
  const code = 'print(forked, open("of").read())';
  const said = await Promise.all([box, ...ids].map(async (id) => (await call('POST', `${id}/run`, { code })).json['stdout']));
  assert.deepEqual(said, ['[1] all\n', '[1, 2] one\n', '[1] all\n']);
  assert.equal((await call('POST', `${box}/fork`, { count: 20 })).json['code'], 'tenant-limit');
  for (const id of ids) assert.equal((await call('DELETE', id)).status, 204);
});

/** The first that comes of a stream; then its client leaves. */
async function firstOf(path: string): Promise<string> {
  const stop = new AbortController();
  const response = await fetch(`${service.url}/v1/sandboxes/${path}`, { headers: bearer(alice), signal: stop.signal });
  const first = Buffer.from((await response.body?.getReader().read())?.value ?? []).toString();
  stop.abort();
  return first;
}
