// Unpacking Debian packages and making what their scripts would have made, with packages made here; the linker's cache
// is compared with what the host's ldconfig reads and writes.

import assert from 'node:assert';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { unpackPackages } from '../../src/image/debian.ts';
import { compareLibraryNames, encodeLdCache, readSoname } from '../../src/image/ldcache.ts';
import { ImageBuilder } from '../../src/image/pack.ts';

const LIB_DIR = '/usr/lib/x86_64-linux-gnu';

function scratch(t: TestContext): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'offshoot-debian-'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

type Content = string | Buffer | { link: string } | { hard: string };

/** Makes name_1_amd64.deb in `dir`. */
function makeDeb(dir: string, name: string, files: Record<string, Content>, postinst = ''): void {
  const root = path.join(dir, name);
  fs.mkdirSync(path.join(root, 'DEBIAN'), { recursive: true });
  const control = `Package: ${name}\nVersion: 1\nArchitecture: amd64\nMaintainer: a <a@example.com>\nDescription: test\n`;
  fs.writeFileSync(path.join(root, 'DEBIAN/control'), control);
  if (postinst !== '') fs.writeFileSync(path.join(root, 'DEBIAN/postinst'), postinst, { mode: 0o755 });
  for (const [at, content] of Object.entries(files)) {
    const file = path.join(root, at);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    if (typeof content === 'string' || Buffer.isBuffer(content)) fs.writeFileSync(file, content);
    else if ('link' in content) fs.symlinkSync(content.link, file);
    else fs.linkSync(path.join(root, content.hard), file);
  }
  execFileSync('dpkg-deb', ['--root-owner-group', '-b', root, path.join(dir, `${name}_1_amd64.deb`)]);
}

async function unpack(t: TestContext, dir: string, names: string[]): Promise<ImageBuilder> {
  const imagesDir = path.join(dir, 'images');
  fs.mkdirSync(imagesDir);
  const builder = new ImageBuilder(imagesDir);
  t.after(() => builder.abandon());
  const files = names.map((name) => ({ uri: '', file: `${name}_1_amd64.deb`, sizeBytes: 0, sha256: '' }));
  await unpackPackages(builder, { dir, files }, { onProgress: () => {} });
  return builder;
}

test('packages are unpacked into a merged /usr with what their scripts would make', async (t) => {
  const dir = scratch(t);
  makeDeb(dir, 'one', {
    'bin/tool.one': 'x', 'bin/again': { hard: 'bin/tool.one' }, 'usr/share/doc/one/copyright': 'free', 'usr/share/doc/one/README': 'no',
    'usr/share/man/man1/tool.1': 'no', 'etc/skel/.bashrc': 'rc', 'usr/share/locale/de/x.mo': 'no', 'var/run/.keep': '',
  }, '#!/bin/sh\nupdate-alternatives --install /usr/bin/tool tool /usr/bin/tool.one 10\n');
  makeDeb(dir, 'two', {
    'usr/bin/tool.two': 'y', 'usr/share/ca-certificates/mozilla/B.crt': 'B\n', 'usr/share/ca-certificates/mozilla/A.crt': 'A',
    'usr/lib/ssl/x': '', 'usr/lib/python3.99/os.py': '',
  }, '#!/bin/sh\nupdate-alternatives --install /usr/bin/tool tool /usr/bin/tool.two 20\n');
  const builder = await unpack(t, dir, ['one', 'two']);
  const text = (at: string) => builder.read(at)?.toString();
  const target = (at: string) => builder.tree.get(at, false)?.target;
  assert.strictEqual(target('/bin'), 'usr/bin');
  assert.strictEqual(builder.tree.get('/usr/bin/tool.one'), builder.tree.get('/usr/bin/again'));
  assert.deepStrictEqual([target('/usr/bin/tool'), text('/usr/bin/tool')], ['/etc/alternatives/tool', 'y']);
  assert.strictEqual(text('/usr/share/doc/one/copyright'), 'free');
  for (const at of ['/usr/share/doc/one/README', '/usr/share/man/man1', '/usr/share/locale/de']) {
    assert.strictEqual(builder.tree.get(at), null, at);
  }
  assert.strictEqual(text('/etc/ssl/certs/ca-certificates.crt'), 'A\nB\n');
  assert.strictEqual(target('/usr/lib/ssl/cert.pem'), '/etc/ssl/certs/ca-certificates.crt');
  assert.match(text('/etc/passwd') ?? '', /^root:x:0:0:[^]*^user:x:1000:1000::\/home\/user:\/bin\/bash\n$/m);
  assert.match(text('/etc/group') ?? '', /^user:x:1000:\n$/m);
  assert.deepStrictEqual([text('/home/user/.bashrc'), builder.tree.get('/home/user')?.uid], ['rc', 1000]);
  assert.strictEqual(builder.tree.get('/tmp')?.mode, 0o041777);
  assert.ok(builder.tree.get('/usr/local/lib/python3.99/dist-packages'));
  assert.match(text('/var/lib/dpkg/status') ?? '', /^Package: one\nStatus: install ok installed\nVersion: 1\n[^]*\n\nPackage: two\n/);
  assert.match(builder.finish(() => true), /^[0-9a-f]{64}$/);
});

test('a damaged package is named', async (t) => {
  const dir = scratch(t);
  fs.writeFileSync(path.join(dir, 'bad_1_amd64.deb'), 'not a package');
  await assert.rejects(unpack(t, dir, ['bad']), /bad_1_amd64\.deb/);
});

test("the linker's cache is the one ldconfig would write", async (t) => {
  const dir = scratch(t);
  const libraries = ['libc.so.6', 'libm.so.6', 'libdl.so.2', 'libz.so.1'];
  const files: Record<string, Content> = {
    'etc/ld.so.conf': '# libraries\ninclude /etc/ld.so.conf.d/*.conf\n', 'etc/ld.so.conf.d/a.conf': `/opt/lib\n${LIB_DIR}\n`,
    [`${LIB_DIR}/libm.so`]: { link: 'libm.so.6' }, [`${LIB_DIR}/libtext.so.1`]: 'INPUT(libm.so.6)'.padEnd(1000),
    'opt/lib/libzed.so.1.2': fs.readFileSync(`${LIB_DIR}/libz.so.1`),
  };
  for (const name of libraries) files[`${LIB_DIR}/${name}`] = fs.readFileSync(`${LIB_DIR}/${name}`);
  makeDeb(dir, 'libs', files);
  const builder = await unpack(t, dir, ['libs']);
  const root = path.join(dir, 'root');
  execFileSync('dpkg-deb', ['-x', path.join(dir, 'libs_1_amd64.deb'), root]);
  execFileSync('/sbin/ldconfig', ['-r', root], { stdio: 'ignore' });
  fs.writeFileSync(path.join(dir, 'cache'), builder.read('/etc/ld.so.cache') as Buffer);
  const list = (cache: string) => execFileSync('/sbin/ldconfig', ['-p', '-C', cache], { encoding: 'utf8' })
    .split('\n').filter((line) => line.startsWith('\t'));
  const ours = list(path.join(dir, 'cache'));
  assert.strictEqual(ours.length, 6);
  assert.ok(ours.some((line) => line.includes('libz.so.1 ') && line.includes('/opt/lib/libz.so.1')));
  assert.deepStrictEqual(ours, list(path.join(root, 'etc/ld.so.cache')));
});

test('library names are ordered as the linker searches', () => {
  const names = ['libb.so.10', 'libb.so.9', 'liba.so', 'libb.so', 'lib1.so', 'liba10.so', 'liba9.so'];
  const sorted = ['liba.so', 'liba9.so', 'liba10.so', 'libb.so', 'libb.so.9', 'libb.so.10', 'lib1.so'];
  assert.deepStrictEqual(names.sort(compareLibraryNames), sorted);
  const cache = encodeLdCache([{ name: 'liba.so', path: '/x/liba.so' }, { name: 'libb.so', path: '/x/libb.so' }]);
  assert.strictEqual(cache.toString('latin1', 0, 20), 'glibc-ld.so.cache1.1');
  assert.deepStrictEqual([cache.readUInt32LE(20), cache[28], cache.readInt32LE(48)], [2, 2, 0x0303]);
  assert.strictEqual(cache.toString('latin1', cache.readUInt32LE(52), cache.readUInt32LE(52) + 7), 'libb.so');
});

test('sonames are read, damaged files are not libraries', () => {
  const libc = fs.readFileSync(`${LIB_DIR}/libc.so.6`);
  assert.strictEqual(readSoname(libc), 'libc.so.6');
  assert.strictEqual(readSoname(Buffer.from('#!/bin/sh\n'.repeat(100))), null);
  for (const length of [0, 63, 64, 500, 4096]) assert.strictEqual(readSoname(libc.subarray(0, length)), null);
  for (let at = 16; at < 900; at++) {
    const damaged = Buffer.from(libc.subarray(0, 300_000));
    damaged[at] ^= 0xff;
    readSoname(damaged);
  }
});
