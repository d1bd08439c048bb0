// The run loop, the scheduler, wait queues, timers and clocks, with a scripted processor in place of ring 3.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Task, copyContext } from '../../../src/kernel/process/task.ts';
import { KernelClock } from '../../../src/kernel/time/clock.ts';
import { Timers } from '../../../src/kernel/time/timers.ts';
import { REG } from '../../../src/platform.ts';
import type { Context, Trap } from '../../../src/platform.ts';
import { Kit, setCall } from './corekit.ts';

const SYSCALL: Trap = { kind: 'syscall' }, KICK: Trap = { kind: 'kick' };

function threads(kit: Kit, count: number): Task[] {
  return [kit.task, ...Array.from({ length: count - 1 }, () => {
    const task = new Task(kit.kernel, kit.kernel.allocPid(), kit.task.process, copyContext(kit.task.context), 'thread');
    kit.kernel.addTask(task);
    return task;
  })];
}

test('everybody gets a turn within 10 ms, and the same share', () => {
  const kit = new Kit();
  const tasks = threads(kit, 3);
  const order: number[] = [];
  kit.machine.processor = (context, _space, sliceNs) => {
    order.push(tasks.findIndex((task) => task.context === context));
    assert.ok(sliceNs > 0 && sliceNs <= 10_000_000);
    kit.host.nowNs += sliceNs;
    return KICK;
  };
  assert.equal(kit.kernel.runSlice(60_000_000).kind, 'slice');
  assert.deepEqual(order.slice(0, 6), [0, 1, 2, 0, 1, 2]);
  for (const task of tasks) assert.ok(Math.abs(task.cpuNs - 20_000_000) < 3_500_000);
  assert.ok(Math.abs(kit.task.process.cpuNs - 60_000_000) < 3, 'but for fractions');
});

test('one task alone keeps the processor for the whole budget', () => {
  const kit = new Kit();
  const slices: number[] = [];
  kit.machine.processor = (_context, _space, sliceNs) => {
    slices.push(sliceNs);
    kit.host.nowNs += sliceNs;
    return KICK;
  };
  kit.kernel.runSlice(100_000_000);
  assert.deepEqual(slices, [100_000_000]);
});

test('a sleeper is woken on time, in the middle of another task’s slice', () => {
  const kit = new Kit();
  const [sleeper, spinner] = threads(kit, 2);
  const wanted = kit.words(0, 3_000_000);
  let slept = false;
  const woken: number[] = [];
  kit.machine.processor = (context, _space, sliceNs) => {
    if (context === spinner.context) {
      kit.host.nowNs += sliceNs;
      return KICK;
    }
    if (slept) {
      woken.push(kit.host.nowNs);
      setCall(context, 'exit', [0]);
      return SYSCALL;
    }
    slept = true;
    setCall(context, 'nanosleep', [wanted, 0]);
    return SYSCALL;
  };
  kit.kernel.runSlice(30_000_000);
  assert.equal(woken.length, 1);
  assert.ok(woken[0] >= 1_003_000_000 && woken[0] <= 1_011_000_000, String(woken[0]));
  assert.equal(sleeper.state, 'dead');
});

test('with nobody to run the loop says until when', () => {
  const kit = new Kit();
  const wanted = kit.words(2, 0);
  kit.machine.processor = (context) => {
    setCall(context, 'nanosleep', [wanted, 0]);
    return SYSCALL;
  };
  const state = kit.kernel.runSlice(1e9);
  assert.deepEqual(state, { kind: 'blocked', wakeAtNs: kit.kernel.clock.monotonicNs() + 2e9 });
  kit.machine.processor = (context) => {
    assert.equal(context.regs[REG.rax], 0n);
    setCall(context, 'exit_group', [3]);
    return SYSCALL;
  };
  kit.host.nowNs += 2e9;
  assert.deepEqual(kit.kernel.runSlice(1e9), { kind: 'exited', reason: { kind: 'exit', code: 3 } });
});

test('an interrupted sleep says what was left', () => {
  const kit = new Kit();
  const left = kit.words(0, 0);
  assert.equal(kit.call('nanosleep', kit.words(1, 0), left), 'blocked');
  kit.advance(400_000_000);
  kit.kernel.interruptTask(kit.task);
  kit.settle(kit.task);
  assert.equal(kit.u64(left + 8), 600_000_000n);
  assert.equal(kit.task.context.regs[REG.rax], 219n, 'restart_syscall, as no handler ran');
  assert.equal(kit.call('restart_syscall'), 'blocked');
  kit.advance(600_000_000);
  assert.equal(kit.settle(kit.task), 0);
});

test('clocks and sleeps refuse what they do not know', () => {
  const kit = new Kit();
  const time = kit.words(0, 0);
  for (const clock of [12, 99, -1]) assert.equal(kit.call('clock_gettime', clock, time), -22);
  assert.equal(kit.call('clock_gettime', 1, 0x10), -14);
  assert.equal(kit.call('nanosleep', kit.words(0, 1e9), 0), -22);
  assert.equal(kit.call('clock_nanosleep', 3, 0, time, 0), -22);
  assert.equal(kit.call('clock_nanosleep', 1, 1, kit.words(0, 1), 0), 0, 'an absolute time in the past');
  assert.equal(kit.call('clock_settime', 0, time), -1);
});

test('a RIP beyond the user half is SIGSEGV before it is loaded', () => {
  for (const rip of [0x7fff_ffff_f000n, 0x8000_0000_0000n, 0xffff_8000_0000_0000n]) {
    const kit = new Kit();
    kit.task.context.regs[REG.rip] = rip;
    const state = kit.kernel.runSlice(1e6);
    assert.deepEqual(state, { kind: 'exited', reason: { kind: 'signal', signo: 11, detail: '' } });
  }
});

test('exceptions become their signals', () => {
  const cases: [number, number][] = [[0, 8], [1, 5], [3, 5], [4, 11], [6, 4], [13, 11], [17, 7], [19, 8], [14, 11]];
  for (const [vector, signo] of cases) {
    const kit = new Kit();
    kit.machine.processor = () => ({ kind: 'exception', vector, errorCode: 4, address: 0x10 });
    const state = kit.kernel.runSlice(1e6);
    assert.equal(state.kind === 'exited' && state.reason.kind === 'signal' && state.reason.signo, signo, `vector ${vector}`);
  }
});

test('a page fault that mm resolves is retried', () => {
  const kit = new Kit();
  let faults = 0;
  kit.machine.processor = (context: Context) => {
    if (faults++ === 0) return { kind: 'exception', vector: 14, errorCode: 6, address: kit.buffer + 8192 };
    setCall(context, 'exit_group', [0]);
    return SYSCALL;
  };
  assert.equal(kit.kernel.runSlice(1e6).kind, 'exited');
  assert.equal(faults, 2);
});

test('an exception in our own code ends this sandbox with a report', () => {
  const kit = new Kit();
  kit.call('getpid');
  kit.machine.processor = () => {
    throw new TypeError('oops');
  };
  const state = kit.kernel.runSlice(1e6);
  assert.ok(state.kind === 'exited' && state.reason.kind === 'bug');
  assert.match(state.reason.message, /oops/);
  assert.match(state.reason.detail ?? '', /getpid\(\) = 2/);
});

test('the CPU limit', () => {
  const kit = new Kit({}, { cpuNsMax: 5e9 });
  kit.machine.processor = (_context, _space, sliceNs) => {
    kit.host.nowNs += sliceNs;
    return KICK;
  };
  assert.deepEqual(kit.kernel.runSlice(10e9), { kind: 'exited', reason: { kind: 'limit', limit: 'cpu', detail: '5 s' } });
});

/** Of each slice the thread has a processor for so much, and then waits for one. */
function awayBeside(kit: Kit, share: number): void {
  kit.machine.processor = (_context, _space, sliceNs) => {
    kit.host.nowNs += sliceNs;
    kit.host.awayNs += sliceNs * (1 - share);
    return KICK;
  };
}

test('time without a processor is nobody’s', () => {
  const kit = new Kit();
  const tasks = threads(kit, 2);
  awayBeside(kit, 0.25);
  kit.kernel.runSlice(80_000_000);
  kit.host.nowNs += 5e9; // between two slices: the worker's own
  assert.equal(kit.kernel.cpuNs, 20_000_000);
  assert.equal(kit.task.process.cpuNs, 20_000_000);
  for (const task of tasks) assert.ok(Math.abs(task.cpuNs - 10_000_000) < 3_000_000);
  kit.kernel.runSlice(80_000_000);
  assert.equal(kit.task.process.cpuNs, 40_000_000);
});

test('a CPU clock that is read in the midst of a slice is right, and never goes back', () => {
  const kit = new Kit();
  const time = kit.words(0, 0);
  const read: number[] = [];
  kit.machine.processor = (context) => {
    if (kit.kernel.syscallCount > 0) read.push(Number(kit.u64(time)) * 1e9 + Number(kit.u64(time + 8)));
    kit.host.nowNs += 4_000_000;
    if (kit.kernel.syscallCount % 2 === 0) kit.host.awayNs += 3_000_000;
    setCall(context, 'clock_gettime', [kit.kernel.syscallCount < 4 ? 2 : 3, time]);
    return SYSCALL;
  };
  kit.kernel.runSlice(25_000_000);
  assert.deepEqual(read, [1, 5, 6, 10, 11, 15].map((ms) => ms * 1_000_000));
});

test('what a thread had is its process’s when it ends', () => {
  const kit = new Kit();
  const [, other] = threads(kit, 2);
  kit.machine.processor = (context) => {
    kit.host.nowNs += 2_000_000;
    kit.host.awayNs += 1_000_000;
    setCall(context, context === other.context ? 'exit' : 'sched_yield', [0]);
    return SYSCALL;
  };
  kit.kernel.runSlice(19_000_000);
  assert.equal(other.state, 'dead');
  assert.equal(kit.task.process.deadCpuNs, 1_000_000);
  assert.equal(kit.task.process.cpuNs, 10_000_000);
});

test('a timer of CPU time comes when that has been had, and not when it has passed', () => {
  const kit = new Kit();
  awayBeside(kit, 0.5);
  kit.call('rt_sigprocmask', 0, kit.words(1n << 26n), 0, 8);
  kit.call('setitimer', 2, kit.words(0, 0, 0, 30_000), 0);
  kit.kernel.runSlice(50_000_000);
  assert.equal(kit.task.process.signals.pending, 0n, '25 ms');
  kit.kernel.runSlice(9_000_000);
  assert.equal(kit.task.process.signals.pending, 0n, '29.5 ms');
  kit.kernel.runSlice(3_000_000);
  assert.equal(kit.task.process.signals.pending, 1n << 26n);
});

test('time without a processor does not count for the CPU limit', () => {
  const kit = new Kit({}, { cpuNsMax: 5e9 });
  awayBeside(kit, 0.1);
  for (let i = 0; i < 49; i++) assert.equal(kit.kernel.runSlice(1e9).kind, 'slice');
  assert.equal(kit.kernel.cpuNs, 4.9e9);
  assert.equal(kit.kernel.runSlice(1.1e9).kind, 'exited');
});

test('timers expire in order, once', () => {
  const timers = new Timers();
  const fired: string[] = [];
  const owner = (name: string) => ({ expire: () => void fired.push(name) });
  const [a, b, c] = [owner('a'), owner('b'), owner('c')];
  timers.arm(a, 30);
  timers.arm(b, 10);
  timers.arm(c, 20);
  assert.equal(timers.nextNs, 10);
  timers.arm(b, 40);
  assert.equal(timers.nextNs, 20);
  timers.disarm(c);
  timers.expire(35);
  timers.expire(35);
  assert.deepEqual(fired, ['a']);
  assert.equal(timers.nextNs, 40);
});

test('CLOCK_MONOTONIC goes on after a restore, also on a host that was just booted', () => {
  let now = 5e12;
  const host = { monotonicNs: () => now, realtimeNs: () => 0n, threadCpuNs: () => now };
  const clock = KernelClock.start(host);
  now += 7e9;
  const state = clock.save();
  assert.equal(KernelClock.restore(state, host).offsetNs, clock.offsetNs, 'same boot: same offset');
  now = 1e9;
  const later = KernelClock.restore(state, host);
  assert.ok(later.monotonicNs() >= state.monotonicNs);
  assert.ok(later.monotonicNs() - state.monotonicNs < 10);
});

test('setitimer, alarm and timer_create', () => {
  const kit = new Kit();
  kit.call('rt_sigaction', 14, kit.words(1, 0, 0, 0), 0, 8);
  assert.equal(kit.call('alarm', 5), 0);
  kit.advance(2e9);
  assert.equal(kit.call('alarm', 0), 3);
  const id = kit.words(0);
  assert.equal(kit.call('timer_create', 1, 0, id), 0);
  assert.equal(kit.call('timer_settime', kit.u32(id), 0, kit.words(0, 1_000_000, 0, 2_000_000), 0), 0);
  kit.call('rt_sigprocmask', 0, kit.words(1n << 13n), 0, 8);
  kit.call('rt_sigaction', 14, kit.words(0, 0, 0, 0), 0, 8);
  kit.advance(5_500_000);
  assert.equal(kit.task.process.signals.pendingInfo[0]?.overrun, 3);
  assert.equal(kit.call('timer_delete', kit.u32(id)), 0);
  assert.equal(kit.call('timer_delete', kit.u32(id)), -22);
  assert.equal(kit.call('setitimer', 5, 0, 0), -22);
});
