// A running kernel is saved and restored whole: nothing of a task or process is forgotten, who waits keeps its place, FIFOs that
// only openers know, handlers that processes share, edges that nobody has seen.

import assert from 'node:assert/strict';
import test from 'node:test';
import type { Kernel } from '../../../src/kernel/kernel.ts';
import { saveKernel } from '../../../src/kernel/save.ts';
import type { KernelState } from '../../../src/kernel/save.ts';
import { dispatch, redispatch } from '../../../src/kernel/syscalls/dispatch.ts';
import { REG } from '../../../src/platform.ts';
import type { Task } from '../../../src/kernel/process/task.ts';
import { Kit, setCall } from './corekit.ts';

const THREAD = 0x3d0f00, SIGCHLD = 17, CLONE_VM = 0x100, CLONE_SIGHAND = 0x800;

/** Fields that restoring makes again, or that only the running scheduler means. */
const REBUILT_TASK = ['kernel', 'process', 'vruntimeNs', 'unsettledNs', 'askedFd', 'askedBy', 'isForked'];
const REBUILT_PROCESS = ['kernel', 'mm', 'files', 'fs'];

function taskOf(kernel: Kernel, tid: number | 'blocked' | 'dead'): Task {
  return kernel.tasks.get(tid as number) as Task;
}

function callIn(task: Task, name: string, ...args: (number | bigint)[]): number | 'blocked' {
  setCall(task.context, name, args);
  dispatch(task);
  return resultOf(task);
}

function resultOf(task: Task): number | 'blocked' {
  if (task.rerun && task.state === 'runnable') redispatch(task);
  return task.state === 'blocked' ? 'blocked' : Number(BigInt.asIntN(64, task.context.regs[REG.rax]));
}

test('every field of a task and a process is in the state, or is known to be made again', () => {
  const kit = new Kit();
  const [saved] = saveKernel(kit.kernel).processes;
  const missing = (object: object, state: object, rebuilt: readonly string[]): string[] =>
    Object.keys(object).filter((key) => !(key in state) && !rebuilt.includes(key));
  assert.deepEqual(missing(kit.task, { ...saved.tasks[0], ...saved.tasks[0].fields, pendingInfo: 1 }, REBUILT_TASK), []);
  assert.deepEqual(missing(kit.task.process, { ...saved, ...saved.fields, exeInode: 1 }, REBUILT_PROCESS), []);
});

/** What changes with time, or counts allocations that restoring makes. */
function comparable(state: KernelState): unknown {
  return structuredClone({ ...state, clock: null, waitsNext: 0 });
}

test('saving what was restored gives the same state', () => {
  const kit = new Kit();
  kit.call('pipe', kit.words(0));
  kit.call('alarm', 100);
  const child = taskOf(kit.kernel, kit.call('fork'));
  kit.callAs(child, 'read', 3, kit.room(8), 8);
  const state = saveKernel(kit.kernel);
  assert.deepEqual(comparable(saveKernel(kit.fork())), comparable(state));
});

test('waiters keep their places: the first to come is woken first, whatever its number', () => {
  const kit = new Kit();
  const word = kit.words(0);
  const threads = [0, 1, 2].map(() => taskOf(kit.kernel, kit.call('clone', THREAD, kit.room(4096) + 4096, 0, 0, 0)));
  for (const at of [2, 0, 1]) assert.equal(kit.callAs(threads[at], 'futex', word, 0, 0, 0), 'blocked');
  const forked = kit.fork();
  const woken: number[] = [];
  for (let i = 0; i < 3; i++) {
    assert.equal(callIn(taskOf(forked, kit.task.tid), 'futex', word, 1, 1), 1);
    woken.push(threads.findIndex(({ tid }) => taskOf(forked, tid).state === 'runnable' && !woken.includes(threads.findIndex((t) => t.tid === tid))));
  }
  assert.deepEqual(woken, [2, 0, 1]);
});

test('a FIFO that nobody has open yet: its waiting opener meets its partner in the fork, too', () => {
  const kit = new Kit();
  const path = kit.text('/tmp/fifo');
  assert.equal(kit.call('mknod', path, 0o010666, 0), 0);
  const child = taskOf(kit.kernel, kit.call('fork'));
  assert.equal(kit.callAs(child, 'open', path, 0), 'blocked');
  const forked = kit.fork();
  for (const kernel of [forked, kit.kernel]) {
    assert.equal(callIn(taskOf(kernel, kit.task.tid), 'open', path, 1), 0);
    assert.equal(resultOf(taskOf(kernel, child.tid)), 0);
  }
});

test('processes that share their handlers go on sharing them', () => {
  const kit = new Kit();
  const child = kit.call('clone', CLONE_VM | CLONE_SIGHAND | SIGCHLD, kit.room(4096) + 4096, 0, 0, 0);
  const other = kit.call('fork');
  const action = kit.words(1, 0, 0, 0);
  const forked = kit.fork();
  assert.equal(callIn(taskOf(forked, child), 'rt_sigaction', 10, action, 0, 8), 0);
  assert.equal(taskOf(forked, kit.task.tid).process.signals.action(10).handler, 1n);
  assert.equal(taskOf(forked, other).process.signals.action(10).handler, 0n);
});

test('a timer edge between saving and restoring is not lost to epoll', () => {
  const kit = new Kit();
  const epoll = kit.call('epoll_create1', 0) as number;
  const timer = kit.call('timerfd_create', 1, 0) as number;
  assert.equal(kit.call('epoll_ctl', epoll, 1, timer, kit.words(0x8000_0001n)), 0);
  kit.call('timerfd_settime', timer, 0, kit.words(0, 0, 0, 1000), 0);
  kit.advance(5000);
  const forked = kit.fork();
  assert.equal(callIn(taskOf(forked, kit.task.tid), 'epoll_wait', epoll, kit.room(64), 4, 0), 1);
});

test('counters and limits of a run go on', () => {
  const kit = new Kit();
  kit.call('semget', 1, 1, 0);
  kit.kernel.cpuNs = 5e9;
  const forked = kit.fork();
  assert.equal(forked.cpuNs, 5e9);
  assert.equal(forked.syscallCount, kit.kernel.syscallCount);
  assert.deepEqual([...forked.unimplemented], [['semget', 1]]);
});
