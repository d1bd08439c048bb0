// Files of stateful sandboxes, reached from outside: as the sandbox's user, whatever the sandbox has put in the way.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { text } from './enginehelp.ts';
import { using } from './statefulhelp.ts';

test('write, read, list, stat, move, remove', () => using(async ({ files }) => {
  await files.write('a.txt', 'one\n');
  await files.write('a.txt', Buffer.from('two\n'), { append: true });
  await files.write('/home/user/run.sh', '#!/bin/sh\necho ran', { mode: 0o755 });
  assert.equal((await files.read('a.txt')).toString(), 'one\ntwo\n');
  assert.equal((await files.read('a.txt', { offset: 2, length: 4 })).toString(), 'e\ntw');
  assert.equal((await files.read('a.txt', { offset: 100 })).length, 0);
  await files.mkdir('x/y/z', { recursive: true });
  await files.mkdir('x/y/z', { recursive: true });
  await files.write('x/empty', '');
  await files.move('a.txt', 'x/y/moved');
  const entries = (await files.list('x')).map(({ name, type, size, mode, uid, gid, target }) => [name, type, size, mode, uid, gid, target]);
  assert.deepEqual(entries, [['empty', 'file', 0, 0o644, 1000, 1000, null], ['y', 'directory', entries[1][2], 0o755, 1000, 1000, null]]);
  const { mtimeMs, size } = await files.stat('x/y/moved');
  assert.ok(Math.abs(Date.now() - mtimeMs) < 60_000 && size === 8);
  await files.remove('x', { recursive: true });
  assert.deepEqual((await files.list('.')).map(({ name }) => name).filter((name) => !name.startsWith('.')), ['run.sh']);
  assert.deepEqual([await files.exists('x'), await files.exists('run.sh')], [false, true]);
}));

test('what programs and the caller see is the same', () => using(async (box) => {
  await box.files.write('run.sh', '#!/bin/sh\necho ran $1', { mode: 0o755 });
  assert.equal(text(await box.exec(['./run.sh', 'it'])), 'ran it\n');
  await box.run('import os\nopen("é\\n", "w").write("x" * 10)\nos.symlink("../../etc/hostname", "link")\nos.mkfifo("fifo")');
  const shown = (await box.files.list('.')).filter(({ name }) => !name.startsWith('.'));
  assert.deepEqual(shown.map(({ name, type, target }) => [name, type, target]),
    [['fifo', 'fifo', null], ['link', 'symlink', '../../etc/hostname'], ['run.sh', 'file', null], ['é\n', 'file', null]]);
  await box.files.write('/tmp/data.bin', Buffer.from([0, 255, 10]));
  assert.equal(text(await box.run('print(list(open("/tmp/data.bin", "rb").read()))')), '[0, 255, 10]\n');
}));

test('each error has its errno', () => using(async ({ files }) => {
  const is = (work: Promise<unknown>, errno: string): Promise<void> => assert.rejects(work, { name: 'OffshootError', code: 'file-error', errno });
  await is(files.read('nosuch'), 'ENOENT');
  await is(files.read('/root/x'), 'EACCES');
  await is(files.list('/root'), 'EACCES');
  await is(files.write('/etc/passwd', 'x'), 'EACCES');
  await is(files.write('/usr/bin/x', 'x'), 'EACCES');
  await is(files.remove('/usr', { recursive: true }), 'EACCES');
  await is(files.read('/home'), 'EISDIR');
  await is(files.read('/dev/zero'), 'EINVAL');
  await is(files.write('/dev/null/x', 'x'), 'ENOTDIR');
  await is(files.list('/etc/passwd'), 'ENOTDIR');
  await is(files.read('a\0b'), 'EINVAL');
  await is(files.read(''), 'ENOENT');
  await is(files.read('x'.repeat(300)), 'ENAMETOOLONG');
  await is(files.read('x/'.repeat(3000)), 'ENAMETOOLONG');
  await files.mkdir('d');
  await is(files.mkdir('d'), 'EEXIST');
  await files.write('d/f', '');
  await is(files.remove('d'), 'ENOTEMPTY');
  await is(files.move('d', 'd/e'), 'EINVAL');
  await assert.rejects(files.read('f', { offset: -1 }), { code: 'bad-argument' });
  await assert.rejects(files.write('f', 'x', { mode: 0o10000 }), { code: 'bad-argument' });
}));

test('paths stay inside: .. above the root, links to the host, links in a circle, /proc', () => using(async (box) => {
  const { files } = box;
  assert.match((await files.read('../../../../../../etc/passwd')).toString(), /^root:/);
  assert.match((await files.read('../../../../../../etc/passwd')).toString(), /user:x:1000/);
  await box.run('import os\nos.symlink("/../../proc/self/root/etc/hostname", "out")\nos.symlink("loop", "loop")\nos.symlink("/", "root")');
  await assert.rejects(files.read('loop'), { errno: 'ELOOP' });
  await assert.rejects(files.read('out'), { code: 'file-error' });
  assert.match((await files.read('root/etc/passwd')).toString(), /^root:/);
  await files.remove('root', { recursive: true });
  assert.equal((await files.stat('/etc')).type, 'directory');
  await assert.rejects(files.read('/proc/self/environ'), { code: 'file-error' });
  await assert.rejects(files.read('/proc/1/environ'), { code: 'file-error' });
}));

test('100 MB in and out as streams; the sandbox runs meanwhile', () => using(async (box) => {
  const piece = Buffer.alloc(1 << 20);
  for (let i = 0; i < piece.length; i++) piece[i] = i * 7 + (i >> 8);
  const sent = createHash('sha256'), got = createHash('sha256');
  async function* source(): AsyncGenerator<Buffer> {
    for (let i = 0; i < 100; i++) {
      piece[0] = i;
      sent.update(piece);
      yield piece;
    }
  }
  const writing = box.files.write('big', source());
  assert.equal(text(await box.run('print(1)')), '1\n');
  await writing;
  let bytes = 0;
  for await (const part of box.files.readStream('big')) {
    got.update(part);
    bytes += part.length;
  }
  assert.equal(bytes, 100 << 20);
  assert.equal(got.digest('hex'), sent.digest('hex'));
  assert.equal(text(await box.exec(['sh', '-c', 'sha256sum big | wc -c'])), '70\n');
  for await (const part of box.files.readStream('big', { offset: 5, length: 10 })) assert.equal(part.length, 10);
  for await (const _ of box.files.readStream('big')) break; // who stops early leaves no handle
  assert.ok((await box.stats()).diskBytes >= 100 << 20);
}));

test('a full disk, a source that fails, many handles, many files', () => using(async (box) => {
  const { files } = box;
  await assert.rejects(files.write('big', Buffer.alloc(30 << 20)), { errno: 'ENOSPC' });
  await files.remove('big');
  await files.write('fits', Buffer.alloc(5 << 20));
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.alloc(300_000, 'x');
    throw new Error('source');
  }
  for (let i = 0; i < 300; i++) await assert.rejects(files.write('part', broken()), { message: 'source' });
  await files.write('small', 'small');
  for (let i = 0; i < 300; i++) assert.equal((await files.read('small')).length, 5);
  const readers = Array.from({ length: 256 }, () => files.readStream('fits')[Symbol.asyncIterator]());
  await Promise.all(readers.map((reader) => reader.next()));
  await assert.rejects(files.read('fits'), { code: 'busy' });
  await Promise.all(readers.map((reader) => reader.return?.()));
  assert.equal((await files.read('fits')).length, 5 << 20);
  await box.run('import os\nos.makedirs("/home/user/m/" + "d/" * 50)\nfor i in range(5000): open(f"/home/user/m/{i}", "w")');
  assert.equal((await files.list('m')).length, 5001);
  await files.remove('m', { recursive: true });
  assert.equal(await files.exists('m'), false);
  await box.close();
  await assert.rejects(files.read('fits'), { code: 'sandbox-ended' });
}, { diskBytes: 20 << 20 }));
