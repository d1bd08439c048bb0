// The scheduler: equal shares, nice values, woken tasks first, yielding, stopped processes.

import assert from 'node:assert/strict';
import test from 'node:test';
import type { Task } from '../../../src/kernel/process/task.ts';
import { Scheduler } from '../../../src/kernel/sched.ts';

const MS = 1_000_000;

/** As much of a task as the scheduler looks at. */
function fakeTask(name: string, nice = 0): Task {
  return { comm: name, state: 'runnable', vruntimeNs: -1, process: { nice, stopped: false } } as unknown as Task;
}

/** Runs `ms` milliseconds in steps of 0.1 ms; CPU time by task name. */
function run(sched: Scheduler, ms: number, from = 0): Record<string, number> {
  const used: Record<string, number> = {};
  for (let now = from * MS; now < (from + ms) * MS; now += MS / 10) {
    const task = sched.pick(now);
    if (!task) break;
    sched.charge(task, MS / 10);
    used[task.comm] = (used[task.comm] ?? 0) + 0.1;
  }
  return used;
}

test('equal tasks get equal shares, whenever they came', () => {
  const sched = new Scheduler();
  sched.enqueue(fakeTask('a'));
  run(sched, 500);
  sched.enqueue(fakeTask('b'));
  sched.enqueue(fakeTask('c'));
  const used = run(sched, 300, 500);
  for (const name of ['a', 'b', 'c']) assert.ok(Math.abs(used[name] - 100) < 12, `${name} ${used[name]}`);
});

test('a nicer task gets less', () => {
  const sched = new Scheduler();
  sched.enqueue(fakeTask('normal'));
  sched.enqueue(fakeTask('nice', 5));
  const used = run(sched, 1000);
  assert.ok(used['normal'] / used['nice'] > 2.5 && used['normal'] / used['nice'] < 3.6);
});

test('a task that slept runs at once, and cannot make up for its sleep', () => {
  const sched = new Scheduler();
  const sleeper = fakeTask('sleeper');
  sched.enqueue(fakeTask('hog'));
  sched.enqueue(sleeper);
  run(sched, 100);
  sched.dequeue(sleeper);
  run(sched, 5000, 100);
  sched.enqueue(sleeper);
  assert.equal(sched.pick(5100 * MS), sleeper);
  const used = run(sched, 100, 5100);
  assert.ok(used['hog'] > 40, `${used['hog']}`);
});

test('yielding lets others go first, and is nothing when there are none', () => {
  const sched = new Scheduler();
  const [a, b] = [fakeTask('a'), fakeTask('b')];
  sched.enqueue(a);
  assert.equal(sched.pick(0), a);
  sched.yieldCurrent();
  assert.equal(sched.pick(1), a);
  sched.enqueue(b);
  sched.yieldCurrent();
  assert.equal(sched.pick(2), b);
  assert.equal(sched.pick(3), b);
  sched.dequeue(b);
  assert.equal(sched.pick(4), a);
  sched.dequeue(a);
  assert.equal(sched.pick(5), null);
  assert.equal(sched.preemptAtNs, Infinity);
});

test('a task of a stopped process is not run', () => {
  const sched = new Scheduler();
  const task = fakeTask('stopped');
  (task.process as { stopped: boolean }).stopped = true;
  sched.enqueue(task);
  assert.equal(task.state, 'stopped');
  assert.equal(sched.pick(0), null);
});
