// The tar reader against archives made by the host's tar, in all formats, and against damaged ones.

import assert from 'node:assert';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { ImageError } from '../../src/image/errors.ts';
import { readTar } from '../../src/image/tar.ts';
import type { TarEntry } from '../../src/image/tar.ts';

const LONG = `${'d'.repeat(120)}/${'f'.repeat(130)}`;

function makeTree(t: TestContext): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'offshoot-tar-'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  fs.writeFileSync(path.join(dir, 'file'), Buffer.alloc(1234, 0xfe));
  fs.chmodSync(path.join(dir, 'file'), 0o4751);
  fs.linkSync(path.join(dir, 'file'), path.join(dir, 'hard'));
  fs.symlinkSync('a/b', path.join(dir, 'soft'));
  fs.mkdirSync(path.join(dir, path.dirname(LONG)));
  fs.writeFileSync(path.join(dir, LONG), 'long');
  fs.symlinkSync(LONG, path.join(dir, 'softlong'));
  fs.writeFileSync(path.join(dir, 'é'), '');
  execFileSync('mkfifo', [path.join(dir, 'pipe')]);
  return dir;
}

async function* chunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(bytes: Buffer, size = 700): Promise<TarEntry[]> {
  const entries: TarEntry[] = [];
  for await (const entry of readTar(chunks(bytes, size))) entries.push(entry);
  return entries;
}

function makeTar(dir: string, format: string): Buffer {
  const about = ['--sort=name', '--mtime=@1600000000.25', '--owner=a:4294967', '--group=b:77'];
  return execFileSync('tar', ['-C', dir, `--format=${format}`, ...about, '-c', '.']);
}

for (const format of ['gnu', 'pax', 'ustar', 'oldgnu']) {
  test(`reads what tar writes: ${format}`, async (t) => {
    const dir = makeTree(t);
    const long = format !== 'ustar';
    if (!long) for (const name of ['softlong', path.dirname(LONG)]) fs.rmSync(path.join(dir, name), { recursive: true });
    const owner = format === 'ustar' ? 0 : 4294967;
    const tar = format === 'ustar'
      ? execFileSync('tar', ['-C', dir, '--format=ustar', '--sort=name', '--mtime=@1600000000', '--owner=a:0', '--group=b:77', '-c', '.'])
      : makeTar(dir, format);
    const byName = new Map((await read(tar)).map((entry) => [entry.path, entry]));
    const file = byName.get('./file') as TarEntry;
    assert.deepStrictEqual([file.type, file.mode, file.uid, file.gid, file.mtimeSec], ['file', 0o4751, owner, 77, 1_600_000_000]);
    assert.strictEqual(file.mtimeNsec, format === 'pax' ? 250_000_000 : 0);
    assert.deepStrictEqual(file.content, Buffer.alloc(1234, 0xfe));
    assert.deepStrictEqual([byName.get('./hard')?.type, byName.get('./hard')?.linkName], ['link', './file']);
    assert.deepStrictEqual([byName.get('./soft')?.type, byName.get('./soft')?.linkName], ['symlink', 'a/b']);
    assert.strictEqual(byName.get('./pipe')?.type, 'fifo');
    assert.strictEqual(byName.get('./')?.type, 'dir');
    assert.ok(byName.has(Buffer.from('./é').toString('latin1')));
    if (!long) return;
    assert.strictEqual(byName.get(`./${LONG}`)?.content.toString(), 'long');
    assert.strictEqual(byName.get('./softlong')?.linkName, LONG);
  });
}

test('the size of the chunks does not matter', async (t) => {
  const tar = makeTar(makeTree(t), 'pax');
  const whole = await read(tar, tar.length);
  for (const size of [1, 511, 513, 4096]) assert.deepStrictEqual(await read(tar, size), whole);
});

test('an archive that ends early or has a damaged header is refused', async (t) => {
  const tar = makeTar(makeTree(t), 'gnu');
  await assert.rejects(read(tar.subarray(0, 1000)), ImageError);
  const damaged = Buffer.from(tar);
  damaged[120] ^= 1;
  await assert.rejects(read(damaged), /damaged file header/);
  await assert.rejects(read(Buffer.alloc(2048, 'x')), /damaged file header/);
  assert.deepStrictEqual(await read(Buffer.alloc(0)), []);
});

test('damaged pax records are refused', async () => {
  for (const record of ['99 path=x\n', '9 path=x', 'x path=y\n', '4 a=\n\n', '3 a=bcdef\n']) {
    await assert.rejects(read(member('x', record)), /damaged pax header/, record);
  }
  await assert.rejects(read(member('L', 'a', 2 ** 21)), /overlong file name/);
  await assert.rejects(read(member('Z', '')), /unknown type/);
});

/** A raw member of the given type. */
function member(type: string, content: string, size = content.length): Buffer {
  const header = Buffer.alloc(512);
  header.write('name', 0);
  header.write('0000644\0', 100);
  header.write(size.toString(8).padStart(11, '0'), 124);
  header.write('        ', 148);
  header.write(type, 156);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
  body.write(content);
  return Buffer.concat([header, body, Buffer.alloc(1024)]);
}
