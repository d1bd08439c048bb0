// Sandbox of offshoot/client against a real service: runs, streams, background programs, files of any size, archives, the example.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { before, test } from 'node:test';
import { ApiError, Sandbox, bytesOf } from '../../src/client/index.ts';
import { ROOT, command } from '../kvm/clihelp.ts';
import { newDirectory, newService, until, type TestService } from './serverhelp.ts';

let service: TestService;
let sandbox: Sandbox;
before(async () => {
  service = await newService();
  sandbox = await Sandbox.create({ url: service.url, metadata: { of: 'test' } });
});

test('state stays; it is found again, listed, extended, closed', async () => {
  await sandbox.run('x = 1');
  const again = await Sandbox.connect(sandbox.id, { url: service.url });
  assert.equal((await again.run('print(x + 1)')).stdout, '2\n');
  const found = [];
  for await (const info of Sandbox.list({ url: service.url, metadata: 'of=test', limit: 1 })) found.push(info.id);
  assert.deepEqual(found, [sandbox.id]);
  assert.equal((await sandbox.extend({ idle_seconds: 77 })).idle_seconds, 77);
  assert.ok((await sandbox.details()).memory_bytes > 0);
  let id = '';
  {
    await using other = await Sandbox.create({ url: service.url });
    id = other.id;
  }
  await assert.rejects(Sandbox.connect(id, { url: service.url }), { code: 'sandbox-ended' });
});

test('streams: of code, of a program; leaving the loop interrupts, and variables stay', async () => {
  const said: string[] = [];
  for await (const event of sandbox.stream({ argv: ['sh', '-c', 'echo a; echo b >&2'] })) {
    if (event.type !== 'result') said.push(event.type + Buffer.from(bytesOf(event)).toString());
  }
  assert.deepEqual(said.sort(), ['stderrb\n', 'stdouta\n']);
  await sandbox.run('kept = 5');
  for await (const event of sandbox.stream({ code: 'print(1, flush=True)\nwhile True: pass' })) if (event.type === 'stdout') break;
  assert.equal((await sandbox.run('print(kept)')).stdout, '5\n');
});

test('background programs: output from where one left, input, signals, end', async () => {
  const process = await sandbox.start(['sh', '-c', 'echo one; read x; echo $x; exit 3']);
  let position = { stdout: 0, stderr: 0 };
  for await (const event of process.output()) {
    if (event.type === 'result') continue;
    position = event.position;
    break;
  }
  await process.write('two\n');
  const rest: string[] = [];
  for await (const event of process.output(position)) {
    rest.push(event.type === 'result' ? String(event.result.exit_code) : Buffer.from(bytesOf(event)).toString());
  }
  assert.deepEqual(rest, ['two\n', '3']);
  assert.equal(await process.kill(), false);
  const sleeper = await sandbox.start(['sleep', '100']);
  assert.equal(await sleeper.kill('SIGINT'), true);
  assert.equal((await sleeper.wait()).signal, 'SIGINT');
  assert.deepEqual((await sandbox.processes()).map(({ pid }) => pid), [process.pid, sleeper.pid]);
});

test('files: bytes, streams, directories, errors, archives', async () => {
  const bytes = randomBytes(5_000_000);
  await sandbox.files.write('big', new Blob([bytes]).stream(), { mode: 0o600 });
  const pieces = [];
  for await (const piece of await sandbox.files.readStream('big') as ReadableStream<Uint8Array> & AsyncIterable<Uint8Array>) pieces.push(piece);
  assert.ok(Buffer.concat(pieces).equals(bytes));
  assert.deepEqual([...await sandbox.files.read('big', { offset: 3, length: 2 })], [...bytes.subarray(3, 5)]);
  await sandbox.files.mkdir('d/e', { recursive: true });
  await sandbox.files.write('d/e/t', 'ä');
  await sandbox.files.move('d/e/t', 'd/u');
  assert.equal(await sandbox.files.readText('d/u'), 'ä');
  assert.deepEqual((await sandbox.files.list('d')).map(({ name, type }) => [name, type]), [['e', 'directory'], ['u', 'file']]);
  const { files } = await sandbox.files.writeTar('copy', await sandbox.files.readTar('d'));
  assert.deepEqual([files, await sandbox.files.readText('copy/u'), (await sandbox.files.stat('copy/u')).size], [1, 'ä', 2]);
  await sandbox.files.remove('d', { recursive: true });
  await assert.rejects(sandbox.files.read('d/u'), (error: unknown) => error instanceof ApiError && error.status === 404 && error.code === 'file-error');
});

test('a download that nobody finishes leaves the sandbox idle again', async () => {
  const reader = (await sandbox.files.readStream('big')).getReader();
  await reader.read();
  assert.equal((await sandbox.details()).idle_at, null);
  await reader.cancel();
  await until('it is idle', async () => (await sandbox.details()).idle_at !== null);
});

test('examples/session.ts', async () => {
  const path = join(newDirectory(), 'session.ts');
  writeFileSync(path, readFileSync(resolve(ROOT, 'examples/session.ts'), 'utf8').replace("'offshoot/client'", `'${resolve(ROOT, 'src/client/index.ts')}'`));
  const { stdout, stderr, code } = await command(process.execPath, ['--no-warnings', path], { env: { OFFSHOOT_URL: service.url } });
  assert.deepEqual([stdout.toString(), stderr, code], ['7\ngot a, got b 0\n', '', 0]);
});
