// Path resolution and open(2): path_resolution(7), symlink(7), open(2) errors.

import assert from 'node:assert/strict';
import test from 'node:test';
import {
  EACCES, EBADF, EEXIST, EINVAL, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EXDEV,
} from '../../../src/abi/linux/errno.ts';
import {
  AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, F_GETFL, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_RDWR, O_TMPFILE, O_TRUNC, O_WRONLY,
  RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS,
} from '../../../src/abi/linux/fcntl.ts';
import { World } from './fsworld.ts';

const TREE = {
  'etc/passwd': { data: 'root:x:0:0\n' },
  'etc/link': { target: 'passwd' },
  'etc/abs': { target: '/etc/passwd' },
  'etc/up': { target: '../usr/bin' },
  'loop': { target: 'loop' },
  'dangling': { target: 'nowhere/x' },
  'tobe': { target: 'made' },
  'dirlink': { target: 'etc' },
  'private/secret': { data: 's', mode: 0o600 },
  'private': { mode: 0o040700 },
  'usr/bin/tool': { data: '#!', mode: 0o755 },
};

test('components, dots and slashes', () => {
  const w = new World(TREE);
  assert.equal(w.text('/etc/passwd'), 'root:x:0:0\n');
  assert.equal(w.text('//etc///./../etc/passwd'), 'root:x:0:0\n');
  assert.equal(w.text('/../../etc/passwd'), 'root:x:0:0\n');
  assert.equal(w.text(''), -ENOENT);
  assert.equal(w.text('/etc/passwd/'), -ENOTDIR);
  assert.equal(w.text('/etc/passwd/.'), -ENOTDIR);
  assert.equal(w.text('/etc/passwd/..'), -ENOTDIR);
  assert.equal(w.text('/nothere/x'), -ENOENT);
  assert.equal(w.text('/nothere/..'), -ENOENT);
  assert.equal(w.text(`/etc/${'x'.repeat(255)}`), -ENOENT);
  assert.equal(w.text(`/etc/${'x'.repeat(256)}`), -ENAMETOOLONG);
  assert.equal(w.text(`/etc${'/.'.repeat(2045)}`), -EISDIR);
  assert.equal(w.text(`/etc${'/.'.repeat(2046)}`), -ENAMETOOLONG);
});

test('symbolic links', () => {
  const w = new World(TREE);
  assert.equal(w.text('/etc/link'), 'root:x:0:0\n');
  assert.equal(w.text('/dirlink/abs'), 'root:x:0:0\n');
  assert.equal(w.text('/etc/up/tool'), '#!');
  assert.equal(w.text('/etc/up/../bin/tool'), '#!');
  assert.equal(w.text('/loop'), -ELOOP);
  assert.equal(w.text('/dangling'), -ENOENT);
  assert.equal(w.text('/etc/link/'), -ENOTDIR);
  assert.equal(w.readlink('/etc/up'), '../usr/bin');
  assert.equal(w.readlink('/etc/passwd'), -EINVAL);
  assert.equal(w.stat('/dirlink').st_mode & 0o170000, 0o120000);
  assert.equal(w.stat('/dirlink/').st_mode & 0o170000, 0o040000);
  for (let i = 0; i < 41; i++) assert.equal(w.call('symlink', i === 0 ? '/etc/passwd' : `/tmp/l${i - 1}`, `/tmp/l${i}`), 0);
  assert.equal(w.text('/tmp/l39'), 'root:x:0:0\n', '40 links');
  assert.equal(w.text('/tmp/l40'), -ELOOP, '41 links');
});

test('search permission, and root passes it', () => {
  const w = new World(TREE);
  assert.equal(w.text('/private/secret'), 's');
  w.become(1000);
  assert.equal(w.text('/private/secret'), -EACCES);
  assert.equal(w.text('/private'), -EACCES);
  assert.equal(w.call('access', '/private/secret', 0), -EACCES);
  assert.equal(w.call('access', '/usr/bin/tool', 1), 0);
  assert.equal(w.call('access', '/etc/passwd', 1), -EACCES);
  assert.equal(w.call('access', '/etc/passwd', 2), -EACCES);
  w.become(0);
  assert.equal(w.call('access', '/etc/passwd', 1), -EACCES, 'x needs some x bit even for root');
  assert.equal(w.call('access', '/private/secret', 6), 0);
});

test('open flags', () => {
  const w = new World(TREE);
  assert.equal(w.open('/etc', O_WRONLY), -EISDIR);
  assert.equal(w.open('/etc/passwd', O_DIRECTORY), -ENOTDIR);
  assert.equal(w.open('/etc/link', O_NOFOLLOW), -ELOOP);
  assert.equal(w.open('/etc/passwd', O_CREAT | O_EXCL | O_WRONLY), -EEXIST);
  assert.equal(w.open('/dangling', O_CREAT | O_EXCL | O_WRONLY), -EEXIST);
  assert.equal(w.open('/dangling', O_CREAT | O_WRONLY), -ENOENT);
  assert.equal(w.open('/etc/', O_CREAT), -EISDIR);
  assert.equal(w.open('/tmp/x/', O_CREAT | O_WRONLY), -EISDIR);
  assert.equal(w.open('/tmp/x', O_CREAT | O_DIRECTORY), -EINVAL);
  const made = w.open('/tobe', O_CREAT | O_RDWR);
  assert.ok(made >= 0, 'through a dangling link');
  assert.deepEqual(w.names('/').filter((name) => name === 'made'), ['made']);
  assert.equal(w.call('fcntl', made, F_GETFL, 0), 0o100002);
  const path = w.open('/etc/link', O_PATH | O_NOFOLLOW);
  assert.equal(w.call('read', path, w.out, 1), -EBADF);
  assert.equal(w.call('readlinkat', path, '', w.out, 100), 6);
  assert.equal(w.call('newfstatat', path, '', w.out, AT_EMPTY_PATH), 0);
  assert.equal(w.call('newfstatat', path, '', w.out, 0), -ENOENT);
  assert.equal(w.open('/proc/self/fd/99'), -ENOENT);
  assert.equal(w.open('/tmp', O_TMPFILE), -EINVAL, 'needs write access');
  const temporary = w.open('/tmp', O_TMPFILE | O_RDWR);
  assert.ok(temporary >= 0);
  assert.deepEqual(w.names('/tmp'), []);
  assert.match(String(w.readlink(`/proc/self/fd/${temporary}`)), /^\/tmp\/#\d+ \(deleted\)$/);
  assert.equal(w.call('linkat', AT_FDCWD, `/proc/self/fd/${temporary}`, AT_FDCWD, '/tmp/named', 0x400), 0);
  assert.deepEqual(w.names('/tmp'), ['named']);
  assert.equal(w.write('/etc/passwd', 'new', O_WRONLY | O_TRUNC), 3);
  assert.equal(w.text('/etc/passwd'), 'new');
});

test('relative to a directory descriptor', () => {
  const w = new World(TREE);
  const etc = w.open('/etc', O_DIRECTORY);
  const file = w.open('/etc/passwd');
  assert.ok(w.call('openat', etc, 'passwd', 0, 0) >= 0);
  assert.ok(w.call('openat', 999, '/etc/passwd', 0, 0) >= 0, 'absolute: the descriptor is not looked at');
  assert.equal(w.call('openat', 999, 'passwd', 0, 0), -EBADF);
  assert.equal(w.call('openat', file, 'passwd', 0, 0), -ENOTDIR);
  assert.equal(w.call('openat', etc, '', 0, 0), -ENOENT);
  assert.equal(w.call('faccessat2', etc, 'link', 0, AT_SYMLINK_NOFOLLOW), 0);
});

test('openat2 keeps a path below its directory', () => {
  const w = new World(TREE);
  const etc = w.open('/etc', O_DIRECTORY);
  const how = (resolve: number): Uint8Array => {
    const bytes = new Uint8Array(24);
    bytes[16] = resolve;
    return bytes;
  };
  assert.ok(w.call('openat2', etc, 'link', how(RESOLVE_BENEATH), 24) >= 0);
  assert.equal(w.call('openat2', etc, 'up/tool', how(RESOLVE_BENEATH), 24), -EXDEV);
  assert.equal(w.call('openat2', etc, 'abs', how(RESOLVE_BENEATH), 24), -EXDEV);
  assert.equal(w.call('openat2', etc, 'abs', how(RESOLVE_IN_ROOT), 24), -ENOENT);
  assert.ok(w.call('openat2', etc, '/../passwd', how(RESOLVE_IN_ROOT), 24) >= 0);
  assert.equal(w.call('openat2', etc, 'link', how(RESOLVE_NO_SYMLINKS), 24), -ELOOP);
  assert.equal(w.call('openat2', etc, 'link', how(0x40), 24), -EINVAL);
});

test('chroot confines "..", absolute paths and links', () => {
  const w = new World(TREE);
  assert.equal(w.call('chroot', '/etc'), 0);
  assert.equal(w.call('chdir', '/'), 0);
  assert.equal(w.text('../../passwd'), 'root:x:0:0\n');
  assert.equal(w.text('/abs'), -ENOENT);
  assert.equal(w.cwd(), '/');
  w.become(1000);
  assert.equal(w.call('chroot', '/'), -1);
});

test('the working directory follows renames and survives removal', () => {
  const w = new World(TREE);
  assert.equal(w.call('mkdir', '/tmp/a', 0o755), 0);
  assert.equal(w.call('mkdir', '/tmp/a/b', 0o755), 0);
  assert.equal(w.call('chdir', '/tmp/a/b'), 0);
  assert.equal(w.call('rename', '/tmp/a', '/tmp/c'), 0);
  assert.equal(w.cwd(), '/tmp/c/b');
  assert.equal(w.call('rmdir', '/tmp/c/b'), 0);
  assert.equal(w.cwd(), -ENOENT);
  assert.equal(w.open('x', O_CREAT | O_WRONLY), -ENOENT);
  assert.equal(w.call('chdir', '..'), 0);
  assert.equal(w.cwd(), '/tmp/c');
  assert.equal(w.call('getcwd', w.out, 6), -34);
});

test('a path is what stands in memory now, however often it was read', () => {
  const w = new World(TREE);
  const names = Array.from({ length: 3000 }, (_, i) => `/tmp/${(i * 7919).toString(36)}${'y'.repeat(i % 160)}`);
  for (const name of names) assert.equal(w.call('mkdir', name, 0o700), 0);
  const inodes = new Map(names.map((name) => [name, w.stat(name).st_ino]));
  assert.equal(new Set(inodes.values()).size, names.length);
  for (const name of [...names].reverse()) assert.equal(w.stat(name).st_ino, inodes.get(name));
});
