// The image with its writable layer: what was changed shows, what was not is the image's, numbers and links stay.

import assert from 'node:assert/strict';
import test from 'node:test';
import { EEXIST, EISDIR, ENOENT, ENOSPC, ENOTEMPTY, EXDEV } from '../../../src/abi/linux/errno.ts';
import { O_APPEND, O_CREAT, O_RDWR, O_WRONLY } from '../../../src/abi/linux/fcntl.ts';
import { bytesOf, World } from './fsworld.ts';

const BIG = new Uint8Array(20_000).map((_, i) => i * 7 >> 3);
const TREE = {
  'a/one': { data: 'first' },
  'a/two': { data: 'second' },
  'a/sub/deep': { data: 'deep' },
  'hard1': { data: 'shared' },
  'hard2': { sameAs: 'hard1' },
  'big': { data: BIG },
  'lib/link': { target: '../a' },
};

test('attributes come from the image', () => {
  const w = new World(TREE);
  const stat = w.stat('/big');
  assert.equal(stat.st_size, BIG.length);
  assert.equal(stat.st_blocks, 40);
  assert.equal(stat.st_mtime, 1_600_000_000n);
  assert.equal(stat.st_mtime_nsec, 5n);
  assert.equal(w.stat('/hard1').st_nlink, 2);
  assert.equal(w.stat('/hard1').st_ino, w.stat('/hard2').st_ino);
  assert.equal(w.stat('/a').st_nlink, 3);
  assert.equal(w.stat('/').st_ino, 1);
  assert.notEqual(w.stat('/tmp').st_dev, w.stat('/').st_dev);
});

test('a write changes pages, not the inode', () => {
  const w = new World(TREE);
  const before = w.stat('/big');
  const reader = w.open('/big');
  const fd = w.open('/big', O_RDWR);
  assert.equal(w.call('pwrite64', fd, 'XYZ', 3, 8190), 3);
  const expected = BIG.slice();
  expected.set(bytesOf('XYZ'), 8190);
  assert.equal(w.read(reader), Buffer.from(expected).toString('latin1'), 'a file opened before sees it');
  const after = w.stat('/big');
  assert.equal(after.st_ino, before.st_ino);
  assert.equal(after.st_size, before.st_size);
  assert.equal(after.st_blocks, before.st_blocks);
  assert.ok(after.st_mtime > before.st_mtime);
  assert.equal(w.kernel.vfs.budget.usedPages, 2, 'two pages were copied');
});

test('hard links stay one file', () => {
  const w = new World(TREE);
  assert.equal(w.write('/hard1', '+', O_WRONLY | O_APPEND), 1);
  assert.equal(w.text('/hard2'), 'shared+');
  assert.equal(w.call('unlink', '/hard1'), 0);
  assert.equal(w.stat('/hard2').st_nlink, 1);
  assert.equal(w.call('link', '/hard2', '/a/hard3'), 0);
  assert.equal(w.text('/a/hard3'), 'shared+');
});

test('removed entries stay removed, and may come back as others', () => {
  const w = new World(TREE);
  const ino = w.stat('/a/one').st_ino;
  assert.equal(w.call('unlink', '/a/one'), 0);
  assert.equal(w.text('/a/one'), -ENOENT);
  assert.deepEqual(w.names('/a'), ['sub', 'two']);
  assert.equal(w.write('/a/one', 'new'), 3);
  assert.notEqual(w.stat('/a/one').st_ino, ino);
  assert.deepEqual(w.names('/a'), ['sub', 'two', 'one']);
  assert.equal(w.call('rmdir', '/a'), -ENOTEMPTY);
  assert.equal(w.call('rmdir', '/a/sub'), -ENOTEMPTY);
  for (const path of ['/a/one', '/a/two', '/a/sub/deep']) assert.equal(w.call('unlink', path), 0);
  assert.equal(w.call('rmdir', '/a/sub'), 0);
  assert.equal(w.stat('/a').st_nlink, 2);
  assert.equal(w.call('rmdir', '/a'), 0);
  assert.equal(w.call('mkdir', '/a', 0o755), 0);
  assert.deepEqual(w.names('/a'), [], 'a new directory of the old name is empty');
});

test('directories of the image can be renamed', () => {
  const w = new World(TREE);
  const ino = w.stat('/a').st_ino;
  assert.equal(w.call('rename', '/a', '/lib/moved'), 0);
  assert.equal(w.stat('/lib/moved').st_ino, ino);
  assert.equal(w.text('/lib/moved/sub/deep'), 'deep');
  assert.equal(w.text('/a/one'), -ENOENT);
  assert.equal(w.text('/lib/link/one'), -ENOENT);
  assert.equal(w.stat('/lib').st_nlink, 3);
  assert.equal(w.call('rename', '/lib/moved/two', '/lib/moved/sub/two'), 0);
  assert.equal(w.text('/lib/moved/sub/two'), 'second');
  assert.equal(w.call('rename', '/lib/moved/one', '/tmp/one'), -EXDEV);
});

test('open after unlink: the file lives until it is closed', () => {
  const w = new World(TREE);
  const fd = w.open('/a/two', O_RDWR);
  assert.equal(w.call('unlink', '/a/two'), 0);
  assert.equal(w.call('write', fd, 'SEC', 3), 3);
  assert.equal(w.call('lseek', fd, 0, 0), 0);
  assert.equal(w.read(fd), 'SECond');
  assert.equal(w.call('fstat', fd, w.out), 0);
  assert.equal(w.kernel.vfs.budget.usedPages, 1);
  const used = w.kernel.frames.usedPages;
  assert.equal(w.call('close', fd), 0);
  assert.equal(w.kernel.vfs.budget.usedPages, 0);
  assert.ok(w.kernel.frames.usedPages < used, 'its frames are given back');
});

test('pages are mapped from the cache and agree with read and write', () => {
  const w = new World(TREE);
  const inode = w.kernel.vfs.lookup(w.task, -100, '/big');
  assert.ok(typeof inode !== 'number');
  const { frames } = w.kernel;
  const page = inode.inode.mapPage(1, false);
  assert.ok(page > 0);
  assert.deepEqual(frames.bytes(page), BIG.subarray(4096, 8192));
  assert.equal(inode.inode.mapPage(1, false), page, 'cached');
  assert.equal(w.kernel.vfs.budget.usedPages, 0, 'cache is not disk use');
  const fd = w.open('/big', O_RDWR);
  w.call('pwrite64', fd, 'ABC', 3, 4096);
  assert.equal(frames.bytes(page)[0], 65, 'a write shows in the mapping');
  const shared = inode.inode.mapPage(2, true);
  frames.bytes(shared)[0] = 90;
  w.call('lseek', fd, 8192, 0);
  assert.equal(String(w.read(fd))[0], 'Z', 'and a store in a read');
  assert.equal(inode.inode.mapPage(5, false), -14, 'beyond the end');
  const last = inode.inode.mapPage(4, false);
  assert.equal(frames.bytes(last).subarray(20_000 % 4096).every((byte) => byte === 0), true);
  for (const gpa of [page, page, shared, last]) frames.unref(gpa);
  assert.equal(w.kernel.vfs.dropCaches(), 1, 'only the last page is clean and unmapped');
});

test('a full disk is ENOSPC, and removing files makes room', () => {
  const w = new World(TREE, { diskBytesMax: 64 * 4096 });
  const data = new Uint8Array(60 * 4096).fill(1);
  assert.equal(w.write('/tmp/x', data), data.length);
  assert.equal(w.write('/y', data), 4 * 4096, 'a short write');
  assert.equal(w.write('/z', 'x'), -ENOSPC);
  assert.equal(w.text('/a/one'), 'first');
  assert.equal(w.call('unlink', '/tmp/x'), 0);
  assert.equal(w.write('/z', 'x'), 1);
});

test('creating over image names', () => {
  const w = new World(TREE);
  assert.equal(w.call('mkdir', '/a/one', 0o755), -EEXIST);
  assert.equal(w.call('symlink', 'x', '/a'), -EEXIST);
  assert.equal(w.call('link', '/big', '/a/one'), -EEXIST);
  assert.equal(w.call('unlink', '/a/sub'), -EISDIR);
  assert.ok(w.open('/a/one', O_CREAT | O_WRONLY) >= 0);
  assert.equal(w.text('/a/one'), 'first');
});
