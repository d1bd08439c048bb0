// Directories, renames, attributes: what random operations against the host (fs-native.test.ts) cannot reach.

import assert from 'node:assert/strict';
import test from 'node:test';
import {
  EACCES, EBUSY, EEXIST, EINVAL, ENODATA, ENOENT, ENOSPC, ENOTDIR, ENOTEMPTY, EOPNOTSUPP, EPERM, ERANGE, EXDEV,
} from '../../../src/abi/linux/errno.ts';
import {
  AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, O_DIRECTORY, O_RDWR, RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, XATTR_CREATE, XATTR_REPLACE,
} from '../../../src/abi/linux/fcntl.ts';
import { S_IFCHR, S_IFIFO, Statfs, Statx, UTIME_NOW, UTIME_OMIT } from '../../../src/abi/linux/stat.ts';
import { World } from './fsworld.ts';

const TREE = { 'd/1': { data: '1' }, 'd/2': { data: '2' }, 'd/3': { data: '3' }, 'bin/su': { data: 'x', mode: 0o4755 } };

test('a directory can be read while it changes', () => {
  const w = new World(TREE);
  const many = [...Array(3000).keys()].map((i) => `file-${i}`);
  w.call('mkdir', '/tmp/m', 0o755);
  for (const name of many) w.call('mknod', `/tmp/m/${name}`, 0o100644, 0);
  assert.deepEqual(w.names('/tmp/m', 200), many);
  assert.deepEqual(w.names('/tmp/m', 32768), many);
  const fd = w.open('/d', O_DIRECTORY);
  assert.equal(w.call('getdents64', fd, w.out, 10), -EINVAL);
  // ".", ".." and "1" take 24 bytes each.
  assert.equal(w.call('getdents64', fd, w.out, 72), 72);
  w.call('unlink', '/d/1');
  w.call('mknod', '/d/0', 0o100644, 0);
  assert.equal(w.call('getdents64', fd, w.out, 24), 24);
  assert.equal(String.fromCharCode(w.outBytes(24)[19]), '2', 'neither skipped nor repeated');
  assert.equal(w.call('getdents64', fd, w.out, 100), 48);
  assert.equal(w.call('getdents64', fd, w.out, 100), 0);
  assert.equal(w.call('lseek', fd, 0, 0), 0);
  assert.equal(w.call('getdents64', fd, w.out, 1000), 24 * 5);
  const names = w.names('/tmp/m');
  for (const [i, name] of names.entries()) if (i % 2 === 0) w.call('unlink', `/tmp/m/${name}`);
  assert.equal(w.names('/tmp/m').length, 1500);
  assert.equal(w.stat('/tmp/m').st_size, 1502 * 20);
});

test('renameat2', () => {
  const w = new World(TREE);
  const move = (from: string, to: string, flags: number): number => w.call('renameat2', AT_FDCWD, from, AT_FDCWD, to, flags);
  assert.equal(move('/d/1', '/d/2', RENAME_NOREPLACE), -EEXIST);
  assert.equal(move('/d/1', '/d/new', RENAME_NOREPLACE), 0);
  assert.equal(move('/d/new', '/d/none', RENAME_EXCHANGE), -ENOENT);
  assert.equal(move('/d/2', '/bin', RENAME_EXCHANGE), 0);
  assert.equal(w.text('/bin'), '2');
  assert.equal(w.text('/d/2/su'), 'x');
  assert.equal(w.stat('/').st_nlink, 2 + 5, 'd, dev, proc, sys and tmp are left');
  assert.equal(w.stat('/d').st_nlink, 3);
  assert.equal(move('/d/2/su', '/d/2', RENAME_EXCHANGE), -EINVAL);
  assert.equal(move('/d', '/d/2/x', 0), -EINVAL);
  assert.equal(move('/d/2/su', '/d', 0), -ENOTEMPTY);
  assert.equal(move('/d/3', '/x', RENAME_WHITEOUT), -EINVAL);
  assert.equal(move('/d/3', '/x', RENAME_NOREPLACE | RENAME_EXCHANGE), -EINVAL);
  assert.equal(move('/tmp', '/tmp2', 0), -EBUSY);
  assert.equal(move('/d/3', '/tmp/3', 0), -EXDEV);
  assert.equal(move('/d/.', '/e', 0), -EBUSY);
  assert.equal(w.call('rmdir', '/tmp'), -EBUSY);
  assert.equal(w.call('unlinkat', AT_FDCWD, '/d/2', AT_REMOVEDIR), -ENOTEMPTY);
});

test('sticky directories and setgid inheritance', () => {
  const w = new World(TREE);
  assert.equal(w.stat('/tmp').st_mode, 0o041777);
  w.become(1000);
  w.write('/tmp/mine', 'x');
  w.become(1001);
  assert.equal(w.call('unlink', '/tmp/mine'), -EPERM);
  assert.equal(w.call('rename', '/tmp/mine', '/tmp/yours'), -EPERM);
  assert.equal(w.write('/tmp/mine', 'y', 1), -EACCES);
  w.become(0);
  w.call('mkdir', '/tmp/shared', 0o777);
  w.call('chown', '/tmp/shared', 0xffffffff, 50);
  w.call('chmod', '/tmp/shared', 0o2777);
  w.become(1000);
  w.call('mkdir', '/tmp/shared/sub', 0o755);
  w.write('/tmp/shared/f', 'x');
  assert.equal(w.stat('/tmp/shared/sub').st_gid, 50);
  assert.equal(w.stat('/tmp/shared/sub').st_mode, 0o042755);
  assert.equal(w.stat('/tmp/shared/f').st_gid, 50);
});

test('owners and modes', () => {
  const w = new World(TREE);
  assert.equal(w.call('chown', '/bin/su', 5, 6), 0);
  assert.equal(w.stat('/bin/su').st_mode, 0o100755, 'setuid goes with a change of owner');
  w.write('/tmp/s', 'x');
  w.call('chmod', '/tmp/s', 0o6777);
  w.become(1000);
  assert.equal(w.write('/tmp/s', 'y', 1), 1);
  assert.equal(w.stat('/tmp/s').st_mode, 0o100777, 'and with a write by somebody else');
  assert.equal(w.call('chmod', '/tmp/s', 0o600), -EPERM);
  assert.equal(w.call('chown', '/tmp/s', 1000, 1000), -EPERM);
  w.write('/tmp/own', 'x');
  assert.equal(w.call('chown', '/tmp/own', 1000, 7), -EPERM);
  assert.equal(w.call('chown', '/tmp/own', 0xffffffff, 1000), 0);
  w.call('umask', 0o027);
  assert.ok(w.open('/tmp/masked', 0o102, 0o666) >= 0);
  assert.equal(w.stat('/tmp/masked').st_mode, 0o100640);
});

test('times', () => {
  const w = new World(TREE);
  const times = (...words: number[]): Uint8Array => new Uint8Array(BigInt64Array.from(words, BigInt).buffer);
  assert.equal(w.call('utimensat', AT_FDCWD, '/d/1', times(10, 11, 12, 13), 0), 0);
  let stat = w.stat('/d/1');
  assert.deepEqual([stat.st_atime, stat.st_atime_nsec, stat.st_mtime, stat.st_mtime_nsec], [10n, 11n, 12n, 13n]);
  assert.equal(w.call('utimensat', AT_FDCWD, '/d/1', times(0, UTIME_OMIT, 0, UTIME_NOW), 0), 0);
  stat = w.stat('/d/1');
  assert.deepEqual([stat.st_atime, stat.st_mtime], [10n, 1_700_000_001n]);
  assert.equal(w.call('utimensat', AT_FDCWD, '/d/1', times(-5, 999_999_999, 0, 0), 0), 0);
  assert.deepEqual([w.stat('/d/1').st_atime, w.stat('/d/1').st_atime_nsec], [-5n, 999_999_999n]);
  assert.equal(w.call('utimensat', AT_FDCWD, '/d/1', times(0, 1_000_000_000, 0, 0), 0), -EINVAL);
  w.text('/d/2');
  assert.equal(w.stat('/d/2').st_atime, 1_700_000_001n, 'relatime: the first read counts');
  w.host.nowNs += 3600e9;
  w.text('/d/2');
  assert.equal(w.stat('/d/2').st_atime, 1_700_000_001n, 'and then for a day not');
  w.become(1000);
  assert.equal(w.call('utimensat', AT_FDCWD, '/d/1', 0, 0), -EACCES);
  assert.equal(w.call('utimensat', AT_FDCWD, '/d/1', times(1, 1, 1, 1), 0), -EPERM);
});

test('extended attributes', () => {
  const w = new World(TREE);
  assert.equal(w.call('setxattr', '/d/1', 'user.a', 'value', 5, XATTR_REPLACE), -ENODATA);
  assert.equal(w.call('setxattr', '/d/1', 'user.a', 'value', 5, XATTR_CREATE), 0);
  assert.equal(w.call('setxattr', '/d/1', 'user.a', 'value', 5, XATTR_CREATE), -EEXIST);
  assert.equal(w.call('getxattr', '/d/1', 'user.a', w.out, 0), 5);
  assert.equal(w.call('getxattr', '/d/1', 'user.a', w.out, 4), -ERANGE);
  assert.equal(w.call('getxattr', '/d/1', 'user.a', w.out, 100), 5);
  assert.equal(w.call('listxattr', '/d/1', w.out, 100), 7);
  assert.equal(w.call('getxattr', '/d/1', 'user.b', w.out, 0), -ENODATA);
  assert.equal(w.call('getxattr', '/d/1', 'security.capability', w.out, 0), -ENODATA);
  assert.equal(w.call('getxattr', '/d/1', 'system.posix_acl_access', w.out, 0), -EOPNOTSUPP);
  assert.equal(w.call('setxattr', '/d/1', 'user.big', new Uint8Array(65536), 65536, 0), -ENOSPC);
  assert.equal(w.call('removexattr', '/d/1', 'user.a'), 0);
  assert.equal(w.call('removexattr', '/d/1', 'user.a'), -ENODATA);
  w.become(1000);
  assert.equal(w.call('setxattr', '/d/1', 'user.a', 'v', 1, 0), -EACCES);
  assert.equal(w.call('setxattr', '/d/1', 'trusted.a', 'v', 1, 0), -EPERM);
});

test('special files', () => {
  const w = new World(TREE);
  assert.equal(w.call('mknod', '/tmp/fifo', S_IFIFO | 0o600, 0), 0);
  const fifo = w.open('/tmp/fifo', O_RDWR);
  assert.equal(w.call('write', fifo, 'through', 7), 7);
  assert.equal(w.read(fifo, 100), 'through');
  const reader = w.open('/tmp/fifo');
  assert.ok(reader > 0, 'O_RDWR is a writer');
  w.call('close', fifo);
  w.call('close', reader);
  assert.equal(typeof w.run('open', '/tmp/fifo', 0, 0), 'object', 'waits for a writer');
  w.become(1000);
  assert.equal(w.call('mknod', '/tmp/null', S_IFCHR | 0o666, 0x103), -EPERM);
  w.become(0);
  assert.equal(w.call('mknod', '/tmp/null', S_IFCHR | 0o666, 0x103), 0);
  assert.equal(w.write('/tmp/null', 'gone', 1), 4);
  assert.equal(w.text('/tmp/null'), '');
  assert.equal(w.call('mknod', '/tmp/dir', 0o040755, 0), -EPERM);
  assert.equal(w.call('mkdir', '/tmp/null/x', 0o755), -ENOTDIR);
});

test('statx and statfs', () => {
  const w = new World(TREE);
  assert.equal(w.call('statx', AT_FDCWD, '/d/1', 0, 0xfff, w.out), 0);
  const statx = Statx.read(new DataView(w.outBytes(256).buffer), 0);
  assert.equal(statx.stx_mask & 0xfff, 0xfff);
  assert.equal(statx.stx_size, 1);
  assert.equal(statx.stx_mtime.tv_sec, 1_600_000_000n);
  const fd = w.open('/d/1');
  assert.equal(w.call('statx', fd, 0, AT_EMPTY_PATH, 0xfff, w.out), 0);
  assert.equal(w.call('statx', AT_FDCWD, '/d/1', 0x6000, 0xfff, w.out), -EINVAL);
  const magic = (path: string): number => {
    assert.equal(w.call('statfs', path, w.out), 0);
    return Statfs.read(new DataView(w.outBytes(120).buffer), 0).f_type;
  };
  assert.equal(w.call('statfs', '/', w.out), 0);
  const { f_blocks, f_bfree } = Statfs.read(new DataView(w.outBytes(120).buffer), 0);
  assert.ok(f_blocks > f_bfree, 'the image takes blocks');
  assert.deepEqual([magic('/'), magic('/tmp'), magic('/proc')], [0x794c7630, 0x01021994, 0x9fa0]);
});
