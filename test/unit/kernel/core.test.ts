// Processes and threads: clone, wait, exit, groups, identity, the fork protocol, saving and restoring a whole kernel.

import assert from 'node:assert/strict';
import test from 'node:test';
import type { Task } from '../../../src/kernel/process/task.ts';
import { completeForkChild, prepareForkChild } from '../../../src/kernel/process/snapshot.ts';
import { saveKernel } from '../../../src/kernel/save.ts';
import { dispatch } from '../../../src/kernel/syscalls/dispatch.ts';
import { SNAPSHOT } from '../../../src/kernel/wait.ts';
import { REG } from '../../../src/platform.ts';
import { Kit, setCall } from './corekit.ts';

const THREAD = 0x3d0f00, VM = 0x100, VFORK = 0x4000, SIGCHLD = 17;

function taskOf(kit: Kit, tid: number | 'blocked' | 'dead'): Task {
  return kit.kernel.tasks.get(tid as number) as Task;
}

test('a thread: tid words, TLS, stack, and the wake-up of its joiner', () => {
  const kit = new Kit();
  const tidWord = kit.words(0), stack = kit.room(4096) + 4096;
  const tid = kit.call('clone', THREAD, stack, tidWord, tidWord, 0x1000);
  const thread = taskOf(kit, tid);
  assert.equal(thread.process, kit.task.process);
  assert.equal(kit.u32(tidWord), tid);
  assert.equal(thread.context.fsBase, 0x1000n);
  assert.equal(thread.context.regs[REG.rsp], BigInt(stack));
  assert.equal(thread.context.regs[REG.rax], 0n);
  assert.equal(kit.call('futex', tidWord, 0, tid as number, 0), 'blocked');
  assert.equal(kit.callAs(thread, 'exit', 0), 'dead');
  assert.equal(kit.settle(kit.task), 0);
  assert.equal(kit.u32(tidWord), 0);
});

test('clone refuses flags that do not go together, and what there is not', () => {
  const kit = new Kit();
  assert.equal(kit.call('clone', 0x800, 0, 0, 0, 0), -22, 'SIGHAND without VM');
  assert.equal(kit.call('clone', 0x10000, 0, 0, 0, 0), -22, 'THREAD without SIGHAND');
  assert.equal(kit.call('clone', 0x2000_0000 | SIGCHLD, 0, 0, 0, 0), -1, 'NEWPID');
  assert.equal(kit.call('clone3', kit.words(0, 0, 0, 0, 0, 0, 0, 0), 32), -22);
  assert.equal(kit.call('clone3', kit.words(0, 0, 0, 0, 99, 0, 0, 0), 64), -22);
  assert.equal(kit.call('clone3', 0x10, 64), -14);
  assert.equal(kit.call('clone3', kit.words(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), 96), -7);
  assert.ok(kit.kernel.unimplemented.size > 0);
});

test('clone3 makes a thread', () => {
  const kit = new Kit();
  const stack = kit.room(8192);
  const args = kit.words(0x3d0f00, 0, kit.words(0), kit.words(0), 0, stack, 8192, 0x2000);
  const thread = taskOf(kit, kit.call('clone3', args, 64));
  assert.equal(thread.context.regs[REG.rsp], BigInt(stack + 8192));
  assert.equal(thread.context.fsBase, 0x2000n);
});

test('fork: memory is the child’s own, wait gives its status', () => {
  const kit = new Kit();
  const word = kit.words(1);
  const pid = kit.call('fork');
  const child = taskOf(kit, pid);
  child.process.mm.writeU32(word, 2);
  assert.equal(kit.u32(word), 1);
  assert.equal(kit.callAs(child, 'getppid'), kit.task.process.pid);
  const status = kit.words(0);
  assert.equal(kit.call('wait4', -1, status, 1, 0), 0, 'WNOHANG');
  assert.equal(kit.call('wait4', pid as number, status, 0, 0), 'blocked');
  kit.callAs(child, 'exit_group', 300);
  assert.equal(kit.resume(), pid);
  assert.equal(kit.u32(status), 44 << 8);
  assert.equal(kit.call('wait4', -1, status, 0, 0), -10);
});

test('vfork: the parent waits until the child is gone, and shares its memory', () => {
  const kit = new Kit();
  const word = kit.words(1);
  assert.equal(kit.call('clone', VM | VFORK | SIGCHLD, 0, 0, 0, 0), 'blocked');
  const child = [...kit.kernel.tasks.values()].find((task) => task !== kit.task) as Task;
  child.process.mm.writeU32(word, 7);
  kit.callAs(child, 'kill', kit.task.process.pid, 17);
  assert.equal(kit.task.state, 'blocked');
  kit.callAs(child, 'exit_group', 0);
  assert.equal(kit.settle(kit.task), child.process.pid);
  assert.equal(kit.u32(word), 7);
});

test('waitid: WNOWAIT leaves it, P_PGID chooses, bad options', () => {
  const kit = new Kit();
  const pid = kit.call('fork') as number;
  kit.callAs(taskOf(kit, pid), 'exit_group', 5);
  const info = kit.room(128);
  assert.equal(kit.call('waitid', 1, pid, info, 4 | 0x0100_0000, 0), 0);
  assert.deepEqual([kit.u32(info), kit.u32(info + 8), kit.u32(info + 16), kit.u32(info + 24)], [17, 1, pid, 5]);
  assert.equal(kit.call('waitid', 2, kit.task.process.pgid, info, 4, 0), 0);
  assert.equal(kit.call('waitid', 0, 0, info, 4, 0), -10);
  assert.equal(kit.call('waitid', 0, 0, info, 0, 0), -22);
  assert.equal(kit.call('waitid', 9, 0, info, 4, 0), -22);
});

test('orphans are reaped; a subreaper takes them over', () => {
  const kit = new Kit();
  const middle = taskOf(kit, kit.call('fork'));
  const orphan = taskOf(kit, kit.callAs(middle, 'fork'));
  kit.callAs(middle, 'exit_group', 0);
  assert.equal(orphan.process.ppid, 1);
  kit.callAs(orphan, 'exit_group', 0);
  assert.equal(kit.kernel.processes.has(orphan.process.pid), false);
  kit.call('prctl', 36, 1, 0, 0, 0);
  const second = taskOf(kit, kit.call('fork'));
  const grandchild = taskOf(kit, kit.callAs(second, 'fork'));
  kit.callAs(second, 'exit_group', 0);
  assert.equal(grandchild.process.ppid, kit.task.process.pid);
});

test('a parent that ignores SIGCHLD leaves no zombies', () => {
  const kit = new Kit();
  kit.call('rt_sigaction', 17, kit.words(1, 0, 0, 0), 0, 8);
  const child = taskOf(kit, kit.call('fork'));
  kit.callAs(child, 'exit_group', 0);
  assert.equal(kit.kernel.processes.size, 1);
  assert.equal(kit.call('wait4', -1, 0, 0, 0), -10);
});

test('exit_group ends all threads, and the main process ends the sandbox', () => {
  const kit = new Kit();
  const thread = taskOf(kit, kit.call('clone', THREAD, kit.room(4096) + 4096, 0, 0, 0));
  assert.equal(kit.callAs(thread, 'exit_group', 9), 'dead');
  assert.equal(kit.task.state, 'dead');
  assert.deepEqual(kit.kernel.endReason, { kind: 'exit', code: 9 });
  assert.equal(kit.kernel.tasks.size, 0);
});

test('the number of tasks is limited', () => {
  const kit = new Kit({}, { processesMax: 4 });
  for (let i = 0; i < 3; i++) assert.ok((kit.call('fork') as number) > 0);
  assert.equal(kit.call('fork'), -11);
});

test('programs started from outside count as others do, and so do the dead until they are waited for', () => {
  const kit = new Kit({}, { processesMax: 4 });
  for (let i = 0; i < 3; i++) assert.equal(kit.callAs(taskOf(kit, kit.call('fork')), 'exit_group', 0), 'dead');
  assert.equal(kit.kernel.tasks.size, 1);
  assert.equal(kit.call('fork'), -11);
  assert.equal(kit.kernel.spawn('/nothing', ['x'], []), -11);
  assert.deepEqual([...kit.kernel.bounds.met], [['processes', 2]]);
  kit.call('wait4', -1, 0, 0, 0);
  assert.equal(kit.kernel.spawn('/nothing', ['x'], []), -2, 'now it is looked for');
});

test('process groups and sessions', () => {
  const kit = new Kit();
  const child = taskOf(kit, kit.call('fork'));
  const pid = child.process.pid;
  assert.equal(kit.call('setpgid', pid, 0), 0);
  assert.equal(kit.call('getpgid', pid), pid);
  assert.equal(kit.call('setpgid', pid, 9999), -1);
  assert.equal(kit.call('setpgid', 9999, 0), -3);
  assert.equal(kit.callAs(child, 'setsid'), -1, 'a group leader cannot');
  const second = taskOf(kit, kit.call('fork'));
  assert.equal(kit.callAs(second, 'setsid'), second.process.pid);
  assert.equal(kit.call('setpgid', second.process.pid, 0), -1, 'another session');
  assert.equal(kit.call('getsid', second.process.pid), second.process.pid);
  assert.equal(kit.call('kill', -pid, 15), 0);
  assert.equal(kit.settle(child), 'dead');
});

test('ids: who may set what', () => {
  const kit = new Kit();
  const user = kit.spawnTask(null, 1000);
  assert.equal(kit.callAs(user, 'setuid', 0), -1);
  assert.equal(kit.callAs(user, 'setresuid', 1000, 1000, 1000), 0);
  assert.equal(kit.callAs(user, 'setreuid', -1, 5), -1);
  assert.equal(kit.callAs(user, 'setgroups', 0, 0), -1);
  assert.equal(kit.call('setresuid', 1, 2, 3), 0);
  assert.deepEqual(['getuid', 'geteuid'].map((name) => kit.call(name)), [1, 2]);
  assert.equal(kit.call('setuid', 3), 0);
  assert.equal(kit.call('geteuid'), 3);
  assert.equal(kit.call('setuid', 7), -1);
});

test('limits: lowering is free, raising is not', () => {
  const kit = new Kit();
  const user = kit.spawnTask(null, 1000);
  const limit = kit.words(100, 200), copy = user.process.mm.map({ addr: 0, length: 4096, prot: 3, flags: 0x22, inode: null, offset: 0 });
  user.process.mm.copyOut(copy, kit.task.process.mm.readBytes(limit, 16) as Uint8Array);
  assert.equal(kit.callAs(user, 'setrlimit', 7, copy), 0);
  assert.equal(user.process.files.limit, 100);
  user.process.mm.writeU64(copy + 8, 300n);
  assert.equal(kit.callAs(user, 'setrlimit', 7, copy), -1);
  user.process.mm.writeU64(copy + 8, 50n);
  assert.equal(kit.callAs(user, 'setrlimit', 7, copy), -22);
  assert.equal(kit.callAs(user, 'prlimit64', 0, 16, 0, copy), -22);
  assert.equal(kit.callAs(user, 'prlimit64', 9999, 7, 0, copy), -3);
});

test('the fork protocol: stopped inside fork, saved, and each restored one is the child with its own pid', () => {
  const kit = new Kit();
  kit.kernel.snapshotArmed = true;
  kit.task.process.signals.pending = 1n;
  setCall(kit.task.context, 'fork', []);
  assert.equal(dispatch(kit.task), SNAPSHOT);
  assert.equal(kit.kernel.snapshotFailure, null);
  prepareForkChild(kit.kernel);
  const before = structuredClone(saveKernel(kit.kernel));
  const state = saveKernel(kit.kernel);
  const pids = new Set<number>();
  for (let i = 0; i < 20; i++) {
    const forked = kit.fork();
    completeForkChild(forked);
    const [task] = forked.tasks.values();
    assert.equal(task.context.regs[REG.rax], 0n);
    assert.equal(task.tid, task.process.pid);
    assert.equal(task.process.signals.pending, 0n);
    assert.equal(forked.processes.get(task.process.pid), forked.main);
    pids.add(task.process.pid);
  }
  assert.ok(pids.size > 15);
  assert.deepEqual(structuredClone(state).processes, before.processes, 'restoring does not change the state');
});

test('threads or processes left running are named', () => {
  const kit = new Kit();
  kit.call('clone', THREAD, kit.room(4096) + 4096, 0, 0, 0);
  kit.kernel.snapshotArmed = true;
  setCall(kit.task.context, 'fork', []);
  assert.equal(dispatch(kit.task), SNAPSHOT);
  assert.match(kit.kernel.snapshotFailure ?? '', /threads running: test \(3\)/);
});

test('a fork of a whole kernel: tasks, zombies, timers, masks, all as they were', () => {
  const kit = new Kit();
  const zombie = taskOf(kit, kit.call('fork'));
  kit.callAs(zombie, 'exit_group', 2);
  const wanted = kit.words(5, 0);
  const sleeper = taskOf(kit, kit.call('fork'));
  kit.callAs(sleeper, 'nanosleep', wanted, 0);
  kit.call('alarm', 9);
  kit.call('prctl', 15, kit.text('renamed'), 0, 0, 0);
  const forked = kit.fork();
  assert.deepEqual([...forked.processes.keys()], [...kit.kernel.processes.keys()]);
  assert.equal(forked.processes.get(zombie.process.pid)?.exitStatus, 2 << 8);
  assert.equal(forked.tasks.get(sleeper.tid)?.state, 'blocked');
  assert.equal(forked.timers.nextNs, kit.kernel.timers.nextNs);
  assert.equal(forked.main?.leader?.comm, 'renamed');
  assert.notEqual(forked.main?.mm, kit.task.process.mm);
});
