// offshoot/client against a real service: results, streams, cancellation, typed errors, retries; `offshoot run --server`; the example.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { before, test } from 'node:test';
import { ApiError, ConnectionError, Offshoot, bytesOf, stdoutBytes } from '../../src/client/index.ts';
import { ROOT, command, offshoot } from '../kvm/clihelp.ts';
import { makeWheel } from '../kvm/wheelhelp.ts';
import { newDirectory, newKeys, newService, until, type TestService } from './serverhelp.ts';

const { file, keys: [admin, plain, single] } = newKeys({ admin: true }, {}, { limits: { concurrency: 1 } });
let service: TestService;
let client: Offshoot;
before(async () => {
  service = await newService({ stall_seconds: 5 }, file);
  client = new Offshoot({ url: `${service.url}/`, key: plain });
});

test('run, batch, exact bytes', async () => {
  const result = await client.run('import sys; sys.stdout.buffer.write(bytes([0, 255])); sys.exit(4)');
  assert.deepEqual([result.exit_code, result.ended, [...stdoutBytes(result)]], [4, 'exit', [0, 255]]);
  const [a, b] = await client.batch([{ code: 'print(1)' }, { code: '1', template: 'nope' }]);
  assert.ok(!(a instanceof ApiError) && a.stdout === '1\n' && b instanceof ApiError && b.code === 'template-unknown');
});

test('a stream: bytes in order, then the result; leaving the loop ends the program', async () => {
  const pieces: Uint8Array[] = [];
  let exit = -1;
  for await (const event of client.stream({ code: 'import sys\nfor i in range(3): sys.stdout.buffer.write(bytes([i, 200 + i])); sys.stdout.flush()' })) {
    if (event.type === 'result') exit = event.result.exit_code;
    else pieces.push(bytesOf(event));
  }
  assert.deepEqual([[...Buffer.concat(pieces)], exit], [[0, 200, 1, 201, 2, 202], 0]);
  for await (const event of client.stream({ code: 'print(1, flush=True)\nwhile True: pass' })) if (event.type === 'stdout') break;
  await until('its sandbox is gone', () => service.service.engine.stats().sandboxes === 0);
});

test('a signal ends the run, with its own reason', async () => {
  const stop = new AbortController();
  const running = client.run('while True: pass', { signal: stop.signal });
  await until('it runs', () => service.service.engine.stats().sandboxes > 0);
  stop.abort(new Error('mine'));
  await assert.rejects(running, /^Error: mine$/);
  await until('its sandbox is gone', () => service.service.engine.stats().sandboxes === 0);
});

test('errors have types', async () => {
  await assert.rejects(client.run('1', { template: 'nope' }), (error: unknown) =>
    error instanceof ApiError && error.status === 404 && error.code === 'template-unknown' && /nope/.test(error.message) && error.hint !== '');
  await assert.rejects(new Offshoot({ url: service.url, key: 'x' }).run('1'), { name: 'ApiError', status: 401 });
  await assert.rejects(client.templates.build({ name: 'mine' }), { name: 'ApiError', status: 403 });
  await assert.rejects(new Offshoot({ url: 'http://127.0.0.1:1', key: '' }).run('1'), ConnectionError);
});

test('templates: list, inspect, build with its log, run, remove', async () => {
  const boss = new Offshoot({ url: service.url, key: admin });
  assert.ok((await boss.templates.list()).some(({ name }) => name === 'python'));
  const said: string[] = [];
  const built = await boss.templates.build({ name: 'service-test', setup: 'answer = 41', env: { A: 'b' } }, { onLog: ({ message }) => said.push(message) });
  assert.deepEqual([built.name, built.problem, built.env['A']], ['service-test', null, 'b']);
  assert.ok(said.length > 0);
  assert.equal((await client.run('import os; print(os.environ["A"])', { template: 'service-test' })).stdout, 'b\n');
  await assert.rejects(boss.templates.build({ name: 'service-test', setup: '1/0' }), (error: unknown) =>
    error instanceof ApiError && error.code === 'template-setup' && /ZeroDivisionError/.test(error.message));
  assert.equal((await client.run('print(1)', { template: 'service-test' })).stdout, '1\n');
  await boss.templates.remove('service-test');
  await assert.rejects(client.run('1', { template: 'service-test' }), { code: 'template-unknown' });
  await assert.rejects(boss.templates.remove('service-test'), { code: 'template-unknown' });
});

test('a template with requirements by the API: wheels through the host\'s pip, kept for later builds; where that cannot be, one sentence', async () => {
  const boss = new Offshoot({ url: service.url, key: admin });
  const dir = newDirectory();
  makeWheel(dir, 'offwheel', '1.0', { 'offwheel.py': 'answer = 42\n' });
  const build = (requirements: string): Promise<unknown> => boss.templates.build({ name: 'service-wheel', requirements, preload: ['offwheel'] });
  const problem = await build(`--no-index\n--find-links ${dir}\noffwheel==1.0\n`).then(() => null, (error: unknown) => error);
  if (problem !== null) { // this host has no pip
    assert.ok(problem instanceof ApiError && problem.code === 'image-failed' && /pip/.test(problem.message), String(problem));
    return;
  }
  assert.equal((await client.run('import offwheel; print(offwheel.answer)', { template: 'service-wheel' })).stdout, '42\n');
  await assert.rejects(build(`--no-index\n--find-links ${dir}\nnosuchwheel==1.0\n`), (error: unknown) =>
    error instanceof ApiError && error.code === 'image-failed' && /for the requirements: .*nosuchwheel/.test(error.message));
  assert.equal((await client.run('import offwheel; print(offwheel.answer)', { template: 'service-wheel' })).stdout, '42\n');
  await boss.templates.remove('service-wheel');
});

test('429 is tried again after Retry-After, and given up', async () => {
  const one = new Offshoot({ url: service.url, key: single, retries: 20 }); // a worker starts first, on a slow machine for seconds
  const [a, b] = await Promise.all([one.run('import time; time.sleep(1); print("a")'), one.run('print("b")')]);
  assert.deepEqual([a.stdout, b.stdout], ['a\n', 'b\n']);
  const impatient = new Offshoot({ url: service.url, key: single, retries: 0 });
  const both = await Promise.allSettled([impatient.run('import time; time.sleep(1)'), impatient.run('1')]);
  const refused = both.find((each) => each.status === 'rejected');
  assert.ok(refused?.reason instanceof ApiError && refused.reason.code === 'concurrency-limit');
});

test('503 without Retry-After and other errors are not tried again', async () => {
  let asked = 0;
  const server = createServer((_request, response) => {
    asked++;
    response.writeHead(asked === 1 ? 503 : 500, { 'content-type': 'application/json' }).end('{"code":"worker-lost","error":"Gone.","hint":"."}');
  }).listen(0);
  const there = new Offshoot({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  await assert.rejects(there.run('1'), { status: 503 });
  await assert.rejects(there.run('1'), { status: 500 });
  assert.equal(asked, 2);
  server.close();
});

test('offshoot run --server: output, exit code, files, errors', async () => {
  const dir = newDirectory();
  const env = { OFFSHOOT_KEY: plain };
  const given = join(dir, 'in.txt');
  writeFileSync(given, 'given');
  const code = 'import sys\nprint(open("in.txt").read(), sys.argv[1:], input())\nopen("out.bin", "wb").write(bytes([255]))\nsys.exit(3)';
  const args = ['run', '--server', service.url, '--in', given, '--out', `out.bin:${dir}/`, '-c', code, 'x'];
  const result = await offshoot(args, { env, stdin: 'typed\n' });
  assert.deepEqual([result.stdout.toString(), result.stderr, result.code], ["given ['x'] typed\n", '', 3]);
  assert.deepEqual([...readFileSync(join(dir, 'out.bin'))], [255]);
  const json = await offshoot(['run', '--server', service.url, '--json', '--timeout', '0.5', '-c', 'while True: pass'], { env });
  assert.deepEqual([(JSON.parse(json.stdout.toString()) as { ended: string }).ended, json.code], ['timeout', 124]);
  const refused = await offshoot(['exec', '--server', service.url, '--', 'true'], { env: { OFFSHOOT_KEY: 'x' } });
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /^offshoot: This key is not valid\. .* \[unauthorized\]\n$/);
  assert.match((await offshoot(['exec', '--server', 'http://127.0.0.1:1', '--', 'true'])).stderr, /^offshoot: The service cannot be reached: .*\n$/);
});

test('examples/service.ts', async () => {
  const path = join(newDirectory(), 'service.ts');
  writeFileSync(path, readFileSync(resolve(ROOT, 'examples/service.ts'), 'utf8').replace("'offshoot/client'", `'${resolve(ROOT, 'src/client/index.ts')}'`));
  const { stdout, stderr, code } = await command(process.execPath, ['--no-warnings', path], { env: { OFFSHOOT_URL: service.url, OFFSHOOT_KEY: plain } });
  assert.deepEqual([stdout.toString(), stderr, code], ['5050 exit\n0\n1\n2\n1 4 9\n404 template-unknown\n', '', 0]);
});
