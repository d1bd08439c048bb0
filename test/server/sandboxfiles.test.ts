// /v1/sandboxes/ID/files: bytes up and down, directories, what may not be, uploads beyond the disk, archives both ways.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { packTar } from 'modern-tar';
import { newDirectory, newService, until, type Answer, type TestService } from './serverhelp.ts';

let service: TestService;
let box: string;
before(async () => {
  service = await newService({ stall_seconds: 10 });
  box = (await service.post('/v1/sandboxes', { disk_mb: 100, memory_mb: 400 })).json['id'];
});

const path = (name: string, query: Record<string, string>): string => `/v1/sandboxes/${box}/${name}?${new URLSearchParams(query).toString()}`;
const get = (name: string, query: Record<string, string>): Promise<Answer> => service.get(path(name, query));
const post = (name: string, body: object): Promise<Answer> => service.post(`/v1/sandboxes/${box}/${name}`, body);
const put = (name: string, query: Record<string, string>, body: RequestInit['body'], type = 'application/octet-stream'): Promise<Answer> =>
  service.request('PUT', path(name, query), { headers: { 'content-type': type }, body: body as never, ...{ duplex: 'half' } });
const bytesAt = async (name: string, query: Record<string, string>): Promise<Buffer> =>
  Buffer.from(await (await fetch(service.url + path(name, query))).arrayBuffer());

test('bytes up and down, whole and in part, appended, with a mode', async () => {
  const bytes = randomBytes(3_000_000);
  assert.equal((await put('files/content', { path: '/tmp/../home/user/blob.bin', mode: '600' }, bytes)).status, 204);
  assert.ok((await bytesAt('files/content', { path: '/home/user/blob.bin' })).equals(bytes));
  assert.ok((await bytesAt('files/content', { path: 'blob.bin', offset: '5', length: '10' })).equals(bytes.subarray(5, 15)));
  assert.equal((await put('files/content', { path: 'blob.bin', append: 'true' }, 'tail')).status, 204);
  const { json } = await get('files/stat', { path: 'blob.bin' });
  assert.deepEqual([json['size'], json['mode'], json['type'], json['uid']], [3_000_004, 0o600, 'file', 1000]);
  assert.equal((await post('run', { code: 'print(open("blob.bin", "rb").read()[-4:])' })).json['stdout'], "b'tail'\n");
});

test('directories: made, listed, moved, removed', async () => {
  assert.equal((await post('files/mkdir', { path: 'a/b/c', recursive: true })).status, 204);
  await put('files/content', { path: 'a/b/t.txt' }, 'x');
  await post('exec', { argv: ['ln', '-s', '/etc/passwd', 'a/b/link'] });
  const { files } = (await get('files', { path: 'a/b' })).json as unknown as { files: { name: string; type: string; target: string | null }[] };
  assert.deepEqual(files.map(({ name, type, target }) => [name, type, target]),
    [['c', 'directory', null], ['link', 'symlink', '/etc/passwd'], ['t.txt', 'file', null]]);
  assert.equal((await post('files/move', { from: 'a/b', to: 'd' })).status, 204);
  assert.equal((await service.request('DELETE', path('files', { path: 'd', recursive: 'true' }))).status, 204);
  assert.equal((await get('files', { path: 'd' })).status, 404);
});

for (const [what, ask, status, errno] of [
  ['no such file', () => get('files/content', { path: 'nope' }), 404, 'ENOENT'],
  ['a directory', () => get('files/content', { path: '/etc' }), 422, 'EISDIR'],
  ['no permission', () => put('files/content', { path: '/etc/passwd' }, 'x'), 403, 'EACCES'],
  ['it is there', () => post('files/mkdir', { path: '/tmp' }), 409, 'EEXIST'],
  ['not empty', () => service.request('DELETE', path('files', { path: '/home' })), 403, 'EACCES'],
  ['a name that is too long', () => get('files/stat', { path: 'n'.repeat(300) }), 422, 'ENAMETOOLONG'],
] as const) {
  test(`refused by the sandbox's file system: ${what}`, async () => {
    const answer = await ask();
    assert.deepEqual([answer.status, answer.json['code'], answer.json['errno']], [status, 'file-error', errno], answer.text);
  });
}

test('NUL, no path, upwards and links: nothing of the host is reached', async () => {
  assert.equal((await get('files/content', { path: 'a\0b' })).status, 422);
  assert.equal((await service.get(`/v1/sandboxes/${box}/files/content`)).status, 422);
  const inside = await get('files/content', { path: '../../../../etc/passwd' });
  assert.match(inside.text, /^user:.*:1000:/m);
  assert.notEqual(inside.text, readFileSync('/etc/passwd', 'utf8'));
  await post('exec', { argv: ['ln', '-sfn', '/proc/self/environ', 'env'] });
  assert.ok(!(await get('files/content', { path: 'env' })).text.includes('OFFSHOOT_HOME'));
});

test('1 GB into a sandbox with 100 MB: 413, and the sandbox goes on', async () => {
  const chunk = new Uint8Array(1 << 20);
  let sent = 0;
  const body = new ReadableStream({
    pull(controller) {
      if (sent++ < 1024) controller.enqueue(chunk);
      else controller.close();
    },
  });
  const answer = await put('files/content', { path: 'big' }, body as never);
  assert.deepEqual([answer.status, answer.json['code'], answer.json['errno']], [413, 'file-error', 'ENOSPC'], answer.text);
  await service.request('DELETE', path('files', { path: 'big' }));
  assert.equal((await post('run', { code: 'print(1)' })).json['stdout'], '1\n');
});

test('an upload that breaks off: what came is there, the next is fine', async () => {
  const stop = new AbortController();
  const body = new ReadableStream({
    pull(controller) {
      if (stop.signal.aborted) return controller.close(); // fetch goes on asking
      controller.enqueue(new Uint8Array(70_000));
      return new Promise((resolve) => void setTimeout(resolve, 50));
    },
  });
  const sending = fetch(service.url + path('files/content', { path: 'part' }), {
    method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body, signal: stop.signal, ...{ duplex: 'half' },
  }).catch(() => null);
  await until('some of it is there', async () => (await get('files/stat', { path: 'part' })).status === 200);
  stop.abort();
  await sending;
  assert.equal((await put('files/content', { path: 'part' }, 'whole')).status, 204);
  assert.equal((await get('files/content', { path: 'part' })).text, 'whole');
});

test('archives: what tar(1) makes goes in, what comes out tar(1) reads', async () => {
  const dir = newDirectory();
  mkdirSync(join(dir, 'in/sub'), { recursive: true });
  const bytes = randomBytes(1_500_000);
  writeFileSync(join(dir, 'in/sub/data.bin'), bytes, { mode: 0o640 });
  writeFileSync(join(dir, `in/${'long-'.repeat(30)}.txt`), 'long');
  symlinkSync('/etc/passwd', join(dir, 'in/link'));
  linkSync(join(dir, 'in/sub/data.bin'), join(dir, 'in/twin'));
  const archive = execFileSync('tar', ['-c', '-C', dir, 'in'], { maxBuffer: 2 ** 24 });
  const { json, text } = await put('files/tar', { path: 'unpacked' }, archive, 'application/x-tar');
  assert.deepEqual([json['files'], json['directories'], json['links'], json['skipped']], [2, 2, 2, []], text);
  assert.equal((await post('exec', { argv: ['sh', '-c', 'readlink unpacked/in/link; stat -c %h unpacked/in/twin'] })).json['stdout'], '/etc/passwd\n2\n');
  const hash = createHash('sha256').update(bytes).digest('hex');
  assert.match((await post('exec', { argv: ['sha256sum', 'unpacked/in/sub/data.bin'] })).json['stdout'], new RegExp(`^${hash}`));
  await post('exec', { argv: ['ln', '-s', 'sub', 'unpacked/in/own'] });
  writeFileSync(join(dir, 'out.tar'), await bytesAt('files/tar', { path: 'unpacked' }));
  mkdirSync(join(dir, 'out'));
  execFileSync('tar', ['-x', '-f', join(dir, 'out.tar'), '-C', join(dir, 'out')]);
  assert.ok(readFileSync(join(dir, 'out/in/own/data.bin')).equals(bytes));
  assert.deepEqual([readlinkSync(join(dir, 'out/in/link')), statSync(join(dir, 'out/in/twin')).nlink], ['/etc/passwd', 2]);
  assert.equal(readFileSync(join(dir, `out/in/${'long-'.repeat(30)}.txt`), 'utf8'), 'long');
});

test('times that no Date, or no archive, can name', async () => {
  const set = `import os
os.mkdir("times")
for i, t in enumerate((2 ** 62, -2 ** 62, -5)):
  open(f"times/{i}", "w").close()
  os.utime(f"times/{i}", (t, t))
  print(int(os.stat(f"times/{i}").st_mtime))`;
  assert.equal((await post('run', { code: set })).json['stdout'], '9223372036\n-9223372036\n-5\n');
  const { files } = (await get('files', { path: 'times' })).json as unknown as { files: { mtime: string }[] };
  assert.deepEqual(files.map(({ mtime }) => mtime), ['2262-04-11T23:47:16.000Z', '1677-09-21T00:12:44.000Z', '1969-12-31T23:59:55.000Z']);
  const listed = execFileSync('tar', ['-t', '-v', '--full-time', '--utc', '-f', '-'], { input: await bytesAt('files/tar', { path: 'times' }) }).toString();
  assert.deepEqual(listed.match(/\d{4}-\d\d-\d\d/g), ['2242-03-16', '1970-01-01', '1970-01-01']);
});

test('links in archives stay in the sandbox, and are replaced by what comes later', async () => {
  await put('files/content', { path: 'kept' }, 'kept');
  const archive = await packTar([
    { header: { name: 'd', size: 0, type: 'symlink', linkname: '/etc' } }, { header: { name: 'd/offshoot-was-here', size: 1, type: 'file' }, body: 'x' },
  ]);
  assert.equal((await put('files/tar', { path: 'outside' }, archive, 'application/x-tar')).status, 403, 'with the rights of its user');
  assert.ok(!existsSync('/etc/offshoot-was-here'));
  const later = await packTar([
    { header: { name: 'a', size: 0, type: 'symlink', linkname: '../kept' } }, { header: { name: 'a', size: 3, type: 'file' }, body: 'new' },
    { header: { name: 'b', size: 0, type: 'symlink', linkname: 'nowhere' } }, { header: { name: 'b', size: 0, type: 'symlink', linkname: 'a' } },
    { header: { name: 'c', size: 0, type: 'link', linkname: '../kept' } }, { header: { name: 'e', size: 0, type: 'link', linkname: 'nothing' } },
  ]);
  const { json, text } = await put('files/tar', { path: 'later' }, later, 'application/x-tar');
  assert.deepEqual([json['files'], json['links'], json['skipped']], [1, 3, [
    { path: 'c', reason: 'is a link to a name that leads upwards' }, { path: 'e', reason: 'cannot be linked (ENOENT)' },
  ]], text);
  assert.deepEqual([(await get('files/content', { path: 'kept' })).text, (await get('files/content', { path: 'later/b' })).text], ['kept', 'new']);
});

test('hostile archives: names upwards and devices are skipped and named; what is none is refused', async () => {
  const archive = await packTar([
    { header: { name: '../../up', size: 1, type: 'file' }, body: 'x' }, { header: { name: '/abs/olute', size: 1, type: 'file' }, body: 'y' },
    { header: { name: 'dev', size: 0, type: 'character-device' } },
  ]);
  const { json } = await put('files/tar', { path: 'hostile' }, archive, 'application/x-tar');
  assert.deepEqual((json['skipped'] as { path: string }[]).map(({ path: name }) => name), ['../../up', 'dev']);
  assert.equal((await get('files/content', { path: 'hostile/abs/olute' })).text, 'y');
  const refused = await put('files/tar', { path: 'none' }, randomBytes(5000), 'application/x-tar');
  assert.deepEqual([refused.status, refused.json['code']], [422, 'invalid'], refused.text);
});
