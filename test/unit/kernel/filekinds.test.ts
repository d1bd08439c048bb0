// Forks of a sandbox with all kinds of open files: each goes on where it was, none is shared between forks.

import assert from 'node:assert/strict';
import test from 'node:test';
import { EAGAIN } from '../../../src/abi/linux/errno.ts';
import { EPOLL_CTL_ADD } from '../../../src/abi/linux/epoll.ts';
import { POLLIN } from '../../../src/abi/linux/poll.ts';
import { AF_UNIX, MSG_DONTWAIT, SOCK_STREAM } from '../../../src/abi/linux/socket.ts';
import { Kit } from './fskit.ts';

const MS = 1_000_000;
const O_NONBLOCK = 0o4000;

test('pipes: content, both ends, closing one; two forks do not share them', () => {
  const kit = new Kit();
  const [r, w] = kit.pipe();
  kit.write(w, 'before');
  const forks = [new Kit(kit), new Kit(kit)];
  forks[0].write(w, '+0');
  assert.equal(forks[0].read(r), 'before+0');
  assert.equal(forks[1].read(r), 'before');
  forks[1].call('close', w);
  assert.equal(forks[1].read(r), '');
  kit.write(w, '!');
  assert.equal(kit.read(r), 'before!');
});

test('a task blocked in read(2) is woken in the fork', () => {
  const kit = new Kit();
  const [r, w] = kit.pipe();
  const args = [r, kit.buffer + 0x1000, 10];
  kit.blocks('read', args);
  const fork = new Kit(kit);
  assert.equal(fork.task.state, 'blocked');
  fork.write(w, 'hello');
  assert.ok(fork.woken());
  assert.equal(fork.start('read', args), 5);
  assert.equal(kit.task.state, 'blocked');
});

test('epoll with a pipe, an eventfd and a timer; a fork sees edges and timers of its own', () => {
  const kit = new Kit();
  const ep = kit.call('epoll_create1', 0);
  const [r, w] = kit.pipe();
  const event = kit.call('eventfd2', 0, O_NONBLOCK);
  const timer = kit.call('timerfd_create', 1, O_NONBLOCK);
  kit.call('timerfd_settime', timer, 0, kit.words(0x200, 0, 0, 0, 20 * MS), 0);
  for (const fd of [r, event, timer]) {
    kit.ints(0x500, POLLIN, fd, 0);
    assert.equal(kit.call('epoll_ctl', ep, EPOLL_CTL_ADD, fd, kit.buffer + 0x500), 0);
  }
  const fork = new Kit(kit);
  const ready = (): number => fork.call('epoll_wait', ep, fork.buffer + 0x600, 10, 0);
  assert.equal(ready(), 0);
  fork.write(w, 'x');
  assert.equal(ready(), 1);
  fork.words(0, 4n);
  fork.call('write', event, fork.buffer, 8);
  assert.equal(ready(), 2);
  fork.advance(21 * MS);
  assert.equal(ready(), 3);
  assert.equal(kit.call('epoll_wait', ep, kit.buffer + 0x600, 10, 0), 0);
});

test('sockets: a pair with unread bytes, a passed file under way, a listener with a waiting connection', () => {
  const kit = new Kit();
  assert.equal(kit.call('socketpair', AF_UNIX, SOCK_STREAM, 0, kit.buffer), 0);
  const [a, b] = [kit.i32(0), kit.i32(4)];
  const [r, w] = kit.pipe();
  kit.put('m', 0xa000);
  kit.words(0x4000, kit.buffer + 0xa000, 1);
  kit.words(0x5000, 20);
  kit.ints(0x5008, 1, 1, w);
  kit.words(0x3000, 0, 0, kit.buffer + 0x4000, 1, kit.buffer + 0x5000, 24, 0);
  assert.equal(kit.call('sendmsg', a, kit.buffer + 0x3000, 0), 1);
  kit.call('close', w);
  const server = kit.call('socket', AF_UNIX, SOCK_STREAM, 0);
  const address = [kit.put('\x01\0\0name', 0x2000), 7];
  kit.call('bind', server, ...address);
  kit.call('listen', server, 4);
  const client = kit.call('socket', AF_UNIX, SOCK_STREAM, 0);
  assert.equal(kit.call('connect', client, ...address), 0);
  kit.write(client, 'queued');

  const fork = new Kit(kit);
  fork.words(0x3000, 0, 0, fork.buffer + 0x4000, 1, fork.buffer + 0x5000, 24, 0);
  assert.equal(fork.call('recvmsg', b, fork.buffer + 0x3000, 0), 1);
  const passed = fork.i32(0x5010);
  assert.equal(fork.write(passed, 'via'), 3);
  assert.equal(fork.read(r), 'via');
  const accepted = fork.call('accept', server, 0, 0);
  assert.equal(fork.read(accepted), 'queued');
  fork.write(accepted, 'reply');
  assert.equal(fork.read(client), 'reply');
  const second = fork.call('socket', AF_UNIX, SOCK_STREAM, 0);
  assert.equal(fork.call('connect', second, ...address), 0);
  assert.equal(kit.call('recvfrom', client, kit.buffer, 10, MSG_DONTWAIT, 0, 0), -EAGAIN);
});

test('host streams, control channel, devices and /proc files go on', () => {
  const kit = new Kit();
  const { streams, control } = kit.kernel;
  const files = [streams.openStdin(), streams.openOutput(1), streams.openOutput(2), control.openFile()];
  for (const file of files) kit.task.process.files.install(file);
  streams.stdin.push(Uint8Array.from([65, 66, 67]));
  assert.equal(kit.read(0, 1), 'A');
  control.send(Uint8Array.from([49]));
  const full = kit.open('/dev/full', 2);
  const version = kit.open('/proc/sys/kernel/ostype');
  const own = kit.open('/proc/2/comm');
  assert.equal(kit.read(version, 2), 'Li');
  const fork = new Kit(kit);
  assert.equal(fork.read(0), 'BC');
  fork.kernel.streams.stdin.close();
  assert.equal(fork.read(0), '');
  fork.write(1, 'out');
  assert.equal(fork.host.outputs.get(1), 'out');
  assert.equal(fork.read(3), '1');
  fork.kernel.control.send(Uint8Array.from([50]));
  assert.equal(fork.read(3), '2');
  assert.equal(fork.write(full, 'x'), -28);
  assert.equal(fork.read(version), 'nux\n');
  assert.equal(fork.read(own), 'task2\n');
  assert.equal(kit.kernel.streams.stdin.closed, false);
});

test('an open FIFO stays the same pipe for both ends and for later opens', () => {
  const kit = new Kit();
  kit.kernel.vfs.root.inode.create('fifo', 0o010666, 0, 0, 0);
  const both = kit.open('/fifo', 2);
  kit.write(both, 'abc');
  const fork = new Kit(kit);
  const writer = fork.open('/fifo', 1);
  fork.write(writer, 'def');
  assert.equal(fork.read(both), 'abcdef');
});
