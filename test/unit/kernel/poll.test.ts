// poll(2), select(2), timerfd_create(2): events, timeouts that survive reruns, signal masks, timers that expire by themselves.

import assert from 'node:assert/strict';
import test from 'node:test';
import { EAGAIN, EBADF, EINVAL, ERESTARTNOHAND } from '../../../src/abi/linux/errno.ts';
import { POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT } from '../../../src/abi/linux/poll.ts';
import { RERUN } from '../../../src/kernel/wait.ts';
import { Kit } from './fskit.ts';

const O_NONBLOCK = 0o4000;
const MS = 1_000_000;

function pollfds(kit: Kit, ...fds: [number, number][]): number {
  return kit.put(new Uint8Array(Int32Array.from(fds.flatMap(([fd, events]) => [fd, events])).buffer), 0x100);
}

function revents(kit: Kit, index: number): number {
  return kit.i32(0x100 + index * 8 + 4) >>> 16;
}

test('poll reports what holds, POLLNVAL for closed descriptors, nothing for negative ones', () => {
  const kit = new Kit();
  const [r, w] = kit.pipe();
  const fds = pollfds(kit, [r, POLLIN], [w, POLLOUT], [99, POLLIN], [-1, POLLIN]);
  assert.equal(kit.call('poll', fds, 4, -1), 2);
  assert.deepEqual([0, 1, 2, 3].map((i) => revents(kit, i)), [0, POLLOUT, POLLNVAL, 0]);
  kit.write(w, 'x');
  kit.call('close', w);
  assert.equal(kit.call('poll', pollfds(kit, [r, POLLIN]), 1, 0), 1);
  assert.equal(revents(kit, 0), POLLIN | POLLHUP);
  const [r2, w2] = kit.pipe();
  kit.call('close', r2);
  assert.equal(kit.call('poll', pollfds(kit, [w2, 0]), 1, 0), 1);
  assert.equal(revents(kit, 0), POLLERR);
  assert.equal(kit.call('poll', fds, 5000, 0), -EINVAL);
});

test('a blocked poll is woken, keeps its end across reruns and times out with 0', () => {
  const kit = new Kit();
  const [r, w] = kit.pipe();
  const args = [pollfds(kit, [r, POLLIN]), 1, 100];
  const first = kit.blocks('poll', args);
  kit.advance(60 * MS);
  kit.write(w, 'x');
  assert.ok(kit.woken());
  kit.read(r);
  const second = kit.blocks('poll', args);
  assert.equal(second.deadlineNs, first.deadlineNs);
  kit.advance(41 * MS);
  assert.ok(kit.woken());
  assert.equal(kit.start('poll', args), 0);
});

test('ppoll swaps the signal mask, restores it, and writes the remaining time', () => {
  const kit = new Kit();
  const [r, w] = kit.pipe();
  kit.task.sigmask = 5n;
  const args = [pollfds(kit, [r, POLLIN]), 1, kit.words(0x200, 1, 0), kit.words(0x300, 2n), 8];
  kit.blocks('ppoll', args);
  assert.equal(kit.task.sigmask, 2n);
  kit.advance(250 * MS);
  kit.write(w, 'x');
  assert.equal(kit.start('ppoll', args), 1);
  assert.equal(kit.task.sigmask, 5n);
  assert.equal(kit.task.savedSigmask, null);
  assert.deepEqual([kit.u64(0x200), kit.u64(0x208)], [0n, 750_000_000n]);
  assert.equal(kit.call('ppoll', args[0], 1, 0, args[3], 4), -EINVAL);
});

test('an interrupted ppoll keeps the mask for the handler and says how much time was left', () => {
  const kit = new Kit();
  const [r] = kit.pipe();
  kit.task.sigmask = 5n;
  const args = [pollfds(kit, [r, POLLIN]), 1, kit.words(0x200, 2, 0), kit.words(0x300, 0n), 8];
  const wait = kit.blocks('ppoll', args);
  assert.equal(wait.onSignal, RERUN);
  kit.advance(500 * MS);
  kit.kernel.interruptTask(kit.task);
  assert.equal(kit.start('ppoll', args), -ERESTARTNOHAND);
  assert.equal(kit.task.savedSigmask, 5n);
  assert.deepEqual([kit.u64(0x200), kit.u64(0x208)], [1n, 500_000_000n]);
});

test('select: bits in and out, EBADF, timeouts', () => {
  const kit = new Kit();
  const [r, w] = kit.pipe();
  const sets = (): [number, number] => [kit.words(0x400, 1n << BigInt(r)), kit.words(0x408, 1n << BigInt(w))];
  assert.equal(kit.call('select', 10, ...sets(), 0, 0), 1);
  assert.deepEqual([kit.u64(0x400), kit.u64(0x408)], [0n, 1n << BigInt(w)]);
  kit.write(w, 'x');
  assert.equal(kit.call('select', 10, ...sets(), 0, 0), 2);
  assert.equal(kit.call('select', 10, kit.words(0x400, 1n << 9n), 0, 0, 0), -EBADF);
  assert.equal(kit.call('select', -1, 0, 0, 0, 0), -EINVAL);
  assert.equal(kit.call('select', 0, 0, 0, 0, kit.words(0x500, 0, 0)), 0);
  const args = [0, 0, 0, 0, kit.words(0x500, 0, 1500)];
  kit.blocks('select', args);
  kit.advance(2 * MS);
  assert.equal(kit.start('select', args), 0);
  assert.equal(kit.u64(0x508), 0n);
});

test('timerfd: expirations are counted, reads block until one comes, poll wakes by itself', () => {
  const kit = new Kit();
  const fd = kit.call('timerfd_create', 1, 0);
  // interval 10 ms, first after 25 ms
  assert.equal(kit.call('timerfd_settime', fd, 0, kit.words(0x200, 0, 10 * MS, 0, 25 * MS), 0), 0);
  const read = [fd, kit.buffer, 8];
  kit.blocks('read', read);
  kit.advance(25 * MS);
  assert.ok(kit.woken());
  assert.equal(kit.start('read', read), 8);
  assert.equal(kit.u64(0), 1n);
  kit.advance(35 * MS);
  assert.equal(kit.call('timerfd_gettime', fd, kit.buffer + 0x300), 0);
  assert.deepEqual([0x300, 0x308, 0x310, 0x318].map((at) => kit.u64(at)), [0n, 10_000_000n, 0n, 5_000_000n]);
  assert.equal(kit.call('read', ...read), 8);
  assert.equal(kit.u64(0), 3n);
  const poll = [pollfds(kit, [fd, POLLIN]), 1, -1];
  kit.blocks('poll', poll);
  kit.advance(5 * MS);
  assert.ok(kit.woken());
  assert.equal(kit.start('poll', poll), 1);
});

test('timerfd: disarming, one-shot, absolute times, errors', () => {
  const kit = new Kit();
  const fd = kit.call('timerfd_create', 0, O_NONBLOCK);
  assert.equal(kit.call('read', fd, kit.buffer, 8), -EAGAIN);
  const soon = kit.host.clock.realtimeNs() + 5_000_000n;
  assert.equal(kit.call('timerfd_settime', fd, 1, kit.words(0x200, 0, 0, soon / 1_000_000_000n, soon % 1_000_000_000n), 0), 0);
  kit.advance(6 * MS);
  assert.equal(kit.call('read', fd, kit.buffer, 8), 8);
  kit.advance(1000 * MS);
  assert.equal(kit.call('read', fd, kit.buffer, 8), -EAGAIN);
  assert.equal(kit.call('timerfd_settime', fd, 0, kit.words(0x200, 0, 0, 0, 1_000_000_000), 0), -EINVAL);
  assert.equal(kit.call('timerfd_settime', kit.pipe()[0], 0, kit.words(0x200, 0, 0, 0, 1), 0), -EINVAL);
  assert.equal(kit.call('timerfd_create', 77, 0), -EINVAL);
});
