// Saving and restoring file systems and open files: the same afterwards, and forks do not see each other.

import assert from 'node:assert/strict';
import test from 'node:test';
import { EAGAIN, ENOENT } from '../../../src/abi/linux/errno.ts';
import { LOCK_EX, LOCK_NB, O_APPEND, O_CLOEXEC, O_DIRECTORY, O_RDWR } from '../../../src/abi/linux/fcntl.ts';
import { saveFs } from '../../../src/kernel/fs/savefs.ts';
import { World } from './fsworld.ts';

const TREE = {
  'etc/a': { data: 'image a' },
  'etc/b': { data: 'image b' },
  'etc/gone': { data: 'gone' },
  'usr/lib/x': { data: new Uint8Array(9000).fill(120) },
};

/** A sandbox with something of everything. */
function busy(): World {
  const w = new World(TREE);
  w.write('/etc/a', 'changed');
  w.call('unlink', '/etc/gone');
  w.call('mkdir', '/tmp/d', 0o750);
  w.write('/tmp/d/f', 'tmp file');
  w.call('symlink', '/etc/a', '/tmp/l');
  w.call('setxattr', '/etc/b', 'user.k', 'v', 1, 0);
  w.call('chdir', '/tmp/d');
  w.call('umask', 0o077);
  return w;
}

function look(w: World): unknown {
  return [
    w.text('/etc/a'), w.text('/etc/b'), w.text('/etc/gone'), w.text('f'), w.readlink('/tmp/l'), w.names('/etc'), w.names('/tmp'), w.cwd(),
    w.stat('/etc/a'), w.stat('/tmp/d'), w.stat('/usr/lib/x'), w.call('getxattr', '/etc/b', 'user.k', w.out, 10), w.call('umask', 0o077),
  ];
}

test('everything is as it was', () => {
  const w = busy();
  look(w);
  const before = look(w);
  const fork = w.fork();
  assert.deepEqual(look(fork), before);
  assert.deepEqual(look(fork.fork()), before);
});

test('forks of one state are independent', () => {
  const w = busy();
  const state = saveFs(w.kernel);
  const copy = structuredClone(state);
  const [one, two] = [w.fork(state), w.fork(state)];
  one.write('/etc/a', 'one');
  one.write('/etc/b', 'one', O_RDWR | O_APPEND);
  one.call('unlink', '/tmp/l');
  one.write('/tmp/new', 'n');
  one.call('truncate', '/tmp/d/f', 3);
  one.call('rename', '/etc/b', '/etc/c');
  assert.deepEqual(saveFs(two.kernel).vfs.tmp, copy.vfs.tmp, 'nothing of it in the other');
  assert.equal(two.text('/etc/a'), 'changed');
  assert.equal(two.text('/etc/b'), 'image b');
  assert.equal(two.text('/tmp/d/f'), 'tmp file');
  assert.equal(two.readlink('/tmp/l'), '/etc/a');
  assert.equal(w.text('/etc/a'), 'changed');
  assert.equal(one.text('/etc/c'), 'image bone');
  assert.deepEqual(state, copy, 'nor in the state');
  w.write('/etc/a', 'the parent goes on');
  w.call('unlink', '/tmp/d/f');
  assert.deepEqual(state, copy);
  assert.equal(two.text('/tmp/d/f'), 'tmp file');
});

test('open files keep position, flags, sharing and close-on-exec', () => {
  const w = busy();
  const fd = w.open('/etc/b', O_RDWR | O_CLOEXEC);
  w.call('lseek', fd, 3, 0);
  const copy = w.call('dup', fd);
  const child = w.newProcess(9, w.task.process.files.clone());
  const fork = w.fork();
  const files = fork.kernel.processes.get(9)?.files;
  const parent = fork.kernel.processes.get(2)?.files;
  assert.ok(files && parent && child);
  assert.equal(files.get(fd), parent.get(copy), 'one description, four descriptors');
  assert.equal(files.get(fd)?.refs, 4);
  assert.equal(parent.isCloexec(fd), true);
  assert.equal(parent.isCloexec(copy), false);
  assert.equal(fork.read(fd, 4), 'ge b');
  assert.equal(fork.call('lseek', copy, 0, 1), 7);
  assert.equal(w.call('lseek', fd, 0, 1), 3);
});

test('unlinked files, directories and memfds live on', () => {
  const w = busy();
  const fd = w.open('/etc/b', O_RDWR);
  w.call('write', fd, 'IM', 2);
  w.call('unlink', '/etc/b');
  const memfd = w.call('memfd_create', 'm', 0);
  w.call('write', memfd, 'memory', 6);
  const dir = w.open('/tmp/d', O_DIRECTORY);
  w.call('unlink', '/tmp/d/f');
  w.call('rmdir', '/tmp/d');
  const fork = w.fork();
  assert.equal(fork.text('/etc/b'), -ENOENT);
  assert.equal(fork.call('lseek', fd, 0, 0), 0);
  assert.equal(fork.read(fd), 'IMage b');
  assert.equal(fork.call('pread64', memfd, fork.out, 10, 0), 6);
  assert.equal(fork.readlink(`/proc/self/fd/${memfd}`), '/memfd:m (deleted)');
  assert.equal(fork.cwd(), -ENOENT);
  assert.equal(fork.readlink(`/proc/self/fd/${dir}`), '/tmp/d (deleted)');
  const pages = fork.kernel.vfs.budget.usedPages;
  fork.call('close', fd);
  fork.call('close', memfd);
  assert.equal(fork.kernel.vfs.budget.usedPages, pages - 2);
});

test('locks stay with their owners', () => {
  const w = busy();
  const fd = w.open('/etc/a', O_RDWR);
  assert.equal(w.call('flock', fd, LOCK_EX), 0);
  const fork = w.fork();
  const other = fork.open('/etc/a', O_RDWR);
  assert.equal(fork.call('flock', other, LOCK_EX | LOCK_NB), -EAGAIN);
  fork.call('close', fd);
  assert.equal(fork.call('flock', other, LOCK_EX | LOCK_NB), 0);
});

test('mapped pages of the image are in the state', () => {
  const w = busy();
  const found = w.kernel.vfs.lookup(w.task, -100, '/usr/lib/x');
  assert.ok(typeof found !== 'number');
  const gpa = found.inode.mapPage(0, false);
  const ref = w.kernel.vfs.saveInode(found.inode);
  const fork = w.fork();
  const inode = fork.kernel.vfs.loadInode(ref);
  assert.equal(inode?.mapPage(0, false), gpa);
  assert.equal(fork.kernel.frames.bytes(gpa)[0], 120);
});

test('restoring costs nothing per file', () => {
  const tree: Record<string, { data: string }> = {};
  for (let i = 0; i < 2000; i++) tree[`usr/f${i}`] = { data: 'x' };
  const w = new World(tree);
  for (let i = 0; i < 400; i++) w.write(`/usr/f${i}`, 'changed');
  const state = saveFs(w.kernel);
  assert.equal(state.vfs.root.inodes.size, 405, 'the changed files, the root and the four mount points made in it');
  const fork = w.fork(state);
  assert.equal(fork.text('/usr/f399'), 'changed');
  assert.equal(fork.text('/usr/f400'), 'x');
});
