// epoll(7): level and edge triggering, one-shot, nesting, timers, closed files.

import assert from 'node:assert/strict';
import test from 'node:test';
import { EBADF, EEXIST, EINTR, EINVAL, ELOOP, ENOENT, EPERM } from '../../../src/abi/linux/errno.ts';
import { EPOLLET, EPOLLONESHOT, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD } from '../../../src/abi/linux/epoll.ts';
import { POLLHUP, POLLIN, POLLOUT } from '../../../src/abi/linux/poll.ts';
import { Kit } from './fskit.ts';

const MS = 1_000_000;
const OUT = 0x600;

function control(kit: Kit, epfd: number, op: number, fd: number, events: number, data = BigInt(fd)): number {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, events, true);
  view.setBigUint64(4, data, true);
  return kit.call('epoll_ctl', epfd, op, fd, kit.put(bytes, 0x500));
}

/** [data, events] pairs ready now. */
function ready(kit: Kit, epfd: number, max = 10): [number, number][] {
  const n = kit.call('epoll_wait', epfd, kit.buffer + OUT, max, 0);
  return Array.from({ length: Math.max(0, n) }, (_, i) => {
    const view = new DataView(kit.bytes(OUT + i * 12, 12).buffer);
    return [Number(view.getBigUint64(4, true)), view.getUint32(0, true)];
  });
}

test('level-triggered: reported as long as it holds', () => {
  const kit = new Kit();
  const ep = kit.call('epoll_create1', 0);
  const [r, w] = kit.pipe();
  assert.equal(control(kit, ep, EPOLL_CTL_ADD, r, POLLIN), 0);
  assert.deepEqual(ready(kit, ep), []);
  kit.write(w, 'ab');
  for (let i = 0; i < 3; i++) assert.deepEqual(ready(kit, ep), [[r, POLLIN]]);
  kit.read(r);
  assert.deepEqual(ready(kit, ep), []);
  kit.call('close', w);
  assert.deepEqual(ready(kit, ep), [[r, POLLHUP]]);
});

test('edge-triggered: once for each write, whether or not anyone waits', () => {
  const kit = new Kit();
  const ep = kit.call('epoll_create1', 0);
  const [r, w] = kit.pipe();
  kit.write(w, 'a');
  control(kit, ep, EPOLL_CTL_ADD, r, POLLIN + EPOLLET);
  assert.deepEqual(ready(kit, ep), [[r, POLLIN]]);
  assert.deepEqual(ready(kit, ep), []);
  kit.write(w, 'b');
  assert.deepEqual(ready(kit, ep), [[r, POLLIN]]);
  kit.read(r, 1);
  assert.deepEqual(ready(kit, ep), []);
  control(kit, ep, EPOLL_CTL_MOD, r, POLLIN + EPOLLET);
  assert.deepEqual(ready(kit, ep), [[r, POLLIN]]);
});

test('one-shot: disabled after an event until EPOLL_CTL_MOD', () => {
  const kit = new Kit();
  const ep = kit.call('epoll_create1', 0);
  const [r, w] = kit.pipe();
  control(kit, ep, EPOLL_CTL_ADD, r, POLLIN | EPOLLONESHOT);
  kit.write(w, 'a');
  assert.deepEqual(ready(kit, ep), [[r, POLLIN]]);
  kit.write(w, 'a');
  assert.deepEqual(ready(kit, ep), []);
  assert.equal(control(kit, ep, EPOLL_CTL_ADD, r, POLLIN), -EEXIST);
  control(kit, ep, EPOLL_CTL_MOD, r, POLLIN | EPOLLONESHOT, 77n);
  assert.deepEqual(ready(kit, ep), [[77, POLLIN]]);
});

test('a blocked epoll_wait is woken, times out with 0, and is interrupted with EINTR', () => {
  const kit = new Kit();
  const ep = kit.call('epoll_create1', 0);
  const [r, w] = kit.pipe();
  control(kit, ep, EPOLL_CTL_ADD, r, POLLIN);
  const args = [ep, kit.buffer + OUT, 4, 50];
  kit.blocks('epoll_wait', args);
  kit.write(w, 'x');
  assert.ok(kit.woken());
  assert.equal(kit.start('epoll_wait', args), 1);
  kit.read(r);
  kit.blocks('epoll_wait', args);
  kit.advance(51 * MS);
  assert.equal(kit.start('epoll_wait', args), 0);
  kit.blocks('epoll_wait', args);
  kit.kernel.interruptTask(kit.task);
  assert.equal(kit.start('epoll_wait', args), -EINTR);
});

test('more ready files than asked for come in turn', () => {
  const kit = new Kit();
  const ep = kit.call('epoll_create1', 0);
  const fds = [0, 1, 2].map(() => kit.call('eventfd2', 1, 0));
  for (const fd of fds) control(kit, ep, EPOLL_CTL_ADD, fd, POLLIN);
  const seen = [0, 1, 2, 3, 4, 5].map(() => ready(kit, ep, 1)[0][0]);
  assert.deepEqual(seen, [...fds, ...fds]);
});

test('a timerfd becomes ready by itself, also edge-triggered and nested', () => {
  const kit = new Kit();
  const inner = kit.call('epoll_create1', 0);
  const outer = kit.call('epoll_create1', 0);
  const timer = kit.call('timerfd_create', 1, 0);
  control(kit, inner, EPOLL_CTL_ADD, timer, POLLIN + EPOLLET);
  control(kit, outer, EPOLL_CTL_ADD, inner, POLLIN);
  kit.call('timerfd_settime', timer, 0, kit.words(0x200, 0, 10 * MS, 0, 10 * MS), 0);
  const args = [outer, kit.buffer + OUT, 4, -1];
  kit.blocks('epoll_wait', args);
  kit.advance(10 * MS);
  assert.ok(kit.woken());
  assert.equal(kit.start('epoll_wait', args), 1);
  assert.deepEqual(ready(kit, inner), [[timer, POLLIN]]);
  assert.deepEqual(ready(kit, inner), []);
  assert.deepEqual(ready(kit, outer), []);
  kit.advance(10 * MS);
  assert.deepEqual(ready(kit, inner), [[timer, POLLIN]]);
});

test('a closed file leaves; a duplicate keeps it', () => {
  const kit = new Kit();
  const ep = kit.call('epoll_create1', 0);
  const fd = kit.call('eventfd2', 1, 0);
  const { files } = kit.task.process;
  const copy = files.install((files.get(fd) as NonNullable<ReturnType<typeof files.get>>).ref());
  control(kit, ep, EPOLL_CTL_ADD, fd, POLLIN);
  kit.call('close', fd);
  assert.deepEqual(ready(kit, ep), [[fd, POLLIN]]);
  kit.call('close', copy);
  assert.deepEqual(ready(kit, ep), []);
});

test('errors', () => {
  const kit = new Kit();
  const ep = kit.call('epoll_create1', 0);
  const other = kit.call('epoll_create1', 0);
  const [r] = kit.pipe();
  assert.equal(control(kit, ep, EPOLL_CTL_ADD, 99, POLLIN), -EBADF);
  assert.equal(control(kit, ep, EPOLL_CTL_ADD, ep, POLLIN), -EINVAL);
  assert.equal(control(kit, r, EPOLL_CTL_ADD, ep, POLLIN), -EINVAL);
  assert.equal(control(kit, ep, EPOLL_CTL_DEL, r, 0), -ENOENT);
  assert.equal(control(kit, ep, 9, r, 0), -EINVAL);
  assert.equal(control(kit, ep, EPOLL_CTL_ADD, kit.open('/dev/null', 2), POLLOUT), -EPERM);
  assert.equal(control(kit, ep, EPOLL_CTL_ADD, other, POLLIN), 0);
  assert.equal(control(kit, other, EPOLL_CTL_ADD, ep, POLLIN), -ELOOP);
  assert.equal(kit.call('epoll_wait', ep, kit.buffer, 0, 0), -EINVAL);
  assert.equal(kit.call('epoll_wait', r, kit.buffer, 1, 0), -EINVAL);
  assert.equal(kit.call('epoll_create', 0), -EINVAL);
});

test('nesting is bounded in depth from either end, and in breadth', () => {
  for (const fromTop of [true, false]) {
    const kit = new Kit();
    const chain = Array.from({ length: 8 }, () => kit.call('epoll_create1', 0));
    const links = chain.slice(1).map((fd, i) => [chain[i], fd] as const);
    const results = (fromTop ? links : links.reverse()).map(([outer, inner]) => control(kit, outer, EPOLL_CTL_ADD, inner, POLLIN));
    assert.deepEqual(results.slice(0, 5), [0, 0, 0, 0, -ELOOP]);
  }
  const kit = new Kit();
  const ep = kit.call('epoll_create1', 0);
  const results = Array.from({ length: 17 }, () => control(kit, ep, EPOLL_CTL_ADD, kit.call('epoll_create1', 0), POLLIN));
  assert.deepEqual([results[15], results[16]], [0, -EINVAL]);
});
