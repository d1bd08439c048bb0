// futex(2) and robust lists on the fake machine.

import assert from 'node:assert/strict';
import test from 'node:test';
import { exitTask } from '../../../src/kernel/process/exit.ts';
import { Task, copyContext } from '../../../src/kernel/process/task.ts';
import { Kit } from './corekit.ts';

const WAIT = 0, WAKE = 1, REQUEUE = 3, CMP_REQUEUE = 4, WAKE_OP = 5, WAIT_BITSET = 9, WAKE_BITSET = 10, PRIVATE = 128;

function thread(kit: Kit): Task {
  const task = new Task(kit.kernel, kit.kernel.allocPid(), kit.task.process, copyContext(kit.task.context), 'thread');
  kit.kernel.addTask(task);
  return task;
}

test('a wait needs the expected value, and a wake ends it', () => {
  const kit = new Kit();
  const word = kit.words(5);
  assert.equal(kit.call('futex', word, WAIT | PRIVATE, 4, 0), -11);
  const other = thread(kit);
  assert.equal(kit.callAs(other, 'futex', word, WAIT | PRIVATE, 5, 0), 'blocked');
  assert.equal(kit.call('futex', word, WAKE | PRIVATE, 1), 1);
  assert.equal(kit.settle(other), 0);
  assert.equal(kit.call('futex', word, WAKE | PRIVATE, 1), 0);
});

test('bad addresses', () => {
  const kit = new Kit();
  assert.equal(kit.call('futex', kit.words(0) + 1, WAIT | PRIVATE, 0, 0), -22);
  assert.equal(kit.call('futex', 0x1000, WAIT | PRIVATE, 0, 0), -14);
  assert.equal(kit.call('futex', 0x1000, WAIT, 0, 0), -14);
  assert.equal(kit.call('futex', 2n ** 63n, WAIT | PRIVATE, 0, 0), -14);
  assert.equal(kit.call('futex', kit.words(0), 99, 0, 0), -38);
});

test('a relative timeout', () => {
  const kit = new Kit();
  const word = kit.words(0), timeout = kit.words(0, 5_000_000);
  assert.equal(kit.call('futex', word, WAIT | PRIVATE, 0, timeout), 'blocked');
  kit.advance(4_000_000);
  assert.equal(kit.settle(kit.task), 'blocked');
  kit.advance(2_000_000);
  assert.equal(kit.settle(kit.task), -110);
  assert.equal(kit.call('futex', word, WAIT | PRIVATE, 0, kit.words(0, 1_000_000_000)), -22);
  assert.equal(kit.call('futex', word, WAIT | PRIVATE, 0, kit.words(-1, 0)), -22);
});

test('bitsets choose who wakes', () => {
  const kit = new Kit();
  const word = kit.words(0);
  const a = thread(kit), b = thread(kit);
  kit.callAs(a, 'futex', word, WAIT_BITSET | PRIVATE, 0, 0, 0, 1);
  kit.callAs(b, 'futex', word, WAIT_BITSET | PRIVATE, 0, 0, 0, 2);
  assert.equal(kit.call('futex', word, WAKE_BITSET | PRIVATE, 10, 0, 0, 2), 1);
  assert.equal(b.state, 'runnable');
  assert.equal(a.state, 'blocked');
  assert.equal(kit.call('futex', word, WAKE_BITSET | PRIVATE, 10, 0, 0, 0), -22);
});

test('requeue moves waiters, compare-requeue checks first', () => {
  const kit = new Kit();
  const from = kit.words(7), to = kit.words(0);
  const tasks = [thread(kit), thread(kit), thread(kit)];
  for (const task of tasks) kit.callAs(task, 'futex', from, WAIT | PRIVATE, 7, 0);
  assert.equal(kit.call('futex', from, CMP_REQUEUE | PRIVATE, 1, 10, to, 8), -11);
  assert.equal(kit.call('futex', from, CMP_REQUEUE | PRIVATE, 1, 10, to, 7), 3);
  assert.equal(kit.call('futex', from, WAKE | PRIVATE, 10), 0);
  assert.equal(kit.call('futex', to, WAKE | PRIVATE, 10), 2);
  assert.deepEqual(tasks.map((task) => kit.settle(task)), [0, 0, 0]);
  assert.equal(kit.call('futex', from, REQUEUE | PRIVATE, -1, 1, to), -22);
});

test('wake-op changes the second word and wakes by its old value', () => {
  const kit = new Kit();
  const a = kit.words(0), b = kit.words(3);
  const waiter = thread(kit);
  kit.callAs(waiter, 'futex', b, WAIT | PRIVATE, 3, 0);
  // *b += 4, wake waiters of b if the old value == 3
  const encoded = (1 << 28) | (0 << 24) | (4 << 12) | 3;
  assert.equal(kit.call('futex', a, WAKE_OP | PRIVATE, 1, 1, b, encoded), 1);
  assert.equal(kit.u32(b), 7);
  assert.equal(kit.settle(waiter), 0);
});

test('a shared futex is one word for two processes', () => {
  const kit = new Kit();
  const shared = kit.task.process.mm.map({ addr: 0, length: 4096, prot: 3, flags: 0x21, inode: null, offset: 0 });
  const childPid = kit.call('fork') as number;
  const child = kit.kernel.tasks.get(childPid) as Task;
  assert.equal(kit.callAs(child, 'futex', shared, WAIT, 0, 0), 'blocked');
  assert.equal(kit.call('futex', shared, WAKE, 1), 1);
  // A private futex at the same address is another one.
  assert.equal(kit.settle(child), 0);
  assert.equal(kit.callAs(child, 'futex', shared, WAIT | PRIVATE, 0, 0), 'blocked');
  assert.equal(kit.call('futex', shared, WAKE | PRIVATE, 1), 0);
});

test('a dying thread marks its robust locks and wakes a waiter', () => {
  const kit = new Kit();
  const owner = thread(kit), waiter = thread(kit);
  const lock = kit.words(0), entry = kit.words(0, 0), head = kit.words(0, 0, 0);
  const { mm } = kit.task.process;
  mm.writeU32(lock, (owner.tid | 0x8000_0000) >>> 0);
  mm.writeU64(head, BigInt(entry));
  mm.writeU64(entry, BigInt(head));
  mm.writeU64(head + 8, BigInt.asUintN(64, BigInt(lock - entry)));
  assert.equal(kit.callAs(owner, 'set_robust_list', head, 23), -22);
  assert.equal(kit.callAs(owner, 'set_robust_list', head, 24), 0);
  kit.callAs(waiter, 'futex', lock, WAIT, kit.u32(lock), 0);
  exitTask(owner, 0);
  assert.equal(kit.u32(lock), 0xc000_0000);
  assert.equal(waiter.state, 'runnable');
});

test('an endless robust list does not hold the kernel', () => {
  const kit = new Kit();
  const owner = thread(kit);
  const entry = kit.words(0), head = kit.words(0, 0, 0);
  kit.task.process.mm.writeU64(head, BigInt(entry));
  kit.task.process.mm.writeU64(entry, BigInt(entry));
  kit.callAs(owner, 'set_robust_list', head, 24);
  exitTask(owner, 0);
  assert.equal(owner.state, 'dead');
});

test('a waiting task is plain data: it goes on in a fork', () => {
  const kit = new Kit();
  const word = kit.words(1);
  assert.equal(kit.call('futex', word, WAIT | PRIVATE, 1, kit.words(10, 0)), 'blocked');
  const forked = kit.fork();
  const twin = forked.tasks.get(kit.task.tid) as Task;
  assert.equal(twin.state, 'blocked');
  assert.equal(forked.futexes.wake(twin, word, 1, 0xffff_ffff, false), 1);
  assert.equal(twin.state, 'runnable');
  assert.equal(kit.task.state, 'blocked');
});
