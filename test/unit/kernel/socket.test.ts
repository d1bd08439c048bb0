// unix(7) sockets and loopback TCP and UDP: data, messages, passed files, names, errors.

import assert from 'node:assert/strict';
import test from 'node:test';
import {
  EACCES, EADDRINUSE, EAFNOSUPPORT, EAGAIN, ECONNREFUSED, ECONNRESET, EINPROGRESS, EINVAL, EISCONN, EMSGSIZE, ENETUNREACH, ENOBUFS, ENOTCONN, ENOTSOCK, EPIPE,
} from '../../../src/abi/linux/errno.ts';
import { POLLHUP, POLLIN, POLLOUT, POLLRDHUP } from '../../../src/abi/linux/poll.ts';
import {
  AF_INET, AF_UNIX, MSG_CTRUNC, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_SEQPACKET, SOCK_STREAM,
} from '../../../src/abi/linux/socket.ts';
import { SIGPIPE, sigbit } from '../../../src/abi/linux/signal.ts';
import { Kit } from './fskit.ts';

function pair(kit: Kit, type: number): [number, number] {
  assert.equal(kit.call('socketpair', AF_UNIX, type, 0, kit.buffer), 0);
  return [kit.i32(0), kit.i32(4)];
}

function unixAddress(kit: Kit, path: string, at = 0x2000): [number, number] {
  return [kit.put(`\x01\0${path}`, at), 2 + path.length];
}

function inetAddress(kit: Kit, host: string, port: number, at = 0x2000): [number, number] {
  return [kit.put(`\x02\0${String.fromCharCode(port >> 8, port & 255)}${host}\0\0\0\0\0\0\0\0`, at), 16];
}

function send(kit: Kit, fd: number, text: string, flags = 0, address: [number, number] = [0, 0]): number {
  return kit.call('sendto', fd, kit.put(text, 0x8000), text.length, flags, ...address);
}

function recv(kit: Kit, fd: number, length = 1000, flags = MSG_DONTWAIT): string | number {
  const n = kit.call('recvfrom', fd, kit.buffer + 0x9000, length, flags, 0, 0);
  return n < 0 ? n : kit.text(0x9000, Math.min(n, length));
}

function poll(kit: Kit, fd: number): number {
  kit.call('poll', kit.ints(0x100, fd, 0xffff), 1, 0);
  return kit.i32(0x104) >>> 16;
}

test('stream pair: bytes both ways, shutdown, end of file, EPIPE with SIGPIPE', () => {
  const kit = new Kit();
  const [a, b] = pair(kit, SOCK_STREAM);
  assert.equal(kit.write(a, 'abc'), 3);
  assert.equal(send(kit, a, 'def'), 3);
  assert.equal(recv(kit, b, 100, MSG_PEEK), 'abcdef');
  assert.equal(recv(kit, b, 4), 'abcd');
  assert.equal(kit.read(b), 'ef');
  assert.equal(recv(kit, b), -EAGAIN);
  assert.equal(kit.call('shutdown', a, 1), 0);
  assert.equal(kit.read(b), '');
  assert.equal(poll(kit, b) & (POLLIN | POLLRDHUP | POLLOUT), POLLIN | POLLRDHUP | POLLOUT);
  assert.equal(kit.write(a, 'x'), -EPIPE);
  assert.equal(kit.helper.pending, sigbit(SIGPIPE));
  assert.equal(kit.write(b, 'back'), 4);
  assert.equal(kit.read(a), 'back');
  kit.write(b, 'unread');
  kit.call('close', a);
  assert.equal(recv(kit, b), -ECONNRESET);
  assert.ok((poll(kit, b) & POLLHUP) !== 0);
});

test('a full stream blocks its writer; reading lets it go on', () => {
  const kit = new Kit();
  const [a, b] = pair(kit, SOCK_STREAM);
  const size = 500_000;
  kit.put(new Uint8Array(size).fill(65), 0x80000);
  const args = [a, kit.buffer + 0x80000, size, 0, 0, 0];
  const first = kit.blocks('sendto', args);
  assert.ok(first.onSignal > 0);
  let got = 0;
  for (let rounds = 0; got < size; rounds++) {
    const part = kit.read(b, 60_000);
    assert.ok(typeof part === 'string' && rounds < 100);
    got += part.length;
    if (kit.woken() && kit.start('sendto', args) === size) kit.task.rerun = null;
  }
  assert.equal(got, size);
});

test('datagrams and packets keep their bounds; what does not fit is lost', () => {
  for (const type of [SOCK_DGRAM, SOCK_SEQPACKET]) {
    const kit = new Kit();
    const [a, b] = pair(kit, type);
    for (const text of ['one', 'two', 'three']) send(kit, a, text);
    assert.equal(recv(kit, b, 2), 'on');
    assert.equal(kit.call('recvfrom', b, kit.buffer, 2, MSG_TRUNC, 0, 0), 3);
    assert.equal(recv(kit, b), 'three');
    assert.equal(recv(kit, b), -EAGAIN);
    assert.equal(kit.call('sendto', a, kit.buffer, 300_000, 0, 0, 0), -EMSGSIZE);
    kit.call('close', a);
    assert.equal(recv(kit, b), type === SOCK_DGRAM ? -EAGAIN : '');
    assert.equal(send(kit, b, 'x'), type === SOCK_DGRAM ? -ECONNREFUSED : -EPIPE);
  }
});

/** A struct msghdr at 0x3000 with one buffer and `controlLength` bytes of control data at 0x5000. */
function message(kit: Kit, length: number, controlLength: number): number {
  kit.words(0x4000, kit.buffer + 0xa000, length);
  return kit.words(0x3000, 0, 0, kit.buffer + 0x4000, 1, kit.buffer + 0x5000, controlLength, 0);
}

test('SCM_RIGHTS passes a file; without room for it the file is closed and MSG_CTRUNC set', () => {
  const kit = new Kit();
  const [a, b] = pair(kit, SOCK_STREAM);
  const [r, w] = kit.pipe();
  const pass = (): void => {
    kit.put('!', 0xa000);
    kit.words(0x5000, 20);
    kit.ints(0x5008, 1, 1, w);
    assert.equal(kit.call('sendmsg', a, message(kit, 1, 20), 0), 1);
  };
  pass();
  assert.equal(kit.call('recvmsg', b, message(kit, 10, 24), 0), 1);
  const passed = kit.i32(0x5010);
  assert.deepEqual([kit.u64(0x5000), kit.i32(0x5008), kit.i32(0x500c), kit.u64(0x3028)], [20n, 1, 1, 24n]);
  kit.call('close', w);
  assert.equal(kit.write(passed, 'through'), 7);
  assert.equal(kit.read(r), 'through');
  const file = kit.task.process.files.get(passed);
  kit.ints(0x6000, passed);
  kit.words(0x5000, 20);
  kit.ints(0x5008, 1, 1, passed);
  assert.equal(kit.call('sendmsg', a, message(kit, 1, 20), 0), 1);
  assert.equal(file?.refs, 2);
  assert.equal(kit.call('recvmsg', b, message(kit, 10, 0), 0), 1);
  assert.equal(kit.i32(0x3030), MSG_CTRUNC);
  assert.equal(file?.refs, 1);
});

test('unix names: bind, listen, connect, accept, EADDRINUSE, abstract names', () => {
  for (const path of ['/sock', '\0abstract']) {
    const kit = new Kit();
    const server = kit.call('socket', AF_UNIX, SOCK_STREAM, 0);
    assert.equal(kit.call('bind', server, ...unixAddress(kit, path)), 0);
    assert.equal(kit.call('bind', kit.call('socket', AF_UNIX, SOCK_STREAM, 0), ...unixAddress(kit, path)), -EADDRINUSE);
    const client = kit.call('socket', AF_UNIX, SOCK_STREAM, 0);
    assert.equal(kit.call('connect', client, ...unixAddress(kit, path)), -ECONNREFUSED);
    assert.equal(kit.call('listen', server, 5), 0);
    const args = [server, 0, 0, 0];
    kit.blocks('accept4', args);
    assert.equal(kit.call('connect', client, ...unixAddress(kit, path)), 0);
    assert.ok(kit.woken());
    const accepted = kit.start('accept4', args) as number;
    kit.write(client, 'hello');
    assert.equal(kit.read(accepted), 'hello');
    kit.ints(0x6000, 100);
    assert.equal(kit.call('getpeername', client, kit.buffer + 0x6100, kit.buffer + 0x6000), 0);
    assert.ok(kit.text(0x6102, path.length) === path);
    kit.call('close', server);
    assert.equal(kit.call('connect', kit.call('socket', AF_UNIX, SOCK_STREAM, 0), ...unixAddress(kit, path)), -ECONNREFUSED);
  }
});

test('there is no network, but there is loopback', () => {
  const kit = new Kit();
  const tcp = (flags = 0): number => kit.call('socket', AF_INET, SOCK_STREAM | flags, 0);
  assert.equal(kit.call('connect', tcp(), ...inetAddress(kit, '\x08\x08\x08\x08', 53)), -ENETUNREACH);
  assert.equal(kit.call('connect', tcp(), ...inetAddress(kit, '\x7f\0\0\x01', 80)), -ECONNREFUSED);
  assert.equal(kit.call('socket', 17, SOCK_STREAM, 0), -EAFNOSUPPORT);
  assert.equal(kit.call('socket', AF_INET, SOCK_STREAM, 17), -93);
  const server = tcp();
  assert.equal(kit.call('bind', server, ...inetAddress(kit, '\x7f\0\0\x01', 0)), 0);
  kit.call('listen', server, 1);
  kit.ints(0x6000, 16);
  kit.call('getsockname', server, kit.buffer + 0x6100, kit.buffer + 0x6000);
  const bytes = kit.bytes(0x6100, 16);
  const port = bytes[2] * 256 + bytes[3];
  assert.ok(port >= 32768);
  const client = tcp(SOCK_NONBLOCK);
  const connect = (): number => kit.call('connect', client, ...inetAddress(kit, '\x7f\0\0\x01', port));
  assert.deepEqual([connect(), connect(), connect()], [-EINPROGRESS, 0, -EISCONN]);
  const accepted = kit.call('accept', server, 0, 0);
  kit.write(client, 'over tcp');
  assert.equal(kit.read(accepted), 'over tcp');
  kit.helper.process.credentials = { ...kit.helper.process.credentials, euid: 1000 };
  assert.equal(kit.call('bind', tcp(), ...inetAddress(kit, '\0\0\0\0', 80)), -EACCES);
});

test('udp: to a port, to nobody, connected to nobody', () => {
  const kit = new Kit();
  const udp = (): number => kit.call('socket', AF_INET, SOCK_DGRAM, 0);
  const [server, client] = [udp(), udp()];
  assert.equal(kit.call('bind', server, ...inetAddress(kit, '\0\0\0\0', 5353)), 0);
  assert.equal(send(kit, client, 'q', 0, inetAddress(kit, '\x7f\0\0\x01', 5353)), 1);
  kit.ints(0x6000, 16);
  assert.equal(kit.call('recvfrom', server, kit.buffer, 10, 0, kit.buffer + 0x6100, kit.buffer + 0x6000), 1);
  assert.equal(kit.i32(0x6000), 16);
  const reply = [kit.buffer + 0x6100, 16] as [number, number];
  assert.equal(send(kit, server, 'answer', 0, reply), 6);
  assert.equal(recv(kit, client), 'answer');
  assert.equal(send(kit, client, 'q', 0, inetAddress(kit, '\x0a\0\0\x01', 53)), -ENETUNREACH);
  const asking = udp();
  assert.equal(kit.call('connect', asking, ...inetAddress(kit, '\x7f\0\0\x01', 53)), 0);
  assert.equal(send(kit, asking, 'q'), 1);
  assert.equal(recv(kit, asking), -ECONNREFUSED);
});

test('errors and options', () => {
  const kit = new Kit();
  const [r] = kit.pipe();
  assert.equal(kit.call('listen', r, 1), -ENOTSOCK);
  const fd = kit.call('socket', AF_UNIX, SOCK_STREAM, 0);
  assert.equal(kit.call('listen', fd, 1), -EINVAL);
  assert.equal(recv(kit, fd), -EINVAL);
  assert.equal(send(kit, fd, 'x'), -ENOTCONN);
  assert.equal(kit.call('getpeername', fd, kit.buffer, kit.buffer), -ENOTCONN);
  kit.ints(0x6000, 4);
  assert.equal(kit.call('getsockopt', fd, 1, 3, kit.buffer + 0x6100, kit.buffer + 0x6000), 0);
  assert.equal(kit.i32(0x6100), SOCK_STREAM);
  assert.equal(kit.call('setsockopt', fd, 1, 999, kit.buffer, 4), -92);
  assert.ok(kit.kernel.unimplemented.has('sockopt 1 999'));
  const [a] = pair(kit, SOCK_STREAM);
  assert.equal(kit.call('setsockopt', a, 1, 20, kit.words(0x6000, 0, 50_000), 16), 0);
  const args = [a, kit.buffer, 10, 0, 0, 0];
  kit.blocks('recvfrom', args);
  kit.advance(51_000_000);
  assert.equal(kit.task.state, 'runnable');
});

test('what sockets hold is bounded and given back', () => {
  const kit = new Kit();
  const { ipc } = kit.kernel;
  const pairs: [number, number][] = [];
  let refused = 0;
  while (refused === 0 && pairs.length < 400) {
    const both = pair(kit, SOCK_DGRAM);
    pairs.push(both);
    const n = kit.call('sendto', both[0], kit.buffer, 200_000, MSG_DONTWAIT, 0, 0);
    if (n < 0) refused = n;
  }
  assert.equal(refused, -ENOBUFS);
  assert.ok(ipc.socketBytes <= 32 << 20 && ipc.sockets === pairs.length * 2);
  for (const fd of pairs.flat()) kit.call('close', fd);
  assert.deepEqual([ipc.socketBytes, ipc.sockets, ipc.filesInFlight], [0, 0, 0]);
});
