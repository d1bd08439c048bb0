// Descriptors, locks, seals: dup(2), fcntl(2), flock(2), close_range(2), memfd_create(2).

import assert from 'node:assert/strict';
import test from 'node:test';
import { EAGAIN, EBADF, EINVAL, EMFILE, EPERM } from '../../../src/abi/linux/errno.ts';
import {
  CLOSE_RANGE_CLOEXEC, F_ADD_SEALS, F_DUPFD, F_DUPFD_CLOEXEC, F_GET_SEALS, F_GETFD, F_GETFL, F_GETLK, F_OFD_SETLK, F_RDLCK, F_SEAL_GROW,
  F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE, F_SETFD, F_SETFL, F_SETLK, F_SETLKW, F_UNLCK, F_WRLCK, Flock, LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN,
  MFD_ALLOW_SEALING, O_APPEND, O_CLOEXEC, O_NONBLOCK, O_RDWR,
} from '../../../src/abi/linux/fcntl.ts';
import { World } from './fsworld.ts';

const TREE = { 'f': { data: 'contents' } };

function lock(type: number, start: number, length: number): Uint8Array {
  const bytes = new Uint8Array(Flock.size);
  Flock.write(new DataView(bytes.buffer), 0, { l_type: type, l_start: start, l_len: length });
  return bytes;
}

test('descriptors are the lowest free ones', () => {
  const w = new World(TREE);
  assert.deepEqual([w.open('/f'), w.open('/f'), w.open('/f')], [0, 1, 2]);
  assert.equal(w.call('close', 1), 0);
  assert.equal(w.call('close', 1), -EBADF);
  assert.equal(w.call('dup', 0), 1);
  assert.equal(w.call('dup2', 0, 7), 7);
  assert.equal(w.open('/f'), 3);
  assert.equal(w.call('fcntl', 0, F_DUPFD, 5), 5);
  assert.equal(w.call('fcntl', 0, F_DUPFD_CLOEXEC, 5), 6);
  assert.equal(w.call('fcntl', 6, F_GETFD, 0), 1);
  assert.equal(w.call('dup2', 6, 6), 6);
  assert.equal(w.call('fcntl', 6, F_GETFD, 0), 1, 'dup2 to itself changes nothing');
  assert.equal(w.call('dup3', 6, 6, 0), -EINVAL);
  assert.equal(w.call('dup3', 0, 9, O_CLOEXEC), 9);
  assert.equal(w.call('dup2', 0, 1024), -EBADF);
  assert.equal(w.call('fcntl', 0, F_DUPFD, 1024), -EINVAL);
  assert.equal(w.call('close_range', 5, 100, CLOSE_RANGE_CLOEXEC), 0);
  w.task.process.files.closeOnExec();
  const open: number[] = [];
  w.task.process.files.forEach((fd) => open.push(fd));
  assert.deepEqual(open, [0, 1, 2, 3]);
  assert.equal(w.call('close_range', 2, 0xffff_ffff, 0), 0);
  assert.equal(w.task.process.files.count, 2);
});

test('a full table is EMFILE, and makes nothing', () => {
  const w = new World(TREE);
  w.task.process.files.limit = 3;
  for (let i = 0; i < 3; i++) w.open('/f');
  assert.equal(w.open('/tmp/new', 0o102), -EMFILE);
  assert.deepEqual(w.names('/tmp'), []);
  assert.equal(w.call('dup', 0), -EMFILE);
  assert.equal(w.task.process.files.get(0)?.refs, 1);
});

test('status flags belong to the description', () => {
  const w = new World(TREE);
  const fd = w.open('/f', O_RDWR | O_CLOEXEC);
  const copy = w.call('dup', fd);
  assert.equal(w.call('fcntl', fd, F_SETFL, O_APPEND | O_NONBLOCK), 0);
  assert.equal(w.call('fcntl', copy, F_GETFL, 0), 0o100002 | O_APPEND | O_NONBLOCK);
  assert.equal(w.call('fcntl', copy, F_SETFL, 0), 0);
  assert.equal(w.call('fcntl', fd, F_GETFL, 0), 0o100002);
  assert.equal(w.call('fcntl', copy, F_GETFD, 0), 0, 'close-on-exec belongs to the descriptor');
  assert.equal(w.call('fcntl', copy, F_SETFD, 1), 0);
  assert.equal(w.call('fcntl', 99, F_GETFL, 0), -EBADF);
  assert.equal(w.call('fcntl', fd, 12345, 0), -EINVAL);
});

test('record locks: conflicts, splitting, merging, and going with a close', () => {
  const w = new World(TREE);
  const fd = w.open('/f', O_RDWR);
  assert.equal(w.call('fcntl', fd, F_SETLK, lock(F_WRLCK, 0, 100)), 0);
  assert.equal(w.call('fcntl', fd, F_SETLK, lock(F_UNLCK, 40, 20)), 0);
  assert.equal(w.call('fcntl', fd, F_SETLK, lock(F_RDLCK, 90, 30)), 0);
  const first = w.task;
  w.newProcess(3);
  const other = w.open('/f', O_RDWR);
  assert.equal(w.call('fcntl', other, F_SETLK, lock(F_WRLCK, 40, 20)), 0, 'the hole');
  assert.equal(w.call('fcntl', other, F_SETLK, lock(F_RDLCK, 100, 5)), 0, 'readers share');
  assert.equal(w.call('fcntl', other, F_SETLK, lock(F_WRLCK, 100, 5)), -EAGAIN);
  assert.equal(w.call('fcntl', other, F_SETLK, lock(F_RDLCK, 0, 0)), -EAGAIN);
  const wait = w.run('fcntl', other, F_SETLKW, lock(F_WRLCK, 60, 10));
  assert.ok(typeof wait === 'object' && wait.queues.length === 1);
  assert.equal(w.call('fcntl', other, F_OFD_SETLK, lock(F_RDLCK, 45, 1)), -EAGAIN, 'OFD and POSIX locks of one process conflict');
  const query = w.call('fcntl', other, F_GETLK, w.out);
  assert.equal(query, 0);
  // The first process closes any descriptor of the file: its locks go, the others stay.
  first.process.files.close(fd);
  assert.equal(w.call('fcntl', other, F_SETLK, lock(F_WRLCK, 0, 0)), 0);
});

test('flock belongs to the open file description', () => {
  const w = new World(TREE);
  const fd = w.open('/f');
  const copy = w.call('dup', fd);
  const other = w.open('/f');
  assert.equal(w.call('flock', fd, LOCK_SH), 0);
  assert.equal(w.call('flock', other, LOCK_SH | LOCK_NB), 0);
  assert.equal(w.call('flock', fd, LOCK_EX | LOCK_NB), -EAGAIN);
  assert.equal(w.call('flock', other, LOCK_UN), 0);
  assert.equal(w.call('flock', copy, LOCK_EX | LOCK_NB), 0);
  assert.equal(typeof w.run('flock', other, LOCK_EX), 'object');
  assert.equal(w.call('close', fd), 0);
  assert.equal(w.call('flock', other, LOCK_EX | LOCK_NB), -EAGAIN, 'the copy still holds it');
  assert.equal(w.call('close', copy), 0);
  assert.equal(w.call('flock', other, LOCK_EX | LOCK_NB), 0);
  assert.equal(w.call('flock', other, 99), -EINVAL);
});

test('seals', () => {
  const w = new World(TREE);
  const plain = w.call('memfd_create', 'plain', 0);
  assert.equal(w.call('fcntl', plain, F_GET_SEALS, 0), F_SEAL_SEAL);
  assert.equal(w.call('fcntl', plain, F_ADD_SEALS, F_SEAL_WRITE), -EPERM);
  const fd = w.call('memfd_create', 'x'.repeat(249), MFD_ALLOW_SEALING);
  assert.equal(w.call('memfd_create', 'x'.repeat(250), 0), -EINVAL);
  assert.equal(w.call('write', fd, 'data', 4), 4);
  assert.equal(w.call('fcntl', fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  assert.equal(w.call('ftruncate', fd, 2), -EPERM);
  assert.equal(w.call('ftruncate', fd, 9), -EPERM);
  assert.equal(w.call('ftruncate', fd, 4), 0);
  assert.equal(w.call('write', fd, 'x', 1), -EPERM, 'it would grow');
  assert.equal(w.call('pwrite64', fd, 'D', 1, 0), 1);
  const inode = w.task.process.files.get(fd)?.inode;
  assert.equal(w.call('fcntl', fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL), 0);
  assert.equal(w.call('pwrite64', fd, 'E', 1, 0), -EPERM);
  assert.equal(inode?.mapPage(0, true), -EPERM);
  assert.equal(w.call('fcntl', fd, F_ADD_SEALS, F_SEAL_WRITE), -EPERM);
  assert.equal(w.call('fcntl', w.open('/tmp/x', 0o102), F_GET_SEALS, 0), F_SEAL_SEAL, 'tmpfs');
});
