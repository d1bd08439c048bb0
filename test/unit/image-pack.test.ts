// Packing directories into images, the store, and adding files to an image.

import assert from 'node:assert';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { extendImage, packDirectory, pruneImages } from '../../src/image/images.ts';
import { offshootHome } from '../../src/image/home.ts';
import { findImage, listImages, openImage, removeImage } from '../../src/image/store.ts';
import type { Image } from '../../src/image/store.ts';
import { FileTree, makeNode, S_IFDIR, S_IFLNK, S_IFREG } from '../../src/image/tree.ts';
import { imageLookup } from '../../src/kernel/fs/imageindex.ts';

const SECONDS = 1_600_000_000;

function scratch(t: TestContext): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'offshoot-image-'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A directory with one of everything a user can make. */
function makeSource(dir: string): string {
  const at = (name: string) => path.join(dir, 'source', name);
  fs.mkdirSync(at('etc'), { recursive: true });
  fs.writeFileSync(at('etc/one'), 'same content');
  fs.writeFileSync(at('two'), 'same content');
  fs.writeFileSync(at('big'), Buffer.alloc(10_000, 7));
  fs.writeFileSync(at('empty'), '');
  fs.linkSync(at('big'), at('etc/big-link'));
  fs.symlinkSync('etc/one', at('link'));
  fs.writeFileSync(Buffer.from(at('\xff'), 'latin1'), 'odd');
  fs.chmodSync(at('two'), 0o4755);
  for (const name of ['etc/one', 'two', 'big', 'empty', 'etc', '']) fs.utimesSync(at(name), SECONDS, SECONDS);
  fs.lutimesSync(at('link'), SECONDS, SECONDS);
  fs.utimesSync(Buffer.from(at('\xff'), 'latin1'), SECONDS, SECONDS);
  return at('');
}

function find(image: Image, at: string): number {
  return at.split('/').filter((name) => name !== '').reduce((dir, name) => imageLookup(image.index, dir, name), 0);
}

function content(image: Image, at: string): string {
  const entry = find(image, at);
  const blob = fs.readFileSync(image.blobPath);
  return blob.toString('latin1', image.index.offset[entry], image.index.offset[entry] + image.index.sizeBytes[entry]);
}

test('a directory is packed with links, modes, odd names and equal contents once', async (t) => {
  const dir = scratch(t);
  const image = await packDirectory(makeSource(dir), { home: path.join(dir, 'home') });
  const { index } = image;
  const [one, two, big, other] = ['etc/one', 'two', 'big', 'etc/big-link'].map((name) => find(image, name));
  assert.strictEqual(index.offset[one], index.offset[two]);
  assert.notStrictEqual(index.inode[one], index.inode[two]);
  assert.strictEqual(index.inode[big], index.inode[other]);
  assert.deepStrictEqual([index.nlink[one], index.nlink[big], index.nlink[0]], [1, 2, 3]);
  assert.strictEqual(index.mode[two], 0o104755);
  assert.strictEqual(index.target[find(image, 'link')], 'etc/one');
  assert.strictEqual(index.mtimeSec[two], SECONDS);
  assert.strictEqual(content(image, '\xff'), 'odd');
  assert.strictEqual(content(image, 'etc/big-link'), '\x07'.repeat(10_000));
  assert.strictEqual(index.blobSizeBytes, 5 * 4096);
  const blob = fs.readFileSync(image.blobPath);
  const end = index.offset[big] + index.sizeBytes[big];
  assert.ok(blob.subarray(end, Math.ceil(end / 4096) * 4096).every((byte) => byte === 0));
  assert.strictEqual(fs.statSync(image.blobPath).mode & 0o777, 0o644);
});

test('equal directories give the same image id', async (t) => {
  const [first, second] = [scratch(t), scratch(t)];
  const a = await packDirectory(makeSource(first), { home: path.join(first, 'home') });
  const b = await packDirectory(makeSource(second), { home: path.join(second, 'home') });
  assert.strictEqual(a.id, b.id);
});

test('names, listing and removing', async (t) => {
  const dir = scratch(t);
  const home = path.join(dir, 'home');
  assert.deepStrictEqual(listImages(home), []);
  const image = await packDirectory(makeSource(dir), { home, name: 'tiny' });
  await packDirectory(makeSource(scratch(t)), { home, name: 'tiny2' });
  assert.deepStrictEqual(listImages(home).map((ref) => [ref.name, ref.id]), [['tiny', image.id], ['tiny2', image.id]]);
  assert.strictEqual(findImage(home, 'tiny')?.entries, image.index.count);
  assert.ok(removeImage(home, 'tiny'));
  assert.ok(!removeImage(home, 'tiny'));
  assert.ok(!removeImage(home, '../tiny2'));
  assert.ok(openImage(home, image.id));
  assert.ok(removeImage(home, 'tiny2'));
  assert.throws(() => openImage(home, image.id), /there is no image/);
  await assert.rejects(packDirectory(dir, { home, name: 'a/b' }), /not a name/);
  await assert.rejects(packDirectory(path.join(dir, 'nothing'), { home }), /is not a directory/);
});

test('damage is noticed and packing again repairs it', async (t) => {
  const dir = scratch(t);
  const home = path.join(dir, 'home');
  const source = makeSource(dir);
  const image = await packDirectory(source, { home });
  const damages: [RegExp, () => void][] = [
    [/checksum of its blob/, () => fs.writeFileSync(image.blobPath, fs.readFileSync(image.blobPath).fill(1, 0, 1))],
    [/bytes instead of/, () => fs.truncateSync(image.blobPath, 4096)],
    [/checksum of its index/, () => fs.appendFileSync(image.indexPath, 'x')],
    [/there is no image/, () => fs.rmSync(image.blobPath)],
  ];
  for (const [message, damage] of damages) {
    damage();
    assert.throws(() => openImage(home, image.id), message);
    assert.strictEqual((await packDirectory(source, { home })).id, image.id);
  }
  assert.deepStrictEqual(fs.readdirSync(path.join(home, 'images')), [image.id]);
});

test('an unfinished image is removed by the next build', async (t) => {
  const dir = scratch(t);
  const home = path.join(dir, 'home');
  fs.mkdirSync(path.join(home, 'images/.tmp-1-dead'), { recursive: true });
  const image = await packDirectory(makeSource(dir), { home });
  assert.deepStrictEqual(fs.readdirSync(path.join(home, 'images')), [image.id]);
});

test('an image is extended without changing what it had', async (t) => {
  const dir = scratch(t);
  const home = path.join(dir, 'home');
  const base = await packDirectory(makeSource(dir), { home, name: 'tiny' });
  const before = ['big', 'etc/one'].map((name) => content(base, name));
  const additions = [
    { path: '/etc/new/file.pyc', mode: 0o644, mtimeSec: 5, content: Buffer.from('new') },
    { path: '/link', mode: 0o600, uid: 1000, content: Buffer.from('same content') },
    { path: '/var', mode: 0o1777, content: null },
  ];
  const image = await extendImage(base, (add) => additions.forEach(add), { home, name: 'tiny', stage: 'ready' });
  assert.notStrictEqual(image.id, base.id);
  assert.strictEqual(findImage(home, 'tiny')?.id, image.id);
  assert.strictEqual(findImage(home, 'tiny')?.stage, 'ready');
  assert.strictEqual(content(image, 'etc/new/file.pyc'), 'new');
  assert.deepStrictEqual(['big', 'etc/one'].map((name) => content(image, name)), before);
  assert.strictEqual(image.index.nlink[find(image, 'big')], 2);
  assert.strictEqual(image.index.mode[find(image, 'var')], 0o041777);
  assert.strictEqual(image.index.uid[find(image, 'link')], 1000);
  assert.throws(() => openImage(home, base.id), /there is no image/);
});

test('images without a name are pruned unless they are kept', async (t) => {
  const dir = scratch(t);
  const home = path.join(dir, 'home');
  const named = await packDirectory(makeSource(dir), { home, name: 'tiny' });
  const other = await extendImage(named, (add) => add({ path: 'x', mode: 0o644, content: Buffer.from('x') }), { home });
  assert.deepStrictEqual(await pruneImages([other.id], { home }), []);
  assert.deepStrictEqual(await pruneImages([], { home }), [other.id]);
  assert.ok(openImage(home, named.id));
});

test('a tree follows links inside itself and never leaves', () => {
  const tree = new FileTree();
  const node = (mode: number, target = '') => makeNode({ mode, uid: 0, gid: 0, mtimeSec: 1, mtimeNsec: 0 }, { target });
  tree.put('usr/bin', node(S_IFDIR | 0o755));
  tree.put('bin', node(S_IFLNK | 0o777, 'usr/bin'));
  tree.put('up', node(S_IFLNK | 0o777, '../../../usr'));
  tree.put('loop', node(S_IFLNK | 0o777, 'loop'));
  tree.put('./bin/sh', node(S_IFREG | 0o755));
  tree.put('bin/', node(S_IFDIR | 0o700));
  assert.strictEqual(tree.realPath('/bin/sh'), '/usr/bin/sh');
  assert.strictEqual(tree.realPath('up/bin/sh'), '/usr/bin/sh');
  assert.strictEqual(tree.get('usr/bin')?.mode, S_IFDIR | 0o755);
  assert.strictEqual(tree.get('loop'), null);
  assert.throws(() => tree.put('../etc/passwd', node(S_IFREG)), /refused the path/);
  assert.throws(() => tree.put('usr/../../x', node(S_IFREG)), /refused the path/);
  assert.throws(() => tree.put('usr', node(S_IFREG)), /both a file and a directory/);
  assert.throws(() => tree.put('bin/sh/x', node(S_IFREG)), /not a directory/);
});

test('the home directory comes from the environment', () => {
  assert.strictEqual(offshootHome({ OFFSHOOT_HOME: '/a/b', HOME: '/h' }), '/a/b');
  assert.strictEqual(offshootHome({ XDG_DATA_HOME: '/x', HOME: '/h' }), '/x/offshoot');
  assert.strictEqual(offshootHome({ XDG_DATA_HOME: 'relative', HOME: '/h' }), '/h/.local/share/offshoot');
  assert.throws(() => offshootHome({ OFFSHOOT_HOME: '/a"b' }), /must not contain/);
});
